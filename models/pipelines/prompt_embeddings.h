/* prompt_embeddings.h - textual inversion (Gal et al. 2022): a file of a folder is a word of the prompt that stands for learned vectors.
 *
 *     a photo of easynegative             the file easynegative.safetensors or .pt, as in A1111 and stable-diffusion.cpp
 *     (embedding:easynegative:1.2)        the same, as in ComfyUI; it is an error when there is no such file
 *
 * A name is found by its tokens, so in any case of letters, and the longest name first (A1111, textual_inversion.py,
 * find_embedding_at_position). The vectors that the prompts use become further rows of the text encoder's token table. */
#ifndef CLIO_MODELS_PIPELINES_PROMPT_EMBEDDINGS_H
#define CLIO_MODELS_PIPELINES_PROMPT_EMBEDDINGS_H

#include "../../host/core/json.h"
#include "../loaders/embedding_file.h"
#include "../tokenizers/clip_tokenizer.h"

struct embedding {
    char *name, *path;
    int *ids; /* tokens of the name */
    size_t id_count;
    struct embedding_rows rows; /* read when the embedding is used */
    int first_id;               /* token id of its first vector; -1: not used yet */
};
struct embeddings {
    struct embedding *list; /* the names with the most tokens first */
    size_t count;
    char *folder;
    int vocab;   /* of the text encoder */
    int vectors; /* of the embeddings in use */
};

/* The embeddings in the folder; NULL: none. Reads no file yet. */
clio_status embeddings_open(clio_context *ctx, struct embeddings *e, const char *folder, struct clip_tokenizer *t, int vocab);
void embeddings_close(struct embeddings *e); /* accepts a zeroed one */
/* Replace "embedding:NAME" in a prompt by NAME, appended to *out. CLIO_ERROR_ARGUMENT: there is no such embedding. */
clio_status embeddings_resolve(clio_context *ctx, const struct embeddings *e, const char *text, struct bytes *out);
/* The embedding whose name begins at these tokens, with its vectors; *out NULL: none. */
clio_status embeddings_use(clio_context *ctx, struct embeddings *e, const int *ids, size_t count, struct embedding **out);
/* Append the vectors in use to the token table and to vocab_size, before the text encoder is loaded from them. CLIO_ERROR_ARGUMENT: they
 * have another width. */
clio_status embeddings_extend(clio_context *ctx, const struct embeddings *e, const struct json_file *config, struct weights *weights);

#endif
