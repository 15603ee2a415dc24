/* feed_forward.h - position-wise feed-forward network of a transformer layer (Vaswani et al. 2017; diffusers' FeedForward). */
#ifndef CLIO_MODELS_NN_FEED_FORWARD_H
#define CLIO_MODELS_NN_FEED_FORWARD_H

#include "linear.h"

struct feed_forward {
    struct linear fc1, fc2; /* [inner, width] ([2 inner, width] if gated) and [width, inner] */
};
struct feed_forward_options {
    int act;    /* ACT_* between the two layers */
    bool gated; /* GEGLU and its like (Shazeer 2020): fc1's first `inner` outputs times act of the others */
    int chunk;  /* positions computed at a time, which bounds the scratch; 0: all. On a tape always all: gradients read the scratch. */
};
/* out = fc2(act(fc1(in))) + residual; all f32 [..., width]; residual may be NULL; out may be residual, but not in. */
clio_status feed_forward_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                             const struct tensor *residual, const struct feed_forward *ff, const struct feed_forward_options *options);

#endif
