/* add.c - see add.h; kernel in cl/elementwise.cl. */
#include "add.h"
#include "lanes.h"

clio_status add_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, float alpha, float beta,
                    tape_backward_fn backward)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.alpha = alpha, .beta = beta};
    struct kernel *kernel;
    int nb = 0;
    TRY(op_check(ctx, "add", "a", a, DTYPE_F32, a->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "add", "b", b, DTYPE_F32, b->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "add", "out", out, DTYPE_F32, a->ndim, a->dim[0], a->dim[1], a->dim[2], a->dim[3]));
    TRY(op_elements(ctx, "add", a, &args.n));
    TRY(op_elements(ctx, "add", b, &nb));
    if (args.n % nb) {
        char shape_a[96], shape_b[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "add: %s cannot be repeated to %s", tensor_describe(b, shape_b), tensor_describe(a, shape_a));
    }
    if (ctx->tape && backward) {
        struct tape_record r = {.op = "add", .backward = backward, .t = {*out, *a, *b}};
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "add", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(3.0 * args.n, 8.0 * args.n + 4.0 * nb), ARG_TENSOR(out), ARG_TENSOR(a),
               ARG_TENSOR(b), ARG_VALUE(nb), ARG_VALUE(args)));
fail:
    return st;
}
