/* slerp.h - spherical linear interpolation (Shoemake 1985) between two latents or noise samples.
 *
 * Normal samples of n dimensions lie near a sphere of radius sqrt(n). Linear interpolation between two of them leaves the sphere, and its
 * samples have a smaller variance than those of training (White 2016, "Sampling Generative Networks"). */
#ifndef CLIO_MODELS_PIPELINES_SLERP_H
#define CLIO_MODELS_PIPELINES_SLERP_H

#include <stddef.h>

/* out[n] from a (t = 0) to b (t = 1); out may be a or b. Linear where a and b are nearly parallel, or one of them is zero. */
void slerp(float *out, const float *a, const float *b, size_t n, double t);

#endif
