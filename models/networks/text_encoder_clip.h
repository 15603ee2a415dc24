/* text_encoder_clip.h - CLIP (clip_text.h) as a text encoder. */
#ifndef CLIO_MODELS_NETWORKS_TEXT_ENCODER_CLIP_H
#define CLIO_MODELS_NETWORKS_TEXT_ENCODER_CLIP_H

#include "text_encoder.h"

/* Pooled: the state at the end token, through text_projection where the checkpoint has one. Attention is causal, so that padding behind the
 * end token changes neither the states before it nor the pooled vector, and lengths are not needed. */
extern const struct text_encoder_type text_encoder_clip;

#endif
