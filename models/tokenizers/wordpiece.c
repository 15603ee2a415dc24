/* wordpiece.c - encode texts as BertTokenizer does; wordpiece_load.c reads its files. See wordpiece.h. */
#include "wordpiece.h"
#include "../../host/core/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define REPLACEMENT 0xFFFD

/* ---- characters ---- */

/* Rust's char::is_whitespace: Unicode's White_Space. */
static bool is_space(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return (c >= '\t' && c <= '\r') || c == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

/* Characters that cleaning leaves out: control, format and private use; but tab and line ends are white space. */
static bool is_control(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    if (c == '\t' || c == '\n' || c == '\r')
        return false;
    return c == REPLACEMENT || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

/* Any ASCII character that is no letter, digit, space or control counts, also "$" and "^". */
static bool is_punctuation(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return c < 0x80 ? ispunct((int)c) != 0 : category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

static bool is_ideograph(utf8proc_int32_t c)
{
    static const utf8proc_int32_t blocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
                                                 {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    for (size_t i = 0; i < COUNT(blocks); i++)
        if (c >= blocks[i][0] && c <= blocks[i][1])
            return true;
    return false;
}

/* Size of the character at `at`, of valid UTF-8. */
static size_t character(const char *at, size_t left, utf8proc_int32_t *c)
{
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, (utf8proc_ssize_t)left, c);
    return n > 0 ? (size_t)n : 1;
}

/* ---- normalization ---- */

/* Step 2. */
static clio_status clean(clio_context *ctx, const struct wordpiece *t, const char *text, size_t size, struct bytes *out)
{
    clio_status st = CLIO_OK;
    utf8proc_int32_t c;
    TRY(bytes_add(ctx, out, "", 0));
    for (size_t at = 0, n; at < size; at += n) {
        n = character(text + at, size - at, &c);
        bool apart = t->ideographs && is_ideograph(c);
        if (t->clean && is_control(c))
            continue;
        if (apart)
            TRY(bytes_add(ctx, out, " ", 1));
        TRY(t->clean && is_space(c) ? bytes_add(ctx, out, " ", 1) : bytes_add(ctx, out, text + at, n));
        if (apart)
            TRY(bytes_add(ctx, out, " ", 1));
    }
fail:
    return st;
}

/* Step 3; appends to out. */
static clio_status fold(clio_context *ctx, const struct wordpiece *t, const struct bytes *text, struct bytes *out)
{
    clio_status st = CLIO_OK;
    utf8proc_uint8_t *decomposed = NULL;
    const char *from = text->data;
    size_t size = text->size;
    utf8proc_int32_t c;
    char lower[8];
    if (t->strip) {
        utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)from, (utf8proc_ssize_t)size, &decomposed,
                                          (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
        if (n < 0)
            FAIL(ctx, n == UTF8PROC_ERROR_NOMEM ? CLIO_ERROR_MEMORY : CLIO_ERROR_ARGUMENT, "the text cannot be normalized: %s",
                 utf8proc_errmsg(n));
        from = (const char *)decomposed;
        size = (size_t)n;
    }
    for (size_t at = 0, n; at < size; at += n) {
        n = character(from + at, size - at, &c);
        if (t->strip && utf8proc_category(c) == UTF8PROC_CATEGORY_MN)
            continue;
        TRY(t->lower ? bytes_add(ctx, out, lower, text_lower(c, lower)) : bytes_add(ctx, out, from + at, n));
    }
fail:
    free(decomposed);
    return st;
}

clio_status wordpiece_normalize(clio_context *ctx, const struct wordpiece *t, const char *text, size_t size, struct bytes *out)
{
    clio_status st = CLIO_OK;
    struct bytes cleaned = {0};
    TRY(clean(ctx, t, text, size, &cleaned));
    TRY(fold(ctx, t, &cleaned, out));
fail:
    bytes_free(&cleaned);
    return st;
}

/* ---- words to pieces ---- */

struct encoding {
    clio_context *ctx;
    const struct wordpiece *t;
    int *ids;
    size_t count, capacity;
    struct bytes piece; /* scratch */
};

static clio_status add_id(struct encoding *e, int id)
{
    clio_status st = CLIO_OK;
    TRY(mem_grow(e->ctx, &e->ids, e->count, &e->capacity, sizeof *e->ids));
    e->ids[e->count++] = id;
fail:
    return st;
}

static size_t count_characters(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* The longest piece that begins `rest`: its id and bytes; -1: none. */
static clio_status longest_piece(struct encoding *e, const char *rest, size_t size, bool continues, int *id, size_t *used)
{
    clio_status st = CLIO_OK;
    size_t prefix = continues ? strlen(e->t->prefix) : 0;
    e->piece.size = 0;
    TRY(bytes_add(e->ctx, &e->piece, e->t->prefix, prefix));
    TRY(bytes_add(e->ctx, &e->piece, rest, size));
    *id = -1;
    for (*used = size; *used > 0; --*used) {
        if (*used < size && ((unsigned char)rest[*used] & 0xC0) == 0x80)
            continue; /* within a character */
        if ((*id = *tokenizer_name_slot(&e->t->vocabulary, e->piece.data, prefix + *used)) >= 0)
            break;
    }
fail:
    return st;
}

static clio_status encode_word(struct encoding *e, const char *word, size_t size)
{
    clio_status st = CLIO_OK;
    size_t before = e->count, used;
    int id;
    bool known = count_characters(word, size) <= (size_t)e->t->longest;
    for (size_t at = 0; known && at < size; at += used) {
        TRY(longest_piece(e, word + at, size - at, at > 0, &id, &used));
        known = id >= 0;
        if (known)
            TRY(add_id(e, id));
    }
    if (!known) {
        e->count = before;
        TRY(add_id(e, e->t->unknown));
    }
fail:
    return st;
}

/* Normalized text to words: steps 4 and 5. */
static clio_status encode_words(struct encoding *e, const char *text, size_t size)
{
    clio_status st = CLIO_OK;
    utf8proc_int32_t c;
    size_t from = 0;
    for (size_t at = 0, n; at < size; at += n) {
        n = character(text + at, size - at, &c);
        bool alone = is_punctuation(c);
        if (!alone && !is_space(c))
            continue;
        if (at > from)
            TRY(encode_word(e, text + from, at - from));
        if (alone)
            TRY(encode_word(e, text + at, n));
        from = at + n;
    }
    if (size > from)
        TRY(encode_word(e, text + from, size - from));
fail:
    return st;
}

/* ---- special tokens ---- */

static clio_status encode_part(struct encoding *e, const char *text, size_t size, bool normalized);

/* The text between special tokens. */
static clio_status encode_plain(void *user, const char *text, size_t size, bool normalized)
{
    clio_status st = CLIO_OK;
    struct encoding *e = user;
    struct bytes part = {0};
    if (!size)
        return CLIO_OK;
    if (normalized) {
        TRY(encode_words(e, text, size));
    } else {
        TRY(wordpiece_normalize(e->ctx, e->t, text, size, &part));
        if (part.size)
            TRY(encode_part(e, part.data, part.size, true));
    }
fail:
    bytes_free(&part);
    return st;
}

static clio_status encode_special(void *user, int id)
{
    return add_id(user, id);
}

/* First in the original text, then in the normalized text between special tokens. */
static clio_status encode_part(struct encoding *e, const char *text, size_t size, bool normalized)
{
    return special_tokens_split(&e->t->specials, text, size, normalized, &(struct special_pieces){encode_plain, encode_special, e});
}

clio_status wordpiece_encode(clio_context *ctx, const struct wordpiece *t, const char *utf8, int most, int **ids, size_t *count)
{
    clio_status st = CLIO_OK;
    struct encoding e = {.ctx = ctx, .t = t};
    *ids = NULL;
    *count = 0;
    TRY(text_check(ctx, "the text", utf8));
    TRY(add_id(&e, t->start));
    TRY(encode_part(&e, utf8, strlen(utf8), false));
    if (most && e.count >= (size_t)most)
        e.count = (size_t)MAX(most, 2) - 1;
    TRY(add_id(&e, t->end));
    *ids = e.ids;
    *count = e.count;
    e.ids = NULL;
fail:
    free(e.ids);
    bytes_free(&e.piece);
    return st;
}
