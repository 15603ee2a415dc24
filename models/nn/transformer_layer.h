/* transformer_layer.h - a transformer layer (torch.nn.TransformerEncoderLayer and TransformerDecoderLayer; Xiong et al. 2020, "On layer
 * normalization in the transformer architecture"). Pre-norm, of Whisper, CLIP and the spatial transformer of Stable Diffusion:
 *
 *     x += self_attention(self_norm(x));  x += cross_attention(cross_norm(x), memory);  x += feed_forward(ff_norm(x))
 *
 * Post-norm, of BERT (Vaswani et al. 2017):
 *
 *     x = self_norm(x + self_attention(x));  x = cross_norm(x + cross_attention(x, memory));  x = ff_norm(x + feed_forward(x)) */
#ifndef CLIO_MODELS_NN_TRANSFORMER_LAYER_H
#define CLIO_MODELS_NN_TRANSFORMER_LAYER_H

#include "attention.h"
#include "feed_forward.h"

/* Each network has the state dict rows of its own keys for these members. */
struct transformer_layer {
    struct norm self_norm, cross_norm, ff_norm;
    struct self_attention self;
    struct cross_attention cross; /* not loaded: the layer has no cross-attention */
    struct feed_forward ff;
};
struct transformer_layer_options {
    float eps;      /* of the layer norms */
    bool post_norm; /* see above */
    struct attention_options self, cross;
    struct feed_forward_options ff;
};
/* x to out, f32 [B, ..., width]; out may be x. h: scratch of x's shape. Where out is not x, a tape finds each sum in memory of its own. */
clio_status transformer_layer_fwd(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer,
                                  const struct transformer_layer_options *options, const struct tensor *out, const struct tensor *x,
                                  const struct tensor *h);

#endif
