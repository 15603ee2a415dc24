/* gemm.h - shared by matrix.c, which packs weights, op_gemm.c, which multiplies with them, and the gradients. */
#ifndef CLIO_OPS_GEMM_H
#define CLIO_OPS_GEMM_H

#include "ops.h"

/* Whether a kernel family for m rows reads the layout and storage of w and passes its self-test; w needs no memory yet. */
clio_status gemm_reads(clio_context *ctx, const struct matrix *w, int m, bool *works);

/* matrix_swap; with `flip` the kernel positions in reverse order, which makes the gradient of a convolution of stride 1 a convolution. */
clio_status matrix_turn(clio_context *ctx, struct arena *arena, struct matrix *out, const struct matrix *w, int taps, bool flip);

#endif
