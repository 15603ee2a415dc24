/* selftests.h - results of the library's self-tests on a device, as a line of text and as JSON. */
#ifndef CLIO_CLI_SELFTESTS_H
#define CLIO_CLI_SELFTESTS_H

#include <clio.h>
#include <jansson.h>
#include <stdio.h>

/* "gemm.panel, norm.row; off: clfft n=400 (wrong result (error 0.3))", or "none yet". No line end. */
void selftests_print(clio_context *ctx, int index, FILE *out);
/* [{"path": "gemm.panel", "variant": "-DMR=8", "problem": null}, ...]; variant null: all of them. */
json_t *selftests_json(clio_context *ctx, int index);

#endif
