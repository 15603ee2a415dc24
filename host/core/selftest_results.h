/* selftest_results.h - results of the self-tests that run at the first use of a kernel family or library on a device: whether it computes
 * correctly with this driver. There is one result per variant of a family; a variant is what is compiled (the -D options) or, for a
 * library, the kind of call.
 *
 * Results are held by the context and in a text file of the cache folder, selftests-<hash>.txt, written to a temporary name and renamed:
 *
 *     clio-selftests-1
 *     platform ... / device ... / driver ... / clio ...     must all match; otherwise the file is ignored
 *     gemm.panel [-DW_F16=0 -DMR=8] ok
 *     clfft [n=400] failed: wrong result (error 0.3 of 12)
 *
 * A cache that cannot be read or written is not an error: the self-tests then run again. The self-tests themselves: host/ops/selftest.h.
 * CLIO_DISABLE (for example gemm.panel,clfft) disables families as if their self-test had failed. */
#ifndef CLIO_CORE_SELFTEST_RESULTS_H
#define CLIO_CORE_SELFTEST_RESULTS_H

#include "mem.h"

struct device;

struct selftest_result {
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

/* The table of kernel families, as a context has it from clio_create. Here only the names are read; host/ops/families.h has the rest. */
struct family_table {
    const char *(*name)(size_t i); /* of the i-th family; NULL behind the last */
    const struct kernel_family *rows;
    size_t count;
    const struct family_operation *operations;
    size_t operation_count;
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
/* Add a result and write the cache file; reason NULL or "": passed. */
clio_status selftest_result_add(clio_context *ctx, const char *family, const char *variant, const char *reason);

#endif
