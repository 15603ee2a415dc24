/* winograd_weights.cl - the gradient by the weights of a convolution with 3 x 3 windows of stride 1, on CPUs, by the filtering of winograd.cl turned
 * around: out = A^T [(G g G^T) * (B^T d B)] A is linear in g, so dg = G^T [sum over tiles of (B^T d B) * (A dy A^T)] G, 36 products for a
 * tile of 4 x 4 outputs in place of 144. NHWC f32, channels and outputs % 16 are 0. For a strip of tiles, whose planes stay in cache:
 *
 *   winograd_input (winograd.cl)   V[36][tiles][C] = B^T d B
 *   gradient_input                 Y[36][tiles][N] = A dy A^T
 *   gradient_planes                U[36][panels][C][32] (+)= sums over the tiles of V Y, as weights_panel adds up
 * and at the end
 *   gradient_filters               dw = G^T U G */
// isa-cpu:
#include "matmul_bwd_weights.clh"
#include "args.clh"

/* A x for four numbers: six. */
static __attribute__((always_inline)) void spread(float16 *to, int step, float16 x0, float16 x1, float16 x2, float16 x3)
{
    float16 a = x0 + x2, b = x1 + x3, c = MAD(4.0f, x2, x0), d = 2.0f * MAD(4.0f, x3, x1);
    to[0] = x0;
    to[step] = a + b;
    to[2 * step] = a - b;
    to[3 * step] = c + d;
    to[4 * step] = c - d;
    to[5 * step] = x3;
}

/* Work-item: tile gid(0) of the strip, all outputs. Any group size. part: floats from one of the 36 to the next. */
__kernel void gradient_input(__global float *to, const __global float *dy, struct window_args v, int n, int part)
{
    int t = get_global_id(0), tile = v.first + t, across = v.tiles_y * v.tiles_x;
    if (t >= v.tiles)
        return;
    int b = tile / across, top = tile % across / v.tiles_x * 4, left = tile % v.tiles_x * 4;
    int source[16];
    for (int p = 0; p < 16; p++) {
        int y = top + p / 4, x = left + p % 4;
        source[p] = y < v.out_height && x < v.out_width ? (b * v.out_height + y) * v.out_width + x : -1;
    }
    to += (size_t)t * n;
    for (int c = 0; c < n; c += 16) {
        float16 d[24]; /* [6][4] */
#pragma unroll 1
        for (int x = 0; x < 4; x++) {
            float16 column[4];
            for (int y = 0; y < 4; y++) {
                int pixel = source[4 * y + x];
                column[y] = pixel < 0 ? (float16)(0.0f) : vload16(0, dy + (size_t)pixel * n + c);
            }
            spread(d + x, 4, column[0], column[1], column[2], column[3]);
        }
#pragma unroll 1
        for (int y = 0; y < 6; y++) {
            float16 row[6];
            spread(row, 1, d[4 * y], d[4 * y + 1], d[4 * y + 2], d[4 * y + 3]);
            for (int x = 0; x < 6; x++)
                vstore16(row[x], 0, to + (size_t)(6 * y + x) * part + c);
        }
    }
}

/* Work-item: plane gid(0), panel gid(1) of 32 outputs. Group of 1. */
VECTOR_KERNEL void gradient_planes(__global float *u, const __global float *y, const __global float *x, int n, int channels, int tiles,
                                   int y_part, int x_part, int add)
{
    float16 vs[2 * CHUNK];
    const __global float *rows[CHUNK];
    int plane = get_global_id(0), panel = get_global_id(1);
    u += ((size_t)plane * get_global_size(1) + panel) * channels * 32;
    y += (size_t)plane * y_part;
    x += (size_t)plane * x_part;
    for (int first = 0; first < tiles; first += CHUNK) {
        int count = min(CHUNK, tiles - first);
        for (int j = 0; j < count; j++) {
            copy_panel(vs + 2 * j, y + (size_t)(first + j) * n, panel, n);
            rows[j] = x + (size_t)(first + j) * channels;
        }
        for (int i = 0; i < channels; i += MR)
            add_pixels(u + (size_t)i * 32, vs, rows, i, count, 0, first == 0 && !add);
    }
}

/* G^T x for six numbers, three of them remaining. */
static __attribute__((always_inline)) void gather_taps(float16 *to, int step, const float16 *x, int x_step)
{
    float16 a = x[x_step] + x[2 * x_step], b = x[2 * x_step] - x[x_step], c = x[3 * x_step] + x[4 * x_step],
            d = x[3 * x_step] - x[4 * x_step];
    to[0] = MAD(0.25f, x[0], MAD(-1.0f / 6, a, (1.0f / 24) * c));
    to[step] = MAD(1.0f / 6, b, (1.0f / 12) * d);
    to[2 * step] = MAD(1.0f / 6, c - a, x[5 * x_step]);
}

/* Work-item: half gid(0) % 2 of the panel of channel gid(0) / 2 % channels of panel gid(0) / 2 / channels. Any group size. add: to dw. */
__kernel void gradient_filters(__global float *dw, const __global float *u, int channels, int panels, int add)
{
    int half_panel = get_global_id(0) % 2, c = get_global_id(0) / 2 % channels, panel = get_global_id(0) / 2 / channels;
    if (panel >= panels)
        return;
    float16 s[18], taps[3]; /* [3][6] */
    u += ((size_t)panel * channels + c) * 32 + half_panel * 16;
    dw += ((size_t)panel * 9 * channels + c) * 32 + half_panel * 16;
#pragma unroll 1
    for (int x = 0; x < 6; x++) {
        float16 column[6];
        for (int i = 0; i < 6; i++)
            column[i] = vload16(0, u + (size_t)(6 * i + x) * panels * channels * 32);
        gather_taps(s + x, 6, column, 1);
    }
#pragma unroll 1
    for (int y = 0; y < 3; y++) {
        gather_taps(taps, 1, s + 6 * y, 1);
        for (int x = 0; x < 3; x++) {
            __global float *to = dw + (size_t)(3 * y + x) * channels * 32;
            vstore16(add ? vload16(0, to) + taps[x] : taps[x], 0, to);
        }
    }
}
