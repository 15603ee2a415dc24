/* pack.cl - bring rows of a stored weight (f32, f16 or bf16, any order of axes) into the layout that the GEMM kernels read, and the
 * swapped matrix of a packed one for the gradients.
 *
 * PANELS=1: dst[n / 32][k][n % 32], or, stored as bfloat16, dst[n / 32][k / 2][n % 32][k % 2]; PANELS=0: dst[n][k].
 * pack   DST, SOURCE: 0 f32, 1 f16, 2 bf16 (of dst: in panels alone). See struct pack_args for the source's strides.
 * quantize  QUANTIZE: into blocks of 8 bits, see gemm_q8.cl: of each 32 columns the greatest is 127 or -127.
 * swap   SWAP: dst[c][tap n + i] = w[i][tap channels + c] for all taps; both in the same layout, w f32 or f16 (W_F16), dst f32.
 */
// isa: -DPANELS=0 -DDST=0 -DSOURCE=2
// isa: -DPANELS=0 -DDST=1 -DSOURCE=0
// isa: -DPANELS=0 -DDST=1 -DSOURCE=1
// isa: -DSWAP -DPANELS=0 -DW_F16={0,1} -DSIDE={16,8}
// isa-cpu: -DPANELS=1 -DDST=0 -DSOURCE=1
// isa-cpu: -DPANELS=1 -DDST=1 -DSOURCE=1
// isa-cpu: -DPANELS=1 -DDST=2 -DSOURCE=0
// isa-cpu: -DQUANTIZE -DSOURCE=1
// isa-cpu: -DSWAP -DPANELS=1 -DW_F16=0
// isa-cpu: -DSWAP -DPANELS=1 -DW_F16=1
#include "packed.clh"

#ifndef PANELS
#define PANELS 0
#endif
#ifndef DST
#define DST 0
#endif
#ifndef SOURCE
#define SOURCE 1
#endif

#ifdef SWAP
#if PANELS

/* x[i][j] to x[j][i]: four times the first and the second half are laid between each other. */
__attribute__((always_inline)) void transpose(float16 x[16])
{
#pragma unroll
    for (int round = 0; round < 4; round++) {
        float16 y[16];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            y[2 * i] = (float16)(x[i].s0, x[i + 8].s0, x[i].s1, x[i + 8].s1, x[i].s2, x[i + 8].s2, x[i].s3, x[i + 8].s3, x[i].s4,
                                 x[i + 8].s4, x[i].s5, x[i + 8].s5, x[i].s6, x[i + 8].s6, x[i].s7, x[i + 8].s7);
            y[2 * i + 1] = (float16)(x[i].s8, x[i + 8].s8, x[i].s9, x[i + 8].s9, x[i].sa, x[i + 8].sa, x[i].sb, x[i + 8].sb, x[i].sc,
                                     x[i + 8].sc, x[i].sd, x[i + 8].sd, x[i].se, x[i + 8].se, x[i].sf, x[i + 8].sf);
        }
#pragma unroll
        for (int i = 0; i < 16; i++)
            x[i] = y[i];
    }
}

/* One work-item: rows 16*gid(0).. and channels 16*gid(1).. of tap gid(2); the channels beyond the last, which fill the panel, become 0.
 * Group of 1. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void swap(__global float *restrict dst, const __global weight_t *restrict w,
                                                                  struct swap_args a)
{
    int n0 = get_global_id(0) * 16, c0 = get_global_id(1) * 16, tap = get_global_id(2);
    const __global weight_t *from = w + ((size_t)(n0 / 32) * a.taps * a.channels + (size_t)tap * a.channels + c0) * 32 + n0 % 32;
    int to_tap = a.flip ? a.taps - 1 - tap : tap;
    __global float *to = dst + ((size_t)(c0 / 32) * a.taps * a.n + (size_t)to_tap * a.n + n0) * 32 + c0 % 32;
    float16 x[16];
#pragma unroll
    for (int i = 0; i < 16; i++)
        x[i] = c0 + i < a.channels ? LOAD16(from + i * 32) : (float16)(0.0f);
    transpose(x);
#pragma unroll
    for (int i = 0; i < 16; i++)
        if (n0 + i < a.n)
            vstore16(x[i], 0, to + i * 32);
}
#else

#ifndef SIDE
#define SIDE 16
#endif

/* Group of SIDE x SIDE: rows SIDE*group(0).. and channels SIDE*group(1).. of tap gid(2). Local memory: SIDE x (SIDE + 1) floats. */
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void swap(__global float *restrict dst, const __global weight_t *restrict w,
                                                                    struct swap_args a)
{
    __local float block[SIDE][SIDE + 1];
    int x = get_local_id(0), y = get_local_id(1), n0 = get_group_id(0) * SIDE, c0 = get_group_id(1) * SIDE, tap = get_global_id(2);
    int to_tap = a.flip ? a.taps - 1 - tap : tap;
    if (n0 + y < a.n && c0 + x < a.channels)
        block[y][x] = LOAD1(w, ((size_t)(n0 + y) * a.taps + tap) * a.channels + c0 + x);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (n0 + x < a.n && c0 + y < a.channels)
        dst[((size_t)(c0 + y) * a.taps + to_tap) * a.n + n0 + x] = block[x][y];
}
#endif
#else

/* `stored`: what is written; `value`: what an element of the source becomes on the way. Half to half is a copy of bits. */
#if DST && DST == SOURCE
typedef ushort stored;
typedef ushort value;
#define STORE(x, i, p) (p)[i] = (x)
#elif DST == 2
typedef ushort stored;
typedef float value;
#define STORE(x, i, p) (p)[i] = nearest(x)

/* the bfloat16 nearest to x */
ushort nearest(float x)
{
    uint bits = as_uint(x);
    return isnan(x) ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}
#elif DST
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
#elif DST == SOURCE
    return ((const __global ushort *)source)[i];
#elif SOURCE == 1
    return vload_half(i, (const __global half *)source);
#else
    return as_float((uint)((const __global ushort *)source)[i] << 16);
#endif
}

int source_column(const struct pack_args *p, int k)
{
    return (k / p->channels) * p->tap_step + (k % p->channels) * p->channel_step;
}

#ifdef QUANTIZE
/* One work-item: block gid(0) of 32 columns of panel gid(1) from that of row `first` on. */
__kernel void quantize(__global char *restrict dst, const __global uchar *restrict source, struct pack_args p)
{
    int block = get_global_id(0), blocks = (p.k + Q8_COLUMNS - 1) / Q8_COLUMNS, panel = p.first / 32 + get_global_id(1);
    if (block >= blocks)
        return;
    __global char *to = dst + ((size_t)panel * blocks + block) * Q8_BYTES;
    int columns = min(Q8_COLUMNS, p.k - block * Q8_COLUMNS);
    for (int j = 0; j < 32; j++) {
        int row = panel * 32 + j - p.first;
        float x[Q8_COLUMNS], greatest = 0.0f;
        if (row < 0 || row >= p.rows)
            continue;
        for (int k = 0; k < columns; k++) {
            x[k] = source_value(source, row * p.row_step + source_column(&p, block * Q8_COLUMNS + k));
            greatest = fmax(greatest, fabs(x[k]));
        }
        vstore_half_rte(greatest / 127.0f, j, (__global half *)to);
        float scale = vload_half(j, (__global half *)to), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        for (int k = 0; k < columns; k++)
            to[Q8_SCALES + k * 32 + j] = convert_char_sat_rte(x[k] * inverse);
    }
}
#else

size_t place(int columns, int panel, int k, int j)
{
#if DST == 2
    return (((size_t)panel * ((columns + 1) / 2) + k / 2) * 32 + j) * 2 + k % 2;
#else
    return ((size_t)panel * columns + k) * 32 + j;
#endif
}

/* One work-item: column k of 32 destination rows (PANELS) or of one row. Grid: k fastest, then panels or rows. */
__kernel void pack(__global stored *restrict dst, const __global uchar *restrict source, struct pack_args p)
{
    int k = get_global_id(0), block = get_global_id(1);
    if (k >= p.k)
        return;
    int at = source_column(&p, k);
#if PANELS
    int panel = p.first / 32 + block;
    for (int j = 0; j < 32; j++) {
        int row = panel * 32 + j - p.first;
        if (row >= 0 && row < p.rows)
            STORE(source_value(source, row * p.row_step + at), place(p.k, panel, k, j), dst);
    }
#else
    if (block < p.rows)
        STORE(source_value(source, block * p.row_step + at), (size_t)(p.first + block) * p.k + k, dst);
#endif
}
#endif
#endif
