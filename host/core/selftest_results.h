/* selftest_results.h - results of the self-tests that run at the first use of a kernel family or library on a device: whether it computes
 * correctly with this driver. There is one result per variant of a family; a variant is what is compiled (the -D options) or, for a
 * library, the kind of call.
 *
 * Results are held by the context and in a text file of the cache folder, selftests-<hash>.txt, written to a temporary name and renamed:
 *
 *     clio-selftests-2
 *     platform ... / device ... and its limits / driver ... / clio ...     must all match; otherwise the file is ignored
 *     gemm.panel [-DW_F16=0 -DMR=8] ok
 *     clfft [n=400] failed: wrong result (error 0.3 of 12)
 *     gemm.bf16 [-DMR=8 -DDOTS=1] died
 *
 * Only what a self-test found out is kept: the result was right or wrong, or the process ended during it (selftest_trial.h). A call that
 * failed says nothing about the variant: it is off in this process alone, and the next one tests it again. A cache that cannot be read or
 * written is not an error: the self-tests then run again. The self-tests themselves: host/ops/selftest.h. */
#ifndef CLIO_CORE_SELFTEST_RESULTS_H
#define CLIO_CORE_SELFTEST_RESULTS_H

#include "mem.h"

struct device;

enum selftest_outcome {
    SELFTEST_PASSED,
    SELFTEST_WRONG,   /* computed something else than the reference */
    SELFTEST_DIED,    /* an earlier process ended during it */
    SELFTEST_FAILED,  /* a call failed: off in this process, not kept */
    SELFTEST_DISABLED /* by CLIO_DISABLE, not kept */
};
struct selftest_result {
    enum selftest_outcome outcome;
    char family[24];   /* a name of the family table */
    char variant[176]; /* "*": all variants, by CLIO_DISABLE */
    char reason[200];  /* why the variant is disabled; empty: it passed */
};
struct selftest_results {
    struct selftest_result *list;
    size_t count, capacity;
    bool is_loaded;
    bool bypassed; /* every variant counts as passed: set while a self-test runs, and by callers that compare with host/ref themselves */
};

/* The table of kernel families, as a context has it from clio_create. Here only the names and the rules of parameters are used;
 * host/ops/families.h has the rest. */
struct family_table {
    const char *(*name)(size_t i); /* of the i-th family; NULL behind the last */
    const struct kernel_family *rows;
    size_t count;
    const struct family_operation *operations;
    size_t operation_count;
    const struct param_rule *(*rule)(const char *key); /* core/params.h; NULL: there is no such parameter */
    /* The name of a group of parameters that this device cannot run because of the rows from `first` on, or NULL. */
    const char *(*broken_step)(clio_context *ctx, size_t first);
};

/* Start empty, except for what CLIO_DISABLE names; CLIO_ERROR_ARGUMENT for an unknown name. */
clio_status selftest_results_open(clio_context *ctx);
void selftest_results_close(clio_context *ctx);
/* What is known about a device that need not be open: CLIO_DISABLE and the cache file, added to the empty `results`. The caller frees
 * results->list. */
clio_status selftest_results_read(clio_context *ctx, const struct device *d, struct selftest_results *results);
/* Read the cache file of the open device now, unless that was done. */
clio_status selftest_results_load(clio_context *ctx);
/* Whether result i counts: no earlier one is for the same variant (CLIO_DISABLE comes first). */
bool selftest_results_counts(const struct selftest_results *results, size_t i);
/* Whether the result is for all variants of its family. */
bool selftest_result_is_general(const struct selftest_result *result);

/* The result for a variant; NULL: not tested yet. Valid until the next result is added. */
const struct selftest_result *selftest_result_find(clio_context *ctx, const char *family, const char *variant);
/* Add a result and write the cache file, if it is one to keep; reason: why the variant is off, NULL or "" if it passed. */
clio_status selftest_result_add(clio_context *ctx, const char *family, const char *variant, enum selftest_outcome outcome,
                                const char *reason);
/* Mark in the cache that this self-test runs, until selftest_trial_end(&ctx->trial). */
void selftest_result_begin(clio_context *ctx, const char *family, const char *variant);
/* Path of the cache file of the open device in fresh memory, or NULL when there is no cache: deleting it repeats all self-tests. */
clio_status selftest_results_path(clio_context *ctx, char **out);

#endif
