/* attention.h - self-attention: of tokens or pixels to each other. */
#ifndef CLIO_MODELS_NN_ATTENTION_H
#define CLIO_MODELS_NN_ATTENTION_H

#include "linear.h"

/* out [B, ..., width] = attention of the positions of each of B images or texts to each other, or, if `causal`, to none behind them, from
 * qkv [B, ..., 3 width] */
clio_status self_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *qkv, int heads,
                               bool causal);

/* Attention of pixels to each other, one head: x + o(attention(qkv(norm(x)))). */
struct pixel_attention {
    int width, groups;
    float eps;
    struct norm norm;
    struct linear qkv, o;
};
clio_status pixel_attention_load(clio_context *ctx, struct pixel_attention *a, const char *prefix, const struct weights *weights);
void pixel_attention_free(clio_context *ctx, struct pixel_attention *a);
/* In place. */
clio_status pixel_attention_fwd(clio_context *ctx, struct arena *arena, const struct pixel_attention *a, const struct tensor *x);

#endif
