/* op_optim.c - optimizer steps and moving averages of parameters (cl/optim.cl), and clipping by the global norm (cl/clip.cl). */
#include "gradients.h"
#include "lanes.h"
#include "reduce_sums.h"

#include <stdio.h>

/* `t` has n elements as well, whatever its shape. */
static clio_status check_count(clio_context *ctx, const char *op, const char *name, const struct tensor *t, int n)
{
    clio_status st = CLIO_OK;
    int is;
    TRY(op_floats(ctx, op, name, t, &is));
    if (is != n)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %s has %d elements, but the parameter has %d", op, name, is, n);
fail:
    return st;
}

clio_status op_optim_step(clio_context *ctx, const struct tensor *w, const struct tensor *grad, const struct tensor *m,
                          const struct tensor *v, const struct tensor *scale, struct optim_args args)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char options[80];
    bool is_adam = args.rule == OPTIM_ADAM || args.rule == OPTIM_ADAMW, has_momentum = !is_adam && args.momentum > 0;
    if (args.rule < OPTIM_SGD || args.rule > OPTIM_RMSPROP || args.step < 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "optim: there is no rule %d or no step %d", args.rule, args.step);
    TRY(op_floats(ctx, "optim", "w", w, &args.n));
    TRY(check_count(ctx, "optim", "grad", grad, args.n));
    if (is_adam || has_momentum)
        TRY(check_count(ctx, "optim", "m", m, args.n));
    if (args.rule != OPTIM_SGD)
        TRY(check_count(ctx, "optim", "v", v, args.n));
    if (scale)
        TRY(op_check(ctx, "optim", "scale", scale, DTYPE_F32, 1, 1, 0, 0, 0));

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    snprintf(options, sizeof options, "-DRULE=%d%s%s%s%s", args.rule, has_momentum ? " -DMOMENTUM=1" : "", scale ? " -DSCALED=1" : "",
             *plan.options ? " " : "", plan.options);
    TRY(kernel_get(ctx, "optim", "optim_step", options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(12.0 * args.n, 28.0 * args.n), ARG_TENSOR(w), ARG_TENSOR(grad),
               ARG_TENSOR(m ? m : grad), ARG_TENSOR(v ? v : grad), ARG_TENSOR(scale ? scale : grad), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_half(clio_context *ctx, const struct tensor *half, const struct tensor *w)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    int n;
    TRY(op_floats(ctx, "half", "w", w, &n));
    TRY(op_check(ctx, "half", "half", half, DTYPE_F16, half->ndim, -1, -1, -1, -1));
    if (tensor_count(half) != (size_t)n)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "half: %zu halves for %d numbers", tensor_count(half), n);

    struct lanes_plan plan = lanes_plan(ctx, (size_t)n);
    TRY(kernel_get(ctx, "optim", "round_half", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(n, 6.0 * n), ARG_TENSOR(half), ARG_TENSOR(w), ARG_VALUE(n)));
fail:
    return st;
}

clio_status op_average_step(clio_context *ctx, const struct tensor *average, const struct tensor *w, float decay)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char options[32];
    int n;
    TRY(op_floats(ctx, "average", "w", w, &n));
    TRY(check_count(ctx, "average", "average", average, n));

    struct lanes_plan plan = lanes_plan(ctx, (size_t)n);
    snprintf(options, sizeof options, "%s", plan.options);
    TRY(kernel_get(ctx, "optim", "average_step", options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(3.0 * n, 12.0 * n), ARG_TENSOR(average), ARG_TENSOR(w), ARG_VALUE(n),
               ARG_VALUE(decay)));
fail:
    return st;
}

clio_status op_norm2(clio_context *ctx, struct arena *arena, const struct tensor *sums, int slot, const struct tensor *g)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct rows_plan plan;
    struct tensor parts;
    struct kernel *kernel;
    int n;
    TRY(op_floats(ctx, "norm2", "g", g, &n));
    TRY(sums_plan(ctx, arena, n, &plan, &parts));
    TRY(kernel_get(ctx, "clip", "square_parts", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(2.0 * n, 4.0 * n), ARG_TENSOR(&parts), ARG_TENSOR(g), ARG_VALUE(n)));
    TRY(sums_finish(ctx, sums, slot, &parts, 1, false));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_clip_scale(clio_context *ctx, const struct tensor *scale, const struct tensor *sums, int count, float most, float loss_scale)
{
    clio_status st = CLIO_OK;
    struct tensor seen = tensor_shape(DTYPE_F32, 2, 1, count, 0, 0);
    struct rows_plan plan;
    struct kernel *kernel;
    TRY(op_check(ctx, "clip_scale", "sums", sums, DTYPE_F32, 1, -1, 0, 0, 0));
    TRY(op_check(ctx, "clip_scale", "scale", scale, DTYPE_F32, 1, 1, 0, 0, 0));
    if (count < 1 || count > sums->dim[0] || !(loss_scale > 0) || !(most >= 0))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "clip_scale: %d of %d sums, at most %g, loss scale %g", count, sums->dim[0], (double)most,
             (double)loss_scale);
    TRY(rows_plan(ctx, "norm", &seen, &plan));
    TRY(kernel_get(ctx, "clip", "clip_scale", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(count, 4.0 * count), ARG_TENSOR(scale), ARG_TENSOR(sums), ARG_VALUE(count), ARG_VALUE(most),
               ARG_VALUE(loss_scale)));
fail:
    return st;
}
