/* op_conv2d.c - convolution of pictures; kernels in cl/conv2d.cl. */
#include "ops.h"

/* Positions of a window of `taps` taps along `size` numbers; 0 or less: the window does not fit. */
static int window_count(int size, int taps, int stride, int padding, int dilation)
{
    int room = size + 2 * padding - dilation * (taps - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

clio_status op_conv2d_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct tensor *w,
                          const struct tensor *bias, int stride, int padding, int dilation, int groups, int act, float slope)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    if (stride < 1 || padding < 0 || dilation < 1 || groups < 1 || act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d: stride %d, padding %d, dilation %d, groups %d or activation %d is impossible", stride,
             padding, dilation, groups, act);
    TRY(op_check(ctx, "conv2d", "in", in, DTYPE_F32, 4, -1, -1, -1, -1));
    TRY(op_check(ctx, "conv2d", "w", w, DTYPE_F32, 4, -1, -1, -1, in->dim[3] / groups));
    if (in->dim[3] % groups || w->dim[0] % groups)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d: %d input and %d output channels do not divide into %d groups", in->dim[3], w->dim[0],
             groups);
    if (bias)
        TRY(op_check(ctx, "conv2d", "bias", bias, DTYPE_F32, 1, w->dim[0], 1, 1, 1));

    struct conv2d_args args = {
        .batch = in->dim[0],
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
        .out_width = window_count(in->dim[2], w->dim[2], stride, padding, dilation),
        .act = act,
        .has_bias = bias != NULL,
        .slope = slope,
    };
    TRY(op_check(ctx, "conv2d", "out", out, DTYPE_F32, 4, args.batch, args.out_height, args.out_width, args.out));

    int outputs = args.out / groups % 4 == 0 ? 4 : 1;
    double flops = 2.0 * (double)tensor_count(out) * args.kernel_h * args.kernel_w * (args.in / groups);
    double bytes = 4.0 * (double)(tensor_count(in) + tensor_count(out) + tensor_count(w));
    const struct tensor *added = bias ? bias : w; /* w: something valid that is not read */
    TRY(kernel_get(ctx, "conv2d", "conv2d", outputs == 4 ? "-DOUTPUTS=4" : "", &kernel));
    TRY(LAUNCH(ctx, kernel,
               GRID3(args.out_height * args.out_width, args.out / outputs, args.batch, MIN((size_t)64, ctx->device.max_work_group), 1, 1),
               COST(flops, bytes), ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(w), ARG_TENSOR(added), ARG_VALUE(args)));
fail:
    return st;
}
