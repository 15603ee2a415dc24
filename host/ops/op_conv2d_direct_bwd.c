/* op_conv2d_direct_bwd.c - gradients of the direct convolution; kernels in cl/conv2d_bwd.cl. */
#include "conv2d.h"
#include "gradients.h"

clio_status op_conv2d_direct_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dw, const struct tensor *dy,
                                 const struct tensor *x, const struct tensor *w, int stride, int padding, int dilation, int groups,
                                 bool add_x, bool add_w)
{
    clio_status st = CLIO_OK;
    const char *op = "conv2d's gradient";
    struct kernel *kernel;
    struct conv2d_args args;
    TRY(direct_args(ctx, op, &args, x, w, stride, padding, dilation, groups));
    TRY(op_check(ctx, op, "dy", dy, DTYPE_F32, 4, args.batch, args.out_height, args.out_width, args.out));
    size_t group = MIN((size_t)64, ctx->device.max_work_group), numbers = tensor_count(x) / (size_t)args.batch;
    struct cost cost = COST(2.0 * (double)tensor_count(dy) * args.kernel_h * args.kernel_w * w->dim[3],
                            4.0 * (double)(tensor_count(x) + tensor_count(dy) + tensor_count(w)));
    if (dx) {
        int add = add_x;
        TRY(op_check(ctx, op, "dx", dx, DTYPE_F32, 4, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
        TRY(kernel_get(ctx, "conv2d_bwd", "conv2d_bwd_data", "", &kernel));
        TRY(LAUNCH(ctx, kernel, GRID2(numbers, args.batch, group, 1), cost, ARG_TENSOR(dx), ARG_TENSOR(dy), ARG_TENSOR(w), ARG_VALUE(args),
                   ARG_VALUE(add)));
    }
    if (dw) {
        int add = add_w;
        TRY(op_check(ctx, op, "dw", dw, DTYPE_F32, 4, w->dim[0], w->dim[1], w->dim[2], w->dim[3]));
        TRY(kernel_get(ctx, "conv2d_bwd", "conv2d_bwd_weights", "", &kernel));
        TRY(LAUNCH(ctx, kernel, GRID1(tensor_count(w), group), cost, ARG_TENSOR(dw), ARG_TENSOR(dy), ARG_TENSOR(x), ARG_VALUE(args),
                   ARG_VALUE(add)));
    }
fail:
    return st;
}
