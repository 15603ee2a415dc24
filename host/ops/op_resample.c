/* op_resample.c - pooling and resizing of images (nearest, bilinear), and their gradients; kernels in cl/resample.cl. */
#include "gradients.h"
#include "tape.h"

#include <limits.h>

/* What the images of both sizes are; their shapes are checked. taps 0: no windows. */
static clio_status fill(clio_context *ctx, const char *op, struct resample_args *a, const struct tensor *in, const struct tensor *out,
                        int taps, int stride, int padding)
{
    clio_status st = CLIO_OK;
    char shape[96], other[96];
    TRY(op_check(ctx, op, "the larger image", in, DTYPE_F32, 4, -1, -1, -1, -1));
    int height = out->dim[1], width = out->dim[2];
    if (taps) {
        if (taps < 1 || stride < 1 || padding < 0 || padding > taps / 2 || in->dim[1] > INT_MAX / 4 || in->dim[2] > INT_MAX / 4 ||
            taps > in->dim[1] + 2 * padding || taps > in->dim[2] + 2 * padding)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: windows of %d, step %d, padding %d over %s", op, taps, stride, padding,
                 tensor_describe(in, shape));
        height = (in->dim[1] + 2 * padding - taps) / stride + 1;
        width = (in->dim[2] + 2 * padding - taps) / stride + 1;
    }
    TRY(op_check(ctx, op, "the result", out, DTYPE_F32, 4, in->dim[0], height, width, in->dim[3]));
    if (tensor_count(in) == 0 || tensor_count(out) == 0 || tensor_count(in) > INT_MAX || tensor_count(out) > INT_MAX ||
        (size_t)in->dim[1] * (size_t)(height + 1) > INT_MAX || (size_t)in->dim[2] * (size_t)(width + 1) > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot make %s of %s", op, tensor_describe(out, shape), tensor_describe(in, other));
    *a = (struct resample_args){.batch = in->dim[0],
                                .height = in->dim[1],
                                .width = in->dim[2],
                                .channels = in->dim[3],
                                .out_height = height,
                                .out_width = width,
                                .taps = taps,
                                .stride = stride,
                                .padding = padding};
fail:
    return st;
}

/* Kernel `name` over the numbers of `to`; x is read by the gradient of the maximum alone. */
static clio_status go(clio_context *ctx, const char *name, const struct tensor *to, const struct tensor *from, const struct tensor *x,
                      const struct resample_args *a)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    bool wide = ctx->device.simd_width > 1 && a->channels % 16 == 0;
    size_t items = tensor_count(to) / (wide ? 16 : 1), local = MIN((size_t)64, ctx->device.max_work_group);
    double numbers = (double)tensor_count(to) + (double)tensor_count(from) + (x ? (double)tensor_count(x) : 0);
    TRY(kernel_get(ctx, "resample", name, wide ? "-DLANES=16" : "", &kernel));
    if (x)
        TRY(LAUNCH(ctx, kernel, GRID1(items, local), COST(numbers * MAX(1, a->taps * a->taps), 4 * numbers), ARG_TENSOR(to),
                   ARG_TENSOR(from), ARG_TENSOR(x), ARG_VALUE(*a)));
    else
        TRY(LAUNCH(ctx, kernel, GRID1(items, local), COST(numbers * MAX(1, a->taps * a->taps), 4 * numbers), ARG_TENSOR(to),
                   ARG_TENSOR(from), ARG_VALUE(*a)));
fail:
    return st;
}

/* ---- maximum ---- */

static clio_status max_pool_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct resample_args *a = (const void *)r->args;
    struct tensor dx, dy = tape_given(tape, r, 0), x = tape_value(tape, r, 1);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_max_pool_bwd(ctx, &dx, &dy, &x, a->taps, a->stride, a->padding, add));
fail:
    return st;
}

clio_status op_max_pool_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int taps, int stride, int padding)
{
    clio_status st = CLIO_OK;
    struct resample_args a;
    TRY(fill(ctx, "max pool", &a, in, out, MAX(taps, 1), stride, padding));
    if (ctx->tape) {
        struct tape_record r = {.op = "max pool", .backward = max_pool_backward, .t = {*out, *in}, .keep = 1 << 1};
        TRY(tape_record(ctx, &r, &a, sizeof a));
    }
    TRY(go(ctx, "max_pool", out, in, NULL, &a));
fail:
    return st;
}

clio_status op_max_pool_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *x, int taps,
                            int stride, int padding, bool add)
{
    clio_status st = CLIO_OK;
    struct resample_args a;
    TRY(fill(ctx, "max pool", &a, dx, dy, MAX(taps, 1), stride, padding));
    TRY(op_check(ctx, "max pool", "x", x, DTYPE_F32, 4, dx->dim[0], dx->dim[1], dx->dim[2], dx->dim[3]));
    a.add = add;
    TRY(go(ctx, "max_pool_bwd", dx, dy, x, &a));
fail:
    return st;
}

/* ---- average ---- */

static clio_status average_pool_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct resample_args *a = (const void *)r->args;
    struct tensor dx, dy = tape_given(tape, r, 0);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_average_pool_bwd(ctx, &dx, &dy, a->taps, a->stride, a->padding, add));
fail:
    return st;
}

clio_status op_average_pool_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int taps, int stride, int padding)
{
    clio_status st = CLIO_OK;
    struct resample_args a;
    TRY(fill(ctx, "average pool", &a, in, out, MAX(taps, 1), stride, padding));
    if (ctx->tape) {
        struct tape_record r = {.op = "average pool", .backward = average_pool_backward, .t = {*out, *in}};
        TRY(tape_record(ctx, &r, &a, sizeof a));
    }
    TRY(go(ctx, "average_pool", out, in, NULL, &a));
fail:
    return st;
}

clio_status op_average_pool_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, int taps, int stride, int padding,
                                bool add)
{
    clio_status st = CLIO_OK;
    struct resample_args a;
    TRY(fill(ctx, "average pool", &a, dx, dy, MAX(taps, 1), stride, padding));
    a.add = add;
    TRY(go(ctx, "average_pool_bwd", dx, dy, NULL, &a));
fail:
    return st;
}

/* ---- another size ---- */

static clio_status resize_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const bool *bilinear = (const void *)r->args;
    struct tensor dx, dy = tape_given(tape, r, 0);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_resize_bwd(ctx, &dx, &dy, *bilinear, add));
fail:
    return st;
}

clio_status op_resize_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, bool bilinear)
{
    clio_status st = CLIO_OK;
    struct resample_args a;
    TRY(fill(ctx, "resize", &a, in, out, 0, 0, 0));
    if (ctx->tape) {
        struct tape_record r = {.op = "resize", .backward = resize_backward, .t = {*out, *in}};
        TRY(tape_record(ctx, &r, &bilinear, sizeof bilinear));
    }
    TRY(go(ctx, bilinear ? "resize_bilinear" : "resize_nearest", out, in, NULL, &a));
fail:
    return st;
}

clio_status op_resize_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, bool bilinear, bool add)
{
    clio_status st = CLIO_OK;
    struct resample_args a;
    TRY(fill(ctx, "resize", &a, dx, dy, 0, 0, 0));
    a.add = add;
    TRY(go(ctx, bilinear ? "resize_bilinear_bwd" : "resize_nearest_bwd", dx, dy, NULL, &a));
fail:
    return st;
}
