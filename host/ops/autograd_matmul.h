/* autograd_matmul.h - what op_gemm_fwd, op_conv1d_fwd, op_conv2d_fwd and op_conv2d_transposed_fwd do under a tape, which is the same for
 * all: they are products with a matrix of weights, a bias, an activation and a residual. */
#ifndef CLIO_OPS_AUTOGRAD_MATMUL_H
#define CLIO_OPS_AUTOGRAD_MATMUL_H

#include "ops.h"

struct product {
    enum { PRODUCT_GEMM, PRODUCT_CONV1D, PRODUCT_CONV2D, PRODUCT_CONV2D_TRANSPOSED } kind;
    int m;                       /* gemm: rows */
    int kernel, stride, padding; /* conv1d */
    struct conv2d_window window; /* conv2d, transposed */
};

/* Whether ctx has a tape, and the backward needs what a kernel with this epilogue does not store: then product_apart does the call, as one
 * without activation and residual followed by those. */
bool product_comes_apart(const clio_context *ctx, const struct gemm_epilogue *e);
clio_status product_apart(clio_context *ctx, struct arena *arena, const struct product *p, const struct tensor *out,
                          const struct tensor *in, const struct matrix *w, const struct gemm_epilogue *e);
/* Record the call if there is a tape; views are refused. e may be NULL. */
clio_status product_record(clio_context *ctx, const struct product *p, const struct tensor *out, const struct tensor *in,
                           const struct matrix *w, const struct gemm_epilogue *e);

#endif
