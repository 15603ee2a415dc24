/* linear.h - what the networks of Stable Diffusion are made of: diffusers' ResnetBlock2D, Transformer2DModel, Attention over pixels,
 * Downsample2D and Upsample2D. Activations are f32 [B, H, W, C] on the device; products and attention see them as [B, H * W, C]. Which
 * keys a part has, and what is particular about it, is in MODEL-unet.md and MODEL-vae.md.
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

/* x + conv2(silu(norm2(conv1(silu(norm1(x))) + time))), where x is first brought to `out` channels by a 1x1 convolution if it has others.
 */
struct resnet {
    int in, out, time; /* channels; width of the time embedding, 0: there is none */
    int groups;
    float eps;
    struct block_norm norm1, norm2;
    struct block_linear conv1, conv2, shortcut, embedding; /* shortcut: where in and out differ */
    bool biased;                                           /* the bias of conv1 was added to that of the time embedding's projection */
};
/* Fill in the numbers first. */
clio_status resnet_load(clio_context *ctx, struct resnet *r, const char *prefix, const struct weights *weights);
void resnet_free(clio_context *ctx, struct resnet *r);
bool resnet_has_shortcut(const struct resnet *r);
/* in [B, H, W, in] -> out [B, H, W, out]; time f32 [B, time], after its activation, or NULL. `room` is memory for the normalized input:
 * NULL: of the arena; `in` itself, which is then lost, only where there is a shortcut. out may be `in` where there is none. */
clio_status resnet_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out, const struct tensor *in,
                       const struct tensor *room, const struct tensor *time);
/* On a tape: the same of `in`, or, unless it is NULL, of `in` with `skip` behind it, channel by channel; of what is between nothing is kept
 * for gradients, which compute it again (tape_checkpoint). out is not `in`. */
clio_status resnet_again_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out,
                             const struct tensor *in, const struct tensor *skip, const struct tensor *time);

/* out [B, ..., width] = attention of the positions of each of B pictures or texts to each other, or, if `causal`, to none behind them, from
 * qkv [B, ..., 3 width] */
clio_status self_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *qkv, int heads,
                               bool causal);

/* Attention of pixels to each other, one head: x + o(attention(qkv(norm(x)))). */
struct pixel_attention {
    int width, groups;
    float eps;
    struct block_norm norm;
    struct block_linear qkv, o;
};
clio_status pixel_attention_load(clio_context *ctx, struct pixel_attention *a, const char *prefix, const struct weights *weights);
void pixel_attention_free(clio_context *ctx, struct pixel_attention *a);
/* In place. */
clio_status pixel_attention_fwd(clio_context *ctx, struct arena *arena, const struct pixel_attention *a, const struct tensor *x);

struct transformer_layer {
    struct block_norm norm1, norm2, norm3;
    struct matrix qkv, cross_q, cross_kv; /* these have no bias */
    struct block_linear o, cross_o, ff_in, ff_out;
};
/* x + out(layers(in(norm(x)))): each layer attends to the pixels, then to the text, then feeds forward. */
struct transformer {
    int width, heads, count, text; /* count: layers; text: width of the text states */
    int groups;
    struct block_norm norm;
    struct block_linear in, out;
    struct transformer_layer *layers;
    int first; /* index of its first layer's cache among the network's */
};
clio_status transformer_load(clio_context *ctx, struct transformer *t, const char *prefix, const struct weights *weights);
void transformer_free(clio_context *ctx, struct transformer *t);
/* Keys and values of each layer from text f32 [B, T, text], into caches[first...]; or, where kvs is not NULL, side by side into new tensors
 * kvs[first...], for transformer_again_fwd. */
clio_status transformer_attend_to(clio_context *ctx, struct arena *arena, const struct transformer *t, struct attention_cache *caches,
                                  struct tensor *kvs, const struct tensor *text);
/* x [B, H, W, width] to out, which may be x; its pictures attend to `length` positions of rows row.. of the caches. */
clio_status transformer_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                            const struct tensor *x, const struct attention_cache *caches, int row, int length);
/* On a tape: the same, of which only what goes from layer to layer is kept for gradients; caches are where it works. out is not x. */
clio_status transformer_again_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                                  const struct tensor *x, const struct attention_cache *caches, const struct tensor *kvs, int row);

/* Pictures or latents between the host, [B, C, H, W], and a tensor [B, H, W, C]. */
clio_status picture_write(clio_context *ctx, const struct tensor *t, const float *planes);
clio_status picture_read(clio_context *ctx, const struct tensor *t, float *planes);

#endif
