/* terminal.h - the only way to standard output and standard error. Every text that is put in for %s is cleaned (text_clean): names of
 * files, devices and tensors, notes of images and words of a model may hold escape sequences, which a terminal would obey. */
#ifndef CLIO_CLI_TERMINAL_H
#define CLIO_CLI_TERMINAL_H

#include "say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* printf with the conversions d i u x c f g e s and %, flags, widths and precisions, and the lengths l, ll and z. */
void print_out(const char *format, ...) CLI_PRINTF(1, 2);
void print_err(const char *format, ...) CLI_PRINTF(1, 2);
void print_to(FILE *out, const char *format, ...) CLI_PRINTF(2, 3);
void print_list_to(FILE *out, const char *format, va_list list);
/* A text that holds no control characters, such as that of json_document. */
void print_raw(FILE *out, const char *text);
/* Each line of a text, cleaned, behind `start`. */
void print_lines(FILE *out, const char *start, const char *text);

#endif
