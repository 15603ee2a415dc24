/* checks.h - the first use of a fast path: before a variant of a kernel family, or a library, serves a device and driver, the operation is
 * run with it at small odd shapes, canaries behind its result, and compared with host/ref. A path that answers wrongly, does not compile or
 * cannot be launched is switched off alone, and the operation that asked takes the next one. Verdicts are kept: core/verdict.h.
 *
 * What is compiled for a check is what the operation was about to compile. A path that computes in another type than f32 (native half,
 * sub-groups, matrix engines) is one more row of the table in checks.c, and one more candidate in its operation. */
#ifndef CLIO_OPS_CHECKS_H
#define CLIO_OPS_CHECKS_H

#include "ops.h"

struct check {
    const char *path;    /* as in core/verdict.c */
    const char *variant; /* what is compiled: the -D options; for a library the kind of call */
    struct {
        const char *key, *value; /* rows of parameters with which the operation takes this path; unused ones NULL */
    } force[3];
    int m, n, k; /* gemm: rows, which decide about the kernel; n and k for a library, else 0; transposed: n outputs */
    int batch;   /* gemm: not 0 for a product of activations (op_matmul); conv, transposed: images, 0 for a few */
    bool transposed;
    int head_dim; /* attention */
    bool padded;  /* attention: with key lengths */
    int groups;   /* norm: of channels; 0 for layer norm */
    int act;      /* group norm */
};
/* Whether the path may be used: as found earlier, else by running the check. */
clio_status check_path(clio_context *ctx, const struct check *check, bool *works);
/* CLIO_ERROR_DEVICE: nothing is left that could do `what` ("multiplies matrices"). */
clio_status check_none_left(clio_context *ctx, const char *what);

/* More than 16 rows, and more than one tile of the shipped parameters. */
#define CHECK_MANY 67

#endif
