/* op_elementwise.c - activations and sums of whole tensors; kernels in cl/elementwise.cl. */
#include "lanes.h"

#include <limits.h>

/* The elements of a tensor as the int that kernels take. */
static clio_status element_count(clio_context *ctx, const char *op, const struct tensor *t, int *n)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t);
    if (count == 0 || count > INT_MAX) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot work on %s", op, tensor_describe(t, shape));
    }
    *n = (int)count;
fail:
    return st;
}

clio_status op_activation_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int act, float slope)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.act = act, .slope = slope};
    struct kernel *kernel;
    TRY(op_check(ctx, "activation", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "activation", "out", out, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]));
    TRY(element_count(ctx, "activation", in, &args.n));
    if (act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "activation: there is no activation %d", act);

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "activation", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(args.n, 8.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(in), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_add_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, float alpha, float beta)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.alpha = alpha, .beta = beta};
    struct kernel *kernel;
    int nb = 0;
    TRY(op_check(ctx, "add", "a", a, DTYPE_F32, a->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "add", "b", b, DTYPE_F32, b->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "add", "out", out, DTYPE_F32, a->ndim, a->dim[0], a->dim[1], a->dim[2], a->dim[3]));
    TRY(element_count(ctx, "add", a, &args.n));
    TRY(element_count(ctx, "add", b, &nb));
    if (args.n % nb) {
        char shape_a[96], shape_b[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "add: %s cannot be repeated to %s", tensor_describe(b, shape_b), tensor_describe(a, shape_a));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "add", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(3.0 * args.n, 8.0 * args.n + 4.0 * nb), ARG_TENSOR(out), ARG_TENSOR(a),
               ARG_TENSOR(b), ARG_VALUE(nb), ARG_VALUE(args)));
fail:
    return st;
}
