/* transcribe.h - between the files of clio transcribe: cmd_transcribe.c (the work), transcribe_options.c (options and manual). */
#ifndef CLIO_CLI_TRANSCRIBE_H
#define CLIO_CLI_TRANSCRIBE_H

#include "command.h"

int transcribe_run(const struct command *self, struct settings *set);

#endif
