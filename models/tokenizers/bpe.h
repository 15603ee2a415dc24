/* bpe.h - text to token numbers and back: byte-level BPE as in GPT-2, Whisper and CLIP.
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
 * Encoding: a pattern cuts the text into pieces (roughly words, with the space before them); each byte of a piece becomes the token of
 * that byte; then, within the piece, the neighbouring pair with the lowest rank in the list of merges becomes one token, until no
 * neighbours are in the list. Decoding: every token stands for certain bytes. One token may be a part of a character only.
 *
 * Source: encoder.py of openai/gpt-2 (byte alphabet, pattern, merges); models/bpe of huggingface/tokenizers (file format). */
#ifndef CLIO_MODELS_TOKENIZERS_BPE_H
#define CLIO_MODELS_TOKENIZERS_BPE_H

#include "../../host/core/mem.h"

/* How text is cut, and what a piece's bytes begin as. CLIP has a pattern of its own, drops white space, and writes "</w>" behind the last
 * byte of a piece: tokens that end a word have those four characters at the end of their bytes. What CLIP does to a text before that (lower
 * case, special tokens) is clip_tokenizer.h. */
enum tokenizer_kind { TOKENIZER_GPT2, TOKENIZER_CLIP };

struct token {
    uint32_t at, size; /* its bytes in the arena */
    bool is_known;     /* false: a gap in the numbering */
    bool is_special;
};
struct token_pair {
    uint32_t left, right; /* tokens; left UINT32_MAX: an empty slot */
    uint32_t rank, merged;
};

struct tokenizer {
    char *path; /* of tokenizer.json or vocab.json, for sentences */
    enum tokenizer_kind kind;
    struct token *tokens; /* [count], by number */
    int count;            /* greatest number + 1, added tokens included */
    int plain_count;      /* greatest number of the vocabulary + 1: encoding gives only smaller ones */
    struct bytes arena;   /* the bytes of all tokens, a zero after each */
    int *names;           /* [name_slots] bytes to token, open addressing; -1: an empty slot */
    size_t name_slots;    /* a power of two, as pair_slots */
    struct token_pair *pairs;
    size_t pair_slots;
    int byte_token[256]; /* the tokens that encoding starts from, */
    int last_token[256]; /* and for the last byte of a piece */
    void *pattern;       /* pcre2_code and its pcre2_match_data, compiled at the first encoding */
    void *match;
};

/* Read tokenizer.json from the folder `dir`, or vocab.json with merges.txt and, when it is there, added_tokens.json.
 * CLIO_ERROR_FILE: none of these; CLIO_ERROR_FORMAT: broken; CLIO_ERROR_UNSUPPORTED: not a byte-level BPE of this kind. On failure t is
 * closed. */
clio_status tokenizer_open(clio_context *ctx, struct tokenizer *t, const char *dir, enum tokenizer_kind kind);
/* Safe on a zeroed or half-opened one. */
void tokenizer_close(struct tokenizer *t);

/* Tokens of a text; *ids is freed by the caller. The text is plain: what looks like a special token is encoded as the characters it is
 * made of. Bytes that are no UTF-8 are kept: their tokens give back the same bytes. No space is put before the text. n log n at worst. */
clio_status tokenizer_encode(clio_context *ctx, struct tokenizer *t, const char *utf8, int **ids, size_t *count);

/* The bytes of a token, with a zero behind them that *size does not count; the text of a special token. A number without a token
 * (negative, too large, a gap) has no bytes. Never NULL; belongs to t. `size` may be NULL. */
const char *tokenizer_bytes(const struct tokenizer *t, int id, size_t *size);
/* Whether the token is markup rather than text: flagged special in the file, or of the form <|...|> (timestamps are, but carry no flag). */
bool tokenizer_is_special(const struct tokenizer *t, int id);
/* The token that stands for exactly this text ("<|startoftranscript|>", " the"); an added token goes before the vocabulary. -1: none. */
int tokenizer_find(const struct tokenizer *t, const char *text);
/* Greatest token number + 1. The model's own vocabulary can be larger: older folders do not list the timestamps. */
int tokenizer_size(const struct tokenizer *t);

/* The tables themselves, between tokenizer_load.c and tokenizer.c: the slot that holds an entry, or the empty one where it would go. */
int *tokenizer_name_slot(const struct tokenizer *t, const char *data, size_t size);
struct token_pair *tokenizer_pair_slot(const struct tokenizer *t, uint32_t left, uint32_t right);

#endif
