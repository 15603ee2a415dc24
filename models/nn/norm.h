/* norm.h - normalization with learned scale and shift (torch.nn.LayerNorm, torch.nn.GroupNorm). */
#ifndef CLIO_MODELS_NN_NORM_H
#define CLIO_MODELS_NN_NORM_H

#include "state_dict.h"

struct norm {
    struct tensor gamma, beta; /* f32 [width]: torch's weight and bias */
};

/* State dict rows of a norm member: KEY.weight and KEY.bias. */
#define ROW_NORM(type, key, member, width)                                                                                                 \
    ROW_VECTOR(type, key ".weight", member.gamma, width, 0, 1), ROW_VECTOR(type, key ".bias", member.beta, width, 0, 1)

clio_status norm_load(clio_context *ctx, struct norm *n, const char *key, int width, const struct weights *weights);
void norm_free(clio_context *ctx, struct norm *n);

/* out = (in - mean) / sqrt(var + eps) * gamma + beta over the last dimension; in, out f32 [..., width]; out may be in. */
clio_status layer_norm_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct norm *n, float eps);
/* The same over each of `groups` groups of channels and all pixels of an image, then act (ACT_*); in, out f32 [B, ..., width]; out may be
 * in. */
clio_status group_norm_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct norm *n,
                           int groups, float eps, int act);

#endif
