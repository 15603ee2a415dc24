/* train_list.h - clio train --list: the models and their settings, from the library's tables. */
#ifndef CLIO_CLI_TRAIN_LIST_H
#define CLIO_CLI_TRAIN_LIST_H

#include "session.h"

/* Print the models, or the settings of one (model not NULL), as text or with --json as JSON. Returns the exit code. */
int train_list(struct session *s, const char *model);

#endif
