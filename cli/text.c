/* text.c - see text.h. UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "text.h"
#include "say.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

int text_character(const unsigned char *s, size_t n)
{
    unsigned char low = 0x80, high = 0xBF; /* of the second byte */
    int length = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= n)
            return -1;
        if (s[i] < low || s[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

int text_control(const unsigned char *s, unsigned *code)
{
    unsigned c = *s;
    int length = c == 0x7F ? 1 : c == 0xC2 ? 2 : c == 0xE2 ? 3 : 0;
    if (length == 2)
        c = s[1] >= 0x80 && s[1] < 0xA0 ? s[1] : 0;
    else if (length == 3)
        c = s[1] == 0x80 || s[1] == 0x81 ? 0x2000u + ((s[1] & 0x3Fu) << 6) + (s[2] & 0x3Fu) : 0;
    *code = c;
    return c == 0x7F || (c >= 0x80 && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ? length : 0;
}

/* Clean n bytes; the beginning of a character at their end is left in *rest, or replaced when rest is NULL. */
static char *clean(const char *text, size_t n, struct text_rest *rest)
{
    char *out = must_alloc(3 * n + 1), *to = out;
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        unsigned code;
        int length = text_character(s + i, n - i);
        if (length < 0 && rest) {
            rest->count = n - i;
            memcpy(rest->bytes, s + i, rest->count);
            break;
        }
        if (length <= 0 || (length > 1 && text_control(s + i, &code))) {
            to = (char *)memcpy(to, REPLACEMENT, 3) + 3;
            i += length < 0 ? n - i : length ? (size_t)length : 1;
        } else if (length == 1) {
            *to++ = s[i] < 0x20 || s[i] == 0x7F ? ' ' : (char)s[i];
            i++;
        } else {
            to = (char *)memcpy(to, s + i, (size_t)length) + length;
            i += (size_t)length;
        }
    }
    *to = 0;
    return out;
}

char *text_clean(const char *text)
{
    return clean(text, strlen(text), NULL);
}

bool text_is_valid(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        int length = text_character((const unsigned char *)text + i, n - i);
        if (length <= 0)
            return false;
        i += (size_t)length;
    }
    return true;
}

char *text_name(const char *name)
{
    size_t n = strlen(name);
    char *out = must_alloc(4 * n + 1), *to = out;
    for (size_t i = 0; i < n;) {
        int length = text_character((const unsigned char *)name + i, n - i);
        if (length > 0)
            to = (char *)memcpy(to, name + i, (size_t)length) + length;
        else
            to += snprintf(to, 5, "\\x%02x", (unsigned)(unsigned char)name[i]);
        i += length > 0 ? (size_t)length : 1;
    }
    return out;
}

char *text_of_token(struct text_rest *rest, const char *token, int is_last)
{
    size_t n = strlen(token);
    char *joined = must_alloc(rest->count + n + 1);
    memcpy(joined, rest->bytes, rest->count);
    memcpy(joined + rest->count, token, n + 1);
    n += rest->count;
    rest->count = 0;
    char *out = clean(joined, n, is_last ? NULL : rest);
    free(joined);
    return out;
}

void stamp_print(char out[32], double seconds, char point)
{
    long long ms = seconds > 0 ? llround(seconds * 1000) : 0;
    snprintf(out, 32, "%02lld:%02lld:%02lld%c%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}
