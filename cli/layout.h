/* layout.h - text in columns on standard output: words are wrapped, backquotes, which are bold in the man page, are left out. */
#ifndef CLIO_CLI_LAYOUT_H
#define CLIO_CLI_LAYOUT_H

#include <stdio.h>

/* A space at which no line ends. */
#define LAYOUT_NO_BREAK '\x1f'

/* Columns of standard output, at most 120. */
int layout_width(void);
/* Print paragraphs, wrapped. The line has been filled up to column `at`; text begins at `column`. Ends with a line end. */
void layout_text(FILE *out, const char *text, int at, int column, int width);
/* Print "  left      text" with the text from `column` on, on a line of its own where left is too long. */
void layout_entry(FILE *out, const char *left, const char *text, int column, int width);
/* A copy without backquotes; the caller frees it. */
char *layout_plain(const char *text);

#endif
