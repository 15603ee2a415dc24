/* text.h - text of a model made printable: valid UTF-8 without control characters; and times. */
#ifndef CLIO_CLI_TEXT_H
#define CLIO_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character that begins at s, of at most n bytes: 1 to 4; 0: the bytes are no character;
 * -1: they are the beginning of one that would need more bytes than n. */
int text_character(const unsigned char *s, size_t n);
/* Bytes of the control character that begins at s, a string: DEL, C1 (U+009B begins an escape sequence), line separators, and those that
 * turn the direction of what follows (Unicode Standard Annex 9: embeddings, overrides, isolates); 0: another character. */
int text_control(const unsigned char *s, unsigned *code);
/* A copy in which bytes that are no characters, controls beyond ASCII and those of the direction of text are U+FFFD, and control characters
 * of ASCII (line ends too) are spaces. The caller frees it. */
char *text_clean(const char *text);

bool text_is_valid(const char *text);
/* A copy in which bytes that are no characters are \xNN: names of files and devices in JSON. The caller frees it. */
char *text_name(const char *name);

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
