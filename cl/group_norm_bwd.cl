/* group_norm_bwd.cl - the gradient of group norm (cl/group_norm.cl). With xhat = (x - mean) / sqrt(var + eps), m numbers in a group:
 *     dbeta = sum dy    dgamma = sum dy xhat    dx = (gamma dy - sum (gamma dy) / m - xhat sum (gamma dy xhat) / m) / sqrt(var + eps)
 * the first two over images and pixels, the last two sums over a group of channels of an image. The passes over images are the column_
 * kernels of cl/batch_norm.cl; here are the joins between them, which take from parts [B, chunks, PARTS, C] and give to factors
 * [B, FACTORS, C]:
 *
 *   column_sums, group_norm_bwd_statistics   factors: mean, and 1 / sqrt(var + eps) in place of the slope
 *   column_bwd_sums, group_norm_bwd_weights  dgamma, dbeta
 *   group_norm_bwd_join, column_bwd_apply    factors: scale, shift, slope
 *
 * ITEMS work-items share a join: 1 with -DROW=1, for CPUs. */
// isa: -DITEMS={norm.items}
// isa: -DITEMS=256
// isa-cpu: -DROW=1
#include "common.clh"

#ifdef ROW
#define ITEMS 1
#define PARTS 4
#else
#define PARTS 2
#endif
#ifndef ITEMS
#define ITEMS 128 /* a power of two */
#endif
#include "reduce.clh"

#define FACTORS 4
#define CHUNK_ROWS(args, chunk) min(args.chunk, args.rows - (chunk) * args.chunk)

/* Work-group: one group of channels; its work-items take every ITEMS-th pair of chunk and channel. Grid: groups fastest, then images.
 * Local memory: ITEMS floats. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void group_norm_bwd_statistics(__global float *factors,
                                                                                           __global const float *parts,
                                                                                           struct column_args args)
{
    __local float part[ITEMS];
    int n = args.n, width = n / args.groups, first = get_group_id(0) * width, b = get_group_id(1);
    int item = get_local_id(0), pairs = args.chunks * width;
    float total = (float)args.rows * width, sum = 0.0f, mean, rate;
    parts += (size_t)b * args.chunks * PARTS * n + first;
    factors += (size_t)b * FACTORS * n + first;
    for (int i = item; i < pairs; i += ITEMS) {
        int chunk = i / width, c = i % width;
        sum += (parts[(size_t)chunk * PARTS * n + c] - parts[0]) * CHUNK_ROWS(args, chunk);
    }
    mean = parts[0] + group_sum(sum, part) / total;
    sum = 0.0f;
    for (int i = item; i < pairs; i += ITEMS) {
        int chunk = i / width, c = i % width;
        float d = parts[(size_t)chunk * PARTS * n + c] - mean;
        sum += parts[((size_t)chunk * PARTS + 1) * n + c] + d * d * CHUNK_ROWS(args, chunk);
    }
    rate = 1.0f / sqrt(group_sum(sum, part) / total + args.eps);
    for (int c = item; c < width; c += ITEMS) {
        factors[c] = mean;
        factors[3 * n + c] = rate;
    }
}

/* Work-group: channel get_group_id(0), whose work-items take every ITEMS-th pair of image and chunk. Local memory: ITEMS floats. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void group_norm_bwd_weights(__global float *dgamma, __global float *dbeta,
                                                                                        __global const float *parts,
                                                                                        __global const float *factors,
                                                                                        struct column_args args)
{
    __local float part[ITEMS];
    int c = get_group_id(0), item = get_local_id(0), n = args.n, pairs = args.pictures * args.chunks;
    float sum = 0.0f, product = 0.0f;
    for (int i = item; i < pairs; i += ITEMS) {
        sum += parts[(size_t)i * PARTS * n + c];
        product += parts[((size_t)i * PARTS + 1) * n + c] * factors[((size_t)(i / args.chunks) * FACTORS + 3) * n + c];
    }
    sum = group_sum(sum, part);
    product = group_sum(product, part);
    if (item == 0) {
        dbeta[c] = args.weights == 2 ? dbeta[c] + sum : sum;
        dgamma[c] = args.weights == 2 ? dgamma[c] + product : product;
    }
}

/* Work-group and grid as for group_norm_bwd_statistics. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void group_norm_bwd_join(__global float *factors, __global const float *parts,
                                                                                     __global const float *gamma, struct column_args args)
{
    __local float part[ITEMS];
    int n = args.n, width = n / args.groups, first = get_group_id(0) * width, b = get_group_id(1);
    int item = get_local_id(0), pairs = args.chunks * width;
    float total = (float)args.rows * width, sum = 0.0f, product = 0.0f, rate;
    parts += (size_t)b * args.chunks * PARTS * n + first;
    factors += (size_t)b * FACTORS * n + first;
    gamma += first;
    rate = factors[3 * n];
    barrier(CLK_GLOBAL_MEM_FENCE); /* all have read it before one writes there */
    for (int i = item; i < pairs; i += ITEMS) {
        int c = i % width;
        size_t at = (size_t)(i / width) * PARTS * n + c;
        sum += gamma[c] * parts[at];
        product += gamma[c] * parts[at + n];
    }
    sum = group_sum(sum, part) * rate / total;
    product = group_sum(product, part) * rate * rate * rate / total;
    for (int c = item; c < width; c += ITEMS) {
        factors[n + c] = rate * gamma[c];
        factors[2 * n + c] = sum;
        factors[3 * n + c] = product;
    }
}
