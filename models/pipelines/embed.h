/* embed.h - embeddings: one vector for a text (an image, a sound). embed.c has the public functions and the table of what an embedder can
 * take; each kind of input has a file: embed_texts.c.
 *
 * A further kind of input is a member of struct clio_embedder, a row of the table, and a public function clio_embed_KIND. The vectors of a
 * model's kinds are comparable: of CLIP, texts and images are in one space. */
#ifndef CLIO_MODELS_PIPELINES_EMBED_H
#define CLIO_MODELS_PIPELINES_EMBED_H

#include "../../host/core/require.h"
#include "../loaders/sentence_folder.h"
#include "../networks/text_encoder.h"
#include "../nn/linear.h"
#include "../tokenizers/text_tokenizer.h"

struct embed_dense {
    struct linear linear;
    int act;
};
/* Texts: tokenizer, encoder, pooling, dense layers. */
struct embed_texts {
    struct sentence_folder folder;
    struct text_tokenizer tokenizer;
    struct text_encoder encoder;
    struct embed_dense *dense; /* [folder.dense_count] */
    int max_length;            /* tokens of a text at most, with start and end token */
};

struct clio_embedder {
    clio_context *ctx;
    char *path, *model_type;
    struct embed_texts *texts; /* NULL: it takes none; so for each kind */
    int width;                 /* of a vector */
    bool normalizes;
};

/* Load what the folder has for texts; e->texts stays NULL where its model_type is no text encoder's. */
clio_status embed_texts_load(struct clio_embedder *e);
void embed_texts_free(struct clio_embedder *e);
/* Vectors of `count` texts, f32 [count, *width], which the caller frees, in their order. Batches hold texts of similar length. */
clio_status embed_texts(struct clio_embedder *e, const char *const *texts, size_t count, const clio_embed_params *params, float **out,
                        int *width);

#endif
