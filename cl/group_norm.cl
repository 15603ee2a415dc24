/* group_norm.cl - group norm (Wu and He 2018, arXiv:1803.08494) of images [B, pixels, C], fused with an activation (-DACT, a number of
 * args.clh): out = act((x - mean) / sqrt(var + eps) * gamma + beta), mean and var over all pixels and the neighbouring channels of a group.
 *
 *   group_norm_sums   chunks of pixels in parallel: of each channel the mean, and the sum of squares about that mean. By channels, not by
 *                     groups: neighbours then stay neighbours, whatever the width of a group
 *   group_norm_join   joins the chunks and channels of a group (Chan, Golub, LeVeque 1979); leaves mean and gamma / sqrt(var + eps) of each
 *                     channel
 *   group_norm_apply  the formula
 *
 * All sums are of differences to a number nearby, so that nothing is lost where the mean is large; E[x^2] - mean^2 would lose all digits.
 * parts: [B, chunks, 2, C]; stats: [B, 2, C]. Two families:
 *   -DROW=1     one work-item walks the rows of a chunk with float16 vectors; for CPUs. A chunk is read twice: it should fit a cache
 *   default     one work-item per channel and chunk, then a work-group of ITEMS joins; for GPUs */
// isa:
// isa: -DACT=6
// isa: -DITEMS=256
// isa-cpu: -DROW=1 -DACT=6
#include "common.clh"

#ifndef ACT
#define ACT ACT_NONE
#endif
#ifndef ITEMS
#define ITEMS 128 /* work-items that join a group: a power of two */
#endif
#include "reduce.clh"

/* Pixels of a chunk: the last may be short. */
#define CHUNK_PIXELS(args, chunk) min(args.chunk, args.pixels - (chunk)*args.chunk)

#ifdef ROW

/* sum[c] += x[c] - from[c] */
void add_differences(__global float *sum, __global const float *x, __global const float *from, int n)
{
    int c = 0;
    for (; c + 16 <= n; c += 16)
        vstore16(vload16(0, sum + c) + (vload16(0, x + c) - vload16(0, from + c)), 0, sum + c);
    for (; c < n; c++)
        sum[c] += x[c] - from[c];
}

/* sum[c] += (x[c] - mean[c])^2 */
void add_squares(__global float *sum, __global const float *x, __global const float *mean, int n)
{
    int c = 0;
    for (; c + 16 <= n; c += 16) {
        float16 d = vload16(0, x + c) - vload16(0, mean + c);
        vstore16(vload16(0, sum + c) + d * d, 0, sum + c);
    }
    for (; c < n; c++)
        sum[c] += (x[c] - mean[c]) * (x[c] - mean[c]);
}

/* Group of 1. Grid: chunks fastest, then images. */
VECTOR_KERNEL void group_norm_sums(__global float *parts, __global const float *in, struct group_norm_args args)
{
    int chunk = get_global_id(0), b = get_global_id(1), n = args.channels, count = CHUNK_PIXELS(args, chunk);
    __global float *mean = parts + ((size_t)b * args.chunks + chunk) * 2 * n, *squares = mean + n;
    in += ((size_t)b * args.pixels + (size_t)chunk * args.chunk) * n;
    for (int c = 0; c < 2 * n; c++)
        mean[c] = 0.0f;
    for (int p = 1; p < count; p++)
        add_differences(mean, in + (size_t)p * n, in, n);
    for (int c = 0; c < n; c++)
        mean[c] = in[c] + mean[c] / count;
    for (int p = 0; p < count; p++)
        add_squares(squares, in + (size_t)p * n, mean, n);
}

/* Group of 1. Grid: groups fastest, then images. */
VECTOR_KERNEL void group_norm_join(__global float *stats, __global const float *parts, __global const float *gamma,
                                   struct group_norm_args args)
{
    int n = args.channels, width = n / args.groups, first = get_global_id(0) * width, b = get_global_id(1);
    float total = (float)args.pixels * width, sum = 0.0f, squares = 0.0f, mean, scale;
    parts += (size_t)b * args.chunks * 2 * n + first;
    stats += (size_t)b * 2 * n + first;
    for (int chunk = 0; chunk < args.chunks; chunk++) {
        float part = 0.0f;
        for (int c = 0; c < width; c++)
            part += parts[(size_t)chunk * 2 * n + c] - parts[0];
        sum += part * CHUNK_PIXELS(args, chunk);
    }
    mean = parts[0] + sum / total;
    for (int chunk = 0; chunk < args.chunks; chunk++) {
        float part = 0.0f;
        for (int c = 0; c < width; c++) {
            float d = parts[(size_t)chunk * 2 * n + c] - mean;
            part += parts[((size_t)chunk * 2 + 1) * n + c] + d * d * CHUNK_PIXELS(args, chunk);
        }
        squares += part;
    }
    scale = 1.0f / sqrt(squares / total + args.eps);
    for (int c = 0; c < width; c++) {
        stats[c] = mean;
        stats[n + c] = scale * gamma[first + c];
    }
}

/* Group of 1. Grid: chunks fastest, then images. out may be in. */
VECTOR_KERNEL void group_norm_apply(__global float *out, __global const float *in, __global const float *stats, __global const float *beta,
                                    struct group_norm_args args)
{
    int chunk = get_global_id(0), b = get_global_id(1), n = args.channels, count = CHUNK_PIXELS(args, chunk);
    size_t first = ((size_t)b * args.pixels + (size_t)chunk * args.chunk) * n;
    __global const float *mean = stats + (size_t)b * 2 * n, *scale = mean + n;
    in += first;
    out += first;
    for (int p = 0; p < count; p++, in += n, out += n) {
        int c = 0;
        for (; c + 16 <= n; c += 16) {
            float16 x = (vload16(0, in + c) - vload16(0, mean + c)) * vload16(0, scale + c) + vload16(0, beta + c);
            vstore16(activate_v16(x, ACT, 0.0f), 0, out + c);
        }
        for (; c < n; c++)
            out[c] = activate((in[c] - mean[c]) * scale[c] + beta[c], ACT, 0.0f);
    }
}

#else

/* Work-item: one channel of one chunk. Grid: channels fastest, then chunks, then images. Any group size, no local memory. */
__kernel void group_norm_sums(__global float *parts, __global const float *in, struct group_norm_args args)
{
    int c = get_global_id(0), chunk = get_global_id(1), b = get_global_id(2), n = args.channels, count = CHUNK_PIXELS(args, chunk);
    float sum = 0.0f, squares = 0.0f, from, mean;
    if (c >= n)
        return;
    in += ((size_t)b * args.pixels + (size_t)chunk * args.chunk) * n + c;
    parts += ((size_t)b * args.chunks + chunk) * 2 * n + c;
    from = in[0];
    for (int p = 1; p < count; p++)
        sum += in[(size_t)p * n] - from;
    mean = from + sum / count;
    for (int p = 0; p < count; p++) {
        float d = in[(size_t)p * n] - mean;
        squares += d * d;
    }
    parts[0] = mean;
    parts[n] = squares;
}

/* Work-group: one group of channels; its work-items take every ITEMS-th pair of chunk and channel. Grid: groups fastest, then images.
 * Local memory: ITEMS floats. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void group_norm_join(__global float *stats, __global const float *parts,
                                                                                 __global const float *gamma, struct group_norm_args args)
{
    __local float part[ITEMS];
    int n = args.channels, width = n / args.groups, first = get_group_id(0) * width, b = get_group_id(1);
    int item = get_local_id(0), pairs = args.chunks * width;
    float total = (float)args.pixels * width, sum = 0.0f, mean, scale;
    parts += (size_t)b * args.chunks * 2 * n + first;
    stats += (size_t)b * 2 * n + first;
    for (int i = item; i < pairs; i += ITEMS) {
        int chunk = i / width, c = i % width;
        sum += (parts[(size_t)chunk * 2 * n + c] - parts[0]) * CHUNK_PIXELS(args, chunk);
    }
    mean = parts[0] + group_sum(sum, part) / total;
    sum = 0.0f;
    for (int i = item; i < pairs; i += ITEMS) {
        int chunk = i / width, c = i % width;
        float d = parts[(size_t)chunk * 2 * n + c] - mean;
        sum += parts[((size_t)chunk * 2 + 1) * n + c] + d * d * CHUNK_PIXELS(args, chunk);
    }
    scale = 1.0f / sqrt(group_sum(sum, part) / total + args.eps);
    for (int c = item; c < width; c += ITEMS) {
        stats[c] = mean;
        stats[n + c] = scale * gamma[first + c];
    }
}

/* Work-item: one number of an image. Grid: pixels * channels fastest, then images. Any group size, no local memory. out may be in. */
__kernel void group_norm_apply(__global float *out, __global const float *in, __global const float *stats, __global const float *beta,
                               struct group_norm_args args)
{
    size_t i = get_global_id(0), each = (size_t)args.pixels * args.channels, b = get_global_id(1);
    int n = args.channels, c = (int)((uint)i % (uint)n);
    if (i >= each)
        return;
    stats += b * 2 * n;
    out[b * each + i] = activate((in[b * each + i] - stats[c]) * stats[n + c] + beta[c], ACT, 0.0f);
}

#endif
