/* softmax.cl - softmax over the last dimension: exp(x - m) / sum exp(x - m), m the row's maximum; with -DLOGARITHM=1 its logarithm,
 * x - m - log(sum exp(x - m)). Entries of -inf get 0 (-inf). A row that is -inf throughout, or holds a NaN or +inf, gives NaN, as
 * torch: there is no right answer, and a NaN is seen where zeros would not be. Two families:
 *   -DROW=1     one work-item walks a row with float16 vectors; for CPUs
 *   default     one work-group of ITEMS shares a row; for GPUs */
// isa: -DITEMS={softmax.items}
// isa: -DLOGARITHM=1
// isa: -DITEMS=256
// isa-cpu: -DROW=1
// isa-cpu: -DROW=1 -DLOGARITHM=1
#include "common.clh"

#ifndef ITEMS
#define ITEMS 128 /* work-items per row: a power of two */
#endif
#include "reduce.clh"

#ifdef ROW

/* Work-item: row get_global_id(0) of [rows, n]. Group of 1, no local memory, any n. out may be in. */
VECTOR_KERNEL void softmax(__global float *out, __global const float *in, struct norm_args args)
{
    int row = get_global_id(0), n = args.n, whole = n & ~15, c;
    float16 lanes = (float16)(-INFINITY);
    float m = -INFINITY, sum = 0.0f;
    if (row >= args.rows)
        return;
    in += (size_t)row * n;
    out += (size_t)row * n;
    for (c = 0; c < whole; c += 16)
        lanes = fmax(lanes, vload16(0, in + c));
    for (; c < n; c++)
        m = fmax(m, in[c]);
    m = fmax(m, max16(lanes));

    lanes = (float16)(0.0f);
#ifdef LOGARITHM
    for (c = 0; c < whole; c += 16)
        lanes += exp(vload16(0, in + c) - m);
    for (; c < n; c++)
        sum += exp(in[c] - m);
    sum = log(sum16(lanes) + sum);
    for (c = 0; c < whole; c += 16)
        vstore16(vload16(0, in + c) - m - sum, 0, out + c);
    for (; c < n; c++)
        out[c] = in[c] - m - sum;
#else
    for (c = 0; c < whole; c += 16) {
        float16 e = exp(vload16(0, in + c) - m);
        lanes += e;
        vstore16(e, 0, out + c);
    }
    for (; c < n; c++) {
        float e = exp(in[c] - m);
        sum += e;
        out[c] = e;
    }
    sum = 1.0f / (sum16(lanes) + sum);
    for (c = 0; c < whole; c += 16)
        vstore16(vload16(0, out + c) * sum, 0, out + c);
    for (; c < n; c++)
        out[c] *= sum;
#endif
}

#else

/* Work-group: row get_group_id(0) of [rows, n]; work-item i takes columns i, i + ITEMS, ... and no other item's, so out may be in.
 * Local memory: ITEMS floats. Any n. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void softmax(__global float *out, __global const float *in,
                                                                         struct norm_args args)
{
    __local float part[ITEMS];
    int row = get_group_id(0), item = get_local_id(0), n = args.n;
    float m = -INFINITY, sum = 0.0f;
    in += (size_t)row * n;
    out += (size_t)row * n;
    for (int c = item; c < n; c += ITEMS)
        m = fmax(m, in[c]);
    m = group_max(m, part);
#ifdef LOGARITHM
    for (int c = item; c < n; c += ITEMS)
        sum += exp(in[c] - m);
    sum = log(group_sum(sum, part));
    for (int c = item; c < n; c += ITEMS)
        out[c] = in[c] - m - sum;
#else
    for (int c = item; c < n; c += ITEMS) {
        float e = exp(in[c] - m);
        sum += e;
        out[c] = e;
    }
    sum = 1.0f / group_sum(sum, part);
    for (int c = item; c < n; c += ITEMS)
        out[c] *= sum;
#endif
}

#endif
