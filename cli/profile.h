/* profile.h - the profile that -v prints: a row per kernel. */
#ifndef CLIO_CLI_PROFILE_H
#define CLIO_CLI_PROFILE_H

#include <clio.h>

/* Print it on standard error; nothing when no kernel ran. */
void profile_print(clio_context *ctx);

#endif
