/* resnet_block.h - residual block of UNet and AutoencoderKL (diffusers' ResnetBlock2D). */
#ifndef CLIO_MODELS_NN_RESNET_BLOCK_H
#define CLIO_MODELS_NN_RESNET_BLOCK_H

#include "linear.h"
#include "norm.h"

/* x + conv2(silu(norm2(conv1(silu(norm1(x))) + time))), where x is first brought to `out` channels by a 1x1 convolution if it has others.
 */
struct resnet {
    int in, out, time; /* channels; width of the time embedding, 0: there is none */
    int groups;
    float eps;
    struct norm norm1, norm2;
    struct linear conv1, conv2, shortcut, embedding; /* shortcut: where in and out differ */
    bool biased;                                     /* the bias of conv1 was added to that of the time embedding's projection */
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
clio_status resnet_recompute_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out,
                                 const struct tensor *in, const struct tensor *skip, const struct tensor *time);

#endif
