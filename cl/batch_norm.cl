/* batch_norm.cl - batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167) of rows [rows, C]: out = (x - mean) / sqrt(var + eps) * gamma +
 * beta, mean and var of each column; and its gradient, with xhat = (x - mean) / sqrt(var + eps) and averages over the rows:
 *     dbeta = sum dy    dgamma = sum dy xhat    dx = gamma / sqrt(var + eps) * (dy - average dy - xhat * average (dy xhat))
 *
 *   column_sums       chunks of rows in parallel: of each column the mean, and the sum of squares about that mean
 *   batch_norm_join   joins the chunks (Chan, Golub, LeVeque 1979): statistics, running statistics, factors of each column
 *   column_apply      the formula
 *   column_bwd_sums, batch_norm_bwd_join, column_bwd_apply: the same for the gradient
 *
 * The column_ kernels take several images with factors of their own, so that they serve the gradient of group norm as well. All sums of
 * squares are of differences to a number nearby: E[x^2] - mean^2 would lose all digits where the mean is large. Two families:
 *   -DROW=1     one work-item walks the rows of a chunk with float16 vectors, its sums in cache; for CPUs. Statistics are made block by
 *               block, so that the second reading of a block comes from cache
 *   default     one work-item per column and chunk; ITEMS work-items join a column; for GPUs
 * parts: [images, chunks, PARTS, n]; factors: [images, FACTORS, n] = mean, scale, shift, slope (see the apply kernels). */
// isa: -DITEMS={norm.items}
// isa: -DITEMS=256
// isa-cpu: -DROW=1
#include "common.clh"

#ifdef ROW
#define ITEMS 1
#define PARTS 4 /* mean, squares; the same of a block */
#else
#define PARTS 2
#endif
#ifndef ITEMS
#define ITEMS 128 /* work-items that join a column: a power of two */
#endif
#include "reduce.clh"

#define FACTORS 4

/* Rows of a chunk: the last may be short. */
#define CHUNK_ROWS(args, chunk) min(args.chunk, args.rows - (chunk)*args.chunk)

#ifdef ROW

/* Of `count` rows x: mean[c], and the sum squares[c] of (x - mean)^2. Four rows at a time: the sums are read and written
 * a quarter as often. */
void block_statistics(__global float *mean, __global float *squares, __global const float *x, int n, int count)
{
    int whole = n & ~15;
    for (int c = 0; c < n; c++)
        mean[c] = squares[c] = 0.0f;
    for (int r = 0; r < count; r += 4) {
        __global const float *x0 = x + (size_t)r * n;
        int rows = min(4, count - r), c = 0;
        if (rows == 4)
            for (; c < whole; c += 16) {
                float16 from = vload16(0, x + c);
                float16 low = (vload16(0, x0 + c) - from) + (vload16(0, x0 + n + c) - from);
                float16 high = (vload16(0, x0 + 2 * n + c) - from) + (vload16(0, x0 + 3 * n + c) - from);
                vstore16(vload16(0, mean + c) + (low + high), 0, mean + c);
            }
        for (; c < n; c++)
            for (int i = 0; i < rows; i++)
                mean[c] += x0[(size_t)i * n + c] - x[c];
    }
    for (int c = 0; c < n; c++)
        mean[c] = x[c] + mean[c] / count;
    for (int r = 0; r < count; r += 4) {
        __global const float *x0 = x + (size_t)r * n;
        int rows = min(4, count - r), c = 0;
        if (rows == 4)
            for (; c < whole; c += 16) {
                float16 m = vload16(0, mean + c), d0 = vload16(0, x0 + c) - m, d1 = vload16(0, x0 + n + c) - m;
                float16 d2 = vload16(0, x0 + 2 * n + c) - m, d3 = vload16(0, x0 + 3 * n + c) - m;
                vstore16(vload16(0, squares + c) + (MAD(d0, d0, d1 * d1) + MAD(d2, d2, d3 * d3)), 0, squares + c);
            }
        for (; c < n; c++)
            for (int i = 0; i < rows; i++) {
                float d = x0[(size_t)i * n + c] - mean[c];
                squares[c] += d * d;
            }
    }
}

/* Group of 1. Grid: chunks fastest, then images. */
VECTOR_KERNEL void column_sums(__global float *parts, __global const float *in, struct column_args args)
{
    int chunk = get_global_id(0), b = get_global_id(1), n = args.n, count = CHUNK_ROWS(args, chunk);
    __global float *mean = parts + ((size_t)b * args.chunks + chunk) * PARTS * n, *squares = mean + n, *block = mean + 2 * n;
    in += ((size_t)b * args.rows + (size_t)chunk * args.chunk) * n;
    block_statistics(mean, squares, in, n, min(count, args.block));
    for (int done = args.block; done < count; done += args.block) {
        int rows = min(count - done, args.block);
        float share = (float)rows / (float)(done + rows), weight = share * done;
        block_statistics(block, block + n, in + (size_t)done * n, n, rows);
        for (int c = 0; c < n; c++) {
            float d = block[c] - mean[c];
            mean[c] += d * share;
            squares[c] += block[n + c] + d * d * weight;
        }
    }
}

/* parts: sums of dy, and of dy (x - mean). Group of 1. Grid: chunks fastest, then images. */
VECTOR_KERNEL void column_bwd_sums(__global float *parts, __global const float *dy, __global const float *x, __global const float *factors,
                                   struct column_args args)
{
    int chunk = get_global_id(0), b = get_global_id(1), n = args.n, whole = n & ~15, count = CHUNK_ROWS(args, chunk);
    size_t first = ((size_t)b * args.rows + (size_t)chunk * args.chunk) * n;
    __global const float *mean = factors + (size_t)b * FACTORS * n;
    __global float *sum = parts + ((size_t)b * args.chunks + chunk) * PARTS * n, *product = sum + n;
    for (int c = 0; c < 2 * n; c++)
        sum[c] = 0.0f;
    for (int r = 0; r < count; r += 4) {
        __global const float *x0 = x + first + (size_t)r * n, *g0 = dy + first + (size_t)r * n;
        int rows = min(4, count - r), c = 0;
        if (rows == 4)
            for (; c < whole; c += 16) {
                float16 m = vload16(0, mean + c), a = vload16(0, g0 + c), p = a * (vload16(0, x0 + c) - m);
                float16 s = a;
                a = vload16(0, g0 + n + c), s += a, p = MAD(a, vload16(0, x0 + n + c) - m, p);
                a = vload16(0, g0 + 2 * n + c), s += a, p = MAD(a, vload16(0, x0 + 2 * n + c) - m, p);
                a = vload16(0, g0 + 3 * n + c), s += a, p = MAD(a, vload16(0, x0 + 3 * n + c) - m, p);
                vstore16(vload16(0, sum + c) + s, 0, sum + c);
                vstore16(vload16(0, product + c) + p, 0, product + c);
            }
        for (; c < n; c++)
            for (int i = 0; i < rows; i++) {
                sum[c] += g0[(size_t)i * n + c];
                product[c] += g0[(size_t)i * n + c] * (x0[(size_t)i * n + c] - mean[c]);
            }
    }
}

/* out = (x - mean) * scale + shift. Group of 1. Grid: chunks fastest, then images. out may be in. */
VECTOR_KERNEL void column_apply(__global float *out, __global const float *in, __global const float *factors, struct column_args args)
{
    int chunk = get_global_id(0), b = get_global_id(1), n = args.n, count = CHUNK_ROWS(args, chunk);
    size_t first = ((size_t)b * args.rows + (size_t)chunk * args.chunk) * n;
    __global const float *mean = factors + (size_t)b * FACTORS * n, *scale = mean + n, *shift = scale + n;
    in += first;
    out += first;
    for (int r = 0; r < count; r++, in += n, out += n) {
        int c = 0;
        for (; c + 16 <= n; c += 16)
            vstore16(MAD(vload16(0, in + c) - vload16(0, mean + c), vload16(0, scale + c), vload16(0, shift + c)), 0, out + c);
        for (; c < n; c++)
            out[c] = MAD(in[c] - mean[c], scale[c], shift[c]);
    }
}

/* dx = dy * scale - shift - (x - mean) * slope. Group of 1. Grid: chunks fastest, then images. dx may be dy. */
VECTOR_KERNEL void column_bwd_apply(__global float *dx, __global const float *dy, __global const float *x, __global const float *factors,
                                    struct column_args args)
{
    int chunk = get_global_id(0), b = get_global_id(1), n = args.n, count = CHUNK_ROWS(args, chunk);
    size_t first = ((size_t)b * args.rows + (size_t)chunk * args.chunk) * n;
    __global const float *mean = factors + (size_t)b * FACTORS * n, *scale = mean + n, *shift = scale + n, *slope = shift + n;
    x += first;
    dx += first;
    dy += first;
    for (int r = 0; r < count; r++, x += n, dx += n, dy += n) {
        int c = 0;
        for (; c + 16 <= n; c += 16) {
            float16 g = MAD(vload16(0, dy + c), vload16(0, scale + c), -vload16(0, shift + c));
            g -= (vload16(0, x + c) - vload16(0, mean + c)) * vload16(0, slope + c);
            vstore16(args.add ? g + vload16(0, dx + c) : g, 0, dx + c);
        }
        for (; c < n; c++) {
            float g = dy[c] * scale[c] - shift[c] - (x[c] - mean[c]) * slope[c];
            dx[c] = args.add ? dx[c] + g : g;
        }
    }
}

#else

/* Work-item: one column of one chunk. Grid: columns fastest, then chunks, then images. Any group size, no local memory. */
__kernel void column_sums(__global float *parts, __global const float *in, struct column_args args)
{
    int c = get_global_id(0), chunk = get_global_id(1), b = get_global_id(2), n = args.n, count = CHUNK_ROWS(args, chunk);
    float sum = 0.0f, squares = 0.0f, from, mean;
    if (c >= n || chunk >= args.chunks)
        return;
    in += ((size_t)b * args.rows + (size_t)chunk * args.chunk) * n + c;
    parts += ((size_t)b * args.chunks + chunk) * PARTS * n + c;
    from = in[0];
    for (int r = 1; r < count; r++)
        sum += in[(size_t)r * n] - from;
    mean = from + sum / count;
    for (int r = 0; r < count; r++) {
        float d = in[(size_t)r * n] - mean;
        squares += d * d;
    }
    parts[0] = mean;
    parts[n] = squares;
}

/* parts: sums of dy, and of dy (x - mean). Work-item and grid as for column_sums. */
__kernel void column_bwd_sums(__global float *parts, __global const float *dy, __global const float *x, __global const float *factors,
                              struct column_args args)
{
    int c = get_global_id(0), chunk = get_global_id(1), b = get_global_id(2), n = args.n, count = CHUNK_ROWS(args, chunk);
    float sum = 0.0f, product = 0.0f, mean;
    size_t first;
    if (c >= n || chunk >= args.chunks)
        return;
    first = ((size_t)b * args.rows + (size_t)chunk * args.chunk) * n + c;
    mean = factors[(size_t)b * FACTORS * n + c];
    for (int r = 0; r < count; r++) {
        float g = dy[first + (size_t)r * n];
        sum += g;
        product += g * (x[first + (size_t)r * n] - mean);
    }
    parts += ((size_t)b * args.chunks + chunk) * PARTS * n + c;
    parts[0] = sum;
    parts[n] = product;
}

/* out = (x - mean) * scale + shift. Work-item: one number of an image. Grid: rows * n fastest, then images. Any group size, no local
 * memory. out may be in. */
__kernel void column_apply(__global float *out, __global const float *in, __global const float *factors, struct column_args args)
{
    size_t i = get_global_id(0), each = (size_t)args.rows * args.n, b = get_global_id(1);
    int n = args.n, c = (int)((uint)i % (uint)n);
    if (i >= each)
        return;
    factors += b * FACTORS * n;
    out[b * each + i] = MAD(in[b * each + i] - factors[c], factors[n + c], factors[2 * n + c]);
}

/* dx = dy * scale - shift - (x - mean) * slope. Work-item and grid as for column_apply. dx may be dy. */
__kernel void column_bwd_apply(__global float *dx, __global const float *dy, __global const float *x, __global const float *factors,
                               struct column_args args)
{
    size_t i = get_global_id(0), each = (size_t)args.rows * args.n, b = get_global_id(1);
    int n = args.n, c = (int)((uint)i % (uint)n);
    float g;
    if (i >= each)
        return;
    factors += b * FACTORS * n;
    i += b * each;
    g = dy[i] * factors[n + c] - factors[2 * n + c] - (x[i] - factors[c]) * factors[3 * n + c];
    dx[i] = args.add ? dx[i] + g : g;
}

#endif

/* From parts of column_sums: statistics [2, channels] = mean, 1 / sqrt(var + eps); the running ones; factors for column_apply. Work-group:
 * channel get_group_id(0), whose ITEMS work-items take every ITEMS-th pair of chunk and copy. Local memory: ITEMS floats. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void batch_norm_join(__global float *factors, __global float *statistics,
                                                                                 __global float *running_mean, __global float *running_var,
                                                                                 __global const float *parts, __global const float *gamma,
                                                                                 __global const float *beta, struct column_args args)
{
    __local float part[ITEMS];
    int c = get_group_id(0), item = get_local_id(0), n = args.n, channels = n / args.copies, pairs = args.chunks * args.copies;
    float total = (float)args.rows * args.copies, sum = 0.0f, mean, scale;
    parts += c;
    for (int i = item; i < pairs; i += ITEMS) {
        int chunk = i / args.copies, at = i % args.copies * channels;
        sum += (parts[(size_t)chunk * PARTS * n + at] - parts[0]) * CHUNK_ROWS(args, chunk);
    }
    mean = parts[0] + group_sum(sum, part) / total;
    sum = 0.0f;
    for (int i = item; i < pairs; i += ITEMS) {
        int chunk = i / args.copies, at = i % args.copies * channels;
        float d = parts[(size_t)chunk * PARTS * n + at] - mean;
        sum += parts[((size_t)chunk * PARTS + 1) * n + at] + d * d * CHUNK_ROWS(args, chunk);
    }
    sum = group_sum(sum, part);
    scale = 1.0f / sqrt(sum / total + args.eps);
    if (item == 0) {
        statistics[c] = mean;
        statistics[channels + c] = scale;
        if (args.has_running) {
            running_mean[c] += args.momentum * (mean - running_mean[c]);
            running_var[c] += args.momentum * (sum / max(total - 1.0f, 1.0f) - running_var[c]);
        }
    }
    for (int i = item; i < args.copies; i += ITEMS) {
        factors[i * channels + c] = mean;
        factors[n + i * channels + c] = scale * gamma[c];
        factors[2 * n + i * channels + c] = beta[c];
    }
}

/* Factors for column_apply from running statistics. Work-item: one of the n columns. Any group size, no local memory. */
__kernel void batch_norm_running(__global float *factors, __global const float *running_mean, __global const float *running_var,
                                 __global const float *gamma, __global const float *beta, struct column_args args)
{
    int i = get_global_id(0), n = args.n, c = i % (n / args.copies);
    if (i >= n)
        return;
    factors[i] = running_mean[c];
    factors[n + i] = gamma[c] / sqrt(running_var[c] + args.eps);
    factors[2 * n + i] = beta[c];
}

/* The means of statistics [2, channels] as factors, for column_bwd_sums. Work-item: one of the n columns. Any group size. */
__kernel void batch_norm_bwd_means(__global float *factors, __global const float *statistics, struct column_args args)
{
    int i = get_global_id(0);
    if (i < args.n)
        factors[i] = statistics[i % (args.n / args.copies)];
}

/* From parts of column_bwd_sums: dgamma, dbeta where they are wanted, and factors for column_bwd_apply. Work-group as for
 * batch_norm_join. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void batch_norm_bwd_join(__global float *factors, __global float *dgamma,
                                                                                     __global float *dbeta, __global const float *parts,
                                                                                     __global const float *statistics,
                                                                                     __global const float *gamma, struct column_args args)
{
    __local float part[ITEMS];
    int c = get_group_id(0), item = get_local_id(0), n = args.n, channels = n / args.copies, pairs = args.chunks * args.copies;
    float total = (float)args.rows * args.copies, rate = statistics[channels + c], sum = 0.0f, product = 0.0f;
    parts += c;
    for (int i = item; i < pairs; i += ITEMS) {
        size_t at = (size_t)(i / args.copies) * PARTS * n + i % args.copies * channels;
        sum += parts[at];
        product += parts[at + n];
    }
    sum = group_sum(sum, part);
    product = group_sum(product, part) * rate;
    if (item == 0 && args.weights) {
        dbeta[c] = args.weights == 2 ? dbeta[c] + sum : sum;
        dgamma[c] = args.weights == 2 ? dgamma[c] + product : product;
    }
    for (int i = item; i < args.copies; i += ITEMS) {
        float scale = gamma[c] * rate;
        factors[n + i * channels + c] = scale;
        factors[2 * n + i * channels + c] = scale * sum / total;
        factors[3 * n + i * channels + c] = scale * rate * product / total;
    }
}
