/* conv2d_bwd.cl - gradients of the direct convolution (cl/conv2d.cl) by its input and by its weights; NHWC, any stride, dilation and groups.
 * One number per work-item, each with its own sum: right everywhere, and fast enough for what comes here (groups of few channels). */
// isa:
#include "common.clh"

/* dx[b][y][x][c] (+)= sum of w[o][i][j][c'] dy[b][(y + p - i d) / s][(x + p - j d) / s][o] over the taps for which these are whole and inside,
 * and the outputs o of c's group. Work-item: number gid(0) of image gid(1), channels fastest. Any group size. */
__kernel void conv2d_bwd_data(__global float *dx, __global const float *dy, __global const float *w, struct conv2d_args a, int add)
{
    int i = get_global_id(0), b = get_global_id(1), c = i % a.in, column = i / a.in % a.width, row = i / a.in / a.width;
    int inner = a.in / a.groups, outputs = a.out / a.groups, group = c / inner, window = a.kernel_h * a.kernel_w;
    if (row >= a.height || b >= a.batch)
        return;
    w += (size_t)group * outputs * window * inner + c % inner;
    dy += (size_t)b * a.out_height * a.out_width * a.out + group * outputs;
    float sum = 0.0f;
    for (int tap = 0; tap < window; tap++) {
        int y = row + a.padding - tap / a.kernel_w * a.dilation, x = column + a.padding - tap % a.kernel_w * a.dilation;
        if (y < 0 || x < 0 || y % a.stride || x % a.stride || y / a.stride >= a.out_height || x / a.stride >= a.out_width)
            continue;
        __global const float *from = dy + ((size_t)(y / a.stride) * a.out_width + x / a.stride) * a.out;
        for (int o = 0; o < outputs; o++)
            sum = MAD(from[o], w[((size_t)o * window + tap) * inner], sum);
    }
    dx += (size_t)b * a.height * a.width * a.in + i;
    *dx = add ? *dx + sum : sum;
}

/* dw[o][i][j][c] (+)= sum over images and output pixels (y, x) of dy[b][y][x][o] in[b][y s - p + i d][x s - p + j d][c of o's group].
 * Work-item: number gid(0) of dw. Any group size. */
__kernel void conv2d_bwd_weights(__global float *dw, __global const float *dy, __global const float *in, struct conv2d_args a, int add)
{
    int i = get_global_id(0), inner = a.in / a.groups, c = i % inner, tap = i / inner % (a.kernel_h * a.kernel_w);
    int o = i / inner / (a.kernel_h * a.kernel_w);
    if (o >= a.out)
        return;
    in += o / (a.out / a.groups) * inner + c;
    dy += o;
    float sum = 0.0f;
    for (int b = 0; b < a.batch; b++) {
        float picture = 0.0f; /* images apart: sums of so many numbers would lose digits */
        for (int y = 0; y < a.out_height; y++) {
            int row = y * a.stride - a.padding + tap / a.kernel_w * a.dilation;
            if (row < 0 || row >= a.height)
                continue;
            for (int x = 0; x < a.out_width; x++) {
                int column = x * a.stride - a.padding + tap % a.kernel_w * a.dilation;
                if (column >= 0 && column < a.width)
                    picture = MAD(in[(((size_t)b * a.height + row) * a.width + column) * a.in],
                                  dy[(((size_t)b * a.out_height + y) * a.out_width + x) * a.out], picture);
            }
        }
        sum += picture;
    }
    dw[i] = add ? dw[i] + sum : sum;
}
