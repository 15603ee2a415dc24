/* completion.h - what the completion scripts of all shells offer as values of options and as operands. */
#ifndef CLIO_CLI_COMPLETION_H
#define CLIO_CLI_COMPLETION_H

#include "options.h"

/* Words separated by spaces that can follow this option, or NULL: choices, language codes, types of devices, names of training settings
 * with '='. The caller frees them. */
char *completion_words(const struct option_row *row);
/* Can a file name follow this option? */
bool completion_takes_path(const struct option_row *row);
/* The models of clio train, separated by spaces; the caller frees them. */
char *completion_train_models(void);

#endif
