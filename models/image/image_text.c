/* image_text.c - the notes of an image: a list of keys and texts, and the two encodings that PNG text chunks have.
 * Source: PNG specification, "Textual information": tEXt and zTXt are Latin-1, iTXt is UTF-8. */
#include "image.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* The character at *at, which is moved behind it; -1 where the bytes are no UTF-8. */
static utf8proc_int32_t next_character(const unsigned char **at)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t size = utf8proc_iterate(*at, -1, &c); /* does not go beyond the zero at the end, which is no part of a character */
    *at += size > 0 ? size : 0;
    return size > 0 ? c : -1;
}

bool text_is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p)
        if (next_character(&p) < 0)
            return false;
    return true;
}

clio_status text_to_latin1(clio_context *ctx, char **out, const char *utf8)
{
    clio_status st = CLIO_OK;
    const unsigned char *p = (const unsigned char *)utf8;
    char *to;
    TRY(mem_alloc(ctx, out, strlen(utf8) + 1, 1));
    to = *out;
    while (*p) {
        utf8proc_int32_t c = next_character(&p);
        if (c != '\n' && (c < 0x20 || c > 0xff || (c >= 0x7f && c < 0xa0))) {
            free(*out);
            *out = NULL;
            return CLIO_OK;
        }
        *to++ = (char)(unsigned char)c;
    }
fail:
    return st;
}

clio_status text_from_latin1(clio_context *ctx, char **out, const char *latin1)
{
    clio_status st = CLIO_OK;
    char *to;
    TRY(mem_alloc(ctx, out, 2 * strlen(latin1) + 1, 1));
    to = *out;
    for (const unsigned char *p = (const unsigned char *)latin1; *p; p++) {
        if (*p >= 0x80)
            *to++ = (char)(unsigned char)(0xc0 | *p >> 6);
        *to++ = (char)(unsigned char)(*p >= 0x80 ? 0x80 | (*p & 0x3f) : *p);
    }
fail:
    return st;
}

clio_status image_texts_add(clio_context *ctx, struct image_texts *texts, const char *key, const char *text)
{
    clio_status st = CLIO_OK;
    struct image_text added = {NULL, NULL}, *list;
    TRY(mem_string(ctx, &added.key, key));
    TRY(mem_string(ctx, &added.text, text));
    list = realloc(texts->list, (texts->count + 1) * sizeof *list);
    if (!list)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for the notes of an image; close other programs");
    texts->list = list;
    texts->list[texts->count++] = added;
    return CLIO_OK;
fail:
    free(added.key);
    free(added.text);
    return st;
}

void image_texts_free(struct image_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->list[i].key);
        free(texts->list[i].text);
    }
    free(texts->list);
    memset(texts, 0, sizeof *texts);
}
