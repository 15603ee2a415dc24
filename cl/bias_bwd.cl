/* bias_bwd.cl - sums over the rows of a matrix, column by column: out[chunk][c] (+)= scale * sum over the rows r of a chunk of in[r][c]. A second
 * run over what the first left adds up the chunks (host/ops/op_bias_bwd.c), so that the order is always the same.
 * LANES=16: a work-item walks the rows with four vectors; for CPUs. 1: with one number; for GPUs. */
// isa:
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 1
#endif
#define VECTORS 4

void put_sum(__global float *out, float sum, const struct column_sums_args *a)
{
    *out = a->scale * sum + (a->add ? *out : 0.0f);
}

/* Work-item: columns LANES * VECTORS * gid(0).. (LANES 1: column gid(0)) of chunk gid(1) of part gid(2). in [parts][rows][n], out
 * [parts][chunks][n]. Any group size, no local memory. */
__kernel void column_sums(__global float *out, const __global float *in, struct column_sums_args a)
{
    int chunk = get_global_id(1), part = get_global_id(2), rows = min(a.chunk, a.rows - chunk * a.chunk);
    in += ((size_t)part * a.rows + (size_t)chunk * a.chunk) * a.n;
    out += ((size_t)part * a.chunks + chunk) * a.n;
#if LANES == 16
    int c = get_global_id(0) * (16 * VECTORS), end = min(c + 16 * VECTORS, a.n);
    if (c + 16 * VECTORS <= a.n) {
        float16 sum[VECTORS];
#pragma unroll
        for (int i = 0; i < VECTORS; i++)
            sum[i] = 0.0f;
        for (int r = 0; r < rows; r++)
#pragma unroll
            for (int i = 0; i < VECTORS; i++)
                sum[i] += vload16(i, in + (size_t)r * a.n + c);
#pragma unroll
        for (int i = 0; i < VECTORS; i++) {
            sum[i] *= a.scale;
            vstore16(a.add ? vload16(i, out + c) + sum[i] : sum[i], i, out + c);
        }
        return;
    }
    for (; c + 16 <= end; c += 16) {
        float16 sum = 0.0f;
        for (int r = 0; r < rows; r++)
            sum += vload16(0, in + (size_t)r * a.n + c);
        sum *= a.scale;
        vstore16(a.add ? vload16(0, out + c) + sum : sum, 0, out + c);
    }
#else
    int c = get_global_id(0), end = min(c + 1, a.n);
#endif
    for (; c < end; c++) {
        float sum = 0.0f;
        for (int r = 0; r < rows; r++)
            sum += in[(size_t)r * a.n + c];
        put_sum(out + c, sum, &a);
    }
}
