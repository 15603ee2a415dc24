/* linear.h - linear layers, convolutions and norms with their weights (torch.nn.Linear, Conv2d, LayerNorm, GroupNorm; diffusers'
 * Downsample2D and Upsample2D). Activations are f32 [B, H, W, C] on the device; matmuls and attention see them as [B, H * W, C]. Which keys
 * a layer has, and what is particular about it, is in MODEL-unet.md and MODEL-vae.md.
 *
 * Forward functions follow the planning scheme of pool.h: the same call with ctx->planning set only counts the arena. */
#ifndef CLIO_MODELS_NN_LINEAR_H
#define CLIO_MODELS_NN_LINEAR_H

#include "state_dict.h"

struct norm {
    struct tensor gamma, beta;
};
/* A product over channels or a convolution, with its bias. */
struct linear {
    struct matrix w;
    struct tensor bias;
    int taps; /* width and height of a convolution's window */
};

/* Rows of a table of weights (network.h) for members of these types; sizes[0], which is 1, stands for what a row does not have. */
#define ROW_VECTOR(type, key, member, rows, part, parts)                                                                                   \
    {                                                                                                                                      \
        key, offsetof(struct type, member), WEIGHT_VECTOR, rows, 0, 0, part, parts, false                                                  \
    }
#define ROW_NORM(type, key, member, width)                                                                                                 \
    ROW_VECTOR(type, key ".weight", member.gamma, width, 0, 1), ROW_VECTOR(type, key ".bias", member.beta, width, 0, 1)
#define ROW_LINEAR(type, key, member, kind, rows, columns, taps, part, parts)                                                              \
    {key ".weight", offsetof(struct type, member.w), kind, rows, columns, taps, part, parts, false},                                       \
        ROW_VECTOR(type, key ".bias", member.bias, rows, part, parts)

/* A square convolution `key`.weight [out, in, taps, taps] (also [out, in] where taps is 1); a missing bias is zeros when `optional`. */
clio_status linear_load(clio_context *ctx, struct linear *l, const char *key, int out, int in, int taps, bool optional,
                        const struct weights *weights);
/* A product `key`.weight [out, in] with its bias, for a few rows at a time. */
clio_status linear_load_few(clio_context *ctx, struct linear *l, const char *key, int out, int in, const struct weights *weights);
void linear_free(clio_context *ctx, struct linear *l);
clio_status norm_load(clio_context *ctx, struct norm *n, const char *key, int width, const struct weights *weights);
void norm_free(clio_context *ctx, struct norm *n);

/* out = act(conv(in) + bias) + residual, of as many pixels; bias NULL: that of l; or f32 [B, N], one for each image. */
clio_status linear_conv_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                            const struct linear *l, const struct tensor *bias, int act, const struct tensor *residual);
/* The same with stride 2; `padding` 1: a zero on each side; 0: one below and right. H' = (H + padding - 2) / 2 + 1. */
clio_status downsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct linear *l, int padding);
/* The same with stride 1 over `in` stretched to H' x W', each pixel of which is the nearest one above and left (twice the size, mostly). */
clio_status upsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct linear *l);
/* out = in w + bias (+ residual) over channels. */
clio_status linear_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct linear *l, int act,
                       const struct tensor *residual);

#endif
