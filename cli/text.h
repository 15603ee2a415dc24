/* text.h - text of a model made printable: valid UTF-8 without control characters; and times. */
#ifndef CLIO_CLI_TEXT_H
#define CLIO_CLI_TEXT_H

#include <stddef.h>

/* Bytes of the character that begins at s, of at most n bytes: 1 to 4; 0: the bytes are no character;
 * -1: they are the beginning of one that would need more bytes than n. */
int text_character(const unsigned char *s, size_t n);
/* A copy in which bytes that are no characters are U+FFFD and control characters (line ends too) are spaces. The caller frees it. */
char *text_clean(const char *text);

/* A token may end within a character. That rest is put before the next token, so that each text is UTF-8 and all together are the whole. */
struct text_rest {
    char bytes[4];
    size_t count;
};
/* The text of one token, cleaned, after the rest of the one before it; an incomplete character goes to *rest, except of the last token.
 * The caller frees it. */
char *text_of_token(struct text_rest *rest, const char *token, int is_last);

/* "00:01:02.345", with `point` before the milliseconds. */
void stamp_print(char out[32], double seconds, char point);

#endif
