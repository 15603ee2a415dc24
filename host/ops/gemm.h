/* gemm.h - what the operations with packed weights ask of each other: matrix.c, which makes matrices, of op_gemm.c, which multiplies with
 * them, and gradients of matrix.c. */
#ifndef CLIO_OPS_GEMM_H
#define CLIO_OPS_GEMM_H

#include "ops.h"

/* Whether a kernel for m rows that reads w's layout and storage is right on this device; w needs no memory yet. */
clio_status gemm_reads(clio_context *ctx, const struct matrix *w, int m, bool *works);

/* matrix_swap, and when `flip` the taps in reverse order: then the gradient of a convolution of stride 1 is a convolution. */
clio_status matrix_turn(clio_context *ctx, struct arena *arena, struct matrix *out, const struct matrix *w, int taps, bool flip);

#endif
