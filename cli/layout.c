/* layout.c - see layout.h. */
#include "layout.h"
#include "bar.h"
#include "say.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define WIDTH_MIN 50
#define WIDTH_MAX 120

int layout_width(void)
{
    int width = terminal_columns(STDOUT_FILENO);
    return width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width;
}

/* Length as printed. */
static int printed_length(const char *word, size_t n)
{
    int length = 0;
    for (size_t i = 0; i < n; i++)
        length += word[i] != '`' && ((unsigned char)word[i] & 0xC0) != 0x80;
    return length;
}

static void print_word(FILE *out, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word[i] != '`')
            fputc(word[i] == LAYOUT_NO_BREAK ? ' ' : word[i], out);
}

void layout_text(FILE *out, const char *text, int at, int column, int width)
{
    bool begins = true;
    for (const char *word = text; *word;) {
        size_t n = strcspn(word, " \n");
        int length = printed_length(word, n);
        if (!begins && at + 1 + length > width) {
            fputc('\n', out);
            at = 0;
            begins = true;
        }
        at += begins ? fprintf(out, "%*s", column > at ? column - at : 0, "") : fprintf(out, " ");
        print_word(out, word, n);
        at += length;
        begins = false;
        word += n;
        if (word[0] == '\n' && word[1] == '\n') {
            fputs("\n\n", out);
            at = 0;
            begins = true;
        }
        word += strspn(word, " \n");
    }
    fputc('\n', out);
}

void layout_entry(FILE *out, const char *left, const char *text, int column, int width)
{
    int at = fprintf(out, "  %s", left);
    if (at > column - 2) {
        fputc('\n', out);
        at = 0;
    }
    layout_text(out, text, at, column, width);
}

char *layout_plain(const char *text)
{
    char *plain = must_print("%s", text), *to = plain;
    for (const char *from = text; *from; from++)
        if (*from != '`')
            *to++ = *from;
    *to = 0;
    return plain;
}
