/* op_norm.c - layer norm; kernels in cl/norm.cl. */
#include "reduce_columns.h"
#include "gradients.h"
#include "reduce_rows.h"

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct norm_args *args = (const void *)r->args;
    uint64_t mark = arena_mark(&tape->arena);
    struct norm_grads g;
    TRY(norm_grads(ctx, tape, r, 1, &g));
    TRY(op_layer_norm_bwd(ctx, &tape->arena, g.dx, g.dgamma, g.dbeta, &g.dy, &g.x, &g.gamma, args->eps, g.add_x, g.add_w));
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
