/* op_loss.c - elementwise losses and the KL divergence of Gaussians, with their gradients; kernels in cl/loss.cl. */
#include "gradients.h"
#include "lanes.h"
#include "reduce_sums.h"
#include "tape.h"

/* `t` is f32 of the shape of `like`. */
static clio_status check_like(clio_context *ctx, const char *op, const char *name, const struct tensor *t, const struct tensor *like)
{
    return op_check(ctx, op, name, t, DTYPE_F32, like->ndim, like->dim[0], like->dim[1], like->dim[2], like->dim[3]);
}

static clio_status check_single(clio_context *ctx, const char *op, const char *name, const struct tensor *t)
{
    return op_check(ctx, op, name, t, DTYPE_F32, 1, 1, 0, 0, 0);
}

static bool has_no_targets(int loss)
{
    return loss != LOSS_MSE && loss != LOSS_L1 && loss != LOSS_BCE_LOGITS;
}

static clio_status check_loss(clio_context *ctx, const char *op, const struct tensor *x, const struct tensor *targets,
                              struct loss_args *args)
{
    clio_status st = CLIO_OK;
    TRY(op_floats(ctx, op, "x", x, &args->n));
    if (targets)
        TRY(check_like(ctx, op, "targets", targets, x));
    if (args->loss < 0 || args->loss >= LOSS_COUNT || (targets && has_no_targets(args->loss)))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: there is no loss %d%s", op, args->loss, targets ? " of targets" : "");
    args->has_targets = targets != NULL;
fail:
    return st;
}

/* Records: the loss, x, its targets, and the loss that was there where it is added to. */
static clio_status loss_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct loss_args *args = (const void *)r->args;
    struct tensor dx, dloss = tape_given(tape, r, 0), x = tape_value(tape, r, 1), targets = tape_value(tape, r, 2);
    bool add;
    if (tape_wants(tape, r, 1)) {
        TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
        TRY(op_loss_bwd(ctx, &dx, &dloss, &x, args->has_targets ? &targets : NULL, *args, add));
    }
    if (tape_wants(tape, r, 2)) {
        if (args->loss == LOSS_BCE_LOGITS)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "the targets of cross-entropy have no gradient here");
        TRY(tape_grad(ctx, tape, r, 2, &dx, &add)); /* the others do not care which is which */
        TRY(op_loss_bwd(ctx, &dx, &dloss, &targets, &x, *args, add));
    }
    if (tape_wants(tape, r, 3))
        TRY(tape_pass(ctx, tape, r, 0, 3));
fail:
    return st;
}

clio_status op_loss_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *x,
                        const struct tensor *targets, struct loss_args args, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct rows_plan plan;
    struct tensor parts;
    struct kernel *kernel;
    TRY(check_loss(ctx, "loss", x, targets, &args));
    TRY(check_single(ctx, "loss", "loss", loss));
    if (ctx->tape) {
        struct tape_record r = {.op = "loss", .backward = loss_backward, .t = {*loss, *x}, .keep = 1 << 1 | 1 << 2};
        if (targets)
            r.t[2] = *targets;
        if (add)
            r.t[3] = *loss;
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }
    TRY(sums_plan(ctx, arena, args.n, &plan, &parts));
    TRY(kernel_get(ctx, "loss", "loss_parts", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(10.0 * args.n, (targets ? 8.0 : 4.0) * args.n), ARG_TENSOR(&parts), ARG_TENSOR(x),
               ARG_TENSOR(targets ? targets : x), ARG_VALUE(args)));
    TRY(sums_finish(ctx, loss, 0, &parts, args.scale, add));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_loss_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dloss, const struct tensor *x,
                        const struct tensor *targets, struct loss_args args, bool add)
{
    clio_status st = CLIO_OK;
    int to_x = add ? GRADIENT_ADD : GRADIENT_STORE;
    struct kernel *kernel;
    TRY(check_loss(ctx, "loss_bwd", x, targets, &args));
    TRY(check_like(ctx, "loss_bwd", "dx", dx, x));
    TRY(check_single(ctx, "loss_bwd", "dloss", dloss));

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "loss", "loss_bwd", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(10.0 * args.n, (targets ? 12.0 : 8.0) * args.n), ARG_TENSOR(dx),
               ARG_TENSOR(dloss), ARG_TENSOR(x), ARG_TENSOR(targets ? targets : x), ARG_VALUE(to_x), ARG_VALUE(args)));
fail:
    return st;
}

static clio_status gaussian_kl_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const float *scale = (const void *)r->args;
    struct tensor dmu, dlogvar, dloss = tape_given(tape, r, 0), mu = tape_value(tape, r, 1), logvar = tape_value(tape, r, 2);
    bool to_mu = tape_wants(tape, r, 1), to_logvar = tape_wants(tape, r, 2), add_mu = false, add_logvar = false;
    if (to_mu)
        TRY(tape_grad(ctx, tape, r, 1, &dmu, &add_mu));
    if (to_logvar)
        TRY(tape_grad(ctx, tape, r, 2, &dlogvar, &add_logvar));
    TRY(op_gaussian_kl_bwd(ctx, to_mu ? &dmu : NULL, to_logvar ? &dlogvar : NULL, &dloss, &mu, &logvar, *scale, add_mu, add_logvar));
fail:
    return st;
}

clio_status op_gaussian_kl_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *mu,
                               const struct tensor *logvar, float scale)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct rows_plan plan;
    struct tensor parts;
    struct kernel *kernel;
    int n;
    TRY(op_floats(ctx, "gaussian_kl", "mu", mu, &n));
    TRY(check_like(ctx, "gaussian_kl", "logvar", logvar, mu));
    TRY(check_single(ctx, "gaussian_kl", "loss", loss));
    if (ctx->tape) {
        struct tape_record r = {.op = "gaussian_kl", .backward = gaussian_kl_backward, .t = {*loss, *mu, *logvar}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, &scale, sizeof scale));
    }
    TRY(sums_plan(ctx, arena, n, &plan, &parts));
    TRY(kernel_get(ctx, "loss", "gaussian_kl_parts", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(10.0 * n, 8.0 * n), ARG_TENSOR(&parts), ARG_TENSOR(mu), ARG_TENSOR(logvar), ARG_VALUE(n)));
    TRY(sums_finish(ctx, loss, 0, &parts, scale, false));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_gaussian_kl_bwd(clio_context *ctx, const struct tensor *dmu, const struct tensor *dlogvar, const struct tensor *dloss,
                               const struct tensor *mu, const struct tensor *logvar, float scale, bool add_mu, bool add_logvar)
{
    clio_status st = CLIO_OK;
    int to_mu = dmu ? add_mu ? GRADIENT_ADD : GRADIENT_STORE : GRADIENT_NONE;
    int to_logvar = dlogvar ? add_logvar ? GRADIENT_ADD : GRADIENT_STORE : GRADIENT_NONE;
    struct kernel *kernel;
    int n;
    TRY(op_floats(ctx, "gaussian_kl_bwd", "mu", mu, &n));
    TRY(check_like(ctx, "gaussian_kl_bwd", "logvar", logvar, mu));
    TRY(check_single(ctx, "gaussian_kl_bwd", "dloss", dloss));
    if (dmu)
        TRY(check_like(ctx, "gaussian_kl_bwd", "dmu", dmu, mu));
    if (dlogvar)
        TRY(check_like(ctx, "gaussian_kl_bwd", "dlogvar", dlogvar, mu));
    if (!dmu && !dlogvar)
        return CLIO_OK;

    struct lanes_plan plan = lanes_plan(ctx, (size_t)n);
    TRY(kernel_get(ctx, "loss", "gaussian_kl_bwd", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(10.0 * n, 16.0 * n), ARG_TENSOR(dmu ? dmu : dlogvar),
               ARG_TENSOR(dlogvar ? dlogvar : dmu), ARG_TENSOR(dloss), ARG_TENSOR(mu), ARG_TENSOR(logvar), ARG_VALUE(n), ARG_VALUE(scale),
               ARG_VALUE(to_mu), ARG_VALUE(to_logvar)));
fail:
    return st;
}
