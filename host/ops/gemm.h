/* gemm.h - shared by matrix.c, which packs weights, op_gemm.c, which multiplies with them, the convolutions and the gradients. */
#ifndef CLIO_OPS_GEMM_H
#define CLIO_OPS_GEMM_H

#include "autograd_matmul.h"

/* op_gemm_fwd without what a tape divides. record: how to record the call if there is a tape, or NULL. */
clio_status gemm_run(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct matrix *w, int m,
                     const struct gemm_epilogue *epilogue, const struct matmul_call *record);
/* The same with op_conv1d_fwd. */
clio_status conv1d_run(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                       int kernel, int stride, int padding, const struct gemm_epilogue *epilogue, const struct matmul_call *record);

/* Whether a kernel family for m rows reads the layout and storage of w and passes its self-test; w needs no memory yet. */
clio_status gemm_reads(clio_context *ctx, const struct matrix *w, int m, bool *works);

/* Whether the device can have the work-groups and the local memory of gemm_tile with the parameters that hold (cl/gemm.cl). */
bool gemm_tile_fits(clio_context *ctx);

/* matrix_swap; with `flip` the kernel positions in reverse order, which makes the gradient of a convolution of stride 1 a convolution. */
clio_status matrix_turn(clio_context *ctx, struct arena *arena, struct matrix *out, const struct matrix *w, int taps, bool flip);

#endif
