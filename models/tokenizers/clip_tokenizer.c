/* clip_tokenizer.c - special tokens, normalization (NFC and lower case by utf8proc), then BPE. See clip_tokenizer.h. */
#include "clip_tokenizer.h"

#include "../../host/core/text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- opening ---- */

/* Add a special token, or update its `normalized`. Texts that are not in the vocabulary are ignored. */
static clio_status add_special(clio_context *ctx, struct clip_tokenizer *t, const char *text, bool normalized)
{
    int id = tokenizer_find(&t->bpe, text);
    return id < 0 || !*text ? CLIO_OK : special_tokens_add(ctx, &t->specials, text, id, normalized);
}

/* The four special tokens in the reference's order: for equal texts, the last one sets `normalized`. */
static const char *const special_keys[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
enum { BOS, EOS, UNK, PAD, SPECIALS };

static clio_status find_token(clio_context *ctx, const struct clip_tokenizer *t, const char *path, const char *text, int *id)
{
    clio_status st = CLIO_OK;
    if ((*id = tokenizer_find(&t->bpe, text)) < 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s does not match the tokenizer, which has no token \"%.80s\": download the whole folder again", path,
             text);
fail:
    return st;
}

static clio_status read_specials(clio_context *ctx, struct clip_tokenizer *t, const char *dir)
{
    clio_status st = CLIO_OK;
    struct special_files files;
    int *const ids[SPECIALS] = {&t->start, &t->end, NULL, &t->pad};
    TRY(special_files_open(ctx, &files, dir));
    for (int key = 0; key < SPECIALS; key++) {
        const char *text = key == BOS ? "<|startoftext|>" : "<|endoftext|>", *path = t->bpe.path;
        bool normalized = false;
        TRY(special_files_token(ctx, &files, special_keys[key], &text, &normalized, &path));
        if (ids[key])
            TRY(find_token(ctx, t, path, text, ids[key]));
        TRY(add_special(ctx, t, text, normalized));
    }
    /* Tokens added to the vocabulary are never split. */
    for (int id = t->bpe.plain_count; id < t->bpe.count; id++)
        if (!tokenizer_is_special(&t->bpe, id))
            TRY(add_special(ctx, t, tokenizer_bytes(&t->bpe, id, NULL), true));
fail:
    special_files_close(&files);
    return st;
}

clio_status clip_tokenizer_open(clio_context *ctx, struct clip_tokenizer *t, const char *dir)
{
    clio_status st = CLIO_OK;
    memset(t, 0, sizeof *t);
    TRY(tokenizer_open(ctx, &t->bpe, dir, TOKENIZER_CLIP));
    TRY(find_token(ctx, t, t->bpe.path, ",</w>", &t->comma));
    TRY(read_specials(ctx, t, dir));
fail:
    if (st)
        clip_tokenizer_close(t);
    return st;
}

void clip_tokenizer_close(struct clip_tokenizer *t)
{
    special_tokens_free(&t->specials);
    tokenizer_close(&t->bpe);
    memset(t, 0, sizeof *t);
}

/* ---- encoding ---- */

struct encoding {
    clio_context *ctx;
    struct clip_tokenizer *t;
    int *ids;
    size_t count, capacity;
};

static clio_status add_ids(struct encoding *e, const int *ids, size_t count)
{
    clio_status st = CLIO_OK;
    if (e->count + count > e->capacity) {
        size_t capacity = MAX(e->count + count, e->capacity * 2);
        int *grown = realloc(e->ids, capacity * sizeof *grown);
        if (!grown)
            FAIL(e->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        e->ids = grown;
        e->capacity = capacity;
    }
    memcpy(e->ids + e->count, ids, count * sizeof *ids);
    e->count += count;
fail:
    return st;
}

/* NFC, then lower case by the simple Unicode mapping of each character (no final sigma). The caller frees out. */
static clio_status normalize(clio_context *ctx, const char *text, size_t size, struct bytes *out)
{
    clio_status st = CLIO_OK;
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &composed,
                                      (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (n < 0)
        FAIL(ctx, n == UTF8PROC_ERROR_NOMEM ? CLIO_ERROR_MEMORY : CLIO_ERROR_ARGUMENT, "the prompt cannot be normalized: %s",
             utf8proc_errmsg(n));
    for (utf8proc_ssize_t at = 0; at < n;) {
        utf8proc_int32_t c;
        char lower[8];
        utf8proc_ssize_t step = utf8proc_iterate(composed + at, n - at, &c);
        if (step <= 0)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "the prompt's composed form is not UTF-8; this is a bug, please report it");
        TRY(bytes_add(ctx, out, lower, text_lower(c, lower)));
        at += step;
    }
fail:
    free(composed);
    return st;
}

static clio_status encode_part(struct encoding *e, const char *text, size_t size, bool normalized);

/* Encode the text between special tokens. */
static clio_status encode_plain(void *user, const char *text, size_t size, bool normalized)
{
    clio_status st = CLIO_OK;
    struct encoding *e = user;
    struct bytes part = {0};
    int *ids = NULL;
    size_t count;
    if (!size)
        return CLIO_OK;
    if (normalized) {
        TRY(bytes_add(e->ctx, &part, text, size)); /* zero-terminated */
        TRY(tokenizer_encode(e->ctx, &e->t->bpe, part.data, &ids, &count));
        TRY(add_ids(e, ids, count));
    } else {
        TRY(normalize(e->ctx, text, size, &part));
        TRY(encode_part(e, part.data, part.size, true));
    }
fail:
    bytes_free(&part);
    free(ids);
    return st;
}

static clio_status encode_special(void *user, int id)
{
    return add_ids(user, &id, 1);
}

/* First in the original text, then in the normalized text between special tokens. */
static clio_status encode_part(struct encoding *e, const char *text, size_t size, bool normalized)
{
    return special_tokens_split(&e->t->specials, text, size, normalized, &(struct special_pieces){encode_plain, encode_special, e});
}

clio_status clip_tokenizer_check(clio_context *ctx, const char *text)
{
    return text_check(ctx, "the prompt", text);
}

clio_status clip_tokenizer_encode(clio_context *ctx, struct clip_tokenizer *t, const char *utf8, int **ids, size_t *count)
{
    clio_status st = CLIO_OK;
    struct encoding e = {.ctx = ctx, .t = t};
    size_t size = strlen(utf8);
    *ids = NULL;
    *count = 0;
    TRY(clip_tokenizer_check(ctx, utf8));
    TRY(mem_alloc(ctx, &e.ids, 1, sizeof *e.ids)); /* also for an empty text */
    e.capacity = 1;
    TRY(encode_part(&e, utf8, size, false));
    *ids = e.ids;
    *count = e.count;
    e.ids = NULL;
fail:
    free(e.ids);
    return st;
}
