/* ref_conv2d.c - convolution of images (cross-correlation, as in torch), NHWC: out[b][y][x][o] = act(sum w[o][i][j][c]
 * in[b][y stride - padding + i dilation][x stride - padding + j dilation][group(o) C/groups + c] + bias[o]); outside the image in is 0.
 */
#include "ref.h"

/* The sum for one output number. */
static double at(const float *in, const float *w, const struct conv2d_args *a, int b, int y, int x, int o)
{
    int inner = a->in / a->groups, first = o / (a->out / a->groups) * inner;
    double sum = 0;
    for (int i = 0; i < a->kernel_h; i++)
        for (int j = 0; j < a->kernel_w; j++) {
            int row = y * a->stride - a->padding + i * a->dilation, column = x * a->stride - a->padding + j * a->dilation;
            if (row < 0 || row >= a->height || column < 0 || column >= a->width)
                continue;
            for (int c = 0; c < inner; c++)
                sum += (double)w[((o * a->kernel_h + i) * a->kernel_w + j) * inner + c] *
                       (double)in[((b * a->height + row) * a->width + column) * a->in + first + c];
        }
    return sum;
}

void ref_conv2d(float *out, const float *in, const float *w, const float *bias, const struct conv2d_args *args)
{
    for (int b = 0; b < args->batch; b++)
        for (int y = 0; y < args->out_height; y++)
            for (int x = 0; x < args->out_width; x++)
                for (int o = 0; o < args->out; o++) {
                    double sum = at(in, w, args, b, y, x, o) + (args->has_bias ? (double)bias[o] : 0);
                    *out++ = ref_activate((float)sum, args->act, args->slope);
                }
}
