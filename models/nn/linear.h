/* linear.h - linear layers and square convolutions with their weights (torch.nn.Linear and Conv2d; diffusers' Downsample2D and Upsample2D).
 * Activations are f32 [B, ..., C] on the device; images are [B, H, W, C], which a linear layer sees as [B * H * W, C].
 *
 * Forward functions follow the planning scheme of pool.h: the same call with ctx->planning set only counts the arena. */
#ifndef CLIO_MODELS_NN_LINEAR_H
#define CLIO_MODELS_NN_LINEAR_H

#include "state_dict.h"

struct linear {
    struct matrix w;    /* [out, in], of a convolution [out, kernel * kernel * in] */
    struct tensor bias; /* f32 [out]; memory NULL: none */
    int kernel;         /* height and width of a convolution's kernel */
};

/* State dict rows of a linear member: KEY.weight alone; with KEY.bias; with KEY.bias where the checkpoint has one, zeros otherwise. `part`
 * of `parts`: several keys stacked into one matmul. sizes[0], which is 1, stands for a size that a row does not have. */
#define ROW_WEIGHT(type, key, member, kind, rows, columns, kernel, part, parts)                                                            \
    {                                                                                                                                      \
        key ".weight", offsetof(struct type, member.w), kind, rows, columns, kernel, part, parts, false                                    \
    }
#define ROW_LINEAR(type, key, member, kind, rows, columns, kernel, part, parts)                                                            \
    ROW_WEIGHT(type, key, member, kind, rows, columns, kernel, part, parts), ROW_VECTOR(type, key ".bias", member.bias, rows, part, parts)
#define ROW_LINEAR_MAYBE_BIAS(type, key, member, kind, rows, columns, kernel, part, parts)                                                 \
    ROW_WEIGHT(type, key, member, kind, rows, columns, kernel, part, parts),                                                               \
    {                                                                                                                                      \
        key ".bias", offsetof(struct type, member.bias), WEIGHT_VECTOR, rows, 0, 0, part, parts, true                                      \
    }

/* A square convolution: KEY.weight [out, in, kernel, kernel] (also [out, in] where kernel is 1) and KEY.bias, which may be missing where
 * `optional`: then it is zeros. */
clio_status linear_load(clio_context *ctx, struct linear *l, const char *key, int out, int in, int kernel, bool optional,
                        const struct weights *weights);
/* A linear layer for inputs of one or a few rows: KEY.weight [out, in] and KEY.bias. */
clio_status linear_load_few(clio_context *ctx, struct linear *l, const char *key, int out, int in, const struct weights *weights);
void linear_free(clio_context *ctx, struct linear *l);

/* The bias for an epilogue, NULL if there is none. */
const struct tensor *linear_bias(const struct linear *l);
/* out = act(in W^T + bias) + residual; in [..., in], out and residual [..., out]; residual may be NULL or out itself. */
clio_status linear_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct linear *l, int act,
                       const struct tensor *residual);

/* out = act(conv(in) + bias) + residual with stride 1 and padding that keeps height and width. bias NULL: the layer's own; otherwise
 * f32 [B, out], a row for each image. */
clio_status linear_conv_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                            const struct linear *l, const struct tensor *bias, int act, const struct tensor *residual);
/* Convolution with stride 2. padding 1: a row of zeros on each side; 0: one below and one right only. H' = (H + padding - 2) / 2 + 1. */
clio_status downsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct linear *l, int padding);
/* Convolution with stride 1 over `in` resized to out's height and width by nearest neighbour (mostly twice as large). */
clio_status upsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct linear *l);

/* Before scratch is written for another purpose: on a tape, whose gradients may read what t holds, t gets new memory of the arena (the tape
 * would otherwise copy the old contents). Without a tape t stays. */
clio_status tensor_renew(clio_context *ctx, struct arena *arena, struct tensor *t);

#endif
