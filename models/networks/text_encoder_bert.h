/* text_encoder_bert.h - BERT (bert.h) as a text encoder. */
#ifndef CLIO_MODELS_NETWORKS_TEXT_ENCODER_BERT_H
#define CLIO_MODELS_NETWORKS_TEXT_ENCODER_BERT_H

#include "text_encoder.h"

/* Pooled: transformers' pooler_output. States depend on the lengths: padding is not attended to. */
extern const struct text_encoder_type text_encoder_bert;

#endif
