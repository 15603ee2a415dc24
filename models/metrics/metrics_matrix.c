/* metrics_matrix.c - the linear algebra of distances between sets of features: products, a root of a covariance, eigenvalues, in double.
 * Rejected: LAPACK, which would bring a Fortran runtime for three routines; a matrix square root by two full eigenvalue decompositions with
 * vectors, as most programs for the Frechet distance do it: ten times the work of what frechet_distance needs. */
#include "metrics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- product ---- */

#define TILE 4    /* a work piece is TILE x TILE numbers, which stay in registers */
#define DEPTH 256 /* ... over so many products at a time */
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

/* ---- root ---- */

/* y += factor x, eight at a time */
static void add_scaled(double *y, const double *x, double factor, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++)
            y[i + j] += factor * x[i + j];
    for (; i < n; i++)
        y[i] += factor * x[i];
}

clio_status matrix_root(clio_context *ctx, double *l, int *rank, const double *a, int n)
{
    clio_status st = CLIO_OK;
    double *rest = NULL, largest = 0; /* what is left of the diagonal */
    size_t size = (size_t)n;
    *rank = 0;
    TRY(mem_alloc(ctx, &rest, size, sizeof *rest));
    for (size_t i = 0; i < size; i++) {
        rest[i] = a[i * size + i];
        largest = MAX(largest, rest[i]);
    }
    for (int r = 0; r < n; r++) {
        double *row = l + (size_t)r * size;
        size_t p = 0;
        for (size_t i = 1; i < size; i++)
            p = rest[i] > rest[p] ? i : p;
        if (!(rest[p] > n * DBL_EPSILON * largest))
            break;
        for (size_t i = 0; i < size; i++)
            row[i] = i <= p ? a[p * size + i] : a[i * size + p];
        for (int k = 0; k < r; k++)
            add_scaled(row, l + (size_t)k * size, -l[(size_t)k * size + p], size);
        for (size_t i = 0; i < size; i++) {
            row[i] = rest[i] < 0 ? 0 : row[i] / sqrt(rest[p]); /* the pivots before have no part in it any more */
            if (i != p && rest[i] >= 0)
                rest[i] = MAX(rest[i] - row[i] * row[i], 0.0);
        }
        row[p] = sqrt(rest[p]);
        rest[p] = -1; /* done with */
        *rank = r + 1;
    }
fail:
    free(rest);
    return st;
}

/* ---- eigenvalues ---- */

/* Householder's reduction to a tridiagonal matrix, from the last row up (Golub and Van Loan, 8.3.1): diagonal d, below it e[1 ..]. With v
 * the row left of the diagonal, made (0, .., 0, +-|v|) by H = I - u u^T / h, h = u.u / 2, A becomes H A H = A - u q^T - q u^T, where p = A
 * u / h and q = p - u (u.p) / 2h. Only the lower triangle is kept, row by row. */
static void tridiagonal(double *a, size_t n, double *d, double *e, double *p)
{
    for (size_t i = n; i-- > 1;) {
        double *u = a + i * n, h = 0, scale = 0, dot = 0;
        for (size_t k = 0; k < i; k++)
            scale = MAX(scale, fabs(u[k]));
        d[i] = u[i];
        e[i] = u[i - 1];
        if (i == 1 || scale == 0)
            continue;
        for (size_t k = 0; k < i; k++) {
            u[k] /= scale;
            h += u[k] * u[k];
        }
        e[i] = u[i - 1] > 0 ? -sqrt(h) : sqrt(h);
        h -= u[i - 1] * e[i]; /* u.u / 2 once its last number is changed */
        u[i - 1] -= e[i];
        e[i] *= scale;
        memset(p, 0, i * sizeof *p);
        for (size_t j = 0; j < i; j++) { /* p = A u: row j gives its sum to p[j], and its part of the upper triangle to the others */
            const double *row = a + j * n;
            double s[4] = {0, 0, 0, 0};
            size_t k = 0;
            for (; k + 4 <= j; k += 4)
                for (size_t m = 0; m < 4; m++)
                    s[m] += row[k + m] * u[k + m];
            for (; k < j; k++)
                s[0] += row[k] * u[k];
            p[j] += s[0] + s[1] + s[2] + s[3] + row[j] * u[j];
            add_scaled(p, row, u[j], j);
        }
        for (size_t k = 0; k < i; k++)
            dot += (p[k] /= h) * u[k];
        add_scaled(p, u, -dot / (2 * h), i);
        for (size_t j = 0; j < i; j++) {
            add_scaled(a + j * n, u, -p[j], j + 1);
            add_scaled(a + j * n, p, -u[j], j + 1);
        }
    }
    d[0] = a[0];
    e[0] = 0;
}

/* Implicit QL steps with Wilkinson's shift (Martin and Wilkinson 1968) until nothing is left beside the diagonal. */
static bool diagonalize(double *d, double *e, size_t n)
{
    memmove(e, e + 1, (n - 1) * sizeof *e); /* e[i] is now between d[i] and d[i + 1] */
    e[n - 1] = 0;
    for (size_t l = 0; l < n; l++)
        for (int turn = 0;; turn++) {
            double g, r, s = 1, c = 1, p = 0;
            size_t m = l, i;
            while (m + 1 < n && fabs(e[m]) > DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])))
                m++;
            if (m == l)
                break;
            if (turn == 60)
                return false;
            g = (d[l + 1] - d[l]) / (2 * e[l]);
            g = d[m] - d[l] + e[l] / (g + copysign(hypot(g, 1), g));
            for (i = m; i-- > l;) {
                double f = s * e[i], b = c * e[i];
                r = hypot(f, g);
                e[i + 1] = r;
                if (r == 0) { /* it falls apart before the end */
                    d[i + 1] -= p;
                    e[m] = 0;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
            }
            if (i + 1 == l) { /* the loop ran to its end: i wrapped below l */
                d[l] -= p;
                e[l] = g;
                e[m] = 0;
            }
        }
    return true;
}

clio_status matrix_eigenvalues(clio_context *ctx, double *values, double *a, int n)
{
    clio_status st = CLIO_OK;
    double *e = NULL, *p = NULL;
    TRY(mem_alloc(ctx, &e, (size_t)n, sizeof *e));
    TRY(mem_alloc(ctx, &p, (size_t)n, sizeof *p));
    if (n < 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "eigenvalues of a matrix of %d rows were asked for; this is a defect of clio, please report it", n);
    tridiagonal(a, (size_t)n, values, e, p);
    if (!diagonalize(values, e, (size_t)n))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "the eigenvalues of a matrix of %d rows were not found; this is a defect of clio, please report it",
             n);
fail:
    free(e);
    free(p);
    return st;
}
