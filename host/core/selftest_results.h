/* selftest_results.h - what the first-use checks found: whether a path (a family of kernels, or a library) answers rightly on this device
 * with this driver. One verdict for each variant of a path, a variant being what is compiled: the -D options, or the length of a transform.
 *
 * Verdicts live in the context and in a text file of the cache folder, checks-<hash>.txt, written beside its name and renamed:
 *
 *     clio-checks-1
 *     platform ... / device ... / driver ... / clio ...     must all be as now, the kernels' sources too; else the file is as if empty
 *     gemm.panel [-DW_F16=0 -DMR=8] ok
 *     clfft [n=400] failed: answers wrongly (error 0.3 of 12)
 *
 * A cache that cannot be read or written is never an error: the checks are then made again. The checks themselves: host/ops/selftest.h, and
 * fft.c. CLIO_DISABLE (gemm.panel,clfft) switches paths off as if they had failed. */
#ifndef CLIO_CORE_SELFTEST_RESULTS_H
#define CLIO_CORE_SELFTEST_RESULTS_H

#include "mem.h"

struct verdict {
    char path[24];
    char variant[176]; /* "*": all, by CLIO_DISABLE */
    char reason[200];  /* why the path is switched off; empty: it answers rightly */
};
struct verdicts {
    struct verdict *list;
    size_t count, capacity;
    bool is_loaded;
    bool trusting; /* nothing is looked up: set while a check runs, and by whoever compares with host/ref itself */
};

/* Empty, but for what CLIO_DISABLE names; a name that there is not is an error with its sentence. */
clio_status verdicts_open(clio_context *ctx);
void verdicts_close(clio_context *ctx);
/* NULL: not checked yet. Valid until the next verdict is added. */
const struct verdict *verdict_find(clio_context *ctx, const char *path, const char *variant);
/* Keep a verdict, on disk too; reason NULL or "": the path answers rightly. */
clio_status verdict_add(clio_context *ctx, const char *path, const char *variant, const char *reason);

#endif
