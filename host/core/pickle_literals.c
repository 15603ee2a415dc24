/* pickle_literals.c - numbers and texts that protocol 0 writes as Python does, and integers of any size. See pickle_machine.h.
 * Sources: CPython, Lib/pickletools.py (read_stringnl, read_unicodestringnl, decode_long), Lib/encodings/raw_unicode_escape.py. */
#include "pickle_machine.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 600
#define LONG_BYTES 256

clio_status pickle_push_long(struct pickle_machine *m, const unsigned char *bytes, size_t size)
{
    clio_status st = CLIO_OK;
    bool is_negative = size && bytes[size - 1] & 0x80;
    unsigned long long bits = is_negative ? ~0ull : 0;
    while (size > 8 && bytes[size - 1] == (is_negative ? 0xff : 0) && (bytes[size - 2] >> 7) == is_negative)
        size--; /* repeats the sign */
    if (size > 8) {
        uint64_t at = m->p->texts.size;
        TRY(bytes_add(m->ctx, &m->p->texts, bytes, size));
        return pickle_push_text(m, PICKLE_LONG, at);
    }
    for (size_t i = size; i-- > 0;)
        bits = bits << 8 | bytes[i];
    long long number;
    memcpy(&number, &bits, sizeof number);
    TRY(pickle_push_integer(m, number));
fail:
    return st;
}

clio_status pickle_push_decimal(struct pickle_machine *m, const char *digits)
{
    clio_status st = CLIO_OK;
    unsigned char bytes[LONG_BYTES] = {0};
    bool is_negative = *digits == '-';
    size_t n = strlen(digits += is_negative || *digits == '+');
    if (n && digits[n - 1] == 'L') /* of Python 2 */
        n--;
    PICKLE_NEED(n && n <= DIGITS_MAX, "a number without digits, or with too many");
    for (size_t i = 0; i < n; i++) {
        unsigned carry = (unsigned)digits[i] - '0';
        PICKLE_NEED(carry < 10, "a number with something else than digits");
        for (size_t k = 0; k < sizeof bytes; k++, carry >>= 8) {
            carry += bytes[k] * 10u;
            bytes[k] = (unsigned char)carry;
        }
    }
    for (size_t k = 0, carry = 1; k < sizeof bytes && is_negative; k++, carry >>= 8) {
        carry += (unsigned char)~bytes[k];
        bytes[k] = (unsigned char)carry;
    }
    TRY(pickle_push_long(m, bytes, sizeof bytes));
fail:
    return st;
}

/* The number of `count` digits of a base; -1: they are not there. */
static long read_digits(const char *from, const char *end, int count, int base)
{
    char digits[9] = {0}, *stop;
    if (end - from < count || !isxdigit((unsigned char)*from))
        return -1;
    memcpy(digits, from, (size_t)count);
    long number = strtol(digits, &stop, base);
    return *stop ? -1 : number;
}

static clio_status add_byte(struct pickle_machine *m, long byte)
{
    char c = (char)(unsigned char)byte;
    return bytes_add(m->ctx, &m->p->texts, &c, 1);
}

/* One escape behind its backslash; *at moves behind it. */
static clio_status add_escape(struct pickle_machine *m, const char **at, const char *end)
{
    static const char names[] = "\\'\"nrtbfav", bytes[] = "\\'\"\n\r\t\b\f\a\v";
    clio_status st = CLIO_OK;
    PICKLE_NEED(*at < end, "a text that ends in a backslash");
    const char *name = strchr(names, **at);
    long number;
    if (name && **at) {
        number = (unsigned char)bytes[name - names];
        ++*at;
    } else if (**at == 'x') {
        number = read_digits(*at + 1, end, 2, 16);
        *at += 3;
    } else {
        number = read_digits(*at, end, 3, 8); /* repr writes \x; others may write three octal digits */
        *at += 3;
    }
    PICKLE_NEED(number >= 0 && number < 256, "a text with an unknown escape");
    TRY(add_byte(m, number));
fail:
    return st;
}

clio_status pickle_push_quoted(struct pickle_machine *m, const char *line, size_t size)
{
    clio_status st = CLIO_OK;
    uint64_t start = m->p->texts.size;
    while (size && isspace((unsigned char)line[size - 1]))
        size--;
    PICKLE_NEED(size >= 2 && (*line == '\'' || *line == '"') && line[size - 1] == *line, "a text without its quotes");
    const char *at = line + 1, *end = line + size - 1;
    while (at < end) {
        if (*at != '\\') {
            TRY(add_byte(m, *at++));
            continue;
        }
        at++;
        TRY(add_escape(m, &at, end));
    }
    TRY(pickle_push_text(m, PICKLE_TEXT, start));
fail:
    return st;
}

/* Append a character in UTF-8; a half of a surrogate pair too, as pickle's "surrogatepass" does. */
static clio_status add_character(struct pickle_machine *m, long c)
{
    clio_status st = CLIO_OK;
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    PICKLE_NEED(c >= 0 && c <= 0x10ffff, "a text with an unknown escape");
    TRY(add_byte(m, more ? (0xff00 >> (more + 1) & 0xff) | c >> (6 * more) : c));
    while (more--)
        TRY(add_byte(m, 0x80 | (c >> (6 * more) & 0x3f)));
fail:
    return st;
}

clio_status pickle_push_raw_unicode(struct pickle_machine *m, const char *line, size_t size)
{
    clio_status st = CLIO_OK;
    const char *at = line, *end = line + size;
    uint64_t start = m->p->texts.size;
    while (at < end) {
        long c = (unsigned char)*at++;
        int digits = c != '\\' || at == end ? 0 : *at == 'u' ? 4 : *at == 'U' ? 8 : 0;
        if (digits) {
            c = read_digits(at + 1, end, digits, 16);
            at += 1 + digits;
        }
        TRY(add_character(m, c));
    }
    TRY(pickle_push_text(m, PICKLE_TEXT, start));
fail:
    return st;
}

clio_status pickle_push_latin(struct pickle_machine *m, pickle_ref text)
{
    clio_status st = CLIO_OK;
    const struct pickle_value v = m->p->values[text];
    uint64_t start = m->p->texts.size;
    PICKLE_NEED(v.kind == PICKLE_TEXT && !v.in_file, "a byte string that is not made of a text");
    TRY(pickle_count_copies(m, v.text.size));
    for (uint64_t i = 0; i < v.text.size; i++) {
        unsigned char c = (unsigned char)m->p->texts.data[v.text.at + i];
        bool is_long = c == 0xc2 || c == 0xc3; /* the characters U+0080 to U+00FF have two bytes */
        PICKLE_NEED(c < 0x80 || (is_long && i + 1 < v.text.size), "a byte string with characters beyond Latin-1");
        if (is_long)
            c = (unsigned char)(c << 6 | ((unsigned char)m->p->texts.data[v.text.at + ++i] & 0x3f));
        TRY(add_byte(m, c));
    }
    TRY(pickle_push_text(m, PICKLE_BYTES, start));
fail:
    return st;
}
