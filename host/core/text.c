/* text.c - see text.h. The decoder is utf8proc's. */
#include "text.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <utf8proc.h>

#define NAME_MOST 48
#define DOTTED_CAPITAL_I 0x130
#define COMBINING_DOT 0x307

/* Bytes of the character at `at`, which ends before a zero; 0: the byte there is none. */
static int character_size(const char *at, utf8proc_int32_t *c)
{
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, c);
    return size > 0 ? (int)size : 0;
}

/* Position of the first byte that is not UTF-8; the text's size: there is none. */
static size_t find_bad_byte(const char *text)
{
    utf8proc_int32_t c;
    size_t at = 0;
    for (int size; text[at] && (size = character_size(text + at, &c)); at += (size_t)size)
        continue;
    return at;
}

bool text_is_utf8(const char *text)
{
    return !text[find_bad_byte(text)];
}

clio_status text_check(clio_context *ctx, const char *what, const char *text)
{
    clio_status st = CLIO_OK;
    size_t size = strlen(text), at;
    if (size > INT_MAX / 8)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s has %zu bytes, which is too long: shorten it", what, size);
    at = find_bad_byte(text);
    if (text[at])
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s is not valid UTF-8 (byte 0x%02x at position %zu): save it as UTF-8 or type it again", what,
             (unsigned char)text[at], at);
fail:
    return st;
}

clio_status text_escape(clio_context *ctx, struct bytes *out, const char *name)
{
    clio_status st = CLIO_OK;
    TRY(bytes_add(ctx, out, "", 0));
    while (*name) {
        utf8proc_int32_t c = 0;
        int size = character_size(name, &c);
        TRY(size ? bytes_add(ctx, out, name, (size_t)size) : bytes_print(ctx, out, "\\x%02x", (unsigned)(unsigned char)*name));
        name += MAX(size, 1);
    }
fail:
    return st;
}

/* Bytes that are to be replaced by one U+FFFD: the longest beginning of a character (Unicode 15, section 3.9, "maximal subpart"), at least
 * one byte. */
static size_t broken_size(const unsigned char *s, size_t left)
{
    size_t whole = s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : 1, n = 1;
    unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80, high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    while (n < MIN(whole, left) && s[n] >= low && s[n] <= high) {
        n++;
        low = 0x80;
        high = 0xBF;
    }
    return n;
}

clio_status text_replace_invalid(clio_context *ctx, struct bytes *out, const char *data, size_t size)
{
    clio_status st = CLIO_OK;
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)data, *end = at + size;
    TRY(bytes_add(ctx, out, "", 0));
    while (at < end) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(at, end - at, &c);
        TRY(n > 0 ? bytes_add(ctx, out, at, (size_t)n) : bytes_add(ctx, out, "\xEF\xBF\xBD", 3));
        at += n > 0 ? (size_t)n : broken_size(at, (size_t)(end - at));
    }
fail:
    return st;
}

size_t text_lower(int32_t c, char out[8])
{
    utf8proc_uint8_t *bytes = (utf8proc_uint8_t *)out;
    if (c != DOTTED_CAPITAL_I) /* the only character whose lower case has two characters */
        return (size_t)utf8proc_encode_char(utf8proc_tolower(c), bytes);
    utf8proc_ssize_t n = utf8proc_encode_char('i', bytes);
    return (size_t)(n + utf8proc_encode_char(COMBINING_DOT, bytes + n));
}

/* ---- names that are alike ---- */

/* The name as it is compared: lower case, without leading dashes, with dashes for underscores. The size. */
static size_t plain_name(char out[NAME_MOST], const char *name, size_t size)
{
    size_t n = 0;
    while (size && *name == '-') {
        name++;
        size--;
    }
    for (; n < size && n < NAME_MOST; n++)
        out[n] = (char)(name[n] == '_' ? '-' : tolower((unsigned char)name[n]));
    return n;
}

/* Levenshtein distance: insertions, deletions and replacements that make one of the other. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[NAME_MOST + 1];
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[m];
}

static bool contains(const char *whole, size_t n, const char *part, size_t m)
{
    for (size_t i = 0; m >= 2 && i + m <= n; i++)
        if (memcmp(whole + i, part, m) == 0)
            return true;
    return false;
}

/* The edits between two names, if they are a third of the letters at most or one is a part of the other; otherwise more than NAME_MOST. */
static size_t unlikeness(const char *a, size_t n, const char *b, size_t m)
{
    size_t d = distance(a, n, b, m);
    return d <= MAX(n, m) / 3 || contains(a, n, b, m) || contains(b, m, a, n) ? d : NAME_MOST + 1;
}

const char *text_nearest(const char *name, const char *words, size_t *length)
{
    char a[NAME_MOST], b[NAME_MOST];
    size_t n = plain_name(a, name, strlen(name)), best = NAME_MOST + 1;
    const char *found = NULL;
    *length = 0;
    for (words += strspn(words, ", "); *words; words += strspn(words, ", ")) {
        size_t size = strcspn(words, ", "), d = unlikeness(a, n, b, plain_name(b, words, size));
        if (n && d < best) {
            best = d;
            found = words;
            *length = size;
        }
        words += size;
    }
    return found;
}
