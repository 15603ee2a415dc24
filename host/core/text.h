/* text.h - UTF-8: is a text valid, and a form of any name that is. */
#ifndef CLIO_CORE_TEXT_H
#define CLIO_CORE_TEXT_H

#include "mem.h"

bool text_is_utf8(const char *text);
/* CLIO_ERROR_ARGUMENT if the text is not valid UTF-8, with the position, or too long to be normalized. what: "the prompt". */
clio_status text_check(clio_context *ctx, const char *what, const char *text);
/* Append a name with \xNN for each byte that is not UTF-8. */
clio_status text_escape(clio_context *ctx, struct bytes *out, const char *name);

/* Append `size` bytes with U+FFFD for each sequence that is not UTF-8, as Python's errors="replace" does: a character that is cut off is
 * one. */
clio_status text_replace_invalid(clio_context *ctx, struct bytes *out, const char *data, size_t size);

/* The lower case of a character by the simple Unicode mapping (no final sigma) as UTF-8 of at most 8 bytes; returns their number. */
size_t text_lower(int32_t c, char out[8]);

/* See clio_nearest. */
const char *text_nearest(const char *name, const char *words, size_t *length);

#endif
