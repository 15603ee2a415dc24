/* gemm_bf16.cl - out = act(alpha a w + bias) + residual as in gemm.cl, of numbers rounded to bfloat16 (bf16.clh), sums in f32: for many
 * rows on CPUs.
 *
 * w: panels of 32 outputs, dst[n / 32][k / 2][n % 32], each a pair of columns of k. A work-item rounds MR rows of a, once for all of its
 * panels, into local memory: chunks of CHUNK columns, MR rows each, a fixed distance apart, so that one address serves all of them. MR rows
 * x 32 outputs are a register tile.
 * Rejected: 10 or 12 rows (10 % slower), one panel for each work-item (rounding a again for each costs 20 %), a's rows rounded by a kernel
 * of their own (as fast, but needs scratch).
 */
// isa-cpu: -DMR=8
#include "packed.clh"
#include "bf16.clh"

#define CHUNK GEMM_BF16_CHUNK
#define STEP GEMM_BF16_STEP

DEFINE_ADD_PAIRS(add_pairs, __local, MR)

/* Columns first .. first + 31 of a row of `count`, as pairs; 0 behind the last. */
__attribute__((always_inline)) uint16 round_columns(const __global float *row, int first, int count)
{
    if (first + 32 <= count)
        return pairs_of(vload16(0, row + first), vload16(0, row + first + 16));
    float rest[32];
    for (int j = 0; j < 32; j++)
        rest[j] = first + j < count ? row[first + j] : 0.0f;
    return pairs_of(vload16(0, rest), vload16(0, rest + 16));
}

__attribute__((always_inline)) void round_rows(__local uint *rows, const __global float *a, const struct gemm_args *g, int m0)
{
    for (int i = 0; i < MR; i++) {
        const __global float *row = a + g->a_offset + (size_t)min(m0 + i, g->m - 1) * g->lda;
        for (int k = 0; k < g->k; k += 32)
            vstore16(round_columns(row, k, g->k), 0, rows + (k / CHUNK * MR + i) * STEP + k % CHUNK / 2);
    }
}

/* One work-item: blocks of MR rows, equally many for each gid(0), times panels of 32 outputs, equally many for each gid(1). Group of 1.
 * Local memory: rows of (k + CHUNK - 1) / CHUNK * MR * STEP words. */
VECTOR_KERNEL void gemm_bf16(__global float *c, const __global float *a, const __global uint *w, const __global float *bias,
                             const __global float *residual, struct gemm_args g, __local uint *rows)
{
    int blocks = (g.m + MR - 1) / MR, block_each = (blocks + get_global_size(0) - 1) / get_global_size(0);
    int panels = (g.n + 31) / 32, panel_each = (panels + get_global_size(1) - 1) / get_global_size(1);
    int first_block = get_global_id(0) * block_each, first_panel = get_global_id(1) * panel_each, pairs = (g.k + 1) / 2;
#pragma unroll 1
    for (int block = first_block; block < min(first_block + block_each, blocks); block++) {
        round_rows(rows, a, &g, block * MR);
#pragma unroll 1
        for (int panel = first_panel; panel < min(first_panel + panel_each, panels); panel++) {
            const __global uint *b = w + (size_t)panel * pairs * 32;
            float16 low[MR], high[MR];
#pragma unroll
            for (int i = 0; i < MR; i++)
                low[i] = high[i] = 0.0f;
            for (int at = 0; at < pairs; at += CHUNK / 2)
                add_pairs(low, high, rows + at / (CHUNK / 2) * MR * STEP, STEP, b + (size_t)at * 32, 32, min(CHUNK / 2, pairs - at));
            store_rows(c, low, high, block * MR, panel * 32, bias, residual, &g);
        }
    }
}
