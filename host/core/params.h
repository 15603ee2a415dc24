/* params.h - tunable parameters as rows of text: shipped defaults by type of device (cl/tunables.txt), then the file that `clio tune` wrote
 * for this device, then the file $CLIO_PARAMS, then the rows of clio_set_weight_type. A row is `kind key value`; kind is any, cpu (devices
 * with vector units: simd_width above 1), gpu (the rest) or an architecture (core/device.h); # starts a comment. The last matching row
 * wins, so special rows follow general ones.
 *
 * The tuned file is in $CLIO_TUNED_DIR, else $XDG_CONFIG_HOME/clio/tuned, else ~/.config/clio/tuned, and is named after platform, device
 * and driver. Its first lines name them exactly (params_tuned_header): a file for another device or driver is ignored.
 *
 * A row of a file must be well-formed, have a known key, and a value that the kernels and the device can run (the rules that the tuner
 * keeps to: host/ops/param_rules.c, families.c). A tuned file with any other row is ignored, and the device opens without it; in
 * $CLIO_PARAMS it is an error. */
#ifndef CLIO_CORE_PARAMS_H
#define CLIO_CORE_PARAMS_H

#include "mem.h"

struct param {
    char kind[12], key[40], value[40];
};
/* The values that a parameter may have: numbers from low to high, multiples of `multiple`; or one of `words`, which spaces separate. */
struct param_rule {
    const char *key;
    int low, high, multiple;
    const char *words;
};
struct params {
    struct param *rows;
    size_t count, capacity;
    char *tuned;        /* path of the tuned file of this device, whether it exists or not; NULL: no folder for it */
    bool is_tuned;      /* the tuned file was read */
    char problem[1280]; /* why the tuned file was ignored; otherwise empty */
};
clio_status params_open(clio_context *ctx);
/* The shipped rows alone. */
clio_status params_open_shipped(clio_context *ctx);
void params_close(clio_context *ctx);
/* Append one row, which overrides all before it. */
clio_status params_add(clio_context *ctx, const char *kind, const char *key, const char *value);
/* Remove all rows after the first `count`. */
void params_cut(clio_context *ctx, size_t count);
/* The value of `key` for the open device; `otherwise` if no row has it. */
int params_int(clio_context *ctx, const char *key, int otherwise);
/* Whether the value of `key` is the word `value`. */
bool params_is(clio_context *ctx, const char *key, const char *value);
/* The value of `key` as text, or NULL; valid until rows are added or cut. */
const char *params_text(clio_context *ctx, const char *key);

/* Path of the tuned file of the open device, in new memory; NULL if no environment variable gives a folder. */
clio_status params_tuned_path(clio_context *ctx, char **out);
/* The first lines of a tuned file for the open device. */
clio_status params_tuned_header(clio_context *ctx, struct bytes *text);

#endif
