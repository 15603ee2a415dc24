/* resnet_block.h - residual block of UNet and AutoencoderKL (diffusers' ResnetBlock2D). */
#ifndef CLIO_MODELS_NN_RESNET_BLOCK_H
#define CLIO_MODELS_NN_RESNET_BLOCK_H

#include "linear.h"
#include "norm.h"

/* shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + embedding(time)))); shortcut: a 1x1 convolution where in and out differ. */
struct resnet {
    int in, out, time; /* channels; width of the time embedding, 0: none */
    int groups;
    float eps;
    struct norm norm1, norm2;
    struct linear conv1, conv2, shortcut, embedding; /* shortcut: where in and out differ */
    bool biased;                                     /* the bias of conv1 is included in that of `embedding` */
};
/* Load the weights; in, out, time, groups and eps are already set. */
clio_status resnet_load(clio_context *ctx, struct resnet *r, const char *prefix, const struct weights *weights);
void resnet_free(clio_context *ctx, struct resnet *r);
bool resnet_has_shortcut(const struct resnet *r);
/* in f32 [B, H, W, in] -> out f32 [B, H, W, out]; time f32 [B, time] after its activation, or NULL. buffer: memory for the normalized
 * input; NULL: of the arena; `in` itself, which is then overwritten, only with a shortcut. out may be `in` without a shortcut. */
clio_status resnet_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out, const struct tensor *in,
                       const struct tensor *buffer, const struct tensor *time);
/* Gradient checkpointing (tape_checkpoint): the same of `in`, or of `in` and `skip` concatenated along channels unless skip is NULL;
 * backward recomputes what is between. out is not `in`. */
clio_status resnet_recompute_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out,
                                 const struct tensor *in, const struct tensor *skip, const struct tensor *time);

#endif
