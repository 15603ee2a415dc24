/* gemm.cl - out[m][n] = act(alpha sum_k a[m][k] w[n][k] + bias[n]) + residual[m][n]; a f32, w packed f32 or f16, sums in f32.
 *
 * Families
 *   gemm_panel  CPUs: a work-item is a SIMD tile of MR rows x 32 columns held in registers; w in panels of 32 outputs, so that one step
 *               of k reads 32 neighbouring weights and MR broadcast inputs. A row count below MR clamps: the same rows are computed twice.
 *   gemm_tile   GPUs: a group of GX x GY work-items has a tile of GX*TN x GY*TM of out, TM x TN each, STEP columns of k at a time through
 *               local memory.
 *   gemm_rows   GPUs, few rows: a group of 64 work-items computes one output n for up to RB rows; they share the weight row, reading it
 *               coalesced, and reduce in a tree.
 *   gemm_epilogue  what follows CLBlast, which has no epilogue of its own: one work-item per number of out.
 * PANEL: the first of them, otherwise the rest. MR: rows of a tile. W_F16: weights stored as half.
 * Rejected for gemm_panel: tiles of 64 columns (registers spill at MR = 8), packing A (the rows are read from L1 anyway).
 */
// isa: -DW_F16=0
// isa: -DW_F16=1
// isa-cpu: -DW_F16=0 -DPANEL -DMR=8
// isa-cpu: -DW_F16=1 -DPANEL -DMR=8
// isa-cpu: -DW_F16=1 -DPANEL -DMR=1
#include "common.clh"

#ifndef MR
#define MR 8
#endif
#ifndef W_F16
#define W_F16 0
#endif
#if W_F16
typedef half weight_t;
#define LOAD16(p) vload_half16(0, p)
#define LOAD1(p, i) vload_half(i, p)
#else
typedef float weight_t;
#define LOAD16(p) vload16(0, p)
#define LOAD1(p, i) (p)[i]
#endif

float finish(float sum, int m, int n, const __global float *bias, const __global float *residual, struct gemm_args g)
{
    float x = g.alpha * sum + (g.has_bias ? bias[n] : 0.0f);
    x = activate(x, g.act, g.slope);
    return g.has_residual ? x + residual[(size_t)m * g.ldr + g.r_offset + n] : x;
}

#ifdef PANEL
/* One finished row of a tile, from private memory. Inline, and the record not by value: a call for each row made products of 512 columns 12 %
 * slower on one runtime. */
__attribute__((always_inline)) void store_row(__global float *c, const float16 *sum, int m, int n0, const __global float *bias, const __global float *residual,
               const struct gemm_args *g)
{
    __global float *to = c + g->c_offset + (size_t)m * g->ldc + n0;
    const __global float *r = residual + (size_t)m * g->ldr + g->r_offset + n0;
    if (n0 + 32 > g->n) {
        for (int j = 0; n0 + j < g->n; j++)
            to[j] = finish(((const float *)sum)[j], m, n0 + j, bias, residual, *g);
        return;
    }
    for (int j = 0; j < 32; j += 16, sum++) {
        float16 x = *sum * g->alpha;
        if (g->has_bias)
            x += vload16(0, bias + n0 + j);
        x = activate_v16(x, g->act, g->slope);
        if (g->has_residual)
            x += vload16(0, r + j);
        vstore16(x, 0, to + j);
    }
}

/* One work-item: rows MR*gid(0).., columns 32*gid(1)... Group of 1; row blocks run fastest, so that a panel stays in the cache. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void gemm_panel(__global float *c, const __global float *a, const __global weight_t *w,
                                                                        const __global float *bias, const __global float *residual,
                                                                        struct gemm_args g)
{
    int m0 = get_global_id(0) * MR, panel = get_global_id(1);
    const __global weight_t *b = w + (size_t)panel * g.k * 32;
    const __global float *row[MR];
    float16 low[MR], high[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        row[i] = a + g.a_offset + (size_t)min(m0 + i, g.m - 1) * g.lda;
        low[i] = 0.0f;
        high[i] = 0.0f;
    }
    for (int k = 0; k < g.k; k++, b += 32) {
        float16 w0 = LOAD16(b), w1 = LOAD16(b + 16);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            float16 x = row[i][k];
            low[i] = MAD(x, w0, low[i]);
            high[i] = MAD(x, w1, high[i]);
        }
    }
    /* Through private memory, so that the epilogue is compiled once and not MR times: it is much code and little time. */
    float16 tile[2 * MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        tile[2 * i] = low[i];
        tile[2 * i + 1] = high[i];
    }
#pragma unroll 1
    for (int i = 0; i < min(MR, g.m - m0); i++)
        store_row(c, tile + 2 * i, m0 + i, panel * 32, bias, residual, &g);
}
#else

#ifndef GX
#define GX 16 /* work-items of a group along n */
#endif
#ifndef GY
#define GY 16 /* along m */
#endif
#ifndef TN
#define TN 4 /* outputs of a work-item along n */
#endif
#ifndef TM
#define TM 4 /* along m */
#endif
#ifndef STEP
#define STEP 16 /* columns of k brought into local memory at a time */
#endif
#define TILE_M (GY * TM)
#define TILE_N (GX * TN)

/* Group of GX x GY: each work-item TM x TN outputs, GY and GX apart, so that neighbours store neighbours.
 * Local memory: STEP * (TILE_M + TILE_N + 2) floats. */
__kernel __attribute__((reqd_work_group_size(GX, GY, 1))) void gemm_tile(__global float *c, const __global float *a, const __global weight_t *w,
                                                                         const __global float *bias, const __global float *residual,
                                                                         struct gemm_args g)
{
    __local float as[STEP][TILE_M + 1], ws[STEP][TILE_N + 1];
    int x = get_local_id(0), y = get_local_id(1), id = y * GX + x;
    int n0 = get_group_id(0) * TILE_N, m0 = get_group_id(1) * TILE_M;
    float sum[TM][TN];
    for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++)
            sum[i][j] = 0.0f;
    for (int k0 = 0; k0 < g.k; k0 += STEP) {
        for (int e = id; e < TILE_M * STEP; e += GX * GY) {
            int k = e % STEP, r = e / STEP;
            as[k][r] = k0 + k < g.k && m0 + r < g.m ? a[g.a_offset + (size_t)(m0 + r) * g.lda + k0 + k] : 0.0f;
        }
        for (int e = id; e < TILE_N * STEP; e += GX * GY) {
            int k = e % STEP, r = e / STEP;
            ws[k][r] = k0 + k < g.k && n0 + r < g.n ? LOAD1(w, (size_t)(n0 + r) * g.k + k0 + k) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < STEP; k++) {
            float av[TM], wv[TN];
            for (int i = 0; i < TM; i++)
                av[i] = as[k][y + GY * i];
            for (int j = 0; j < TN; j++)
                wv[j] = ws[k][x + GX * j];
            for (int i = 0; i < TM; i++)
                for (int j = 0; j < TN; j++)
                    sum[i][j] = MAD(av[i], wv[j], sum[i][j]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++) {
            int m = m0 + y + GY * i, n = n0 + x + GX * j;
            if (m < g.m && n < g.n)
                c[g.c_offset + (size_t)m * g.ldc + n] = finish(sum[i][j], m, n, bias, residual, g);
        }
}

#define RB 4
#define LANES 64

/* Group of 64: output n = group(0), rows RB*group(1)... */
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void gemm_rows(__global float *c, const __global float *a,
                                                                           const __global weight_t *w, const __global float *bias,
                                                                           const __global float *residual, struct gemm_args g)
{
    __local float part[RB][LANES];
    int lane = get_local_id(0), n = get_group_id(0), m0 = get_group_id(1) * RB;
    const __global weight_t *row = w + (size_t)n * g.k;
    float sum[RB];
    for (int i = 0; i < RB; i++)
        sum[i] = 0.0f;
    for (int k = lane; k < g.k; k += LANES) {
        float x = LOAD1(row, k);
        for (int i = 0; i < RB; i++)
            sum[i] = MAD(a[g.a_offset + (size_t)min(m0 + i, g.m - 1) * g.lda + k], x, sum[i]);
    }
    for (int i = 0; i < RB; i++)
        part[i][lane] = sum[i];
    for (int half_way = LANES / 2; half_way; half_way /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_way)
            for (int i = 0; i < RB; i++)
                part[i][lane] += part[i][lane + half_way];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < RB && m0 + lane < g.m)
        c[g.c_offset + (size_t)(m0 + lane) * g.ldc + n] = finish(part[lane][0], m0 + lane, n, bias, residual, g);
}

/* In place on what CLBlast wrote. Grid: n fastest, then m. */
__kernel void gemm_epilogue(__global float *c, const __global float *bias, const __global float *residual, struct gemm_args g)
{
    int n = get_global_id(0), m = get_global_id(1);
    if (n >= g.n || m >= g.m)
        return;
    __global float *x = c + g.c_offset + (size_t)m * g.ldc + n;
    *x = finish(*x, m, n, bias, residual, g);
}
#endif
