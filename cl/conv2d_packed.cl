/* conv2d_packed.cl - convolution of images as a matrix product whose rows are never stored (implicit GEMM): out[b][y][x][n] =
 * act(sum over taps (i, j) and channels c of w[n][(i taps + j) C + c] in[b][y s - before + i][x s - before + j][c] + bias) + residual;
 * NHWC, in f32, w packed f32 or f16 (MATRIX_PANELS or MATRIX_ROWS), sums in f32. `in` may stand twice in both directions (shift 1: nearest
 * upsampling), which costs nothing here but the coordinates.
 *
 * Families
 *   conv2d_panel   CPUs: as gemm_panel, a work-item is a SIMD tile of MR pixels x 32 outputs in registers, for one tap after the other. A
 *                  tap outside the image reads `zeros`, so the inner loop knows no borders; PICTURES: where there are as many images as
 *                  a tile has pixels, these are one place in each, and a tap outside is left out.
 *   conv2d_few     CPUs, up to 4 outputs (an image's colours): a panel would compute 32. Sums over 16 channels at a time, 4 pixels x 4
 *                  outputs in registers; the weights lie in rows for it (conv2d_few_weights). in % 16 is 0.
 *   conv2d_tile    GPUs: as gemm_tile, pixels and outputs through local memory.
 *   conv2d_single  one output number per work-item, either layout: what is left when the others answer wrongly on a device.
 * PANEL: panels of weights (conv2d_panel, conv2d_few, conv2d_single), otherwise rows (conv2d_tile, conv2d_single). MR: pixels of a tile. */
// isa: -DW_F16={0,1}
// isa: -DW_F16=0 -DGX=8 -DGY=8
// isa: -DW_F16={0,1} -DGX={gemm.tile.gx} -DGY={gemm.tile.gy} -DTN={gemm.tile.tn} -DTM={gemm.tile.tm} -DSTEP={gemm.tile.step}
// isa-cpu: -DW_F16=0 -DPANEL -DMR=8
// isa-cpu: -DW_F16=1 -DPANEL -DMR=8
// isa-cpu: -DW_F16=0 -DPANEL -DMR=8 -DPICTURES
#include "packed.clh"
#include "reduce.clh"
#include "tile.clh"
#include "window.clh"

/* One work-item: output n = gid(0) of pixel m = gid(1) of all images. Any group size, no local memory. */
__kernel void conv2d_single(__global float *out, const __global float *in, const __global weight_t *w, const __global float *bias,
                            const __global float *residual, struct gemm_args g, struct window_args v)
{
    int n = get_global_id(0), m = get_global_id(1);
    if (n >= g.n || m >= g.m)
        return;
    struct window at = window_of(m, &v);
#ifdef PANEL
    const __global weight_t *row = w + (size_t)(n / 32) * g.k * 32 + n % 32;
#define NEXT 32
#else
    const __global weight_t *row = w + (size_t)n * g.k;
#define NEXT 1
#endif
    float sum = 0.0f;
    for (int tap = 0; tap < v.taps * v.taps; tap++, row += (size_t)v.in * NEXT) {
        int pixel = tap_pixel(at, tap, &v);
        if (pixel < 0)
            continue;
        const __global float *a = in + (size_t)pixel * v.in;
        for (int c = 0; c < v.in; c++)
            sum = MAD(a[c], LOAD1(row, c * NEXT), sum);
    }
    out[(size_t)m * g.ldc + n] = finish(sum, m, n, bias + (size_t)at.picture * v.bias_step, residual, g);
}

#ifdef PANEL

/* One work-item: pixels MR*gid(0).. of all images, or, PICTURES, one place in MR neighbouring images, of which the places run fastest;
 * outputs 32*gid(1)... Group of 1; pixels run fastest, so that a panel stays in the cache. zeros: v.in of them. A row count below MR clamps: the
 * same pixels are computed twice. */
VECTOR_KERNEL void conv2d_panel(__global float *out, const __global float *in, const __global weight_t *w, const __global float *bias,
                                const __global float *residual, struct gemm_args g, const __global float *zeros, struct window_args v)
{
    int panel = get_global_id(1), pixels = v.out_height * v.out_width;
#ifdef PICTURES
    int place = get_global_id(0) % pixels, picture = get_global_id(0) / pixels * MR, rows = min(MR, v.batch - picture);
#define PIXEL(i) ((picture + (i)) * pixels + place)
#else
    int m0 = get_global_id(0) * MR, rows = min(MR, g.m - m0);
#define PIXEL(i) (m0 + (i))
#endif
    const __global weight_t *p = w + (size_t)panel * g.k * 32;
    struct window at[MR];
    float16 low[MR], high[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        at[i] = window_of(PIXEL(min(i, rows - 1)), &v);
        low[i] = high[i] = 0.0f;
    }
    for (int tap = 0; tap < v.taps * v.taps; tap++) {
        const __global float *row[MR];
#ifdef PICTURES
        int first = tap_pixel(at[0], tap, &v);
        if (first < 0) { /* outside in all of them */
            p += (size_t)v.in * 32;
            continue;
        }
#pragma unroll
        for (int i = 0; i < MR; i++)
            row[i] = in + (first + (size_t)(at[i].picture - at[0].picture) * v.height * v.width) * v.in;
#else
#pragma unroll
        for (int i = 0; i < MR; i++) {
            int pixel = tap_pixel(at[i], tap, &v);
            row[i] = pixel < 0 ? zeros : in + (size_t)pixel * v.in;
        }
#endif
        for (int c = 0; c < v.in; c++, p += 32)
            add_products(low, high, row, c, LOAD16(p), LOAD16(p + 16));
    }
    float16 tile[2 * MR]; /* through private memory, so that the epilogue is compiled once and not MR times */
#pragma unroll
    for (int i = 0; i < MR; i++) {
        tile[2 * i] = low[i];
        tile[2 * i + 1] = high[i];
    }
#pragma unroll 1
    for (int i = 0; i < rows; i++)
        store_row(out, tile + 2 * i, PIXEL(i), panel * 32, bias + (size_t)(PIXEL(i) / pixels) * v.bias_step, residual, &g);
}

/* to[FEW][k]: the first outputs of panel 0, as f32 rows. Work-item: column gid(0) of k. Any group size. */
#define FEW 4
__kernel void conv2d_few_weights(__global float *to, const __global weight_t *w, int k)
{
    int i = get_global_id(0);
    for (int n = 0; n < FEW && i < k; n++)
        to[(size_t)n * k + i] = LOAD1(w, (size_t)i * 32 + n);
}

/* One work-item: pixels 4*gid(0).. of all images, all outputs. Group of 1. zeros: v.in of them. w: what conv2d_few_weights wrote. */
VECTOR_KERNEL void conv2d_few(__global float *out, const __global float *in, const __global float *w, const __global float *bias,
                              const __global float *residual, struct gemm_args g, const __global float *zeros, struct window_args v)
{
    int m0 = get_global_id(0) * 4, pixels = v.out_height * v.out_width;
    float16 sum[4 * FEW];
    for (int i = 0; i < 4 * FEW; i++)
        sum[i] = 0.0f;
    for (int tap = 0; tap < v.taps * v.taps; tap++) {
        const __global float *row[4];
        for (int i = 0; i < 4; i++) {
            int pixel = tap_pixel(window_of(min(m0 + i, g.m - 1), &v), tap, &v);
            row[i] = pixel < 0 ? zeros : in + (size_t)pixel * v.in;
        }
        for (int c = 0; c < v.in; c += 16) {
            float16 weights[FEW];
#pragma unroll
            for (int n = 0; n < FEW; n++)
                weights[n] = vload16(0, w + (size_t)n * g.k + tap * v.in + c);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float16 x = vload16(0, row[i] + c);
#pragma unroll
                for (int n = 0; n < FEW; n++)
                    sum[i * FEW + n] = MAD(x, weights[n], sum[i * FEW + n]);
            }
        }
    }
    for (int i = 0; i < min(4, g.m - m0); i++)
        for (int n = 0; n < g.n; n++)
            out[(size_t)(m0 + i) * g.ldc + n] =
                finish(sum16(sum[i * FEW + n]), m0 + i, n, bias + (size_t)((m0 + i) / pixels) * v.bias_step, residual, g);
}

#else

/* Group of GX x GY: pixels TILE_M*group(1)... of all images, outputs TILE_N*group(0)...; each work-item TM x TN of them, GY and GX apart.
 * Local memory: STEP * (TILE_M + TILE_N + 2) floats, and TILE_M windows. */
__kernel __attribute__((reqd_work_group_size(GX, GY, 1))) void conv2d_tile(__global float *out, const __global float *in,
                                                                           const __global weight_t *w, const __global float *bias,
                                                                           const __global float *residual, struct gemm_args g,
                                                                           struct window_args v)
{
    __local float as[STEP][TILE_M + 1], ws[STEP][TILE_N + 1];
    __local struct window at[TILE_M];
    int x = get_local_id(0), y = get_local_id(1), id = y * GX + x, pixels = v.out_height * v.out_width;
    int n0 = get_group_id(0) * TILE_N, m0 = get_group_id(1) * TILE_M;
    float sum[TM * TN];
    for (int e = id; e < TILE_M; e += TILE_ITEMS)
        at[e] = window_of(min(m0 + e, g.m - 1), &v);
#pragma unroll
    for (int i = 0; i < TM * TN; i++)
        sum[i] = 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k0 = 0; k0 < g.k; k0 += STEP) {
        for (int e = id; e < TILE_M * STEP; e += TILE_ITEMS) {
            int k = k0 + e % STEP, r = e / STEP;
            int pixel = k < g.k ? tap_pixel(at[r], k / v.in, &v) : -1;
            as[e % STEP][r] = pixel < 0 ? 0.0f : in[(size_t)pixel * v.in + k % v.in];
        }
        for (int e = id; e < TILE_N * STEP; e += TILE_ITEMS) {
            int k = e % STEP, r = e / STEP;
            ws[k][r] = k0 + k < g.k && n0 + r < g.n ? LOAD1(w, (size_t)(n0 + r) * g.k + k0 + k) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(sum, as, ws, x, y);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll 1
    for (int i = 0; i < TM * TN; i++) {
        int m = m0 + y + GY * (i / TN), n = n0 + x + GX * (i % TN);
        if (m < g.m && n < g.n)
            out[(size_t)m * g.ldc + n] = finish(sum[0], m, n, bias + (size_t)(m / pixels) * v.bias_step, residual, g);
        move_up(sum);
    }
}
#endif
