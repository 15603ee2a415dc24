/* op_conv2d_direct.c - 2D convolution with plain weights, any stride, dilation and groups; kernel in cl/conv2d.cl. */
#include "conv2d.h"
#include "gradients.h"
#include "tape.h"

static clio_status direct_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct conv2d_args *a = (const void *)r->args;
    struct tensor dx, dw, db, dy = tape_given(tape, r, 0), x = tape_value(tape, r, 1), w = tape_value(tape, r, 2);
    bool wants_x = tape_wants(tape, r, 1), wants_w = tape_wants(tape, r, 2), add_x = false, add_w = false, add;
    if (wants_x)
        TRY(tape_grad(ctx, tape, r, 1, &dx, &add_x));
    if (wants_w)
        TRY(tape_grad(ctx, tape, r, 2, &dw, &add_w));
    TRY(op_conv2d_direct_bwd(ctx, wants_x ? &dx : NULL, wants_w ? &dw : NULL, &dy, &x, &w, a->stride, a->padding, a->dilation, a->groups,
                             add_x, add_w));
    if (tape_wants(tape, r, 3)) {
        TRY(tape_grad(ctx, tape, r, 3, &db, &add));
        TRY(op_bias_bwd(ctx, &tape->arena, &db, &dy, add));
    }
fail:
    return st;
}

clio_status op_conv2d_direct_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct tensor *w,
                                 const struct tensor *bias, int stride, int padding, int dilation, int groups, int act, float slope)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    if (ctx->tape && act != ACT_NONE) { /* each has a gradient of its own */
        TRY(op_conv2d_direct_fwd(ctx, out, in, w, bias, stride, padding, dilation, groups, ACT_NONE, 0));
        return op_activation_fwd(ctx, out, out, act, slope);
    }
    struct conv2d_args args;
    if (act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d: there is no activation %d", act);
    TRY(direct_args(ctx, "conv2d", &args, in, w, stride, padding, dilation, groups));
    if (bias)
        TRY(op_check(ctx, "conv2d", "bias", bias, DTYPE_F32, 1, w->dim[0], 1, 1, 1));
    args.act = act;
    args.has_bias = bias != NULL;
    args.slope = slope;
    TRY(op_check(ctx, "conv2d", "out", out, DTYPE_F32, 4, args.batch, args.out_height, args.out_width, args.out));

    if (ctx->tape) {
        struct tape_record r = {.op = "conv2d", .backward = direct_backward, .t = {*out, *in, *w}, .keep = 1 << 1 | 1 << 2};
        if (bias)
            r.t[3] = *bias;
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }
    int outputs = args.out / groups % 4 == 0 ? 4 : 1, group_in = args.in / groups;
    double flops = 2.0 * (double)tensor_count(out) * args.kernel_h * args.kernel_w * group_in;
    double bytes = 4.0 * (double)(tensor_count(in) + tensor_count(out) + tensor_count(w));
    const struct tensor *added = bias ? bias : w; /* w: something valid that is not read */
    TRY(kernel_get(ctx, "conv2d", "conv2d", outputs == 4 ? "-DOUTPUTS=4" : "", &kernel));
    TRY(LAUNCH(ctx, kernel,
               GRID3(args.out_height * args.out_width, args.out / outputs, args.batch, MIN((size_t)64, ctx->device.max_work_group), 1, 1),
               COST(flops, bytes), ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(w), ARG_TENSOR(added), ARG_VALUE(args)));
fail:
    return st;
}
