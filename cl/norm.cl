/* norm.cl - layer norm over the last dimension: out = (x - mean) / sqrt(var + eps) * gamma + beta, var the mean of (x - mean)^2.
 * Mean first, then variance, as torch: the one-pass form E[x^2] - mean^2 loses all digits where the mean is large. Two families:
 *   -DROW=1     one work-item walks a row with float16 vectors; for CPUs
 *   default     one work-group of ITEMS shares a row; for GPUs */
// isa: -DITEMS={norm.items}
// isa: -DITEMS=256
// isa-cpu: -DROW=1
#include "common.clh"

#ifndef ITEMS
#define ITEMS 128 /* work-items per row: a power of two */
#endif
#include "reduce.clh"

#ifdef ROW

/* Work-item: row get_global_id(0) of [rows, n]. Group of 1, no local memory, any n. out may be in. */
VECTOR_KERNEL void layer_norm(__global float *out, __global const float *in, __global const float *gamma, __global const float *beta,
                              struct norm_args args)
{
    int row = get_global_id(0), n = args.n, whole = n & ~15, c;
    float16 sums = (float16)(0.0f);
    float rest = 0.0f, mean, scale;
    if (row >= args.rows)
        return;
    in += (size_t)row * n;
    out += (size_t)row * n;
    for (c = 0; c < whole; c += 16)
        sums += vload16(0, in + c);
    for (; c < n; c++)
        rest += in[c];
    mean = (sum16(sums) + rest) / n;

    sums = (float16)(0.0f);
    rest = 0.0f;
    for (c = 0; c < whole; c += 16) {
        float16 d = vload16(0, in + c) - mean;
        sums += d * d;
    }
    for (; c < n; c++)
        rest += (in[c] - mean) * (in[c] - mean);
    scale = 1.0f / sqrt((sum16(sums) + rest) / n + args.eps);

    for (c = 0; c < whole; c += 16)
        vstore16((vload16(0, in + c) - mean) * scale * vload16(0, gamma + c) + vload16(0, beta + c), 0, out + c);
    for (; c < n; c++)
        out[c] = (in[c] - mean) * scale * gamma[c] + beta[c];
}

#else

/* Work-group: row get_group_id(0) of [rows, n]; work-item i takes columns i, i + ITEMS, ... and no other item's, so out may be in.
 * Local memory: ITEMS floats. Any n. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
layer_norm(__global float *out, __global const float *in, __global const float *gamma, __global const float *beta, struct norm_args args)
{
    __local float part[ITEMS];
    int row = get_group_id(0), item = get_local_id(0), n = args.n;
    float sum = 0.0f, mean, scale;
    in += (size_t)row * n;
    out += (size_t)row * n;
    for (int c = item; c < n; c += ITEMS)
        sum += in[c];
    mean = group_sum(sum, part) / n;

    sum = 0.0f;
    for (int c = item; c < n; c += ITEMS)
        sum += (in[c] - mean) * (in[c] - mean);
    scale = 1.0f / sqrt(group_sum(sum, part) / n + args.eps);

    for (int c = item; c < n; c += ITEMS)
        out[c] = (in[c] - mean) * scale * gamma[c] + beta[c];
}

#endif
