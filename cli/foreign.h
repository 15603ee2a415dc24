/* foreign.h - options of whisper.cpp and stable-diffusion.cpp that clio does not have, so that a message can say what to do instead. */
#ifndef CLIO_CLI_FOREIGN_H
#define CLIO_CLI_FOREIGN_H

#include "command.h"

struct foreign_option {
    const char *names, *program, *meaning;
    const char *instead; /* what to do with clio; NULL: nothing comes close */
};

/* The option that `word` is in whisper.cpp or stable-diffusion.cpp, that program first whose work this command does; NULL: in neither. */
const struct foreign_option *foreign_find(const struct command *command, const char *word);

#endif
