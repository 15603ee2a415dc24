/* conv2d_args.c - output sizes of convolutions, and the arguments of the direct one and of its gradient; see conv2d.h. */
#include "conv2d.h"

int window_count(int size, int kernel_size, int stride, int padding, int dilation)
{
    int span = size + 2 * padding - dilation * (kernel_size - 1) - 1;
    return span < 0 ? 0 : span / stride + 1;
}

clio_status direct_args(clio_context *ctx, const char *op, struct conv2d_args *args, const struct tensor *in, const struct tensor *w,
                        int stride, int padding, int dilation, int groups)
{
    clio_status st = CLIO_OK;
    if (stride < 1 || padding < 0 || dilation < 1 || groups < 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: stride %d, padding %d, dilation %d or groups %d is impossible", op, stride, padding, dilation,
             groups);
    TRY(op_check(ctx, op, "in", in, DTYPE_F32, 4, -1, -1, -1, -1));
    TRY(op_check(ctx, op, "w", w, DTYPE_F32, 4, -1, -1, -1, in->dim[3] / groups));
    if (in->dim[3] % groups || w->dim[0] % groups)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %d input and %d output channels do not divide into %d groups", op, in->dim[3], w->dim[0],
             groups);
    *args = (struct conv2d_args){.batch = in->dim[0],
                                 .height = in->dim[1],
                                 .width = in->dim[2],
                                 .in = in->dim[3],
                                 .out = w->dim[0],
                                 .kernel_h = w->dim[1],
                                 .kernel_w = w->dim[2],
                                 .stride = stride,
                                 .padding = padding,
                                 .dilation = dilation,
                                 .groups = groups,
                                 .out_height = window_count(in->dim[1], w->dim[1], stride, padding, dilation),
                                 .out_width = window_count(in->dim[2], w->dim[2], stride, padding, dilation)};
fail:
    return st;
}
