/* pack.cl - bring rows of a stored weight (f32, f16 or bf16, any order of axes) into the layout that the GEMM kernels read.
 *
 * PANELS=1: dst[n / 32][k][n % 32]; PANELS=0: dst[n][k]. DST_F16: stored as half. SOURCE: 0 f32, 1 f16, 2 bf16. See struct pack_args for the source's strides.
 */
// isa: -DPANELS=0 -DDST_F16=0 -DSOURCE=2
// isa: -DPANELS=0 -DDST_F16=1 -DSOURCE=0
// isa: -DPANELS=0 -DDST_F16=1 -DSOURCE=1
// isa-cpu: -DPANELS=1 -DDST_F16=0 -DSOURCE=1
// isa-cpu: -DPANELS=1 -DDST_F16=1 -DSOURCE=1
#include "common.clh"

#ifndef PANELS
#define PANELS 0
#endif
#ifndef DST_F16
#define DST_F16 0
#endif
#ifndef SOURCE
#define SOURCE 1
#endif

/* `stored`: what is written; `value`: what an element of the source becomes on the way. Half to half is a copy of bits. */
#if DST_F16 && SOURCE == 1
typedef ushort stored;
typedef ushort value;
#define STORE(x, i, p) (p)[i] = (x)
#elif DST_F16
typedef half stored;
typedef float value;
#define STORE(x, i, p) vstore_half_rte(x, i, p)
#else
typedef float stored;
typedef float value;
#define STORE(x, i, p) (p)[i] = (x)
#endif

value source_value(const __global uchar *source, int i)
{
#if SOURCE == 0
    return ((const __global float *)source)[i];
#elif SOURCE == 1 && DST_F16
    return ((const __global ushort *)source)[i];
#elif SOURCE == 1
    return vload_half(i, (const __global half *)source);
#else
    return as_float((uint)((const __global ushort *)source)[i] << 16);
#endif
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
            STORE(source_value(source, row * p.row_step + at), ((size_t)panel * p.k + k) * 32 + j, dst);
    }
#else
    if (block < p.rows)
        STORE(source_value(source, block * p.row_step + at), (size_t)(p.first + block) * p.k + k, dst);
#endif
}
