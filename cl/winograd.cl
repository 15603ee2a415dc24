/* winograd.cl - convolution of pictures with 3 x 3 windows of stride 1 by Winograd's minimal filtering F(4 x 4, 3 x 3): a tile of 4 x 4
 * outputs comes from 6 x 6 inputs d and the window g as A^T [sum over channels of (G g G^T) * (B^T d B)] A, 36 products in place of 144.
 * Source: Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks", section 4.3. NHWC, in f32, w packed f32 or f16, sums
 * f32; in % 16 is 0.
 *
 *   winograd_input   V[36][tiles][C] = B^T d B for a strip of tiles
 *   winograd_panel   CPUs: a job is a panel of 32 outputs for a block of tiles. It transforms the panel's weights, a row of six parts and
 *                    `chunk` channels at a time, to U[6][chunk][32], which stays in its cache, adds the products, register tiles of MR
 *                    tiles x 32 outputs, to M[36][block][32], and at the end transforms M into outputs. So neither U nor M is ever stored
 *                    as a whole: U would be 8 times the weights in half storage.
 *
 * Rejected: all 36 parts of U at a time (of so few channels each that M is read and written too often); keeping U over calls (memory); one
 * kernel for U and one for the outputs (U and M through main memory).
 * The distance between the 36 parts of V, U and M is PAD floats more than they need, lest they meet in the same lines of a cache. */
// isa-cpu: -DW_F16=0 -DMR=8
// isa-cpu: -DW_F16=1 -DMR=8
#include "packed.clh"
#include "window.clh"

#define PAD 16
/* Sixteen floats at an address that is a multiple of 64: one runtime takes vstore16 apart, since it promises less. */
#define FLOAT16(p) (*(const __global float16 *)(p))
#define STORE16(x, p) (*(__global float16 *)(p) = (x))

/* B^T x for six numbers, in place. */
__attribute__((always_inline)) void input_transform(float16 *x, int step)
{
    float16 x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step], x5 = x[5 * step];
    float16 a = MAD(-4.0f, x2, x4), b = MAD(-4.0f, x1, x3), c = x4 - x2, d = 2.0f * (x3 - x1);
    x[0] = MAD(4.0f, x0, MAD(-5.0f, x2, x4));
    x[step] = a + b;
    x[2 * step] = a - b;
    x[3 * step] = c + d;
    x[4 * step] = c - d;
    x[5 * step] = MAD(4.0f, x1, MAD(-5.0f, x3, x5));
}

/* Work-item: tile gid(0) of the strip, all channels. Any group size. part: floats from one of the 36 to the next. */
__kernel void winograd_input(__global float *to, const __global float *in, struct window_args v, int part)
{
    int t = get_global_id(0), tile = v.first + t, across = v.tiles_y * v.tiles_x;
    if (t >= v.tiles)
        return;
    int b = tile / across, top = tile % across / v.tiles_x * 4 - v.before, left = tile % v.tiles_x * 4 - v.before;
    int source[36];
    for (int p = 0; p < 36; p++)
        source[p] = source_pixel(b, top + p / 6, left + p % 6, &v);
    to += (size_t)t * v.in;
    for (int c = 0; c < v.in; c += 16) {
        float16 d[36];
#pragma unroll 1
        for (int x = 0; x < 6; x++) {
            for (int y = 0; y < 6; y++) {
                int pixel = source[6 * y + x];
                d[6 * y + x] = pixel < 0 ? (float16)(0.0f) : vload16(0, in + (size_t)pixel * v.in + c);
            }
            input_transform(d + x, 6);
        }
#pragma unroll 1
        for (int y = 0; y < 6; y++) {
            input_transform(d + 6 * y, 1);
            for (int x = 0; x < 6; x++)
                STORE16(d[6 * y + x], to + (size_t)(6 * y + x) * part + c);
        }
    }
}

__constant float G[6][3] = {{0.25f, 0, 0},
                            {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                            {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                            {1.0f / 24, 1.0f / 12, 1.0f / 6},
                            {1.0f / 24, -1.0f / 12, 1.0f / 6},
                            {0, 0, 1}};

/* Row `y` of U, its six parts `part` floats apart, for `channels` channels of a panel; taps of w are `step` weights apart. */
void transform_weights(__global float *to, int part, const __global weight_t *w, size_t step, int channels, int y)
{
    float g0 = G[y][0], g1 = G[y][1], g2 = G[y][2];
    for (int e = 0; e < channels * 32; e += 16, w += 16, to += 16) {
        float16 x0 = g0 * LOAD16(w) + g1 * LOAD16(w + 3 * step) + g2 * LOAD16(w + 6 * step);
        float16 x1 = g0 * LOAD16(w + step) + g1 * LOAD16(w + 4 * step) + g2 * LOAD16(w + 7 * step);
        float16 x2 = g0 * LOAD16(w + 2 * step) + g1 * LOAD16(w + 5 * step) + g2 * LOAD16(w + 8 * step);
        float16 a = (-1.0f / 6) * (x0 + x2), b = (1.0f / 6) * x1, c = MAD(1.0f / 24, x0, (1.0f / 6) * x2), d = (1.0f / 12) * x1;
        STORE16(0.25f * x0, to);
        STORE16(a - b, to + part);
        STORE16(a + b, to + 2 * part);
        STORE16(c + d, to + 3 * part);
        STORE16(c - d, to + 4 * part);
        STORE16(x2, to + 5 * part);
    }
}

/* sum[tiles][32] (+)= x[tiles][channels] u[channels][32] */
void multiply(__global float *sum, const __global float *x, int x_step, const __global float *u, int tiles, int channels, bool is_first)
{
    for (int t = 0; t < tiles; t += MR) {
        const __global float *row[MR];
        float16 low[MR], high[MR];
#pragma unroll
        for (int i = 0; i < MR; i++) {
            row[i] = x + (size_t)min(t + i, tiles - 1) * x_step;
            low[i] = is_first ? (float16)(0.0f) : FLOAT16(sum + (t + i) * 32);
            high[i] = is_first ? (float16)(0.0f) : FLOAT16(sum + (t + i) * 32 + 16);
        }
        for (int k = 0; k < channels; k++)
            add_products(low, high, row, k, FLOAT16(u + k * 32), FLOAT16(u + k * 32 + 16));
#pragma unroll
        for (int i = 0; i < MR; i++) {
            STORE16(low[i], sum + (t + i) * 32);
            STORE16(high[i], sum + (t + i) * 32 + 16);
        }
    }
}

/* A^T x for six numbers, four of them remaining. */
__attribute__((always_inline)) void output_transform(float16 *to, int step, const float16 *x, int x_step)
{
    float16 a = x[x_step] + x[2 * x_step], b = x[x_step] - x[2 * x_step], c = x[3 * x_step] + x[4 * x_step],
            d = x[3 * x_step] - x[4 * x_step];
    to[0] = x[0] + a + c;
    to[step] = MAD(2.0f, d, b);
    to[2 * step] = MAD(4.0f, c, a);
    to[3 * step] = MAD(8.0f, d, b) + x[5 * x_step];
}

/* The 4 x 4 x 32 outputs of a tile: y[pixel][2]. */
void transform_sums(float16 *y, const __global float *sums, size_t part)
{
    for (int half_panel = 0; half_panel < 2; half_panel++) {
        float16 s[24]; /* [4][6] */
#pragma unroll 1
        for (int x = 0; x < 6; x++) {
            float16 column[6];
            for (int i = 0; i < 6; i++)
                column[i] = FLOAT16(sums + (6 * i + x) * part + half_panel * 16);
            output_transform(s + x, 6, column, 1);
        }
#pragma unroll 1
        for (int i = 0; i < 4; i++)
            output_transform(y + 8 * i + half_panel, 2, s + 6 * i, 1);
    }
}

/* Work-item: jobs gid(0), gid(0) + gsize(0)... of `blocks` blocks of `block` tiles (a multiple of MR) for each panel, blocks fastest. Group
 * of 1. scratch: for each work-item 6 * (chunk * 32 + PAD) floats of U and 36 * (block * 32 + PAD) of M. x: V of the strip. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void winograd_panel(__global float *out, const __global float *x,
                                                                            const __global weight_t *w, const __global float *bias,
                                                                            const __global float *residual, struct gemm_args g,
                                                                            struct window_args v, __global float *scratch, int part,
                                                                            int block, int chunk)
{
    int u_part = chunk * 32 + PAD, m_part = block * 32 + PAD;
    __global float *u = scratch + get_global_id(0) * (size_t)(6 * u_part + 36 * m_part), *sums = u + 6 * u_part;
    int blocks = (v.tiles + block - 1) / block, panels = (g.n + 31) / 32, across = v.tiles_y * v.tiles_x;
    for (int job = get_global_id(0); job < blocks * panels; job += get_global_size(0)) {
        int panel = job / blocks, first = job % blocks * block, tiles = min(block, v.tiles - first);
        for (int k = 0; k < v.in; k += chunk) {
            int channels = min(chunk, v.in - k);
            for (int p = 0; p < 36; p++) {
                if (p % 6 == 0)
                    transform_weights(u, u_part, w + ((size_t)panel * g.k + k) * 32, (size_t)v.in * 32, channels, p / 6);
                multiply(sums + p * m_part, x + (size_t)p * part + (size_t)first * v.in + k, v.in, u + p % 6 * u_part, tiles, channels,
                         k == 0);
            }
        }
        for (int t = 0; t < tiles; t++) {
            int tile = v.first + first + t, b = tile / across, top = tile % across / v.tiles_x * 4, left = tile % v.tiles_x * 4;
            float16 y[32];
            transform_sums(y, sums + t * 32, m_part);
#pragma unroll 1
            for (int i = 0; i < 16; i++)
                if (top + i / 4 < v.out_height && left + i % 4 < v.out_width)
                    store_row(out, y + 2 * i, (b * v.out_height + top + i / 4) * v.out_width + left + i % 4, panel * 32,
                              bias + (size_t)b * v.bias_step, residual, &g);
        }
    }
}
