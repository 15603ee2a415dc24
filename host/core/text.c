/* text.c - see text.h. The decoder is utf8proc's. */
#include "text.h"

#include <utf8proc.h>

/* Bytes of the character at `at`, which ends before a zero; 0: the byte there is none. */
static int character_size(const char *at, utf8proc_int32_t *c)
{
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, c);
    return size > 0 ? (int)size : 0;
}

bool text_is_utf8(const char *text)
{
    utf8proc_int32_t c;
    while (*text) {
        int size = character_size(text, &c);
        if (!size)
            return false;
        text += size;
    }
    return true;
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
