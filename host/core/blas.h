/* blas.h - CLBlast behind one call. */
#ifndef CLIO_CORE_BLAS_H
#define CLIO_CORE_BLAS_H

#include "tensor.h"

/* C[m,n] = A[m,k] B[k,n], f32, row-major; B is stored as [n,k] if transpose_b, A as [k,m] if transpose_a. Leading dimensions, offsets and
 * the steps between the matrices of a batch are in elements. */
struct blas_gemm {
    int m, n, k, lda, ldb, ldc;
    size_t a_offset, b_offset, c_offset;
    size_t a_step, b_step, c_step; /* between batches, elements */
    int batch;
    bool transpose_b, transpose_a;
};
clio_status blas_gemm(clio_context *ctx, const struct tensor *c, const struct tensor *a, const struct tensor *b, const struct blas_gemm *g);

#endif
