/* guidance.h - classifier-free guidance (Ho and Salimans 2022) and guidance_rescale (Lin et al. 2023). Source: diffusers,
 * pipeline_stable_diffusion.py (rescale_noise_cfg). */
#ifndef CLIO_MODELS_SAMPLERS_GUIDANCE_H
#define CLIO_MODELS_SAMPLERS_GUIDANCE_H

#include <stddef.h>

/* out = uncond + scale (cond - uncond), each f32 [images, n]. With rescale above 0, out is then interpolated by `rescale` towards out
 * scaled to cond's standard deviation over the image. out may be uncond or cond. */
void guidance_combine(float *out, const float *uncond, const float *cond, float scale, float rescale, int images, size_t n);

#endif
