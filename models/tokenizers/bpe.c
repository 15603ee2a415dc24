/* bpe.c - byte-level BPE: encode texts, look up tokens. See bpe.h; bpe_load.c reads the files.
 *
 * Merging: most pieces are short, but a piece can be a megabyte of one letter. The mergeable pairs are in a heap ordered by (rank,
 * position) and the tokens of a piece in a linked list, so a piece of n bytes takes O(n log n). Rejected: scanning all pairs for each merge
 * (O(n^2)), and splitting long pieces (which gives other tokens than the reference). */
#include "bpe.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Unicode white space. Not \s, which with PCRE2_UCP also matches U+180E, unlike the reference implementations. */
#define SPACE "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
/* openai/gpt-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
#define GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+"
/* openai/CLIP: <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+, plus a group for white
 * space, which CLIP skips */
#define CLIP_PATTERN "<\\|(?:start|end)oftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^" SPACE "\\p{L}\\p{N}]+|([" SPACE "]+)"
#define MARKER 2 /* size of "<|" and "|>" */

/* ---- bytes to token, pairs to token ---- */

static size_t hash_bytes(const char *data, size_t size)
{
    uint64_t h = mem_hash(MEM_HASH_START, data, size);
    return (size_t)(h ^ (h >> 32));
}

int *tokenizer_name_slot(const struct tokenizer *t, const char *data, size_t size)
{
    for (size_t i = hash_bytes(data, size);; i++) {
        int *slot = &t->names[i & (t->name_slots - 1)];
        if (*slot < 0)
            return slot;
        const struct token *token = &t->tokens[*slot];
        if (token->size == size && !memcmp(t->arena.data + token->at, data, size))
            return slot;
    }
}

struct token_pair *tokenizer_pair_slot(const struct tokenizer *t, uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    for (size_t i = (size_t)(h >> 40);; i++) {
        struct token_pair *p = &t->pairs[i & (t->pair_slots - 1)];
        if (p->left == UINT32_MAX || (p->left == left && p->right == right))
            return p;
    }
}

/* ---- encoding ---- */

struct symbol {
    int token, previous, next; /* positions of the neighbours in the piece, -1: none; token -1: merged into the symbol before it */
};
struct candidate { /* a pair that can be merged */
    uint32_t rank;
    int at; /* position of its left symbol */
};
struct encoder {
    const struct tokenizer *t;
    struct symbol *symbols; /* [bytes of the text] */
    struct candidate *heap; /* [2 x bytes]: n-1 pairs at first; each of at most n-1 merges removes one and adds up to two */
    int heap_size;
    int *ids; /* [bytes]: a token has at least one byte */
    size_t count;
};

static bool before(struct candidate a, struct candidate b)
{
    return a.rank < b.rank || (a.rank == b.rank && a.at < b.at);
}

/* Add the pair that begins at `at` to the heap, if it can be merged. */
static void push(struct encoder *e, int at)
{
    const struct symbol *s = &e->symbols[at];
    if (s->next < 0)
        return;
    const struct token_pair *p = tokenizer_pair_slot(e->t, (uint32_t)s->token, (uint32_t)e->symbols[s->next].token);
    if (p->left == UINT32_MAX)
        return;
    struct candidate w = {p->rank, at};
    int i = e->heap_size++;
    for (; i > 0 && before(w, e->heap[(i - 1) / 2]); i = (i - 1) / 2)
        e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = w;
}

static struct candidate pop(struct encoder *e)
{
    struct candidate top = e->heap[0], last = e->heap[--e->heap_size];
    int i = 0;
    for (int child = 1; child < e->heap_size; child = 2 * i + 1) {
        if (child + 1 < e->heap_size && before(e->heap[child + 1], e->heap[child]))
            child++;
        if (!before(e->heap[child], last))
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = last;
    return top;
}

/* Tokens of one piece of n > 0 bytes. */
static void encode_piece(struct encoder *e, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        e->symbols[i] = (struct symbol){e->t->byte_token[(unsigned char)bytes[i]], (int)i - 1, i + 1 < n ? (int)i + 1 : -1};
    e->symbols[n - 1].token = e->t->last_token[(unsigned char)bytes[n - 1]];
    for (size_t i = 0; i + 1 < n; i++)
        push(e, (int)i);
    while (e->heap_size) {
        struct candidate w = pop(e);
        struct symbol *s = &e->symbols[w.at];
        if (s->token < 0 || s->next < 0)
            continue;
        struct symbol *right = &e->symbols[s->next];
        const struct token_pair *p = tokenizer_pair_slot(e->t, (uint32_t)s->token, (uint32_t)right->token);
        if (p->left == UINT32_MAX || p->rank != w.rank)
            continue; /* changed by another merge since it was added */
        s->token = (int)p->merged;
        s->next = right->next;
        right->token = -1;
        if (s->next >= 0)
            e->symbols[s->next].previous = w.at;
        push(e, w.at);
        if (s->previous >= 0)
            push(e, s->previous);
    }
    for (int i = 0; i >= 0; i = e->symbols[i].next)
        e->ids[e->count++] = e->symbols[i].token;
}

/* Size of the well-formed UTF-8 character at s (no surrogates, no overlong form); 0: none. */
static size_t character_size(const unsigned char *s, size_t left)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

/* Bytes before the first one that is not part of a well-formed character (valid), or that is part of one (not valid). */
static size_t run_size(const char *text, size_t size, bool valid)
{
    size_t at = 0, n;
    while (at < size && ((n = character_size((const unsigned char *)text + at, size - at)) > 0) == valid)
        at += valid ? n : 1;
    return at;
}

static clio_status compile_pattern(clio_context *ctx, struct tokenizer *t)
{
    clio_status st = CLIO_OK;
    int error;
    PCRE2_SIZE at;
    t->pattern = pcre2_compile((PCRE2_SPTR)(t->type == TOKENIZER_CLIP ? CLIP_PATTERN : GPT2_PATTERN), PCRE2_ZERO_TERMINATED,
                               PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &at, NULL);
    if (!t->pattern && error == PCRE2_ERROR_HEAP_FAILED)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    if (!t->pattern)
        FAIL(ctx, CLIO_ERROR_INTERNAL,
             "PCRE2 cannot compile the tokenizer's pattern (error %d at %zu): install a PCRE2 with Unicode support", error, (size_t)at);
    t->match = pcre2_match_data_create_from_pattern(t->pattern, NULL);
    if (!t->match)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
fail:
    return st;
}

/* CLIP's reference splits a piece again with GPT-2's pattern. This matters only for the text of a special token: "<|", name, "|>". */
static void encode_clip_piece(struct encoder *e, const char *piece, size_t n)
{
    if (n > 2 * MARKER && piece[0] == '<' && (piece[MARKER] == 's' || piece[MARKER] == 'e')) {
        encode_piece(e, piece, MARKER);
        encode_piece(e, piece + MARKER, n - 2 * MARKER);
        encode_piece(e, piece + n - MARKER, MARKER);
    } else {
        encode_piece(e, piece, n);
    }
}

/* Tokens of a run of well-formed UTF-8. */
static clio_status encode_run(clio_context *ctx, struct encoder *e, const char *text, size_t size)
{
    clio_status st = CLIO_OK;
    for (size_t at = 0; at < size;) {
        int rc = pcre2_match(e->t->pattern, (PCRE2_SPTR)text, size, at, PCRE2_NO_UTF_CHECK, e->t->match, NULL);
        size_t end = rc > 0 ? pcre2_get_ovector_pointer(e->t->match)[1] : 0;
        if (rc == PCRE2_ERROR_NOMEMORY || rc == PCRE2_ERROR_HEAPLIMIT)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory for a text of %zu bytes: shorten it", size);
        if (end <= at)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "the text cannot be split into words (PCRE2 error %d at byte %zu): shorten it", rc, at);
        if (e->t->type == TOKENIZER_GPT2)
            encode_piece(e, text + at, end - at);
        else if (rc == 1) /* 2: the group matched: white space */
            encode_clip_piece(e, text + at, end - at);
        at = end;
    }
fail:
    return st;
}

clio_status tokenizer_encode(clio_context *ctx, struct tokenizer *t, const char *utf8, int **ids, size_t *count)
{
    clio_status st = CLIO_OK;
    struct encoder e = {.t = t};
    size_t size = strlen(utf8);
    *ids = NULL;
    *count = 0;
    if (size > INT_MAX / 2)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a text of %zu bytes is too long to encode: split it into parts below 1 GiB", size);
    if (!t->match)
        TRY(compile_pattern(ctx, t));
    TRY(mem_alloc(ctx, &e.symbols, size, sizeof *e.symbols));
    TRY(mem_alloc(ctx, &e.heap, size * 2, sizeof *e.heap));
    TRY(mem_alloc(ctx, &e.ids, size, sizeof *e.ids));
    for (size_t at = 0, n; at < size; at += n) {
        n = run_size(utf8 + at, size - at, true);
        if (n)
            TRY(encode_run(ctx, &e, utf8 + at, n));
        else if ((n = run_size(utf8 + at, size - at, false)))
            encode_piece(&e, utf8 + at, n);
    }
    *ids = e.ids;
    *count = e.count;
    e.ids = NULL;
fail:
    free(e.symbols);
    free(e.heap);
    free(e.ids);
    return st;
}

/* ---- look-up ---- */

static const struct token *token_of(const struct tokenizer *t, int id)
{
    return id >= 0 && id < t->count && t->tokens[id].is_known ? &t->tokens[id] : NULL;
}

const char *tokenizer_bytes(const struct tokenizer *t, int id, size_t *size)
{
    const struct token *token = token_of(t, id);
    if (size)
        *size = token ? token->size : 0;
    return token ? t->arena.data + token->at : "";
}

bool tokenizer_is_special(const struct tokenizer *t, int id)
{
    const struct token *token = token_of(t, id);
    return token && token->is_special;
}

int tokenizer_find(const struct tokenizer *t, const char *text)
{
    return t->names ? *tokenizer_name_slot(t, text, strlen(text)) : -1;
}

int tokenizer_size(const struct tokenizer *t)
{
    return t->count;
}

void tokenizer_close(struct tokenizer *t)
{
    free(t->path);
    free(t->tokens);
    bytes_free(&t->arena);
    free(t->names);
    free(t->pairs);
    pcre2_match_data_free(t->match);
    pcre2_code_free(t->pattern);
    memset(t, 0, sizeof *t);
}
