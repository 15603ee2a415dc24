/* gemm.cl - out[m][n] = act(alpha sum_k a[m][k] w[n][k] + bias[n]) + residual[m][n]; a f32, w packed f32 or f16, sums in f32.
 *
 * Families
 *   gemm_panel  CPUs: a work-item is a SIMD tile of MR rows x 32 columns held in registers; w in panels of 32 outputs, so that one step
 *               of k reads 32 neighbouring weights and MR broadcast inputs. A row count below MR clamps: the same rows are computed twice.
 *   gemm_tile   GPUs: a group of GX x GY work-items has a tile of GX*TN x GY*TM of out, TM x TN each, STEP columns of k at a time through
 *               local memory; the next step's numbers come into registers meanwhile. SLICES > 1: as many such groups in one, which share
 *               the columns of k and add up their sums at the end: for outputs so small that their tiles would leave the device empty.
 *               (Sums in device memory would fill it with more groups still, but need scratch, which this operation does not take.)
 *   gemm_rows   GPUs, up to 16 rows: a group of 64 work-items computes OUTPUTS neighbouring outputs for all RB rows, so that each weight is
 *               read once; the columns of k lie across the work-items, and the sums are added in local memory.
 *   gemm_epilogue  what follows CLBlast, which has no epilogue of its own: one work-item per number of out.
 * PANEL, TILE, ROWS: the family; none: the epilogue. MR, RB: rows. W_F16: weights stored as half. VECTOR: every row of a and w begins on a
 * multiple of 4 numbers and k is one, so that 4 are read at once (some compilers need to know the alignment).
 * Rejected for gemm_panel: tiles of 64 columns (registers spill at MR = 8), packing A (the rows are read from L1 anyway).
 */
// isa:
// isa: -DTILE -DW_F16={0,1} -DVECTOR={0,1} -DGX={gemm.tile.gx} -DGY={gemm.tile.gy} -DTN={gemm.tile.tn} -DTM={gemm.tile.tm} -DSTEP={gemm.tile.step} -DBUFFERS={gemm.tile.buffers} -DSLICES=1
// isa: -DTILE -DW_F16={0,1} -DVECTOR={0,1} -DGX=8 -DGY=8 -DTN=4 -DTM=4 -DSTEP=16 -DBUFFERS=1 -DSLICES={gemm.split.slices}
// isa: -DROWS -DW_F16=1 -DVECTOR={0,1} -DRB={1,2,4,8} -DOUTPUTS={gemm.rows.outputs}
// isa: -DROWS -DW_F16=0 -DVECTOR=1 -DRB={1,8} -DOUTPUTS={gemm.rows.outputs}
// isa: -DROWS -DW_F16={0,1} -DVECTOR={0,1} -DRB=16 -DOUTPUTS=2
// isa-cpu: -DW_F16=0 -DPANEL -DMR=8
// isa-cpu: -DW_F16=1 -DPANEL -DMR=8
// isa-cpu: -DW_F16=1 -DPANEL -DMR=12
// isa-cpu: -DW_F16=1 -DPANEL -DMR=1
#include "packed.clh"
#include "tile.clh"

#ifdef PANEL
/* Sums of each row that do not wait for each other: a multiply-add takes 4 cycles or so, and a single row would wait for most of them. */
#define CHAINS (MR == 1 ? 4 : MR == 2 ? 2 : 1)
/* Rows m0 .. m0 + MR - 1, columns 32 * panel .. of c; b: the panel's weights. */
static __attribute__((always_inline)) void multiply_rows(__global float *c, const __global float *a, const __global weight_t *b,
                                                         const __global float *bias, const __global float *residual,
                                                         const struct gemm_args *g, int m0, int panel)
{
    const __global float *row[MR];
    float16 low[CHAINS * MR], high[CHAINS * MR];
#pragma unroll
    for (int i = 0; i < MR; i++)
        row[i] = a + g->a_offset + (size_t)min(m0 + i, g->m - 1) * g->lda;
#pragma unroll
    for (int i = 0; i < CHAINS * MR; i++)
        low[i] = high[i] = 0.0f;
    int k = 0;
    for (; k + CHAINS <= g->k; k += CHAINS, b += 32 * CHAINS)
#pragma unroll
        for (int j = 0; j < CHAINS; j++)
            add_products(low + j * MR, high + j * MR, row, k + j, LOAD16(b + 32 * j), LOAD16(b + 32 * j + 16));
#if CHAINS > 1
    for (; k < g->k; k++, b += 32)
        add_products(low, high, row, k, LOAD16(b), LOAD16(b + 16));
#pragma unroll
    for (int i = MR; i < CHAINS * MR; i++) {
        low[i % MR] += low[i];
        high[i % MR] += high[i];
    }
#endif
    store_rows(c, low, high, m0, panel * 32, bias, residual, g);
}

#if MR == 1
/* A single row and WIDE panels side by side: from as many places at once a core's caches deliver more. */
#define WIDE 4
static __attribute__((always_inline)) void multiply_wide(__global float *c, const __global float *a, const __global weight_t *b,
                                                         const __global float *bias, const __global float *residual,
                                                         const struct gemm_args *g, int m, int panel)
{
    const __global float *row = a + g->a_offset + (size_t)m * g->lda;
    size_t step = (size_t)g->k * 32;
    float16 tile[2 * WIDE];
#pragma unroll
    for (int p = 0; p < 2 * WIDE; p++)
        tile[p] = 0.0f;
    for (int k = 0; k < g->k; k++, b += 32) {
        float16 x = row[k];
#pragma unroll
        for (int p = 0; p < WIDE; p++) {
            tile[2 * p] = MAD(x, LOAD16(b + p * step), tile[2 * p]);
            tile[2 * p + 1] = MAD(x, LOAD16(b + p * step + 16), tile[2 * p + 1]);
        }
    }
    float16 sums[2 * WIDE];
#pragma unroll
    for (int p = 0; p < 2 * WIDE; p++)
        sums[p] = tile[p];
#pragma unroll 1
    for (int p = 0; p < WIDE; p++)
        store_row(c, sums + 2 * p, m, (panel + p) * 32, bias, residual, g);
}
#endif

/* One work-item: blocks of MR rows and panels of 32 columns, equally many for each gid(0) and gid(1). Group of 1; row blocks run fastest,
 * so that a panel stays in the cache. Where k is small a single block would be little more work than the call of a work-item. */
VECTOR_KERNEL void gemm_panel(__global float *c, const __global float *a, const __global weight_t *w, const __global float *bias,
                              const __global float *residual, struct gemm_args g)
{
    int blocks = (g.m + MR - 1) / MR, each = (blocks + get_global_size(0) - 1) / get_global_size(0);
    int first = get_global_id(0) * each, end = min(first + each, blocks);
#if MR == 1
    int panels = (g.n + 31) / 32, wide = (panels + get_global_size(1) - 1) / get_global_size(1);
    int panel = get_global_id(1) * wide, last = min(panel + wide, panels);
    for (; panel + WIDE <= last; panel += WIDE)
#pragma unroll 1
        for (int block = first; block < end; block++)
            multiply_wide(c, a, w + (size_t)panel * g.k * 32, bias, residual, &g, block, panel);
    for (; panel < last; panel++)
#else
    int panel = get_global_id(1);
#endif
#pragma unroll 1
        for (int block = first; block < end; block++)
            multiply_rows(c, a, w + (size_t)panel * g.k * 32, bias, residual, &g, block * MR, panel);
}
#elif defined(TILE) || defined(ROWS)

#ifndef VECTOR
#define VECTOR 0
#endif
#if VECTOR
#define WIDTH 4
typedef float4 piece;
#define A_PIECE(p) (*(const __global float4 *)(p))
#if W_F16
/* One load of 8 bytes: vload_half4 of device memory promises the compiler no alignment, and becomes four loads. */
static __attribute__((always_inline)) float4 w_piece(const __global half *p)
{
    uint2 bits = *(const __global uint2 *)p;
    return vload_half4(0, (const half *)&bits);
}
#define W_PIECE(p) w_piece(p)
#else
#define W_PIECE(p) A_PIECE(p)
#endif
#else
#define WIDTH 1
typedef float piece;
#define A_PIECE(p) (*(p))
#define W_PIECE(p) LOAD1(p, 0)
#endif
#define INLINE static __attribute__((always_inline))
#endif

#ifdef TILE
#ifndef BUFFERS
#define BUFFERS 1 /* steps that local memory holds; 2: one barrier a step instead of two */
#endif
#ifndef SLICES
#define SLICES 1
#endif
#define PIECES (STEP / WIDTH)                                        /* of a row and step */
#define EACH(ROWS_) ((ROWS_ * PIECES + TILE_ITEMS - 1) / TILE_ITEMS) /* pieces that a work-item brings */
/* Outputs of a work-item that lie together, so that its operands are read from local memory 4 at a time; padding keeps columns of k in
 * other banks, and rows on multiples of 4. */
#if TM % 4 == 0
#define VM 4
#else
#define VM 1
#endif
#if TN % 4 == 0
#define VN 4
#else
#define VN 1
#endif
#define LD_M (TILE_M + VM)
#define LD_N (TILE_N + VN)
#define A_SIZE ((SLICES * BUFFERS * STEP * LD_M + 3) / 4 * 4)
#define W_SIZE (SLICES * BUFFERS * STEP * LD_N)
#define SUMS (SLICES > 1 ? TILE_ITEMS * TM * TN : 0)
#define POOL (A_SIZE + W_SIZE > SUMS ? A_SIZE + W_SIZE : SUMS)

/* A step of a tile's rows, `ld` numbers apart and `count` in all, into registers. Rows behind the last repeat it, since what they add to is
 * not stored; columns behind k are 0. Which row and column a work-item's pieces have: see put. */
#define DEFINE_FETCH(NAME, TYPE, PIECE, ROWS_)                                                                                             \
    INLINE void NAME(piece *to, const __global TYPE *from, int first, int k0, int id, int count, int k, int ld)                            \
    {                                                                                                                                      \
        UNROLL for (int p = 0; p < EACH(ROWS_); p++)                                                                                       \
        {                                                                                                                                  \
            int e = id + p * TILE_ITEMS, column = k0 + e % PIECES * WIDTH, row = min(first + e / PIECES, count - 1);                       \
            piece x = PIECE(from + (size_t)row * ld + (column < k ? column : 0));                                                          \
            to[p] = column < k ? x : (piece)(0.0f);                                                                                        \
        }                                                                                                                                  \
    }
#define UNROLL _Pragma("unroll")
DEFINE_FETCH(fetch_a, float, A_PIECE, TILE_M)
DEFINE_FETCH(fetch_w, weight_t, W_PIECE, TILE_N)

/* Those pieces into local memory, turned: to[column][row]. */
#if VECTOR
#define PUT(to, ld, x) (to)[0] = (x).s0, (to)[ld] = (x).s1, (to)[2 * ld] = (x).s2, (to)[3 * ld] = (x).s3
#else
#define PUT(to, ld, x) (to)[0] = (x)
#endif
INLINE void put(__local float *to, const piece *from, int id, int rows, int ld)
{
#pragma unroll
    for (int p = 0; p < EACH(rows); p++) {
        int e = id + p * TILE_ITEMS;
        if (rows * PIECES % TILE_ITEMS == 0 || e < rows * PIECES)
            PUT(to + e % PIECES * WIDTH * ld + e / PIECES, ld, from[p]);
    }
}

/* `count` operands of a column of k, in blocks of `block` neighbours that lie `across` blocks apart. */
INLINE void operands(float *to, const __local float *from, int count, int block, int across)
{
#pragma unroll
    for (int i = 0; i < count; i += block)
        if (block == 4)
            vstore4(*(const __local float4 *)(from + i * across), 0, to + i);
        else
            to[i] = from[i * across];
}

INLINE void multiply(float *sum, const __local float *as, const __local float *ws, int x, int y)
{
    as += y * VM;
    ws += x * VN;
#pragma unroll 4
    for (int k = 0; k < STEP; k++) {
        float av[TM], wv[TN];
        operands(av, as + k * LD_M, TM, VM, GY);
        operands(wv, ws + k * LD_N, TN, VN, GX);
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++)
                sum[i * TN + j] = MAD(av[i], wv[j], sum[i * TN + j]);
    }
}

/* What follows the sums of VN neighbouring outputs of row m. */
INLINE void store_sums(__global float *c, const float *sum, int m, int n, const __global float *bias, const __global float *residual,
                       const struct gemm_args *g)
{
#if VN == 4
    float x[4], add[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
        x[j] = g->alpha * sum[j] + (g->has_bias && n + j < g->n ? bias[n + j] : 0.0f);
        add[j] = g->has_residual && n + j < g->n ? residual[(size_t)m * g->ldr + g->r_offset + n + j] : 0.0f;
    }
    vstore4(activate_v4(vload4(0, x), g->act, g->slope) + vload4(0, add), 0, x);
    __global float *to = c + g->c_offset + (size_t)m * g->ldc + n;
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (n + j < g->n)
            to[j] = x[j];
#else
    if (n < g->n)
        c[g->c_offset + (size_t)m * g->ldc + n] = finish(*sum, m, n, bias, residual, *g);
#endif
}

/* Group of GX x GY x SLICES: each work-item TM x TN outputs, in blocks of VM x VN that lie GY and GX blocks apart, so that neighbours store
 * neighbours. Local memory: POOL floats. */
__kernel __attribute__((reqd_work_group_size(GX, GY, SLICES))) void gemm_tile(__global float *c, const __global float *a,
                                                                              const __global weight_t *w, const __global float *bias,
                                                                              const __global float *residual, struct gemm_args g)
{
    __local float pool[POOL] __attribute__((aligned(16)));
    int x = get_local_id(0), y = get_local_id(1), slice = SLICES > 1 ? get_local_id(2) : 0, id = y * GX + x;
    int n0 = get_group_id(0) * TILE_N, m0 = get_group_id(1) * TILE_M;
    __local float *as = pool + slice * BUFFERS * STEP * LD_M, *ws = pool + A_SIZE + slice * BUFFERS * STEP * LD_N;
    float sum[TM * TN];
    piece pa[EACH(TILE_M)], pw[EACH(TILE_N)];
#pragma unroll
    for (int i = 0; i < TM * TN; i++)
        sum[i] = 0.0f;
    a += g.a_offset;
    fetch_a(pa, a, m0, slice * STEP, id, g.m, g.k, g.lda);
    fetch_w(pw, w, n0, slice * STEP, id, g.n, g.k, g.k);
    for (int k0 = 0, odd = 0; k0 < g.k; k0 += SLICES * STEP, odd ^= BUFFERS - 1) {
        int next = k0 + (SLICES + slice) * STEP;
#if BUFFERS == 1
        barrier(CLK_LOCAL_MEM_FENCE); /* the step before was multiplied */
#endif
        put(as + odd * STEP * LD_M, pa, id, TILE_M, LD_M);
        put(ws + odd * STEP * LD_N, pw, id, TILE_N, LD_N);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (k0 + SLICES * STEP < g.k) {
            fetch_a(pa, a, m0, next, id, g.m, g.k, g.lda);
            fetch_w(pw, w, n0, next, id, g.n, g.k, g.k);
        }
        multiply(sum, as + odd * STEP * LD_M, ws + odd * STEP * LD_N, x, y);
    }
#if SLICES > 1
    for (int s = 1; s < SLICES; s++) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (slice == s)
#pragma unroll
            for (int i = 0; i < TM * TN; i++)
                pool[i * TILE_ITEMS + id] = sum[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        if (slice == 0)
#pragma unroll
            for (int i = 0; i < TM * TN; i++)
                sum[i] += pool[i * TILE_ITEMS + id];
    }
    if (slice)
        return;
#endif
        /* The sums move up after each block, so that the epilogue is compiled once and none of them needs an address. */
#pragma unroll 1
    for (int i = 0; i < TM * TN; i += VN) {
        int row = i / TN, column = i % TN, m = m0 + y * VM + row / VM * GY * VM + row % VM, n = n0 + x * VN + column * GX;
        if (m < g.m)
            store_sums(c, sum, m, n, bias, residual, &g);
#pragma unroll
        for (int j = 0; j + VN < TM * TN; j++)
            sum[j] = sum[j + VN];
    }
}
#elif defined(ROWS)

#ifndef RB
#define RB 4 /* rows: 1, 2, 4, 8 or 16 */
#endif
#ifndef OUTPUTS
#define OUTPUTS 4 /* of a group: 1, 2 or 4 */
#endif
#define LANES 64
#define SUMS (RB * OUTPUTS)
#define AT_ONCE (SUMS < 16 ? SUMS : 16) /* sums that are added up together */
#define SHARES (LANES / AT_ONCE)        /* work-items that add up one of them */

INLINE float add_product(float sum, piece a, piece w)
{
#if VECTOR
    return MAD(a.s3, w.s3, MAD(a.s2, w.s2, MAD(a.s1, w.s1, MAD(a.s0, w.s0, sum))));
#else
    return MAD(a, w, sum);
#endif
}

/* Group of 64: outputs OUTPUTS*group(0)..., rows RB*group(1)...; those behind the last repeat it, and are not stored. Local memory:
 * AT_ONCE * (LANES + SHARES + 1) floats. */
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void gemm_rows(__global float *c, const __global float *a,
                                                                           const __global weight_t *w, const __global float *bias,
                                                                           const __global float *residual, struct gemm_args g)
{
    __local float part[AT_ONCE][LANES + 1], share[AT_ONCE][SHARES];
    int lane = get_local_id(0), n0 = get_group_id(0) * OUTPUTS, m0 = get_group_id(1) * RB;
    float sum[SUMS];
#pragma unroll
    for (int i = 0; i < SUMS; i++)
        sum[i] = 0.0f;
    a += g.a_offset;
    for (int k = lane * WIDTH; k < g.k; k += LANES * WIDTH) {
        piece pw[OUTPUTS];
#pragma unroll
        for (int j = 0; j < OUTPUTS; j++)
            pw[j] = W_PIECE(w + (size_t)min(n0 + j, g.n - 1) * g.k + k);
#pragma unroll
        for (int i = 0; i < RB; i++) {
            piece pa = A_PIECE(a + (size_t)min(m0 + i, g.m - 1) * g.lda + k);
#pragma unroll
            for (int j = 0; j < OUTPUTS; j++)
                sum[i * OUTPUTS + j] = add_product(sum[i * OUTPUTS + j], pa, pw[j]);
        }
    }
#pragma unroll 1
    for (int first = 0; first < SUMS; first += AT_ONCE) {
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            part[i][lane] = sum[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        float x = 0.0f;
        for (int l = 0; l < LANES / SHARES; l++)
            x += part[lane % AT_ONCE][lane / AT_ONCE * (LANES / SHARES) + l];
        share[lane % AT_ONCE][lane / AT_ONCE] = x;
        barrier(CLK_LOCAL_MEM_FENCE);
        int m = m0 + (first + lane) / OUTPUTS, n = n0 + (first + lane) % OUTPUTS;
        if (lane < AT_ONCE && m < g.m && n < g.n) {
            x = 0.0f;
            for (int s = 0; s < SHARES; s++)
                x += share[lane][s];
            c[g.c_offset + (size_t)m * g.ldc + n] = finish(x, m, n, bias, residual, g);
        }
#pragma unroll
        for (int i = 0; i + AT_ONCE < SUMS; i++) /* see gemm_tile */
            sum[i] = sum[i + AT_ONCE];
    }
}
#elif !defined(PANEL)

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
