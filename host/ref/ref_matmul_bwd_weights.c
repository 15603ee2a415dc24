/* ref_matmul_bwd_weights.c - gradients by weights: of a convolution (a product is one of 1 x 1), and of a bias. */
#include "ref_bwd.h"

/* The sum for weight (o, i, j, c) over the pictures' output pixels. */
static double weight_at(const float *dy, const float *x, const struct conv2d_args *a, int o, int i, int j, int c)
{
    int inner = a->in / a->groups, first = o / (a->out / a->groups) * inner;
    double sum = 0;
    for (int b = 0; b < a->batch; b++)
        for (int y = 0; y < a->out_height; y++)
            for (int at = 0; at < a->out_width; at++) {
                int row = y * a->stride - a->padding + i * a->dilation, column = at * a->stride - a->padding + j * a->dilation;
                if (row >= 0 && row < a->height && column >= 0 && column < a->width)
                    sum += (double)dy[((b * a->out_height + y) * a->out_width + at) * a->out + o] *
                           (double)x[((b * a->height + row) * a->width + column) * a->in + first + c];
            }
    return sum;
}

void ref_conv2d_bwd_weights(float *dw, const float *dy, const float *x, const struct conv2d_args *a)
{
    for (int o = 0; o < a->out; o++)
        for (int i = 0; i < a->kernel_h; i++)
            for (int j = 0; j < a->kernel_w; j++)
                for (int c = 0; c < a->in / a->groups; c++)
                    *dw++ = (float)weight_at(dy, x, a, o, i, j, c);
}

void ref_bias_bwd(float *db, const float *dy, int parts, int rows, int n)
{
    for (int p = 0; p < parts; p++)
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int r = 0; r < rows; r++)
                sum += (double)dy[((size_t)p * (size_t)rows + (size_t)r) * (size_t)n + (size_t)i];
            db[p * n + i] = (float)sum;
        }
}
