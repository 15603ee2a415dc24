/* special_tokens.h - the special tokens of a Hugging Face tokenizer, which are never split: found in the original text, or, if
 * `normalized`, in what normalization made of it. */
#ifndef CLIO_MODELS_TOKENIZERS_SPECIAL_TOKENS_H
#define CLIO_MODELS_TOKENIZERS_SPECIAL_TOKENS_H

#include "../../host/core/json.h"

struct special_token {
    char *text;
    int id;
    bool normalized;
};
/* Zero-initialise. */
struct special_tokens {
    struct special_token *list;
    size_t count, capacity;
};
/* Add a token, or, where the text is there already, update its `normalized`. */
clio_status special_tokens_add(clio_context *ctx, struct special_tokens *s, const char *text, int id, bool normalized);
void special_tokens_free(struct special_tokens *s);
/* The longest one that begins at `text`, of `size` bytes; NULL: none. */
const struct special_token *special_tokens_at(const struct special_tokens *s, const char *text, size_t size, bool normalized);
/* What a tokenizer does with the pieces of a text: `plain` with what is between special tokens, also where it is empty, `token` with each
 * of them. */
struct special_pieces {
    clio_status (*plain)(void *user, const char *text, size_t size, bool normalized);
    clio_status (*token)(void *user, int id);
    void *user;
};
/* Split a text, or what normalization made of it, at its special tokens. */
clio_status special_tokens_split(const struct special_tokens *s, const char *text, size_t size, bool normalized,
                                 const struct special_pieces *pieces);

/* The configurations that name special tokens: special_tokens_map.json and tokenizer_config.json, the former with precedence. Either may
 * be missing: root NULL. */
struct special_files {
    struct json_file map, config;
};
clio_status special_files_open(clio_context *ctx, struct special_files *f, const char *dir);
void special_files_close(struct special_files *f);
/* The token "bos_token", "pad_token", ...: a string, or "content" of an object. Neither file has it, or it is null: *text and *path stay as
 * they are. path: the file with it, for messages. */
clio_status special_files_token(clio_context *ctx, const struct special_files *f, const char *key, const char **text, bool *normalized,
                                const char **path);

#endif
