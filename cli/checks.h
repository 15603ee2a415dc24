/* checks.h - what the library's first-use checks on a device found, as a line for people and as JSON. */
#ifndef CLIO_CLI_CHECKS_H
#define CLIO_CLI_CHECKS_H

#include "command.h"

#include <jansson.h>
#include <stdio.h>

/* "gemm.panel, norm.row; switched off: clfft n=400 (answers wrongly (error 0.3))", or "nothing yet". Without the end of the line. */
void checks_print(clio_context *ctx, int index, FILE *out);
/* [{"path": "gemm.panel", "variant": "-DMR=8", "problem": null}, ...]; variant null: all of them. */
json_t *checks_json(clio_context *ctx, int index);

#endif
