/* params.h - tunable parameters as rows of text: shipped defaults by kind of device (cl/tunables.txt), then the file that `clio tune` wrote
 * for this device, then the user's own ($CLIO_PARAMS), then those of clio_set_weight_type. A row is `kind key value`; kind is any, cpu
 * (devices with vectors: simd_width above 1), gpu (the rest) or an architecture (core/device.h); # begins a comment. The last matching row
 * wins, so rows for few devices stand behind those for many.
 *
 * The tuned file lies in $CLIO_TUNED_DIR, else $XDG_CONFIG_HOME/clio/tuned, else ~/.config/clio/tuned, and is named after platform, device
 * and driver. Its first lines name them exactly (params_tuned_header): a file for another device or driver is not read. Nor is one that is
 * broken (a line that is no row, a key that nothing reads, a word where a number stands): opening the device does not fail for it. */
#ifndef CLIO_CORE_PARAMS_H
#define CLIO_CORE_PARAMS_H

#include "mem.h"

struct param {
    char kind[12], key[40], value[40];
};
struct params {
    struct param *rows;
    size_t count, capacity;
    char *tuned;        /* where the tuned file of this device lies or would lie; NULL: there is no place for it */
    bool is_tuned;      /* it was read */
    char problem[1280]; /* it is there, and was not read: why; otherwise empty */
};
clio_status params_open(clio_context *ctx);
/* The shipped rows alone. */
clio_status params_open_shipped(clio_context *ctx);
void params_close(clio_context *ctx);
/* Append one row, which then wins over all before it. */
clio_status params_add(clio_context *ctx, const char *kind, const char *key, const char *value);
/* Forget all rows behind the first `count`. */
void params_cut(clio_context *ctx, size_t count);
/* The value of `key` for the open device; `otherwise` where no row has it. */
int params_int(clio_context *ctx, const char *key, int otherwise);
/* Whether the value of `key` is the word `value`. */
bool params_is(clio_context *ctx, const char *key, const char *value);
/* The value of `key` as text, or NULL; valid until rows are added or cut. */
const char *params_text(clio_context *ctx, const char *key);

/* Where the tuned file of the open device lies, in fresh memory; NULL: no variable says. */
clio_status params_tuned_path(clio_context *ctx, char **out);
/* The lines that a tuned file for the open device begins with. */
clio_status params_tuned_header(clio_context *ctx, struct bytes *text);

#endif
