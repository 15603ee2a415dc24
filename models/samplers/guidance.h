/* guidance.h - classifier-free guidance (Ho and Salimans 2022) and its rescaling (Lin et al. 2023). */
#ifndef CLIO_MODELS_SAMPLERS_GUIDANCE_H
#define CLIO_MODELS_SAMPLERS_GUIDANCE_H

#include <stddef.h>

/* Classifier-free guidance: out = uncond + scale (cond - uncond), each [images, n]; then, with rescale above 0, guidance_rescale: pulled
 * towards cond's standard deviation (taken over all of an image) by that share. out may be uncond or cond. */
void guidance_combine(float *out, const float *uncond, const float *cond, float scale, float rescale, int pictures, size_t n);

#endif
