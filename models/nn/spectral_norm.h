/* spectral_norm.h - bound the singular values of a network's layers. */
#ifndef CLIO_MODELS_NN_SPECTRAL_NORM_H
#define CLIO_MODELS_NN_SPECTRAL_NORM_H

#include "sequential.h"

/* Keeps every layer's greatest singular value at most 1. Its vectors are added to the parameters, with keys that end with weight_v. */
struct spectral;
clio_status spectral_new(clio_context *ctx, struct spectral **out, const struct sequential *net, const char *prefix);
void spectral_free(clio_context *ctx, struct spectral *s); /* accepts NULL */
clio_status spectral_init(clio_context *ctx, const struct spectral *s, uint64_t seed);
/* To be called after the weights changed; times: steps of the power iteration. */
clio_status spectral_bound(clio_context *ctx, struct arena *arena, const struct spectral *s, int times);

#endif
