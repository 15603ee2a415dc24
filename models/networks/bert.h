/* bert.h - BERT (Devlin et al. 2018, "BERT: Pre-training of deep bidirectional transformers for language understanding"), and the sentence
 * encoders with its architecture, in the layout of transformers' BertModel and of BertFor*, whose keys begin with "bert.".
 *
 *     x = norm(word[ids] + position[0 .. T-1] + type[0]);  layers (post-norm);  pooled = tanh(dense(x[:, 0]))
 *
 * Callers that do not need BERT in particular use text_encoder.h. What matters: the layer norms' epsilon is 1e-12, GELU is the erf form,
 * and the padding of a batch must not be attended to. Source: huggingface/transformers, models/bert/modeling_bert.py. */
#ifndef CLIO_MODELS_NETWORKS_BERT_H
#define CLIO_MODELS_NETWORKS_BERT_H

#include "../../host/core/json.h"
#include "../nn/transformer_layer.h"
#include "text_encoder.h"

struct bert_config {
    int width, inner, layers, heads; /* hidden_size, intermediate_size, num_hidden_layers, num_attention_heads */
    int positions, vocab, types;     /* max_position_embeddings, vocab_size, type_vocab_size */
    int act;                         /* ACT_* of hidden_act */
    float eps;
};

struct bert {
    char *path; /* of the weights, for messages */
    struct bert_config config;
    struct tensor embedding, position_embedding, type_embedding;
    struct norm embedding_norm;
    struct transformer_layer *layers;
    bool has_pooler;
    struct linear pooler;
};

/* From a parsed config.json and weights; while ctx->collects, for training (state_dict.h). CLIO_ERROR_UNSUPPORTED: another model type, or a
 * field that clio does not know. On failure net is empty. */
clio_status bert_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct bert *net);
/* Accepts a zeroed one. */
void bert_free(clio_context *ctx, struct bert *net);

/* Forward pass: states f32 [B, T, width] of the tokens. arena: see text_encoder_type. The states of padding are numbers without a meaning.
 */
clio_status bert_forward(clio_context *ctx, struct arena *arena, const struct bert *net, const struct tensor *states,
                         const struct text_tokens *tokens);
/* out f32 [B, width] = tanh(pooler(state of [CLS])), transformers' pooler_output; that state itself where the checkpoint has no pooler. */
clio_status bert_pool(clio_context *ctx, struct arena *arena, const struct bert *net, const struct tensor *out,
                      const struct tensor *states);

#endif
