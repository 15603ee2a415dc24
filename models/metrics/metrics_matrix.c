/* metrics_matrix.c - the linear algebra of distances between sets of features, in double: matmul, pivoted Cholesky decomposition and
 * eigenvalues of a covariance, the last two by LAPACK (dpstrf, dsyev) through LAPACKE.
 *
 * LAPACK is column-major: the lower triangle of a row-major matrix is its upper triangle, so that nothing is transposed.
 * Rejected: a matrix square root by two full eigenvalue decompositions with vectors, as most programs for the Frechet distance do it: ten
 * times the work of what frechet_distance needs. cblas_dgemm for the matmul: with the reference BLAS, which distributions install with
 * LAPACK by default, it took three times as long as this loop for 1024 x 1024 matrices, and the order of its sums depends on which BLAS
 * is installed. */
#include "metrics.h"

#include <float.h>
#include <lapacke.h>
#include <stdlib.h>
#include <string.h>

/* ---- matmul ---- */

#define TILE 4    /* a work-item is TILE x TILE sums, which stay in registers */
#define DEPTH 256 /* ... over at most this many terms at a time */
#define BLOCK 64  /* rows of b that are packed at a time, so that they stay in the cache */

/* Rows first .. first + TILE of m from column `from` on, as [depth, TILE]; rows that are not there are 0. */
static void pack(double *out, const double *m, size_t rows, size_t length, size_t first, size_t from, size_t depth)
{
    for (size_t i = 0; i < TILE; i++)
        for (size_t k = 0; k < depth; k++)
            out[k * TILE + i] = first + i < rows ? m[(first + i) * length + from + k] : 0;
}

/* sums [TILE, TILE] = a [depth, TILE]^T b [depth, TILE]. Written out, since compilers keep only such sums in registers. */
static void multiply(double sums[TILE * TILE], const double *a, const double *b, size_t depth)
{
    double r0[TILE] = {0}, r1[TILE] = {0}, r2[TILE] = {0}, r3[TILE] = {0};
    for (size_t k = 0; k < depth; k++, a += TILE, b += TILE) {
        r0[0] += a[0] * b[0], r0[1] += a[0] * b[1], r0[2] += a[0] * b[2], r0[3] += a[0] * b[3];
        r1[0] += a[1] * b[0], r1[1] += a[1] * b[1], r1[2] += a[1] * b[2], r1[3] += a[1] * b[3];
        r2[0] += a[2] * b[0], r2[1] += a[2] * b[1], r2[2] += a[2] * b[2], r2[3] += a[2] * b[3];
        r3[0] += a[3] * b[0], r3[1] += a[3] * b[1], r3[2] += a[3] * b[2], r3[3] += a[3] * b[3];
    }
    memcpy(sums, r0, sizeof r0);
    memcpy(sums + TILE, r1, sizeof r1);
    memcpy(sums + 2 * TILE, r2, sizeof r2);
    memcpy(sums + 3 * TILE, r3, sizeof r3);
}

clio_status matrix_product(clio_context *ctx, double *c, size_t stride, const double *a, size_t rows, const double *b, size_t columns,
                           size_t depth, bool lower)
{
    clio_status st = CLIO_OK;
    double *pa = NULL, *pb = NULL, sums[TILE * TILE];
    TRY(mem_alloc(ctx, &pa, DEPTH * TILE, sizeof *pa));
    TRY(mem_alloc(ctx, &pb, DEPTH * BLOCK, sizeof *pb));
    for (size_t k = 0; k < depth; k += DEPTH)
        for (size_t first = 0; first < columns; first += BLOCK) {
            size_t length = MIN(depth - k, (size_t)DEPTH), end = MIN(first + BLOCK, columns);
            for (size_t j = first; j < end; j += TILE)
                pack(pb + (j - first) * length, b, columns, depth, j, k, length);
            for (size_t i = lower ? first : 0; i < rows; i += TILE) {
                pack(pa, a, rows, depth, i, k, length);
                for (size_t j = first; j < end && (!lower || j < i + TILE); j += TILE) {
                    multiply(sums, pa, pb + (j - first) * length, length);
                    for (size_t y = i; y < MIN(i + TILE, rows); y++)
                        for (size_t x = j; x < MIN(j + TILE, columns); x++)
                            c[y * stride + x] += sums[(y - i) * TILE + x - j];
                }
            }
        }
fail:
    free(pa);
    free(pb);
    return st;
}

/* ---- LAPACK ---- */

/* LAPACK's info code as a sentence: below 0 an argument was refused (LAPACKE also looks for NaN), above 0 the algorithm failed. */
static clio_status fail_lapack(clio_context *ctx, const char *what, const char *routine, lapack_int info, int n)
{
    clio_status st = CLIO_OK;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for %s of a %d x %d matrix; close other programs", what, n, n);
    if (info < 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s of a %d x %d matrix cannot be computed: it contains NaN (LAPACK %s, info %d)", what, n, n, routine,
             (int)info);
    FAIL(ctx, CLIO_ERROR_INTERNAL,
         "%s of a %d x %d matrix did not converge (LAPACK %s, info %d): the features span too many orders of magnitude", what, n, n,
         routine, (int)info);
fail:
    return st;
}

clio_status matrix_root(clio_context *ctx, double *l, int *rank, const double *a, int n)
{
    clio_status st = CLIO_OK;
    size_t size = (size_t)n;
    double *u = NULL, largest = 0;
    lapack_int *pivots = NULL, info, found = 0;
    *rank = 0;
    TRY(mem_alloc(ctx, &u, size * size, sizeof *u));
    TRY(mem_alloc(ctx, &pivots, size, sizeof *pivots));
    memcpy(u, a, size * size * sizeof *u);
    for (size_t i = 0; i < size; i++)
        largest = MAX(largest, a[i * size + i]);
    info = LAPACKE_dpstrf(LAPACK_COL_MAJOR, 'U', n, u, n, pivots, &found, n * DBL_EPSILON * largest);
    if (info < 0)
        TRY(fail_lapack(ctx, "the Cholesky decomposition", "dpstrf", info, n)); /* 1: the rank is below n, which is no failure */
    memset(l, 0, (size_t)found * size * sizeof *l);
    for (size_t r = 0; r < (size_t)found; r++)
        for (size_t i = r; i < size; i++)
            l[r * size + (size_t)pivots[i] - 1] = u[i * size + r]; /* P^T A P = U^T U */
    *rank = (int)found;
fail:
    free(u);
    free(pivots);
    return st;
}

clio_status matrix_eigenvalues(clio_context *ctx, double *values, double *a, int n)
{
    clio_status st = CLIO_OK;
    lapack_int info;
    if (n < 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "eigenvalues of a matrix of %d rows were asked for; this is a defect of clio, please report it", n);
    info = LAPACKE_dsyev(LAPACK_COL_MAJOR, 'N', 'U', n, a, n, values);
    if (info)
        TRY(fail_lapack(ctx, "the eigenvalue decomposition", "dsyev", info, n));
fail:
    return st;
}
