/* memory.c - see say.h: memory that is there or ends the command. Below terminal.c, which needs it: its one message is printed here. */
#include "command.h"
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void no_memory(void)
{
    fputs("clio: out of memory\n", stderr);
    exit(EXIT_FAILED);
}

void *must_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        no_memory();
    }
    return memory;
}

char *must_print(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = must_alloc((size_t)length + 1);
    va_start(list, format);
    vsnprintf(text, (size_t)length + 1, format, list);
    va_end(list);
    return text;
}

void words_add(struct words *words, const char *word)
{
    const char **grown = realloc(words->items, (words->count + 1) * sizeof *grown);
    if (!grown) {
        no_memory();
    }
    grown[words->count++] = word;
    words->items = grown;
}
