/* winograd.cl - convolution of images with 3 x 3 windows of stride 1 by Winograd's minimal filtering F(4 x 4, 3 x 3): a tile of 4 x 4
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
 * The distance between the 36 parts of V, U and M is PAD floats more than they need. */
// isa-cpu: -DW_F16=0 -DMR=8
// isa-cpu: -DW_F16=1 -DMR=8
#include "packed.clh"
#include "window.clh"

#define SIDE 6

/* B^T x for six numbers, in place. */
static __attribute__((always_inline)) void input_transform(float16 *x, int step)
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

/* A^T x for six numbers, four of them remaining. */
static __attribute__((always_inline)) void output_transform(float16 *to, int step, const float16 *x, int x_step)
{
    float16 a = x[x_step] + x[2 * x_step], b = x[x_step] - x[2 * x_step], c = x[3 * x_step] + x[4 * x_step],
            d = x[3 * x_step] - x[4 * x_step];
    to[0] = x[0] + a + c;
    to[step] = MAD(2.0f, d, b);
    to[2 * step] = MAD(4.0f, c, a);
    to[3 * step] = MAD(8.0f, d, b) + x[5 * x_step];
}

#include "winograd.clh"

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
    transform_inputs(to + (size_t)t * v.in, part, in, source, v.in);
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

/* Work-item: jobs gid(0), gid(0) + gsize(0)... of `blocks` blocks of `block` tiles (a multiple of MR) for each panel, blocks fastest. Group
 * of 1. scratch: for each work-item 6 * (chunk * 32 + PAD) floats of U and 36 * (block * 32 + PAD) of M. x: V of the strip. */
VECTOR_KERNEL void winograd_panel(__global float *out, const __global float *x, const __global weight_t *w, const __global float *bias,
                                  const __global float *residual, struct gemm_args g, struct window_args v, __global float *scratch,
                                  int part, int block, int chunk)
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
