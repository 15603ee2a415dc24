/* selftest.h - self-tests at first use: before a variant of a kernel family, or a library, is used on a device and driver, its operation
 * runs with it on small odd shapes, with guard words behind the output, and the output is compared with host/ref. A variant that gives a
 * wrong result, does not compile or cannot be launched is disabled, that variant alone, and the operation uses the next family. What it
 * computed, right or wrong, is kept on disk; a call that failed twice disables the variant in this process only: core/selftest_results.h.
 *
 * A self-test compiles exactly what the operation is about to compile. */
#ifndef CLIO_OPS_SELFTEST_H
#define CLIO_OPS_SELFTEST_H

#include "ops.h"

struct selftest {
    const char *family;  /* a name of families.c */
    const char *variant; /* what is compiled: the -D options; for a library the kind of call */
    struct {
        const char *key, *value; /* parameters with which the operation chooses this variant; unused ones NULL */
    } params[3];
    /* The shape that leads to this variant; 0: the one that the self-test has by default. */
    int m, n, k;             /* gemm: sizes; convolutions: n output and k input channels; clfft: m frames of n samples */
    int batch;               /* gemm: not 0 for batched matmul of activations; convolutions: images */
    bool transposed;         /* batched matmul: b is [n, k] */
    int kernel_size, stride; /* convolutions */
    int head_dim;            /* attention */
    bool padded;             /* attention: with key lengths */
    int groups;              /* norm: groups of channels; 0 for layer norm */
    int act;                 /* group norm */
};
/* Whether the variant may be used: by an earlier result, otherwise by running the self-test. */
clio_status selftest_passes(clio_context *ctx, const struct selftest *test, bool *passes);

struct workspace;
/* Runs the operation as the test says, and compares; what is wrong is left in the workspace. */
typedef clio_status selftest_fn(clio_context *ctx, const struct selftest *test, struct workspace *w);

/* More than 16 rows, and more than one tile of the shipped parameters. */
#define SELFTEST_MANY 67

#endif
