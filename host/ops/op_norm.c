/* op_norm.c - layer norm; kernels in cl/norm.cl. */
#include "columns.h"
#include "gradients.h"
#include "rows.h"

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct norm_args *args = (const void *)r->args;
    struct tensor dy = tape_given(tape, r, 0), x = tape_value(tape, r, 1), gamma = tape_value(tape, r, 2), dx, dgamma, dbeta;
    bool wants_x = tape_wants(tape, r, 1), add_x = false, wants_w = tape_wants(tape, r, 2) || tape_wants(tape, r, 3), add_w = false;
    uint64_t mark = arena_mark(&tape->arena);
    if (wants_x)
        TRY(tape_grad(ctx, tape, r, 1, &dx, &add_x));
    if (wants_w)
        TRY(norm_weight_grads(ctx, tape, r, 2, 3, &dgamma, &dbeta, &add_w));
    TRY(op_layer_norm_bwd(ctx, &tape->arena, wants_x ? &dx : NULL, wants_w ? &dgamma : NULL, wants_w ? &dbeta : NULL, &dy, &x, &gamma,
                          args->eps, add_x, add_w));
fail:
    arena_release(&tape->arena, mark);
    return st;
}

clio_status op_layer_norm_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct tensor *gamma,
                              const struct tensor *beta, float eps)
{
    clio_status st = CLIO_OK;
    struct rows_plan plan;
    struct kernel *kernel;
    TRY(rows_plan(ctx, "norm", in, &plan));
    TRY(op_check(ctx, "layer norm", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "layer norm", "out", out, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]));
    TRY(op_check(ctx, "layer norm", "gamma", gamma, DTYPE_F32, 1, plan.n, 1, 1, 1));
    TRY(op_check(ctx, "layer norm", "beta", beta, DTYPE_F32, 1, plan.n, 1, 1, 1));

    struct norm_args args = {.rows = plan.rows, .n = plan.n, .eps = eps};
    double elements = (double)plan.rows * plan.n;
    if (ctx->tape) {
        struct tape_record r = {.op = "layer norm", .backward = backward, .t = {*out, *in, *gamma, *beta}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }
    TRY(kernel_get(ctx, "norm", "layer_norm", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(8 * elements, 8 * elements), ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(gamma),
               ARG_TENSOR(beta), ARG_VALUE(args)));
fail:
    return st;
}
