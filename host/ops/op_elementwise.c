/* op_elementwise.c - activations, sums and gates of whole tensors, two tensors side by side; kernels in cl/elementwise.cl. */
#include "lanes.h"

#include <limits.h>
#include <string.h>

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

clio_status op_gated_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int act)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.act = act};
    struct kernel *kernel;
    int d[TENSOR_DIMS] = {1, 1, 1, 1}, width = 0, n = 0;
    TRY(op_check(ctx, "gated", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(element_count(ctx, "gated", in, &n));
    memcpy(d, in->dim, sizeof d);
    width = d[in->ndim - 1] / 2;
    if (d[in->ndim - 1] % 2 || act < 0 || act >= ACT_COUNT) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gated: %s cannot be halved, or there is no activation %d", tensor_describe(in, shape), act);
    }
    d[in->ndim - 1] = width;
    args.n = n / 2;
    TRY(op_check(ctx, "gated", "out", out, DTYPE_F32, in->ndim, d[0], d[1], d[2], d[3]));

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "gated", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(2.0 * args.n, 12.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(in),
               ARG_VALUE(width), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_concat_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {0};
    struct kernel *kernel;
    TRY(op_check(ctx, "concat", "a", a, DTYPE_F32, a->ndim, -1, -1, -1, -1));
    int d[TENSOR_DIMS] = {a->dim[0], a->dim[1], a->dim[2], a->dim[3]}, last = a->ndim - 1, na = d[last], nb = b->dim[last];
    d[last] = -1;
    TRY(op_check(ctx, "concat", "b", b, DTYPE_F32, a->ndim, d[0], d[1], d[2], d[3]));
    d[last] = na + nb;
    TRY(op_check(ctx, "concat", "out", out, DTYPE_F32, a->ndim, d[0], d[1], d[2], d[3]));
    TRY(element_count(ctx, "concat", out, &args.n));

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "concat", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(0, 8.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(a), ARG_TENSOR(b),
               ARG_VALUE(na), ARG_VALUE(nb), ARG_VALUE(args)));
fail:
    return st;
}
