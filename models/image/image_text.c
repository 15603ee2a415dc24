/* image_text.c - metadata of an image: a list of keys and texts, and the encodings that files have.
 * Sources: PNG specification, "Textual information": tEXt and zTXt are Latin-1, iTXt is UTF-8. EXIF 2.32, 4.6.5 UserComment: UTF-16. */
#include "image.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* The character at *at, which is advanced past it; -1 where the bytes are no UTF-8. */
static utf8proc_int32_t next_character(const unsigned char **at)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t size = utf8proc_iterate(*at, -1, &c); /* does not go beyond the zero at the end, which is no part of a character */
    *at += size > 0 ? size : 0;
    return size > 0 ? c : -1;
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

/* The code point at p of at least 2 bytes, and how many bytes it has: 2, or 4 for a pair of surrogates. */
static utf8proc_int32_t utf16_code_point(const unsigned char *p, size_t size, bool big_endian, size_t *used)
{
    unsigned high = big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0], low;
    *used = 2;
    if (high < 0xd800 || high > 0xdfff)
        return (utf8proc_int32_t)high;
    if (high >= 0xdc00 || size < 4)
        return 0xfffd;
    low = big_endian ? (unsigned)p[2] << 8 | p[3] : (unsigned)p[3] << 8 | p[2];
    if (low < 0xdc00 || low > 0xdfff)
        return 0xfffd;
    *used = 4;
    return (utf8proc_int32_t)(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
}

clio_status text_from_utf16(clio_context *ctx, char **out, const unsigned char *utf16, size_t size, bool big_endian)
{
    clio_status st = CLIO_OK;
    utf8proc_uint8_t *to;
    TRY(mem_alloc(ctx, out, size / 2 * 3 + 1, 1));
    to = (utf8proc_uint8_t *)*out;
    for (size_t i = 0, used; i + 2 <= size; i += used) {
        utf8proc_int32_t c = utf16_code_point(utf16 + i, size - i, big_endian, &used);
        if (!c)
            break;
        to += utf8proc_encode_char(c, to);
    }
fail:
    return st;
}

clio_status text_to_utf16(clio_context *ctx, struct bytes *out, const char *utf8)
{
    clio_status st = CLIO_OK;
    const unsigned char *p = (const unsigned char *)utf8;
    while (*p) {
        utf8proc_int32_t c = next_character(&p);
        unsigned units[2] = {(unsigned)c, 0};
        if (c > 0xffff) {
            units[0] = 0xd800 + (((unsigned)c - 0x10000) >> 10);
            units[1] = 0xdc00 + (((unsigned)c - 0x10000) & 0x3ff);
        }
        for (int i = 0; i < (c > 0xffff ? 2 : 1); i++) {
            unsigned char pair[2] = {(unsigned char)(units[i] >> 8), (unsigned char)units[i]};
            TRY(bytes_add(ctx, out, pair, 2));
        }
    }
fail:
    return st;
}

clio_status metadata_check(clio_context *ctx, const struct metadata_entry *entry)
{
    clio_status st = CLIO_OK;
    if (!text_is_utf8(entry->key) || !text_is_utf8(entry->text))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the image's metadata \"%.40s\" is not valid UTF-8: check the terminal's encoding",
             text_is_utf8(entry->key) ? entry->key : "?");
fail:
    return st;
}

clio_status metadata_add(clio_context *ctx, struct metadata *metadata, const char *key, const char *text)
{
    clio_status st = CLIO_OK;
    struct metadata_entry added = {NULL, NULL}, *list;
    TRY(mem_string(ctx, &added.key, key));
    TRY(mem_string(ctx, &added.text, text));
    list = realloc(metadata->list, (metadata->count + 1) * sizeof *list);
    if (!list)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for the metadata of an image; close other programs");
    metadata->list = list;
    metadata->list[metadata->count++] = added;
    return CLIO_OK;
fail:
    free(added.key);
    free(added.text);
    return st;
}

void metadata_free(struct metadata *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) {
        free(metadata->list[i].key);
        free(metadata->list[i].text);
    }
    free(metadata->list);
    memset(metadata, 0, sizeof *metadata);
}
