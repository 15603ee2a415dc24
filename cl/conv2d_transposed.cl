/* conv2d_transposed.cl - transposed convolution of images, which is the gradient of a convolution by its input: out[b][y][x][n] =
 * act(sum over taps (i, j) and channels c of w[n][(i taps_x + j) C + c] in[b][(y + before - i) / s][(x + before - j) / s][c] + bias) +
 * residual, over those taps whose quotients are whole and inside; NHWC, in f32, w packed f32 or f16, sums in f32.
 *
 * Output pixels with the same ((y + before) % s, (x + before) % s) are a phase: they take the same taps, i % s and j % s being the phase, from
 * neighbouring input pixels, so that each phase is a convolution of stride 1 and nothing is multiplied by zeros. (Rejected: zeros between
 * the inputs, four times the products at stride 2; a product with all taps followed by sums of overlapping windows, through main memory.)
 *
 * Families
 *   transposed_panel   CPUs: as conv2d_panel, a work-item is a SIMD tile of MR pixels of a phase x 32 outputs in registers. A tap outside
 *                      reads `zeros`; PICTURES: where there are as many images as a tile has pixels, these are one place in each, and a tap
 *                      outside is left out.
 *   transposed_few     CPUs, outputs times phases at most 16: a vector has all outputs of all phases of a block of s x s pixels, which see the
 *                      same input pixels. The weights are laid out for it by transposed_few_weights.
 *   transposed_tile    GPUs: as conv2d_tile.
 *   transposed_single  one output number per work-item, either layout.
 * PANEL: panels of weights (panel, few, single), otherwise rows (tile, single). MR: pixels or blocks of a tile. */
// isa: -DW_F16={0,1}
// isa: -DW_F16=0 -DGX={gemm.tile.gx} -DGY={gemm.tile.gy} -DTN={gemm.tile.tn} -DTM={gemm.tile.tm} -DSTEP={gemm.tile.step}
// isa: -DW_F16=0 -DGX=4 -DGY=32 -DTN=1 -DTM=4
// isa: -DW_F16=0 -DGX=8 -DGY=8
// isa: -DW_F16=0 -DGX=4 -DGY=16 -DTN=1 -DTM=4
// isa-cpu: -DW_F16=0 -DPANEL -DMR=8
// isa-cpu: -DW_F16=0 -DPANEL -DMR=8 -DPICTURES
// isa-cpu: -DW_F16=1 -DPANEL -DMR=12
#include "packed.clh"
#include "tile.clh"

/* One direction of a phase: output place `first` and every stride-th after it, `count` of them; taps `tap`, tap + stride..., `taps` of them.
 * Tap q of output place first + a stride reads input place source + a - q. */
struct phase {
    int first, count, tap, taps, source;
};

struct phase phase_of(int phase, int stride, int before, int taps, int out_size)
{
    int first = (phase + stride - before % stride) % stride;
    struct phase p = {first, (out_size - first + stride - 1) / stride, phase, max(0, (taps - phase + stride - 1) / stride),
                      (first + before - phase) / stride};
    return p;
}

/* A pixel of a phase: its image and its place. */
struct place {
    int picture, y, x;
};

struct place place_of(int m, int rows, int columns)
{
    struct place p = {m / (rows * columns), m / columns % rows, m % columns};
    return p;
}

int pixel_at(int picture, int y, int x, const struct transposed_args *v)
{
    return y >= 0 && y < v->height && x >= 0 && x < v->width ? (picture * v->height + y) * v->width + x : -1;
}

/* One work-item: output n = gid(0) of pixel m = gid(1) of all images. Any group size, no local memory. */
__kernel void transposed_single(__global float *out, const __global float *in, const __global weight_t *w, const __global float *bias,
                                const __global float *residual, struct gemm_args g, struct transposed_args v)
{
    int n = get_global_id(0), m = get_global_id(1);
    if (n >= g.n || m >= g.m)
        return;
    int pixels = v.out_height * v.out_width, picture = m / pixels, y = m % pixels / v.out_width + v.before_y,
        x = m % v.out_width + v.before_x;
#ifdef PANEL
    const __global weight_t *row = w + (size_t)(n / 32) * g.k * 32 + n % 32;
#define NEXT 32
#else
    const __global weight_t *row = w + (size_t)n * g.k;
#define NEXT 1
#endif
    float sum = 0.0f;
    for (int tap = 0; tap < v.taps_y * v.taps_x; tap++, row += (size_t)v.in * NEXT) {
        int ty = y - tap / v.taps_x, tx = x - tap % v.taps_x;
        if (ty % v.stride_y || tx % v.stride_x)
            continue;
        int pixel = pixel_at(picture, ty / v.stride_y, tx / v.stride_x, &v);
        if (pixel < 0)
            continue;
        const __global float *a = in + (size_t)pixel * v.in;
        for (int c = 0; c < v.in; c++)
            sum = MAD(a[c], LOAD1(row, c * NEXT), sum);
    }
    out[(size_t)m * g.ldc + n] = finish(sum, m, n, bias + (size_t)picture * v.bias_step, residual, g);
}

#ifdef PANEL

/* One work-item: pixels MR*gid(0).. of phase gid(2), or, PICTURES, one place in MR neighbouring images; outputs 32*gid(1)... Group of 1.
 * zeros: v.in of them. A row count below MR clamps. */
VECTOR_KERNEL void transposed_panel(__global float *out, const __global float *in, const __global weight_t *w, const __global float *bias,
                                    const __global float *residual, struct gemm_args g, const __global float *zeros,
                                    struct transposed_args v)
{
    int panel = get_global_id(1), phase = get_global_id(2);
    struct phase py = phase_of(phase / v.stride_x, v.stride_y, v.before_y, v.taps_y, v.out_height);
    struct phase px = phase_of(phase % v.stride_x, v.stride_x, v.before_x, v.taps_x, v.out_width);
    int pixels = py.count * px.count;
#ifdef PICTURES
    int place = pixels ? get_global_id(0) % pixels : 0, picture = pixels ? get_global_id(0) / pixels * MR : v.batch;
    int rows = min(MR, v.batch - picture);
#define PIXEL(i) ((picture + (i)) * pixels + place)
#else
    int m0 = get_global_id(0) * MR, rows = min(MR, v.batch * pixels - m0);
#define PIXEL(i) (m0 + (i))
#endif
    if (rows <= 0)
        return;
    struct place at[MR];
    float16 low[MR], high[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        at[i] = place_of(PIXEL(min(i, rows - 1)), py.count, px.count);
        low[i] = high[i] = 0.0f;
    }
    for (int tap = 0; tap < py.taps * px.taps; tap++) {
        int qy = tap / px.taps, qx = tap % px.taps;
        const __global float *row[MR];
#ifdef PICTURES
        int first = pixel_at(at[0].picture, py.source + at[0].y - qy, px.source + at[0].x - qx, &v);
        if (first < 0) /* outside in all of them */
            continue;
#pragma unroll
        for (int i = 0; i < MR; i++)
            row[i] = in + (first + (size_t)(at[i].picture - at[0].picture) * v.height * v.width) * v.in;
#else
#pragma unroll
        for (int i = 0; i < MR; i++) {
            int pixel = pixel_at(at[i].picture, py.source + at[i].y - qy, px.source + at[i].x - qx, &v);
            row[i] = pixel < 0 ? zeros : in + (size_t)pixel * v.in;
        }
#endif
        int which = (py.tap + qy * v.stride_y) * v.taps_x + px.tap + qx * v.stride_x;
        const __global weight_t *p = w + ((size_t)panel * g.k + (size_t)which * v.in) * 32;
        for (int c = 0; c < v.in; c++, p += 32)
            add_products(low, high, row, c, LOAD16(p), LOAD16(p + 16));
    }
    float16 tile[2 * MR]; /* see conv2d_panel */
#pragma unroll
    for (int i = 0; i < MR; i++) {
        tile[2 * i] = low[i];
        tile[2 * i + 1] = high[i];
    }
#pragma unroll 1
    for (int i = 0; i < rows; i++) {
        struct place to = place_of(PIXEL(i), py.count, px.count);
        int m = (to.picture * v.out_height + py.first + to.y * v.stride_y) * v.out_width + px.first + to.x * v.stride_x;
        store_row(out, tile + 2 * i, m, panel * 32, bias + (size_t)to.picture * v.bias_step, residual, &g);
    }
}

/* to[q][c][16], q a pixel that a block sees: lane phase * N + n has the weight of the tap of that phase which reads it, or 0. Work-item: number
 * gid(0). Any group size. */
__kernel void transposed_few_weights(__global float *to, const __global weight_t *w, int n, struct transposed_args v)
{
    int i = get_global_id(0), lane = i % 16, c = i / 16 % v.in, q = i / 16 / v.in, across = (v.taps_x + v.stride_x - 1) / v.stride_x;
    int y = lane / n / v.stride_x + q / across * v.stride_y, x = lane / n % v.stride_x + q % across * v.stride_x;
    if (q >= (v.taps_y + v.stride_y - 1) / v.stride_y * across)
        return;
    bool inside = lane < n * v.stride_y * v.stride_x && y < v.taps_y && x < v.taps_x;
    to[i] = inside ? LOAD1(w, (((size_t)y * v.taps_x + x) * v.in + c) * 32 + lane % n) : 0.0f;
}

/* One work-item: blocks MR*gid(0).. of all images. Block (y, x) has the pixels whose place plus `before` is stride * (y, x) and up to stride - 1
 * more. Group of 1. zeros: v.in of them. w: what transposed_few_weights wrote. */
VECTOR_KERNEL void transposed_few(__global float *out, const __global float *in, const __global float *w, const __global float *bias,
                                  const __global float *residual, struct gemm_args g, const __global float *zeros, struct transposed_args v)
{
    int m0 = get_global_id(0) * MR, first_y = v.before_y / v.stride_y, first_x = v.before_x / v.stride_x;
    int rows = (v.out_height - 1 + v.before_y) / v.stride_y - first_y + 1,
        columns = (v.out_width - 1 + v.before_x) / v.stride_x - first_x + 1;
    int count = v.batch * rows * columns, across = (v.taps_x + v.stride_x - 1) / v.stride_x,
        all = (v.taps_y + v.stride_y - 1) / v.stride_y * across;
    struct place at[MR];
    float16 sum[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        at[i] = place_of(min(m0 + i, count - 1), rows, columns);
        sum[i] = 0.0f;
    }
    for (int q = 0; q < all; q++) {
        const __global float *row[MR];
#pragma unroll
        for (int i = 0; i < MR; i++) {
            int pixel = pixel_at(at[i].picture, first_y + at[i].y - q / across, first_x + at[i].x - q % across, &v);
            row[i] = pixel < 0 ? zeros : in + (size_t)pixel * v.in;
        }
        for (int c = 0; c < v.in; c++, w += 16) {
            float16 weights = vload16(0, w);
#pragma unroll
            for (int i = 0; i < MR; i++)
                sum[i] = MAD((float16)(row[i][c]), weights, sum[i]);
        }
    }
    float16 tile[MR];
#pragma unroll
    for (int i = 0; i < MR; i++)
        tile[i] = sum[i];
#pragma unroll 1
    for (int i = 0; i < min(MR, count - m0); i++) {
        struct place to = place_of(m0 + i, rows, columns);
        const __global float *own = bias + (size_t)to.picture * v.bias_step;
        float lanes[16];
        for (int lane = 0; lane < 16; lane++)
            lanes[lane] = g.has_bias ? own[lane % g.n] : 0.0f;
        vstore16(activate_v16(tile[i] * g.alpha + vload16(0, lanes), g.act, g.slope), 0, lanes);
        for (int lane = 0; lane < g.n * v.stride_y * v.stride_x; lane++) {
            int phase = lane / g.n, y = (first_y + to.y) * v.stride_y + phase / v.stride_x - v.before_y,
                x = (first_x + to.x) * v.stride_x + phase % v.stride_x - v.before_x;
            if (y < 0 || y >= v.out_height || x < 0 || x >= v.out_width)
                continue;
            size_t place = ((size_t)(to.picture * v.out_height + y) * v.out_width + x) * g.ldc + lane % g.n;
            out[place] = g.has_residual ? lanes[lane] + residual[place] : lanes[lane];
        }
    }
}

#else

/* Group of GX x GY: pixels TILE_M*group(1)... of phase gid(2), outputs TILE_N*group(0)...; each work-item TM x TN of them, GY and GX apart.
 * Local memory: STEP * (TILE_M + TILE_N + 2) floats, and TILE_M places. */
__kernel __attribute__((reqd_work_group_size(GX, GY, 1))) void transposed_tile(__global float *out, const __global float *in,
                                                                               const __global weight_t *w, const __global float *bias,
                                                                               const __global float *residual, struct gemm_args g,
                                                                               struct transposed_args v)
{
    __local float as[STEP][TILE_M + 1], ws[STEP][TILE_N + 1];
    __local struct place at[TILE_M];
    int x = get_local_id(0), y = get_local_id(1), id = y * GX + x, phase = get_global_id(2);
    struct phase py = phase_of(phase / v.stride_x, v.stride_y, v.before_y, v.taps_y, v.out_height);
    struct phase px = phase_of(phase % v.stride_x, v.stride_x, v.before_x, v.taps_x, v.out_width);
    int n0 = get_group_id(0) * TILE_N, m0 = get_group_id(1) * TILE_M, count = v.batch * py.count * px.count;
    if (m0 >= count)
        return;
    float sum[TM * TN];
    for (int e = id; e < TILE_M; e += TILE_ITEMS)
        at[e] = place_of(min(m0 + e, count - 1), py.count, px.count);
#pragma unroll
    for (int i = 0; i < TM * TN; i++)
        sum[i] = 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    int k_end = py.taps * px.taps * v.in;
    for (int k0 = 0; k0 < k_end; k0 += STEP) {
        for (int e = id; e < TILE_M * STEP; e += TILE_ITEMS) {
            int k = k0 + e % STEP, r = e / STEP, tap = k / v.in, pixel = -1;
            if (k < k_end)
                pixel = pixel_at(at[r].picture, py.source + at[r].y - tap / px.taps, px.source + at[r].x - tap % px.taps, &v);
            as[e % STEP][r] = pixel < 0 ? 0.0f : in[(size_t)pixel * v.in + k % v.in];
        }
        for (int e = id; e < TILE_N * STEP; e += TILE_ITEMS) {
            int k = k0 + e % STEP, r = e / STEP, tap = k / v.in;
            int which = px.taps ? (py.tap + tap / px.taps * v.stride_y) * v.taps_x + px.tap + tap % px.taps * v.stride_x : 0;
            ws[e % STEP][r] = k < k_end && n0 + r < g.n ? LOAD1(w, (size_t)(n0 + r) * g.k + which * v.in + k % v.in) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        add_tile(sum, as, ws, x, y);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll 1
    for (int i = 0; i < TM * TN; i++) {
        int r = y + GY * (i / TN), n = n0 + x + GX * (i % TN);
        if (m0 + r < count && n < g.n) {
            struct place to = at[r];
            int m = (to.picture * v.out_height + py.first + to.y * v.stride_y) * v.out_width + px.first + to.x * v.stride_x;
            out[(size_t)m * g.ldc + n] = finish(sum[0], m, n, bias + (size_t)to.picture * v.bias_step, residual, g);
        }
        move_up(sum);
    }
}
#endif
