/* norm_bwd.cl - the gradient of layer norm over the last dimension (cl/norm.cl). With xhat = (x - mean) / sqrt(var + eps), averages
 * over a row:
 *     dx = (gamma dy - average (gamma dy) - xhat average (gamma dy xhat)) / sqrt(var + eps)
 *     dbeta = sum dy    dgamma = sum dy xhat, over the rows: of chunks of rows first, then of the chunks
 * Two families:
 *   -DROW=1     one work-item walks the rows of a chunk with float16 vectors, the sums of its chunk in cache; for CPUs
 *   default     one work-group of ITEMS shares a row and leaves its mean and rate; then one work-item per column of a chunk; for GPUs
 * parts: [chunks, 2, n], sums of dy xhat and of dy. */
// isa: -DITEMS={norm.items}
// isa: -DITEMS=256
// isa-cpu: -DROW=1
#include "common.clh"

#ifndef ITEMS
#define ITEMS 128 /* work-items per row: a power of two */
#endif
#include "reduce.clh"

/* Rows of a chunk: the last may be short. */
#define CHUNK_ROWS(args, chunk) min(args.chunk, args.rows - (chunk)*args.chunk)

#ifdef ROW

/* Mean and 1 / sqrt(var + eps) of a row. */
float2 row_statistics(__global const float *x, int n, float eps)
{
    int whole = n & ~15, c;
    float16 sums = (float16)(0.0f);
    float rest = 0.0f, mean;
    for (c = 0; c < whole; c += 16)
        sums += vload16(0, x + c);
    for (; c < n; c++)
        rest += x[c];
    mean = (sum16(sums) + rest) / n;
    sums = (float16)(0.0f);
    rest = 0.0f;
    for (c = 0; c < whole; c += 16) {
        float16 d = vload16(0, x + c) - mean;
        sums += d * d;
    }
    for (; c < n; c++)
        rest += (x[c] - mean) * (x[c] - mean);
    return (float2)(mean, 1.0f / sqrt((sum16(sums) + rest) / n + eps));
}

void row_bwd(__global float *dx, __global const float *dy, __global const float *x, __global const float *gamma, float mean, float rate,
             int n, int add)
{
    int whole = n & ~15, c;
    float16 sums = (float16)(0.0f), products = (float16)(0.0f);
    float sum = 0.0f, product = 0.0f;
    for (c = 0; c < whole; c += 16) {
        float16 g = vload16(0, dy + c) * vload16(0, gamma + c);
        sums += g;
        products = MAD(g, vload16(0, x + c) - mean, products);
    }
    for (; c < n; c++) {
        sum += dy[c] * gamma[c];
        product += dy[c] * gamma[c] * (x[c] - mean);
    }
    sum = (sum16(sums) + sum) / n;
    product = (sum16(products) + product) * rate * rate / n;
    for (c = 0; c < whole; c += 16) {
        float16 g = (vload16(0, dy + c) * vload16(0, gamma + c) - sum - (vload16(0, x + c) - mean) * product) * rate;
        vstore16(add ? g + vload16(0, dx + c) : g, 0, dx + c);
    }
    for (; c < n; c++) {
        float g = (dy[c] * gamma[c] - sum - (x[c] - mean) * product) * rate;
        dx[c] = add ? dx[c] + g : g;
    }
}

/* Work-item: chunk get_global_id(0). Group of 1, no local memory, any n. dx is written when wants_x, parts when args.weights. */
VECTOR_KERNEL void layer_norm_bwd(__global float *dx, __global float *parts, __global const float *dy, __global const float *x,
                                  __global const float *gamma, int wants_x, struct column_args args)
{
    int chunk = get_global_id(0), n = args.n, whole = n & ~15, count = CHUNK_ROWS(args, chunk), c;
    size_t first = (size_t)chunk * args.chunk * n;
    __global float *dgamma = parts + (size_t)chunk * 2 * n, *dbeta = dgamma + n;
    if (args.weights)
        for (c = 0; c < 2 * n; c++)
            dgamma[c] = 0.0f;
    x += first;
    dy += first;
    dx += first;
    for (int r = 0; r < count; r++, x += n, dy += n, dx += n) {
        float2 s = row_statistics(x, n, args.eps);
        if (args.weights) {
            for (c = 0; c < whole; c += 16) {
                float16 g = vload16(0, dy + c);
                vstore16(vload16(0, dbeta + c) + g, 0, dbeta + c);
                vstore16(MAD(g, (vload16(0, x + c) - s.x) * s.y, vload16(0, dgamma + c)), 0, dgamma + c);
            }
            for (; c < n; c++) {
                dbeta[c] += dy[c];
                dgamma[c] += dy[c] * (x[c] - s.x) * s.y;
            }
        }
        if (wants_x)
            row_bwd(dx, dy, x, gamma, s.x, s.y, n, args.add);
    }
}

#else

/* Work-group: row get_group_id(0) of [rows, n]; work-item i takes columns i, i + ITEMS, ... dx is written when wants_x; statistics
 * [rows, 2]: mean and 1 / sqrt(var + eps). Local memory: ITEMS floats. Any n. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void layer_norm_bwd(__global float *dx, __global float *statistics,
                                                                                __global const float *dy, __global const float *x,
                                                                                __global const float *gamma, int wants_x,
                                                                                struct column_args args)
{
    __local float part[ITEMS];
    int row = get_group_id(0), item = get_local_id(0), n = args.n;
    float sum = 0.0f, product = 0.0f, mean, rate;
    x += (size_t)row * n;
    dy += (size_t)row * n;
    dx += (size_t)row * n;
    for (int c = item; c < n; c += ITEMS)
        sum += x[c];
    mean = group_sum(sum, part) / n;
    sum = 0.0f;
    for (int c = item; c < n; c += ITEMS)
        sum += (x[c] - mean) * (x[c] - mean);
    rate = 1.0f / sqrt(group_sum(sum, part) / n + args.eps);
    if (item == 0) {
        statistics[2 * (size_t)row] = mean;
        statistics[2 * (size_t)row + 1] = rate;
    }
    sum = 0.0f; /* also when nobody wants dx: barriers stand outside of conditions, where every runtime gets them right */
    for (int c = item; c < n; c += ITEMS) {
        float g = dy[c] * gamma[c];
        sum += g;
        product += g * (x[c] - mean);
    }
    sum = group_sum(sum, part) / n;
    product = group_sum(product, part) * rate * rate / n;
    for (int c = item; wants_x && c < n; c += ITEMS) {
        float g = (dy[c] * gamma[c] - sum - (x[c] - mean) * product) * rate;
        dx[c] = args.add ? dx[c] + g : g;
    }
}

/* Work-item: one column of one chunk. Grid: columns fastest, then chunks. Any group size, no local memory. */
__kernel void layer_norm_bwd_columns(__global float *parts, __global const float *dy, __global const float *x,
                                     __global const float *statistics, struct column_args args)
{
    int c = get_global_id(0), chunk = get_global_id(1), n = args.n, count = CHUNK_ROWS(args, chunk);
    float sum = 0.0f, product = 0.0f;
    size_t first = (size_t)chunk * args.chunk;
    if (c >= n || chunk >= args.chunks)
        return;
    for (int r = 0; r < count; r++) {
        size_t row = first + r;
        float g = dy[row * n + c];
        sum += g;
        product += g * (x[row * n + c] - statistics[2 * row]) * statistics[2 * row + 1];
    }
    parts += (size_t)chunk * 2 * n + c;
    parts[0] = product;
    parts[n] = sum;
}

#endif

/* Work-item: column get_global_id(0). Any group size, no local memory. */
__kernel void layer_norm_bwd_join(__global float *dgamma, __global float *dbeta, __global const float *parts, struct column_args args)
{
    int c = get_global_id(0), n = args.n;
    float sum = 0.0f, product = 0.0f;
    if (c >= n)
        return;
    for (int chunk = 0; chunk < args.chunks; chunk++) {
        product += parts[(size_t)chunk * 2 * n + c];
        sum += parts[((size_t)chunk * 2 + 1) * n + c];
    }
    dgamma[c] = args.weights == 2 ? dgamma[c] + product : product;
    dbeta[c] = args.weights == 2 ? dbeta[c] + sum : sum;
}
