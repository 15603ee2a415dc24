/* say.h - messages on standard error, and memory that is there or ends the command. */
#ifndef CLIO_CLI_SAY_H
#define CLIO_CLI_SAY_H

#include <stddef.h>

#if defined(__GNUC__)
#define CLI_PRINTF(f, a) __attribute__((format(printf, f, a), nonnull(f)))
#else
#define CLI_PRINTF(f, a)
#endif

struct command;
struct words;

/* Print "clio: ..." and a line end on standard error, after clearing the progress bar. */
void say_error(const char *format, ...) CLI_PRINTF(1, 2);
/* The same, followed by "(see clio COMMAND --help)". Returns EXIT_USAGE. */
int say_usage(const struct command *command, const char *format, ...) CLI_PRINTF(2, 3);
/* Print "clio: note: ..." and a line end: nothing failed. */
void say_notice(const char *text);
/* Say that standard output could not be written; `error` is an errno. */
void say_output_error(int error);

/* Zeroed memory; ends the command with a message when there is none. The caller frees it. */
void *must_alloc(size_t size);
/* printf into memory that the caller frees. */
char *must_print(const char *format, ...) CLI_PRINTF(1, 2);
/* Append a word; the word itself is not copied. */
void words_add(struct words *words, const char *word);

#endif
