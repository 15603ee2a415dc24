/* autograd_matmul.h - what gemm, conv1d, conv2d and conv2d_transposed have in common under a tape: each is a matmul with packed weights,
 * followed by bias, activation and residual. */
#ifndef CLIO_OPS_AUTOGRAD_MATMUL_H
#define CLIO_OPS_AUTOGRAD_MATMUL_H

#include "ops.h"

struct matmul_call {
    enum { MATMUL_GEMM, MATMUL_CONV1D, MATMUL_CONV2D, MATMUL_CONV2D_TRANSPOSED } kind;
    int m;                       /* gemm: rows */
    int kernel, stride, padding; /* conv1d */
    struct conv2d_window window; /* conv2d, transposed */
};

/* Whether the call must be recorded as separate operations, because the backward needs a value that a kernel with this epilogue does not
 * store: then matmul_split_fwd runs it as a matmul, then activation, then residual. */
bool matmul_must_split(const clio_context *ctx, const struct gemm_epilogue *e);
clio_status matmul_split_fwd(clio_context *ctx, struct arena *arena, const struct matmul_call *p, const struct tensor *out,
                             const struct tensor *in, const struct matrix *w, const struct gemm_epilogue *e);
/* Record the call if there is a tape. CLIO_ERROR_INTERNAL for views. e may be NULL. */
clio_status matmul_record(clio_context *ctx, const struct matmul_call *p, const struct tensor *out, const struct tensor *in,
                          const struct matrix *w, const struct gemm_epilogue *e);

#endif
