/* foreign.h - options of whisper.cpp, openai-whisper, stable-diffusion.cpp and diffusers that clio does not have, so that a message can say
 * what to do instead. */
#ifndef CLIO_CLI_FOREIGN_H
#define CLIO_CLI_FOREIGN_H

#include "command.h"

struct foreign_option {
    const char *names, *program, *meaning;
    const char *instead; /* what to do with clio */
};

/* The option that `word` is in one of these, those first whose work this command does; dashes and underscores are the same. NULL: in none.
 */
const struct foreign_option *foreign_find(const struct command *command, const char *word);

#endif
