/* ref_conv_bwd.c - gradients of products and convolutions by their input, and the transposed convolution (as torch's ConvTranspose2d). Each
 * follows from its forward by turning it round: what an input number was multiplied with is what its gradient sums over. */
#include "ref_bwd.h"

void ref_gemm_bwd_data(float *dx, const float *dy, const float *w, int m, int n, int k)
{
    for (int row = 0; row < m; row++)
        for (int column = 0; column < k; column++) {
            double sum = 0;
            for (int i = 0; i < n; i++)
                sum += (double)dy[row * n + i] * (double)w[i * k + column];
            dx[row * k + column] = (float)sum;
        }
}

/* The sum for one number: over the outputs (y, x) whose window has it under tap (i, j), and over the outputs of its group. */
static double gradient_at(const float *dy, const float *w, const struct conv2d_args *a, int b, int row, int column, int c)
{
    int inner = a->in / a->groups, outputs = a->out / a->groups, group = c / inner;
    double sum = 0;
    for (int i = 0; i < a->kernel_h; i++)
        for (int j = 0; j < a->kernel_w; j++) {
            int y = row + a->padding - i * a->dilation, x = column + a->padding - j * a->dilation;
            if (y < 0 || x < 0 || y % a->stride || x % a->stride || y / a->stride >= a->out_height || x / a->stride >= a->out_width)
                continue;
            for (int o = group * outputs; o < (group + 1) * outputs; o++)
                sum += (double)w[((o * a->kernel_h + i) * a->kernel_w + j) * inner + c % inner] *
                       (double)dy[((b * a->out_height + y / a->stride) * a->out_width + x / a->stride) * a->out + o];
        }
    return sum;
}

void ref_conv2d_bwd_data(float *dx, const float *dy, const float *w, const struct conv2d_args *a)
{
    for (int b = 0; b < a->batch; b++)
        for (int row = 0; row < a->height; row++)
            for (int column = 0; column < a->width; column++)
                for (int c = 0; c < a->in; c++)
                    *dx++ = (float)gradient_at(dy, w, a, b, row, column, c);
}

void ref_conv1d_bwd_data(float *dx, const float *dy, const float *w, const struct conv1d_args *a)
{
    for (int b = 0; b < a->batch; b++)
        for (int t = 0; t < a->length; t++)
            for (int c = 0; c < a->in; c++) {
                double sum = 0;
                for (int i = 0; i < a->taps; i++) {
                    int at = t + a->padding - i;
                    if (at < 0 || at % a->stride || at / a->stride >= a->out_length)
                        continue;
                    for (int o = 0; o < a->out; o++)
                        sum += (double)w[(o * a->taps + i) * a->in + c] * (double)dy[(b * a->out_length + at / a->stride) * a->out + o];
                }
                *dx++ = (float)sum;
            }
}

/* The sum for one output number. */
static double transposed_at(const float *in, const float *w, const struct transposed_args *a, int n, int b, int y, int x)
{
    double sum = 0;
    for (int row = 0; row < a->height; row++)
        for (int column = 0; column < a->width; column++) {
            int i = y + a->before_y - row * a->stride_y, j = x + a->before_x - column * a->stride_x;
            if (i < 0 || i >= a->taps_y || j < 0 || j >= a->taps_x)
                continue;
            for (int c = 0; c < a->in; c++)
                sum += (double)w[((n * a->taps_y + i) * a->taps_x + j) * a->in + c] *
                       (double)in[((b * a->height + row) * a->width + column) * a->in + c];
        }
    return sum;
}

void ref_conv2d_transposed(float *out, const float *in, const float *w, const float *bias, const struct transposed_args *a, int outputs,
                           int act, float slope)
{
    for (int b = 0; b < a->batch; b++)
        for (int y = 0; y < a->out_height; y++)
            for (int x = 0; x < a->out_width; x++)
                for (int n = 0; n < outputs; n++)
                    *out++ = ref_activate((float)(transposed_at(in, w, a, n, b, y, x) + (bias ? (double)bias[b * a->bias_step + n] : 0)),
                                          act, slope);
}
