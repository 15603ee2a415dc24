/* gemm_q8.cl - out = act(alpha a w + bias) + residual as in gemm.cl, with weights of 8 bits in blocks (the q8_0 of ggml): for one or a few
 * rows on CPUs, where reading the weights is what a product costs.
 *
 * w: panels of 32 outputs, for each of them blocks of 32 columns of k, for each of these 32 scales as half and then 32 x 32 numbers
 * [k % 32][n % 32]; a weight is its number times its output's scale. Behind the last column and output numbers are 0. a is f32, sums are
 * f32. Up to 2 rows a block's sums are made of the bare numbers and then scaled; more rows share scaled weights.
 */
// isa-cpu: -DMR=1
// isa-cpu: -DMR=2
// isa-cpu: -DMR=8
#include "packed.clh"

#define BARE (MR <= 2)
#define CHAINS (MR == 1 ? 4 : MR == 2 ? 2 : 1) /* see gemm_panel */

#define NUMBERS(p) convert_float16(vload16(0, p))

/* Columns k .. k + 31 of a, or only the first `count` of them. */
static __attribute__((always_inline)) void add_block(float16 *low, float16 *high, const __global float *const *row, int k, int count,
                                                     const __global char *block)
{
    float16 scale0 = vload_half16(0, (const __global half *)block), scale1 = vload_half16(1, (const __global half *)block);
    const __global char *b = block + Q8_SCALES;
#if BARE
    float16 bare_low[CHAINS * MR], bare_high[CHAINS * MR];
#pragma unroll
    for (int i = 0; i < CHAINS * MR; i++)
        bare_low[i] = bare_high[i] = 0.0f;
    int j = 0;
    for (; j + CHAINS <= count; j += CHAINS, b += 32 * CHAINS)
#pragma unroll
        for (int c = 0; c < CHAINS; c++)
            add_products(bare_low + c * MR, bare_high + c * MR, row, k + j + c, NUMBERS(b + 32 * c), NUMBERS(b + 32 * c + 16));
    for (; j < count; j++, b += 32)
        add_products(bare_low, bare_high, row, k + j, NUMBERS(b), NUMBERS(b + 16));
#pragma unroll
    for (int i = MR; i < CHAINS * MR; i++) {
        bare_low[i % MR] += bare_low[i];
        bare_high[i % MR] += bare_high[i];
    }
#pragma unroll
    for (int i = 0; i < MR; i++) {
        low[i] = MAD(bare_low[i], scale0, low[i]);
        high[i] = MAD(bare_high[i], scale1, high[i]);
    }
#else
    for (int j = 0; j < count; j++, b += 32)
        add_products(low, high, row, k + j, NUMBERS(b) * scale0, NUMBERS(b + 16) * scale1);
#endif
}

/* One work-item: rows MR*gid(0).., columns 32*gid(1)... Group of 1. */
VECTOR_KERNEL void gemm_q8(__global float *c, const __global float *a, const __global char *w, const __global float *bias,
                           const __global float *residual, struct gemm_args g)
{
    int m0 = get_global_id(0) * MR, panel = get_global_id(1), k = 0;
    const __global char *block = w + (size_t)panel * ((g.k + Q8_COLUMNS - 1) / Q8_COLUMNS) * Q8_BYTES;
    const __global float *row[MR];
    float16 low[MR], high[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        row[i] = a + g.a_offset + (size_t)min(m0 + i, g.m - 1) * g.lda;
        low[i] = high[i] = 0.0f;
    }
    for (; k + Q8_COLUMNS <= g.k; k += Q8_COLUMNS, block += Q8_BYTES)
        add_block(low, high, row, k, Q8_COLUMNS, block);
    if (k < g.k)
        add_block(low, high, row, k, g.k - k, block);
    store_rows(c, low, high, m0, panel * 32, bias, residual, &g);
}
