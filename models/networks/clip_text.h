/* clip_text.h - CLIP's text encoder (Radford et al. 2021, "Learning transferable visual models from natural language supervision"), in the
 * layout of transformers' CLIPTextModel, CLIPTextModelWithProjection and the text model of CLIPModel. MODEL-clip.md has its details.
 * Callers that do not need CLIP in particular use text_encoder.h.
 *
 *     struct clip_text net;
 *     TRY(clip_text_open(ctx, "model/text_encoder", NULL, &net));
 *     struct tensor hidden = tensor_shape(DTYPE_F32, 3, 2, net.config.positions, net.config.width, 0);
 *     TRY(tensor_new(ctx, &hidden, "the prompt"));
 *     TRY(clip_text_encode(ctx, &net, &hidden, ids, 0));                     ids: int [2][77] on the host
 */
#ifndef CLIO_MODELS_NETWORKS_CLIP_TEXT_H
#define CLIO_MODELS_NETWORKS_CLIP_TEXT_H

#include "../../host/core/json.h"
#include "../nn/transformer_layer.h"

struct clip_text_config {
    int width, inner, layers, heads; /* hidden_size, intermediate_size, num_hidden_layers, num_attention_heads */
    int positions, vocab;            /* max_position_embeddings (77), vocab_size */
    int act;                         /* ACT_* of hidden_act */
    int end_token;                   /* eos_token_id */
    int projection;                  /* columns of text_projection, 0: there is none */
    float eps;
};

struct clip_text {
    char *path; /* of the weights, for messages */
    struct clip_text_config config;
    struct tensor embedding, position_embedding;
    struct norm final_norm;
    struct matrix projection; /* no bias */
    struct transformer_layer *layers;
};

/* From a parsed config.json and weights; while ctx->collects, for training (state_dict.h). CLIO_ERROR_UNSUPPORTED: another model type, or a
 * field that clio does not know. On failure net is empty. */
clio_status clip_text_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct clip_text *net);
/* The same from the folder `dir`; `variant` as in model_folder.h. */
clio_status clip_text_open(clio_context *ctx, const char *dir, const char *variant, struct clip_text *net);
/* The configuration only, without `projection`, which the weights determine. */
clio_status clip_text_read_config(clio_context *ctx, const struct json_file *file, struct clip_text_config *c);
/* Accepts a zeroed one. */
void clip_text_free(clio_context *ctx, struct clip_text *net);

/* Forward pass: ids [B, T] on the host -> out f32 [B, T, width], after the final norm, with scratch of its own; T is at most `positions`.
 * skip: how many of the last layers to leave out, 0 to layers - 1; 1 gives the penultimate layer's output (diffusers' clip_skip; A1111
 * counts from 1). Waits for nothing but the copy of ids. CLIO_ERROR_ARGUMENT: skip is too large; CLIO_ERROR_FORMAT: an id outside the
 * vocabulary. */
clio_status clip_text_encode(clio_context *ctx, const struct clip_text *net, const struct tensor *out, const int *ids, int skip);
/* The same with scratch of a growing arena (pool.h), so that a tape can record it. */
clio_status clip_text_forward(clio_context *ctx, struct arena *arena, const struct clip_text *net, const struct tensor *out, const int *ids,
                              int skip);
/* Pooled output: the state at the end token of hidden f32 [B, T, width], which clip_text_encode gave with skip 0; out f32 [B, width], or
 * [B, projection] if `projected` (transformers' pooler_output and text_embeds). arena: a growing one, which a tape may record; NULL:
 * scratch of its own. CLIO_ERROR_UNSUPPORTED: projected, and the checkpoint has no projection. */
clio_status clip_text_pool(clio_context *ctx, struct arena *arena, const struct clip_text *net, const struct tensor *out,
                           const struct tensor *hidden, const int *ids, bool projected);

#endif
