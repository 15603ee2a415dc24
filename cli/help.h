/* help.h - clio --help and clio COMMAND --help. */
#ifndef CLIO_CLI_HELP_H
#define CLIO_CLI_HELP_H

#include "command.h"
#include "options.h"

#include <stdio.h>

/* The overview of all commands; the list ends with NULL. */
void help_print_overview(const struct command *const *commands, FILE *out);
void help_print(const struct command *command, FILE *out);
/* "-p, --prompt TEXT"; the caller frees it. */
char *help_names(const struct option_row *row);
/* Help, range and default as one paragraph: "number of steps (1 to 1000; default 20)". The caller frees it. */
char *help_text(const struct option_row *row, const struct settings *initial);

#endif
