/* transformer_2d.h - the spatial transformer of Stable Diffusion's UNet (diffusers' Transformer2DModel). */
#ifndef CLIO_MODELS_NETWORKS_TRANSFORMER_2D_H
#define CLIO_MODELS_NETWORKS_TRANSFORMER_2D_H

#include "../nn/transformer_layer.h"

/* x + proj_out(layers(proj_in(group_norm(x)))): each layer is self-attention over pixels, cross-attention to the text, feed-forward. */
struct transformer {
    int width, heads, count, text; /* channels; count: layers; text: width of the text states */
    int groups;
    struct norm norm;
    struct linear in, out;
    struct transformer_layer *layers;
    int first; /* index of its first layer's KV cache in the UNet's list */
};
clio_status transformer_load(clio_context *ctx, struct transformer *t, const char *prefix, const struct weights *weights);
void transformer_free(clio_context *ctx, struct transformer *t);
/* Compute keys and values of each layer from text f32 [B, T, text], into caches[first...]; or, unless kvs is NULL, as new tensors
 * kvs[first...] f32 [B, T, 2 width], for transformer_recompute_fwd. */
clio_status transformer_attend_to(clio_context *ctx, struct arena *arena, const struct transformer *t, struct attention_cache *caches,
                                  struct tensor *kvs, const struct tensor *text);
/* x f32 [B, H, W, width] to out, which may be x. Image b attends to `length` positions of row row + b of the caches. */
clio_status transformer_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                            const struct tensor *x, const struct attention_cache *caches, int row, int length);
/* Gradient checkpointing: the same, keeping only the layers' inputs on the tape. caches: scratch. out is not x. */
clio_status transformer_recompute_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                                      const struct tensor *x, const struct attention_cache *caches, const struct tensor *kvs, int row);

#endif
