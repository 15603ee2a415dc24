/* params.h - tunable parameters as rows of text: shipped defaults by kind of device (cl/tunables.txt), then the user's file ($CLIO_PARAMS).
 * A row is `kind key value`; kind is cpu, gpu or any; # begins a comment. The last matching row wins. */
#ifndef CLIO_CORE_PARAMS_H
#define CLIO_CORE_PARAMS_H

#include "mem.h"

struct param {
    char kind[8], key[40], value[40];
};
struct params {
    struct param *rows;
    size_t count, capacity;
};
clio_status params_open(clio_context *ctx);
void params_close(clio_context *ctx);
/* Append one row, which then wins over all before it. */
clio_status params_add(clio_context *ctx, const char *kind, const char *key, const char *value);
/* The value of `key` for the open device; `otherwise` where no row has it. */
int params_int(clio_context *ctx, const char *key, int otherwise);
/* Whether the value of `key` is the word `value`. */
bool params_is(clio_context *ctx, const char *key, const char *value);

#endif
