/* linear.h - linear layers, convolutions and norms with their weights (torch.nn.Linear, Conv2d, LayerNorm, GroupNorm; diffusers'
 * Downsample2D and Upsample2D). Activations are f32 [B, H, W, C] on the device; matmuls and attention see them as [B, H * W, C]. Which keys
 * a layer has, and what is particular about it, is in MODEL-unet.md and MODEL-vae.md.
 *
 * Forward functions follow the planning scheme of pool.h: the same call with ctx->planning set only counts the arena. */
#ifndef CLIO_MODELS_NN_LINEAR_H
#define CLIO_MODELS_NN_LINEAR_H

#include "state_dict.h"

struct block_norm {
    struct tensor gamma, beta;
};
/* A product over channels or a convolution, with its bias. */
struct block_linear {
    struct matrix w;
    struct tensor bias;
    int taps; /* width and height of a convolution's window */
};

/* Rows of a table of weights (network.h) for members of these types; sizes[0], which is 1, stands for what a row does not have. */
#define BLOCK_VECTOR(type, key, member, rows, part, parts)                                                                                 \
    {                                                                                                                                      \
        key, offsetof(struct type, member), NETWORK_VECTOR, rows, 0, 0, part, parts, false                                                 \
    }
#define BLOCK_NORM(type, key, member, width)                                                                                               \
    BLOCK_VECTOR(type, key ".weight", member.gamma, width, 0, 1), BLOCK_VECTOR(type, key ".bias", member.beta, width, 0, 1)
#define BLOCK_LINEAR(type, key, member, kind, rows, columns, taps, part, parts)                                                            \
    {key ".weight", offsetof(struct type, member.w), kind, rows, columns, taps, part, parts, false},                                       \
        BLOCK_VECTOR(type, key ".bias", member.bias, rows, part, parts)

/* A square convolution `key`.weight [out, in, taps, taps] (also [out, in] where taps is 1); a missing bias is zeros when `optional`. */
clio_status block_linear_load(clio_context *ctx, struct block_linear *l, const char *key, int out, int in, int taps, bool optional,
                              const struct weights *weights);
/* A product `key`.weight [out, in] with its bias, for a few rows at a time. */
clio_status block_few_load(clio_context *ctx, struct block_linear *l, const char *key, int out, int in, const struct weights *weights);
void block_linear_free(clio_context *ctx, struct block_linear *l);
clio_status block_norm_load(clio_context *ctx, struct block_norm *n, const char *key, int width, const struct weights *weights);
void block_norm_free(clio_context *ctx, struct block_norm *n);

/* out = act(conv(in) + bias) + residual, of as many pixels; bias NULL: that of l; or f32 [B, N], one for each picture. */
clio_status block_conv_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct block_linear *l, const struct tensor *bias, int act, const struct tensor *residual);
/* The same with stride 2; `padding` 1: a zero on each side; 0: one below and right. H' = (H + padding - 2) / 2 + 1. */
clio_status block_downsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                 const struct block_linear *l, int padding);
/* The same with stride 1 over `in` stretched to H' x W', each pixel of which is the nearest one above and left (twice the size, mostly). */
clio_status block_upsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                               const struct block_linear *l);
/* out = in w + bias (+ residual) over channels. */
clio_status block_linear_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct block_linear *l, int act,
                             const struct tensor *residual);

#endif
