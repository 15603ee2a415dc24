/* overview.h - what clio(1) says about all commands together. */
#ifndef CLIO_CLI_OVERVIEW_H
#define CLIO_CLI_OVERVIEW_H

#include "command.h"

extern const char overview_summary[], overview_synopsis[], overview_description[];
extern const char overview_options[]; /* how options are written; in the page of every command */
extern const struct section overview_sections[];

#endif
