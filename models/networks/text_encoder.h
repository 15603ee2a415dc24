/* text_encoder.h - text encoders behind one interface: token ids in, states of the tokens and one pooled vector per text out. A folder's
 * config.json says by its model_type which network it is.
 *
 *     struct text_encoder e;
 *     TRY(text_encoder_open(ctx, "model/text_encoder", NULL, &e));
 *     struct tensor states = tensor_shape(DTYPE_F32, 3, B, T, e.width, 0), pooled = tensor_shape(DTYPE_F32, 2, B, e.pooled, 0, 0);
 *     TRY(tensor_new(...));
 *     TRY(text_encoder_encode(ctx, &e, &states, &pooled, &(struct text_tokens){.ids = ids, .lengths = lengths, .batch = B, .length = T},
 * 0)); text_encoder_free(ctx, &e);
 *
 * A new network is a row (struct text_encoder_type) in its own text_encoder_NAME.c and in the table of text_encoder.c. */
#ifndef CLIO_MODELS_NETWORKS_TEXT_ENCODER_H
#define CLIO_MODELS_NETWORKS_TEXT_ENCODER_H

#include "../../host/core/json.h"
#include "../../host/ops/ops.h"

/* A batch of texts, in the host's memory. */
struct text_tokens {
    const int *ids;     /* [batch, length] */
    const int *lengths; /* [batch], tokens of each text, 1 to length; those behind them are padding. NULL: `length` each */
    int batch, length;
};

struct text_encoder_type;
struct text_encoder {
    const struct text_encoder_type *type; /* NULL: not loaded */
    void *net;                            /* the network, struct clip_text for CLIP; its own */
    int vocab;                            /* ids are 0 to vocab - 1 */
    int max_length;                       /* most tokens of a text: the position embeddings; 0: no limit */
    int width;                            /* of a token's state */
    int pooled;                           /* of a text's vector */
};

struct text_encoder_type {
    const char *const *model_types; /* of config.json, ends with NULL */
    bool skips_layers;              /* forward can leave out the last layers */
    /* Fill in net and sizes; while ctx->collects, for training (state_dict.h). On failure net stays NULL. */
    clio_status (*load)(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct text_encoder *e);
    /* See text_encoder_encode, which has checked everything but the ids. arena: also one that only counts (pool.h), or a growing one, which
     * a tape may record. pooled may be NULL. */
    clio_status (*forward)(clio_context *ctx, struct arena *arena, const struct text_encoder *e, const struct tensor *states,
                           const struct tensor *pooled, const struct text_tokens *tokens, int skip);
    void (*free)(clio_context *ctx, void *net);
};

/* From a parsed config.json and weights, of whichever files. CLIO_ERROR_UNSUPPORTED: a model_type that no row has. On failure *e is empty.
 */
clio_status text_encoder_load(clio_context *ctx, const struct json_file *config, const struct weights *weights, struct text_encoder *e);
/* From a folder with config.json and model.safetensors; `variant` as in model_folder.h. */
clio_status text_encoder_open(clio_context *ctx, const char *dir, const char *variant, struct text_encoder *e);
void text_encoder_free(clio_context *ctx, struct text_encoder *e); /* accepts a zeroed one */

/* states f32 [B, T, width]; pooled f32 [B, pooled] or NULL; both have memory. skip: how many of the last layers to leave out of the states
 * (diffusers' clip_skip); 0 where there is a pooled vector, and for networks that cannot. CLIO_ERROR_ARGUMENT: skip is too large, or the
 * network cannot skip; CLIO_ERROR_FORMAT: an id outside the vocabulary. */
clio_status text_encoder_encode(clio_context *ctx, const struct text_encoder *e, const struct tensor *states, const struct tensor *pooled,
                                const struct text_tokens *tokens, int skip);
/* The same with scratch of a growing arena (pool.h), so that a tape can record it; arena NULL: of its own. */
clio_status text_encoder_forward(clio_context *ctx, struct arena *arena, const struct text_encoder *e, const struct tensor *states,
                                 const struct tensor *pooled, const struct text_tokens *tokens, int skip);

#endif
