/* bpe.h - byte-level BPE tokenizer of GPT-2, Whisper and CLIP: text to token ids and back.
 *
 *     struct tokenizer t = {0};
 *     TRY(tokenizer_open(ctx, &t, dir, TOKENIZER_GPT2));
 *     TRY(tokenizer_encode(ctx, &t, " Hello, world", &ids, &count));
 *     for (size_t i = 0; i < count; i++) {
 *         size_t size;
 *         const char *bytes = tokenizer_bytes(&t, ids[i], &size);
 *         TRY(bytes_add(ctx, &text, bytes, size));
 *     }
 *
 * Encoding: a pattern splits the text into pieces (roughly words with the space before them); each byte of a piece becomes the token of
 * that byte; then the neighbouring pair with the lowest rank in the list of merges is merged, until no pair of the piece is in the list.
 * Decoding: concatenate the tokens' bytes. A token can be part of a character.
 *
 * Source: openai/gpt-2, encoder.py (byte alphabet, pattern, merges); huggingface/tokenizers, models/bpe (file format). */
#ifndef CLIO_MODELS_TOKENIZERS_BPE_H
#define CLIO_MODELS_TOKENIZERS_BPE_H

#include "../../host/core/mem.h"

/* CLIP has its own pattern, skips white space, and appends "</w>" to the last byte of a piece: the bytes of tokens that end a word end in
 * "</w>". Normalization and special tokens of CLIP are in clip_tokenizer.h. */
enum tokenizer_type { TOKENIZER_GPT2, TOKENIZER_CLIP };

struct token {
    uint32_t at, size; /* its bytes in arena */
    bool is_known;     /* false: this id is unused */
    bool is_special;
};
struct token_pair {
    uint32_t left, right; /* tokens; left UINT32_MAX: empty slot */
    uint32_t rank, merged;
};

struct tokenizer {
    char *path; /* of tokenizer.json or vocab.json, for messages */
    enum tokenizer_type type;
    struct token *tokens; /* [count], by id */
    int count;            /* largest id + 1, with added tokens */
    int plain_count;      /* largest id of the vocabulary + 1: encoding gives only smaller ids */
    struct bytes arena;   /* the bytes of all tokens, each zero-terminated */
    int *names;           /* [name_slots] hash table of bytes to token, open addressing; -1: empty slot */
    size_t name_slots;    /* a power of two, like pair_slots */
    struct token_pair *pairs;
    size_t pair_slots;
    int byte_token[256]; /* initial token of each byte, */
    int last_token[256]; /* and of the last byte of a piece */
    void *pattern;       /* pcre2_code and pcre2_match_data, made at the first encoding */
    void *match;
};

/* Read tokenizer.json in the folder `dir`, or vocab.json, merges.txt and the optional added_tokens.json. CLIO_ERROR_FILE: none of these;
 * CLIO_ERROR_FORMAT: damaged; CLIO_ERROR_UNSUPPORTED: not a byte-level BPE of this type. On failure t is closed. */
clio_status tokenizer_open(clio_context *ctx, struct tokenizer *t, const char *dir, enum tokenizer_type type);
/* t may be zeroed or partly opened. */
void tokenizer_close(struct tokenizer *t);

/* Tokens of a text; the caller frees *ids. Special tokens are not recognized: their text is encoded as ordinary characters. Invalid UTF-8
 * is encoded byte by byte, so decoding is exact. No space is added before the text. O(n log n) at worst. */
clio_status tokenizer_encode(clio_context *ctx, struct tokenizer *t, const char *utf8, int **ids, size_t *count);

/* The bytes of a token, zero-terminated (not counted in *size); of a special token, its text. Unused or invalid ids have no bytes. Never
 * NULL; owned by t. size may be NULL. */
const char *tokenizer_bytes(const struct tokenizer *t, int id, size_t *size);
/* Whether the token is special: flagged in the file, or of the form <|...|> (timestamps, for example, have no flag). */
bool tokenizer_is_special(const struct tokenizer *t, int id);
/* The token with exactly this text ("<|startoftranscript|>", " the"); added tokens have precedence. -1: none. */
int tokenizer_find(const struct tokenizer *t, const char *text);
/* Largest token id + 1. vocab_size of the model can be larger: older folders do not list the timestamp tokens. */
int tokenizer_size(const struct tokenizer *t);

/* For bpe_load.c: the slot of an entry in a hash table, or the empty slot where it belongs. */
int *tokenizer_name_slot(const struct tokenizer *t, const char *data, size_t size);
struct token_pair *tokenizer_pair_slot(const struct tokenizer *t, uint32_t left, uint32_t right);

#endif
