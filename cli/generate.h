/* generate.h - clio --generate: man pages, completions and a dump of the option tables, made from the commands' definitions.
 *
 *     clio --generate man [COMMAND]       the man page of a command, or of clio
 *     clio --generate bash|zsh|fish       the completion script of a shell
 *     clio --generate options             all options as JSON, for tests and other programs
 *
 * The build runs it (cmake/install.cmake); it is not in the help. */
#ifndef CLIO_CLI_GENERATE_H
#define CLIO_CLI_GENERATE_H

#include "command.h"

#include <stdio.h>

/* Print `what`; command NULL: clio itself. The list of commands ends with NULL. Returns the exit code. */
int generate(const struct command *const *commands, const char *what, const struct command *command);

/* generate_man.c */
void generate_man(const struct command *command, FILE *out);
void generate_man_overview(const struct command *const *commands, FILE *out);
/* generate_json.c: [{"name", "summary", "options": [{names, argument, type, minimum, maximum, choices, default, repeats, group, help}]}] */
int generate_json(const struct command *const *commands);
/* generate_bash.c, generate_zsh.c, generate_fish.c */
void generate_bash(const struct command *const *commands, FILE *out);
void generate_zsh(const struct command *const *commands, FILE *out);
void generate_fish(const struct command *const *commands, FILE *out);

#endif
