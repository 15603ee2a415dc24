/* autograd_matmul.h - what gemm, conv1d, conv2d and conv2d_transposed have in common under a tape: each is a matmul with packed weights,
 * followed by bias, activation and residual.
 *   autograd_matmul.c  op_gemm_fwd, op_conv1d_fwd, op_conv2d_fwd and op_conv2d_transposed_fwd, their backward, and calls that are divided
 *   matmul_record.c    matmul_record, for the files of these operations: gemm_run, conv1d_run, conv2d_run and conv2d_transposed_run
 *                      compute, and record the call if they get one. Gradients, which are such operations too, are not recorded. */
#ifndef CLIO_OPS_AUTOGRAD_MATMUL_H
#define CLIO_OPS_AUTOGRAD_MATMUL_H

#include "tape.h"

struct matmul_call {
    enum { MATMUL_GEMM, MATMUL_CONV1D, MATMUL_CONV2D, MATMUL_CONV2D_TRANSPOSED } kind;
    int m;                       /* gemm: rows */
    int kernel, stride, padding; /* conv1d */
    struct conv2d_window window; /* conv2d, transposed */
    tape_backward_fn backward;   /* of the record */
};

/* Of the record: its tensors, and its arguments. */
enum { MATMUL_OUT, MATMUL_IN, MATMUL_W, MATMUL_BIAS, MATMUL_RESIDUAL };
struct matmul_args {
    struct matmul_call call;
    int act;
    float alpha, slope;
};

/* Record the call if there is a tape. CLIO_ERROR_INTERNAL for views. call NULL: not recorded. e may be NULL. */
clio_status matmul_record(clio_context *ctx, const struct matmul_call *call, const struct tensor *out, const struct tensor *in,
                          const struct matrix *w, const struct gemm_epilogue *e);

#endif
