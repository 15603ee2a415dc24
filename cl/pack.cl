/* pack.cl - bring rows of a stored weight (f32, f16 or bf16, any order of axes) into the layout that the GEMM kernels read.
 *
 * PANELS=1: dst[n / 32][k][n % 32]; PANELS=0: dst[n][k]. DST_F16: stored as half. See struct pack_args for the source's strides.
 */
// isa: -DPANELS=0 -DDST_F16=0
// isa: -DPANELS=0 -DDST_F16=1
// isa-cpu: -DPANELS=1 -DDST_F16=0
// isa-cpu: -DPANELS=1 -DDST_F16=1
#include "common.clh"

#ifndef PANELS
#define PANELS 0
#endif
#ifndef DST_F16
#define DST_F16 0
#endif
#if DST_F16
typedef half stored;
#define STORE(value, i, p) vstore_half_rte(value, i, p)
#else
typedef float stored;
#define STORE(value, i, p) (p)[i] = (value)
#endif

float source_value(const __global uchar *source, int i, int dtype)
{
    if (dtype == 0)
        return ((const __global float *)source)[i];
    if (dtype == 1)
        return vload_half(i, (const __global half *)source);
    return as_float((uint)((const __global ushort *)source)[i] << 16);
}

/* One work-item: column k of 32 destination rows (PANELS) or of one row. Grid: k fastest, then panels or rows. */
__kernel void pack(__global stored *restrict dst, const __global uchar *restrict source, struct pack_args p)
{
    int k = get_global_id(0), block = get_global_id(1);
    if (k >= p.k)
        return;
    int at = (k / p.channels) * p.tap_step + (k % p.channels) * p.channel_step;
#if PANELS
    int panel = p.first / 32 + block;
    for (int j = 0; j < 32; j++) {
        int row = panel * 32 + j - p.first;
        if (row >= 0 && row < p.rows)
            STORE(source_value(source, row * p.row_step + at, p.dtype), ((size_t)panel * p.k + k) * 32 + j, dst);
    }
#else
    if (block < p.rows)
        STORE(source_value(source, block * p.row_step + at, p.dtype), (size_t)(p.first + block) * p.k + k, dst);
#endif
}
