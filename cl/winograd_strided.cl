/* winograd_strided.cl - convolution of images with 4 x 4 windows of stride 2, and the transposed one, by minimal filtering F(4 x 4, 2 x 2). Taps
 * of the same parity in both directions are a phase: four windows of 2 x 2 with stride 1, over every other input pixel (their sum is a
 * convolution), or for every other output pixel (transposed: each output has one). A tile of 4 x 4 outputs of a phase comes from 5 x 5 inputs d and
 * the window g as A^T [sum over channels of (G g G^T) * (B^T d B)] A: 25 products in place of 64. Points 0, 1, -1, 2 and infinity; source: as for
 * winograd.cl, whose scheme this is. NHWC, in f32, w packed f32 or f16, sums f32; in % 16 is 0.
 *
 *   strided_input   V[4][25][tiles][C] = B^T d B for a strip of tiles, each phase
 *   strided_panel   CPUs: a job is a panel of 32 outputs for a block of tiles (transposed: of a phase). It transforms the weights, five parts of
 *                   `chunk` channels at a time, to U, adds the products to M[25][block][32], and at the end transforms M into outputs.
 * TRANSPOSED: the transposed one. The distance between parts of V, U and M is PAD floats more than they need: see winograd.cl. */
// isa-cpu: -DW_F16=0 -DMR=8
// isa-cpu: -DW_F16=1 -DMR=8
// isa-cpu: -DW_F16=0 -DMR=8 -DTRANSPOSED
#include "packed.clh"

#define SIDE 5

/* Where along one direction the first input of a phase's tile lies, and the distance of the next. */
#ifdef TRANSPOSED
#define STEP 1
#define FIRST_OUTPUT(phase, before) (((phase) + (before)) % 2) /* whose place plus `before` has the phase's parity */
#define FIRST_INPUT(tile, phase, before) (4 * (tile) + (FIRST_OUTPUT(phase, before) + (before) - (phase)) / 2 - 1)
#define TAP(phase, j) ((phase) + 2 * (1 - (j))) /* under which input j lies */
#else
#define STEP 2
#define FIRST_INPUT(tile, phase, before) (8 * (tile) + (phase) - (before))
#define TAP(phase, j) ((phase) + 2 * (j))
#endif

/* B^T x for five numbers, in place. */
static __attribute__((always_inline)) void input_transform(float16 *x, int step)
{
    float16 x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step];
    float16 a = x3 - x1, b = x3 - x2;
    x[0] = MAD(2.0f, x0 - x2, a);
    x[step] = MAD(-2.0f, x1, b);
    x[2 * step] = MAD(2.0f, x1 - x2, b);
    x[3 * step] = a;
    x[4 * step] = MAD(-2.0f, a, x4 - x2);
}

/* A^T x for five numbers, four of them remaining. */
static __attribute__((always_inline)) void output_transform(float16 *to, int step, const float16 *x, int x_step)
{
    float16 a = x[x_step] + x[2 * x_step], b = x[x_step] - x[2 * x_step], c = x[3 * x_step];
    to[0] = x[0] + a + c;
    to[step] = MAD(2.0f, c, b);
    to[2 * step] = MAD(4.0f, c, a);
    to[3 * step] = MAD(8.0f, c, b) + x[4 * x_step];
}

#include "winograd.clh"

/* Work-item: tile gid(0) of the strip, phase gid(1), all channels. Any group size. part: floats from one of the parts to the next. */
__kernel void strided_input(__global float *to, const __global float *in, struct strided_args v, int part)
{
    int t = get_global_id(0), phase = get_global_id(1), tile = v.first + t, across = v.tiles_y * v.tiles_x;
    if (t >= v.tiles)
        return;
    int b = tile / across, top = FIRST_INPUT(tile % across / v.tiles_x, phase / 2, v.before),
        left = FIRST_INPUT(tile % v.tiles_x, phase % 2, v.before);
    int source[PARTS];
    for (int p = 0; p < PARTS; p++) {
        int y = top + p / 5 * STEP, x = left + p % 5 * STEP;
        source[p] = y >= 0 && y < v.height && x >= 0 && x < v.width ? (b * v.height + y) * v.width + x : -1;
    }
    transform_inputs(to + (size_t)phase * PARTS * part + (size_t)t * v.in, part, in, source, v.in);
}

__constant float G[5][2] = {{0.5f, 0}, {-0.5f, -0.5f}, {-1.0f / 6, 1.0f / 6}, {1.0f / 6, 1.0f / 3}, {0, 1}};

/* Row `y` of U of a phase, its five parts `part` floats apart, for `channels` channels of a panel; taps of w are `step` weights apart. */
void transform_weights(__global float *to, int part, const __global weight_t *w, size_t step, int channels, int y, int phase)
{
    float g0 = G[y][0], g1 = G[y][1];
    const __global weight_t *w00 = w + (TAP(phase / 2, 0) * 4 + TAP(phase % 2, 0)) * step;
    const __global weight_t *w01 = w + (TAP(phase / 2, 0) * 4 + TAP(phase % 2, 1)) * step;
    const __global weight_t *w10 = w + (TAP(phase / 2, 1) * 4 + TAP(phase % 2, 0)) * step;
    const __global weight_t *w11 = w + (TAP(phase / 2, 1) * 4 + TAP(phase % 2, 1)) * step;
    for (int e = 0; e < channels * 32; e += 16, to += 16) {
        float16 x0 = g0 * LOAD16(w00 + e) + g1 * LOAD16(w10 + e), x1 = g0 * LOAD16(w01 + e) + g1 * LOAD16(w11 + e);
        float16 a = 0.5f * x0, b = (1.0f / 6) * x0;
        STORE16(a, to);
        STORE16(MAD(-0.5f, x1, -a), to + part);
        STORE16(MAD(1.0f / 6, x1, -b), to + 2 * part);
        STORE16(MAD(1.0f / 3, x1, b), to + 3 * part);
        STORE16(x1, to + 4 * part);
    }
}

/* Work-item: jobs gid(0), gid(0) + gsize(0)... of `blocks` blocks of `block` tiles (a multiple of MR) for each panel (and phase), blocks fastest.
 * Group of 1. scratch: for each work-item 5 * (chunk * 32 + PAD) floats of U and 25 * (block * 32 + PAD) of M. x: V of the strip. */
VECTOR_KERNEL void strided_panel(__global float *out, const __global float *x, const __global weight_t *w, const __global float *bias,
                                 const __global float *residual, struct gemm_args g, struct strided_args v, __global float *scratch,
                                 int part, int block, int chunk)
{
    int u_part = chunk * 32 + PAD, m_part = block * 32 + PAD;
    __global float *u = scratch + get_global_id(0) * (size_t)(5 * u_part + PARTS * m_part), *sums = u + 5 * u_part;
    int blocks = (v.tiles + block - 1) / block, panels = (g.n + 31) / 32, across = v.tiles_y * v.tiles_x;
#ifdef TRANSPOSED
#define SETS 4 /* of outputs: a phase each */
#else
#define SETS 1
#endif
    for (int job = get_global_id(0); job < blocks * panels * SETS; job += get_global_size(0)) {
        int panel = job / blocks % panels, first = job % blocks * block, tiles = min(block, v.tiles - first), set = job / blocks / panels;
        for (int phase = set; phase < set + 4 / SETS; phase++)
            for (int k = 0; k < v.in; k += chunk) {
                int channels = min(chunk, v.in - k);
                for (int p = 0; p < PARTS; p++) {
                    if (p % 5 == 0)
                        transform_weights(u, u_part, w + ((size_t)panel * g.k + k) * 32, (size_t)v.in * 32, channels, p / 5, phase);
                    multiply(sums + p * m_part, x + ((size_t)phase * PARTS + p) * part + (size_t)first * v.in + k, v.in, u + p % 5 * u_part,
                             tiles, channels, k == 0 && phase == set);
                }
            }
        for (int t = 0; t < tiles; t++) {
            int tile = v.first + first + t, b = tile / across, top = tile % across / v.tiles_x * 4, left = tile % v.tiles_x * 4;
            float16 y[32];
            transform_sums(y, sums + t * 32, m_part);
#pragma unroll 1
            for (int i = 0; i < 16; i++) {
                int row = top + i / 4, column = left + i % 4;
#ifdef TRANSPOSED
                row = row * 2 + FIRST_OUTPUT(set / 2, v.before);
                column = column * 2 + FIRST_OUTPUT(set % 2, v.before);
#endif
                if (row < v.out_height && column < v.out_width)
                    store_row(out, y + 2 * i, (b * v.out_height + row) * v.out_width + column, panel * 32, bias + (size_t)b * v.bias_step,
                              residual, &g);
            }
        }
    }
}
