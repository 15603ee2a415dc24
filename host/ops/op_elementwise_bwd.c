/* op_elementwise_bwd.c - gradients of activations, gates and concatenation, and elementwise multiplication; kernels in
 * cl/elementwise_bwd.cl. */
#include "gradients.h"
#include "lanes.h"
#include "tape.h"

/* Of `t`, but for its last dimension. */
static clio_status check_rows(clio_context *ctx, const char *op, const char *name, const struct tensor *t, const struct tensor *of,
                              int columns)
{
    int d[TENSOR_DIMS] = {of->dim[0], of->dim[1], of->dim[2], of->dim[3]};
    d[of->ndim - 1] = columns;
    return op_check(ctx, op, name, t, DTYPE_F32, of->ndim, d[0], d[1], d[2], d[3]);
}

bool activation_by_result(int act)
{
    return ACT_BY_RESULT(act);
}

clio_status op_activation_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *seen, int act,
                              float slope, bool add)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.act = act, .slope = slope};
    struct kernel *kernel;
    int more = add;
    TRY(op_check(ctx, "activation gradient", "dy", dy, DTYPE_F32, dy->ndim, -1, -1, -1, -1));
    TRY(check_rows(ctx, "activation gradient", "dx", dx, dy, dy->dim[dy->ndim - 1]));
    TRY(check_rows(ctx, "activation gradient", "the forward's tensor", seen, dy, dy->dim[dy->ndim - 1]));
    TRY(op_elements(ctx, "activation gradient", dy, &args.n));
    if (act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "activation gradient: there is no activation %d", act);
    if (act == ACT_LEAKY_RELU && !(slope >= 0)) /* the result would not tell the sign of x */
        FAIL(ctx, CLIO_ERROR_INTERNAL, "activation gradient: a leaky relu with the slope %g", (double)slope);

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise_bwd", "activation_bwd", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(2.0 * args.n, (add ? 16.0 : 12.0) * args.n), ARG_TENSOR(dx), ARG_TENSOR(dy),
               ARG_TENSOR(seen), ARG_VALUE(more), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_gated_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *x, int act, bool add)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.act = act};
    struct kernel *kernel;
    int more = add, width = dy->dim[dy->ndim - 1], all = 0;
    TRY(op_check(ctx, "gated gradient", "dy", dy, DTYPE_F32, dy->ndim, -1, -1, -1, -1));
    TRY(check_rows(ctx, "gated gradient", "x", x, dy, 2 * width));
    TRY(check_rows(ctx, "gated gradient", "dx", dx, dy, 2 * width));
    TRY(op_elements(ctx, "gated gradient", x, &all));
    args.n = all / 2;
    if (act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gated gradient: there is no activation %d", act);

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise_bwd", "gated_bwd", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(6.0 * args.n, (add ? 28.0 : 20.0) * args.n), ARG_TENSOR(dx), ARG_TENSOR(dy),
               ARG_TENSOR(x), ARG_VALUE(width), ARG_VALUE(more), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_concat_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, int first, bool add)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {0};
    struct kernel *kernel;
    int more = add, all = 0, columns = dx->dim[dx->ndim - 1], width = dy->dim[dy->ndim - 1];
    TRY(op_check(ctx, "concat gradient", "dy", dy, DTYPE_F32, dy->ndim, -1, -1, -1, -1));
    TRY(check_rows(ctx, "concat gradient", "dx", dx, dy, -1));
    TRY(op_elements(ctx, "concat gradient", dy, &all));
    TRY(op_elements(ctx, "concat gradient", dx, &args.n));
    if (first < 0 || columns > width - first) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "concat gradient: %d columns from column %d of %s", columns, first, tensor_describe(dy, shape));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise_bwd", "concat_bwd", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(add ? args.n : 0, (add ? 12.0 : 8.0) * args.n), ARG_TENSOR(dx),
               ARG_TENSOR(dy), ARG_VALUE(columns), ARG_VALUE(width), ARG_VALUE(first), ARG_VALUE(more), ARG_VALUE(args)));
fail:
    return st;
}

static clio_status multiply(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, bool add)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {0};
    struct kernel *kernel;
    int more = add, nb = 0;
    TRY(op_check(ctx, "multiply", "a", a, DTYPE_F32, a->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "multiply", "b", b, DTYPE_F32, b->ndim, -1, -1, -1, -1));
    TRY(check_rows(ctx, "multiply", "out", out, a, a->dim[a->ndim - 1]));
    TRY(op_elements(ctx, "multiply", a, &args.n));
    TRY(op_elements(ctx, "multiply", b, &nb));
    if (args.n % nb) {
        char shape_a[96], shape_b[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "multiply: %s cannot be repeated to %s", tensor_describe(b, shape_b), tensor_describe(a, shape_a));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise_bwd", "multiply", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(args.n, (add ? 12.0 : 8.0) * args.n + 4.0 * nb), ARG_TENSOR(out),
               ARG_TENSOR(a), ARG_TENSOR(b), ARG_VALUE(nb), ARG_VALUE(more), ARG_VALUE(args)));
fail:
    return st;
}

/* da = dy b; db = dy a, or the sums of its repetitions */
static clio_status multiply_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    struct tensor grad, dy = tape_given(tape, r, 0), a, b, product;
    uint64_t mark = arena_mark(&tape->arena);
    bool add;
    if (tape_wants(tape, r, 1)) {
        b = tape_value(tape, r, 2);
        TRY(tape_grad(ctx, tape, r, 1, &grad, &add));
        TRY(multiply(ctx, &grad, &dy, &b, add));
    }
    if (tape_wants(tape, r, 2)) {
        a = tape_value(tape, r, 1);
        TRY(tape_grad(ctx, tape, r, 2, &grad, &add));
        if (tensor_count(&grad) == tensor_count(&dy)) {
            grad = tensor_reshape(&grad, dy.ndim, dy.dim[0], dy.dim[1], dy.dim[2], dy.dim[3]);
            TRY(multiply(ctx, &grad, &dy, &a, add));
        } else {
            product = tensor_shape(DTYPE_F32, dy.ndim, dy.dim[0], dy.dim[1], dy.dim[2], dy.dim[3]);
            TRY(tensor_take(ctx, &tape->arena, &product));
            TRY(multiply(ctx, &product, &dy, &a, false));
            TRY(op_repeat_bwd(ctx, &tape->arena, &grad, &product, 1, add));
        }
    }
fail:
    arena_release(&tape->arena, mark);
    return st;
}

clio_status op_multiply_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b)
{
    clio_status st = CLIO_OK;
    if (ctx->tape) {
        struct tape_record r = {.op = "multiply", .backward = multiply_backward, .t = {*out, *a, *b}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, NULL, 0));
    }
    TRY(multiply(ctx, out, a, b, false));
fail:
    return st;
}
