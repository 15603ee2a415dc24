/* metrics_features.c - Frechet distance (FID) and kernel distance (KID) between two sets of features.
 *
 * tr((C1 C2)^(1/2)) is the sum of the square roots of the eigenvalues of C1 C2. With C1 = L^T L, L of full row rank, L C2 L^T has the same
 * eigenvalues except zeros, and is symmetric and positive semidefinite. So all eigenvalues are real, and no imaginary part is discarded as
 * with scipy.linalg.sqrtm of C1 C2. */
#include "metrics.h"
#include "../../host/core/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 256 /* features per matmul */

clio_status feature_stats_new(clio_context *ctx, struct feature_stats *stats, int width)
{
    clio_status st = CLIO_OK;
    memset(stats, 0, sizeof *stats);
    if (width < 1 || width > METRICS_WIDTH_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "features of %d numbers cannot be compared: at least 1 and at most %d are possible", width,
             METRICS_WIDTH_MAX);
    TRY(mem_alloc(ctx, &stats->mean, (size_t)width, sizeof *stats->mean));
    TRY(mem_alloc(ctx, &stats->scatter, (size_t)width * (size_t)width, sizeof *stats->scatter));
    stats->width = width;
    return CLIO_OK;
fail:
    feature_stats_free(stats);
    return st;
}

void feature_stats_free(struct feature_stats *stats)
{
    free(stats->mean);
    free(stats->scatter);
    memset(stats, 0, sizeof *stats);
}

static clio_status check_finite(clio_context *ctx, const float *features, size_t count, int width)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < count * (size_t)width; i++)
        if (!isfinite(features[i]))
            FAIL(ctx, CLIO_ERROR_FORMAT, "value %zu of feature %zu is %g: the images or the encoder's weights are damaged",
                 i % (size_t)width, i / (size_t)width, (double)features[i]);
fail:
    return st;
}

/* Add n <= CHUNK features: compute their mean and scatter, then combine both sets (Chan, Golub and LeVeque 1979). Scratch: t [width,
 * CHUNK], m [width]. */
static clio_status add_chunk(clio_context *ctx, struct feature_stats *s, const float *x, size_t n, double *t, double *m)
{
    clio_status st = CLIO_OK;
    size_t width = (size_t)s->width;
    double before = (double)s->count, after = before + (double)n;
    memset(m, 0, width * sizeof *m);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < width; k++)
            m[k] += (double)x[i * width + k];
    for (size_t k = 0; k < width; k++)
        m[k] /= (double)n;
    for (size_t k = 0; k < width; k++)
        for (size_t i = 0; i < n; i++)
            t[k * n + i] = (double)x[i * width + k] - m[k];
    TRY(matrix_product(ctx, s->scatter, width, t, width, t, width, n, true));
    for (size_t k = 0; k < width; k++)
        m[k] -= s->mean[k];
    for (size_t k = 0; k < width; k++)
        for (size_t j = 0; j <= k; j++)
            s->scatter[k * width + j] += m[k] * m[j] * before * (double)n / after;
    for (size_t k = 0; k < width; k++)
        s->mean[k] += m[k] * (double)n / after;
    s->count += n;
fail:
    return st;
}

clio_status feature_stats_add(clio_context *ctx, struct feature_stats *stats, const float *features, size_t count)
{
    clio_status st = CLIO_OK;
    double *t = NULL, *m = NULL;
    size_t width = (size_t)stats->width;
    TRY(check_finite(ctx, features, count, stats->width));
    TRY(mem_alloc(ctx, &t, width * CHUNK, sizeof *t));
    TRY(mem_alloc(ctx, &m, width, sizeof *m));
    for (size_t i = 0; i < count; i += CHUNK)
        TRY(add_chunk(ctx, stats, features + i * width, MIN(count - i, (size_t)CHUNK), t, m));
fail:
    free(t);
    free(m);
    return st;
}

/* tr((a b)^(1/2)) of two scatter matrices [n, n]. */
static clio_status trace_sqrt_product(clio_context *ctx, double *out, const double *a, const double *b, int n)
{
    clio_status st = CLIO_OK;
    size_t size = (size_t)n;
    double *root = NULL, *full = NULL, *left = NULL, *symmetric = NULL, *values = NULL;
    int rank;
    *out = 0;
    TRY(mem_alloc(ctx, &root, size * size, sizeof *root));
    TRY(matrix_root(ctx, root, &rank, a, n));
    if (rank == 0)
        goto fail;
    TRY(mem_alloc(ctx, &full, size * size, sizeof *full));
    TRY(mem_alloc(ctx, &left, (size_t)rank * size, sizeof *left));
    TRY(mem_alloc(ctx, &symmetric, (size_t)rank * (size_t)rank, sizeof *symmetric));
    TRY(mem_alloc(ctx, &values, (size_t)rank, sizeof *values));
    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j <= i; j++)
            full[i * size + j] = full[j * size + i] = b[i * size + j];
    TRY(matrix_product(ctx, left, size, root, (size_t)rank, full, size, size, false));
    TRY(matrix_product(ctx, symmetric, (size_t)rank, left, (size_t)rank, root, (size_t)rank, size, true));
    TRY(matrix_eigenvalues(ctx, values, symmetric, rank));
    for (int i = 0; i < rank; i++)
        *out += sqrt(MAX(values[i], 0.0));
fail:
    free(root);
    free(full);
    free(left);
    free(symmetric);
    free(values);
    return st;
}

clio_status frechet_distance(clio_context *ctx, double *out, const struct feature_stats *a, const struct feature_stats *b)
{
    clio_status st = CLIO_OK;
    double na, nb, trace, sum = 0;
    *out = 0;
    if (a->width != b->width)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "features of width %d cannot be compared with features of width %d: use the same encoder for both sets", a->width, b->width);
    if (a->count < 2 || b->count < 2)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the Fréchet distance needs at least 2 features in each set, not %zu and %zu; a meaningful value needs thousands", a->count,
             b->count);
    if (a->count > b->count) { /* the smaller set has the smaller rank */
        const struct feature_stats *other = a;
        a = b;
        b = other;
    }
    na = (double)a->count - 1;
    nb = (double)b->count - 1;
    TRY(trace_sqrt_product(ctx, &trace, a->scatter, b->scatter, a->width));
    for (size_t k = 0, n = (size_t)a->width; k < n; k++) {
        double d = a->mean[k] - b->mean[k];
        sum += d * d + a->scatter[k * n + k] / na + b->scatter[k * n + k] / nb;
    }
    *out = MAX(sum - 2 * trace / sqrt(na * nb), 0.0);
fail:
    return st;
}

/* ---- kernel distance ---- */

/* Sum of k(x, y) over all pairs; for a == b without x = y. products: scratch [CHUNK, nb] */
static clio_status kernel_sum(clio_context *ctx, double *out, const double *a, size_t na, const double *b, size_t nb, size_t width,
                              double *products)
{
    clio_status st = CLIO_OK;
    bool same = a == b;
    *out = 0;
    for (size_t i = 0; i < na; i += CHUNK) {
        size_t rows = MIN(na - i, (size_t)CHUNK), columns = same ? i + rows : nb; /* of a symmetric matrix, one triangle */
        memset(products, 0, rows * columns * sizeof *products);
        TRY(matrix_product(ctx, products, columns, a + i * width, rows, b, columns, width, false));
        for (size_t y = 0; y < rows; y++) {
            double sum = 0;
            for (size_t x = 0; x < (same ? i + y : columns); x++) {
                double k = products[y * columns + x] / (double)width + 1;
                sum += k * k * k;
            }
            *out += same ? 2 * sum : sum;
        }
    }
fail:
    return st;
}

static clio_status squared_mmd(clio_context *ctx, double *out, const double *a, size_t na, const double *b, size_t nb, size_t width)
{
    clio_status st = CLIO_OK;
    double *products = NULL, aa, bb, ab, n = (double)na, m = (double)nb;
    TRY(mem_alloc(ctx, &products, CHUNK * MAX(na, nb), sizeof *products));
    TRY(kernel_sum(ctx, &aa, a, na, a, na, width, products));
    TRY(kernel_sum(ctx, &bb, b, nb, b, nb, width, products));
    TRY(kernel_sum(ctx, &ab, a, na, b, nb, width, products));
    *out = aa / (n * (n - 1)) + bb / (m * (m - 1)) - 2 * ab / (n * m);
fail:
    free(products);
    return st;
}

/* Draw `size` of `count` features without replacement, as doubles: the first entries of `order` after `size` steps of Fisher-Yates. */
static void sample_subset(double *out, const float *features, size_t *order, size_t count, size_t size, size_t width, uint64_t seed,
                          uint64_t stream)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (size_t i = 0; i < size; i++) {
        uint32_t word[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
        size_t other, kept = order[i];
        random_philox(word, key);
        other = i + (size_t)(((uint64_t)word[0] << 32 | word[1]) % (count - i));
        order[i] = order[other];
        order[other] = kept;
        for (size_t k = 0; k < width; k++)
            out[i * width + k] = (double)features[order[i] * width + k];
    }
}

static void to_doubles(double *out, const float *features, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (double)features[i];
}

clio_status kernel_distance(clio_context *ctx, double *out, double *deviation, const float *a, size_t na, const float *b, size_t nb,
                            int width, int subsets, int size, uint64_t seed)
{
    clio_status st = CLIO_OK;
    double *x = NULL, *y = NULL, value, sum = 0, squares = 0, n = MAX(subsets, 1), first = 0;
    size_t *order = NULL, ta = subsets ? (size_t)MAX(size, 0) : na, tb = subsets ? ta : nb;
    *out = 0;
    if (width < 1 || subsets < 0 || ta < 2 || tb < 2 || na < ta || nb < tb)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the kernel distance of %zu and %zu features cannot use subsets of %zu: a subset needs at least 2 features, and no more "
             "than the sets have",
             na, nb, MIN(ta, tb));
    TRY(check_finite(ctx, a, na, width));
    TRY(check_finite(ctx, b, nb, width));
    TRY(mem_alloc(ctx, &x, ta * (size_t)width, sizeof *x));
    TRY(mem_alloc(ctx, &y, tb * (size_t)width, sizeof *y));
    TRY(mem_alloc(ctx, &order, na + nb, sizeof *order));
    for (size_t i = 0; i < na + nb; i++)
        order[i] = i < na ? i : i - na;
    for (int s = 0; s < n; s++) {
        if (subsets) {
            sample_subset(x, a, order, na, ta, (size_t)width, seed, 2 * (uint64_t)s);
            sample_subset(y, b, order + na, nb, tb, (size_t)width, seed, 2 * (uint64_t)s + 1);
        } else {
            to_doubles(x, a, na * (size_t)width);
            to_doubles(y, b, nb * (size_t)width);
        }
        TRY(squared_mmd(ctx, &value, x, ta, y, tb, (size_t)width));
        first = s == 0 ? value : first; /* differences from the first value avoid cancellation */
        sum += value - first;
        squares += (value - first) * (value - first);
    }
    *out = first + sum / n;
    if (deviation)
        *deviation = sqrt(MAX(squares / n - sum / n * (sum / n), 0.0));
fail:
    free(x);
    free(y);
    free(order);
    return st;
}
