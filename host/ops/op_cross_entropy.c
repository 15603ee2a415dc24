/* op_cross_entropy.c - cross-entropy of logits with class indices, and its gradient; kernels in cl/cross_entropy.cl. Rows are divided among
 * work-items as in softmax. */
#include "gradients.h"
#include "reduce_rows.h"
#include "tape.h"

/* Shapes, and what follows from them: x f32 [..., n] of as many rows as there are targets. */
static clio_status check(clio_context *ctx, const char *op, const struct tensor *x, const struct tensor *targets,
                         struct cross_entropy_args *args, struct rows_plan *plan)
{
    clio_status st = CLIO_OK;
    TRY(op_check(ctx, op, "x", x, DTYPE_F32, x->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, op, "targets", targets, DTYPE_I32, targets->ndim, -1, -1, -1, -1));
    TRY(rows_plan(ctx, "softmax", x, plan));
    if (tensor_count(targets) != (size_t)plan->rows || !(args->smoothing >= 0 && args->smoothing <= 1)) {
        char shape[96], wanted[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: targets are %s for %s, smoothing %g", op, tensor_describe(targets, shape),
             tensor_describe(x, wanted), (double)args->smoothing);
    }
    args->rows = plan->rows;
    args->n = plan->n;
fail:
    return st;
}

/* out[0] = the sum of losses, or dloss[0], over the number of rows that count. */
static clio_status mean(clio_context *ctx, const struct tensor *out, const struct tensor *losses, bool has_losses,
                        const struct tensor *targets, struct cross_entropy_args args)
{
    clio_status st = CLIO_OK;
    struct tensor seen = tensor_shape(DTYPE_F32, 2, 1, args.rows, 0, 0);
    struct rows_plan plan;
    struct kernel *kernel;
    int sum = has_losses;
    TRY(rows_plan(ctx, "softmax", &seen, &plan));
    TRY(kernel_get(ctx, "cross_entropy", "cross_entropy_mean", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(args.rows, 8.0 * args.rows), ARG_TENSOR(out), ARG_TENSOR(losses), ARG_VALUE(sum),
               ARG_TENSOR(targets), ARG_VALUE(args)));
fail:
    return st;
}

/* Records: the loss, x, targets. */
static clio_status cross_entropy_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct cross_entropy_args *args = (const void *)r->args;
    struct tensor dx, dloss = tape_given(tape, r, 0), x = tape_value(tape, r, 1), targets = tape_value(tape, r, 2);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_cross_entropy_bwd(ctx, &tape->arena, &dx, &dloss, &x, &targets, *args, add));
fail:
    return st;
}

clio_status op_cross_entropy_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *x,
                                 const struct tensor *targets, struct cross_entropy_args args)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct rows_plan plan;
    struct tensor losses;
    struct kernel *kernel;
    TRY(check(ctx, "cross_entropy", x, targets, &args, &plan));
    TRY(op_check(ctx, "cross_entropy", "loss", loss, DTYPE_F32, 1, 1, 0, 0, 0));
    if (ctx->tape) {
        struct tape_record r = {
            .op = "cross_entropy", .backward = cross_entropy_backward, .t = {*loss, *x, *targets}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }
    double elements = (double)args.rows * args.n;
    losses = tensor_shape(DTYPE_F32, 1, args.rows, 0, 0, 0);
    TRY(tensor_take(ctx, arena, &losses));
    TRY(kernel_get(ctx, "cross_entropy", "cross_entropy_rows", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(5 * elements, 4 * elements), ARG_TENSOR(&losses), ARG_TENSOR(x), ARG_TENSOR(targets),
               ARG_VALUE(args)));
    TRY(mean(ctx, loss, &losses, true, targets, args));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_cross_entropy_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dloss,
                                 const struct tensor *x, const struct tensor *targets, struct cross_entropy_args args, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    int to_x = add ? GRADIENT_ADD : GRADIENT_STORE;
    struct rows_plan plan;
    struct tensor scale = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    struct kernel *kernel;
    TRY(check(ctx, "cross_entropy_bwd", x, targets, &args, &plan));
    TRY(op_check(ctx, "cross_entropy_bwd", "dx", dx, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    TRY(op_check(ctx, "cross_entropy_bwd", "dloss", dloss, DTYPE_F32, 1, 1, 0, 0, 0));
    TRY(tensor_take(ctx, arena, &scale));
    TRY(mean(ctx, &scale, dloss, false, targets, args));
    double elements = (double)args.rows * args.n;
    TRY(kernel_get(ctx, "cross_entropy", "cross_entropy_bwd", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(8 * elements, 8 * elements), ARG_TENSOR(dx), ARG_TENSOR(&scale), ARG_TENSOR(x),
               ARG_TENSOR(targets), ARG_VALUE(to_x), ARG_VALUE(args)));
fail:
    arena_release(arena, mark);
    return st;
}
