/* transformer_2d.h - the spatial transformer of Stable Diffusion's UNet (diffusers' Transformer2DModel). */
#ifndef CLIO_MODELS_NETWORKS_TRANSFORMER_2D_H
#define CLIO_MODELS_NETWORKS_TRANSFORMER_2D_H

#include "../nn/transformer_layer.h"

/* x + out(layers(in(norm(x)))): each layer attends to the pixels, then to the text, then feeds forward. */
struct transformer {
    int width, heads, count, text; /* count: layers; text: width of the text states */
    int groups;
    struct norm norm;
    struct linear in, out;
    struct transformer_layer *layers;
    int first; /* index of its first layer's cache among the network's */
};
clio_status transformer_load(clio_context *ctx, struct transformer *t, const char *prefix, const struct weights *weights);
void transformer_free(clio_context *ctx, struct transformer *t);
/* Keys and values of each layer from text f32 [B, T, text], into caches[first...]; or, where kvs is not NULL, side by side into new tensors
 * kvs[first...], for transformer_recompute_fwd. */
clio_status transformer_attend_to(clio_context *ctx, struct arena *arena, const struct transformer *t, struct attention_cache *caches,
                                  struct tensor *kvs, const struct tensor *text);
/* x [B, H, W, width] to out, which may be x; its images attend to `length` positions of rows row.. of the caches. */
clio_status transformer_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                            const struct tensor *x, const struct attention_cache *caches, int row, int length);
/* On a tape: the same, of which only what goes from layer to layer is kept for gradients; caches are where it works. out is not x. */
clio_status transformer_recompute_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                                      const struct tensor *x, const struct attention_cache *caches, const struct tensor *kvs, int row);

#endif
