/* profile.h - the table that -v prints: what each kernel did. */
#ifndef CLIO_CLI_PROFILE_H
#define CLIO_CLI_PROFILE_H

#include <clio.h>

/* On standard error; nothing when no kernel ran. */
void profile_print(clio_context *ctx);

#endif
