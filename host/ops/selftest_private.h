/* selftest_private.h - shared by the files of the self-tests (selftest.h): buffers of a test, and the tests of all families.
 *   selftest.c            when a test runs, and what its result is
 *   selftest_workspace.c  buffers, and the comparison of results
 *   selftest_matmul.c     gemm and convolutions, forward and backward
 *   selftest_rows.c       attention, norms, softmax, logits, Fourier transforms */
#ifndef CLIO_OPS_SELFTEST_PRIVATE_H
#define CLIO_OPS_SELFTEST_PRIVATE_H

#include "selftest.h"

/* Tensors and host arrays of a test, released together. */
struct workspace {
    struct tensor tensors[8];
    void *arrays[16];
    int tensor_count, array_count;
    struct arena arena;
    double tolerance; /* relative to the largest value; 0: that of f32 sums */
    char wrong[96];   /* what a comparison found; empty: correct */
};
void workspace_free(clio_context *ctx, struct workspace *ws);
/* `count` floats in [-1, 1), different ones in each call, rounded to values that `dtype` represents; NULL when out of memory. */
float *workspace_floats(struct workspace *ws, size_t count, enum dtype dtype);
/* A tensor with `data`, or filled with guard words, and guard words behind it. */
clio_status workspace_place(clio_context *ctx, struct workspace *ws, struct tensor **out, struct tensor shape, const void *data);
/* Read the tensor into new memory of the workspace, and check its guard words. */
clio_status workspace_fetch(clio_context *ctx, struct workspace *ws, const struct tensor *t, float **out);
/* Compare x with `want`, and describe a difference in ws->wrong. */
void workspace_compare(struct workspace *ws, const float *x, const float *want, size_t count);

/* The self-tests of the rows of families.c. */
selftest_fn selftest_gemm, selftest_conv, selftest_transposed, selftest_weights, selftest_attention, selftest_norm, selftest_softmax,
    selftest_logits, selftest_clfft;

#endif
