/* op_batch_norm.c - batch norm and its gradient; kernels and what they leave to each other: cl/batch_norm.cl. */
#include "reduce_columns.h"
#include "gradients.h"
#include "tape.h"

static clio_status check_same(clio_context *ctx, const char *name, const struct tensor *t, const struct tensor *in)
{
    return op_check(ctx, "batch norm", name, t, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]);
}

static clio_status check_channels(clio_context *ctx, const char *name, const struct tensor *t, int channels)
{
    return op_check(ctx, "batch norm", name, t, DTYPE_F32, 1, channels, 1, 1, 1);
}

/* Statistics of the batch, and the factors that follow from them. */
static clio_status join(clio_context *ctx, struct arena *arena, const struct columns_plan *p, const struct tensor *factors,
                        const struct tensor *in, const struct tensor *gamma, const struct tensor *beta, const struct tensor *running_mean,
                        const struct tensor *running_var, const struct tensor *statistics)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct tensor parts = p->parts;
    const struct tensor *mean = running_mean ? running_mean : factors, *var = running_var ? running_var : factors; /* not read */
    TRY(tensor_take(ctx, arena, &parts));
    TRY(columns_statistics(ctx, p, &parts, in));
    TRY(kernel_get(ctx, "batch_norm", "batch_norm_join", p->options, &kernel));
    TRY(LAUNCH(ctx, kernel, p->by_channel, COST(p->between, p->between), ARG_TENSOR(factors), ARG_TENSOR(statistics), ARG_TENSOR(mean),
               ARG_TENSOR(var), ARG_TENSOR(&parts), ARG_TENSOR(gamma), ARG_TENSOR(beta), ARG_VALUE(p->args)));
fail:
    return st;
}

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    struct tensor statistics = tape_value(tape, r, 1);
    uint64_t mark = arena_mark(&tape->arena);
    struct norm_grads g;
    TRY(norm_grads(ctx, tape, r, 2, &g));
    TRY(op_batch_norm_bwd(ctx, &tape->arena, g.dx, g.dgamma, g.dbeta, &g.dy, &g.x, &g.gamma, &statistics, g.add_x, g.add_w));
fail:
    arena_release(&tape->arena, mark);
    return st;
}

/* Gradients while the running statistics serve are nowhere asked for: refused, rather than wrong. */
static clio_status backward_running(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    (void)tape;
    FAIL(ctx, CLIO_ERROR_INTERNAL, "%s has a gradient only while training", r->op);
fail:
    return st;
}

clio_status op_batch_norm_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                              const struct tensor *gamma, const struct tensor *beta, const struct tensor *running_mean,
                              const struct tensor *running_var, const struct tensor *statistics, float eps, float momentum, bool training)
{
    clio_status st = CLIO_OK;
    struct columns_plan p;
    struct kernel *kernel;
    uint64_t mark = arena_mark(arena);
    TRY(op_check(ctx, "batch norm", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(columns_plan(ctx, "batch norm", in, 1, true, &p));
    TRY(check_same(ctx, "out", out, in));
    TRY(check_channels(ctx, "gamma", gamma, p.channels));
    TRY(check_channels(ctx, "beta", beta, p.channels));
    if (!running_mean != !running_var || (!training && !running_mean) || (training && !statistics))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "batch norm: its %s statistics are missing", training && !statistics ? "batch's" : "running");
    if (running_mean)
        TRY(check_channels(ctx, "running mean", running_mean, p.channels));
    if (running_var)
        TRY(check_channels(ctx, "running variance", running_var, p.channels));
    if (training)
        TRY(op_check(ctx, "batch norm", "statistics", statistics, DTYPE_F32, 2, 2, p.channels, 1, 1));

    if (ctx->tape) {
        struct tape_record r = {.op = "batch norm",
                                .backward = training ? backward : backward_running,
                                .t = {*out, training ? *statistics : *in, *in, *gamma, *beta},
                                .outputs = training ? 2 : 1,
                                .keep = training ? 1 << 1 | 1 << 2 | 1 << 3 : 0};
        TRY(tape_record(ctx, &r, NULL, 0));
    }
    struct tensor factors = p.factors;
    p.args.eps = eps;
    p.args.momentum = momentum;
    p.args.has_running = running_mean != NULL;
    TRY(tensor_take(ctx, arena, &factors));
    if (training) {
        TRY(join(ctx, arena, &p, &factors, in, gamma, beta, running_mean, running_var, statistics));
    } else {
        TRY(kernel_get(ctx, "batch_norm", "batch_norm_running", p.options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID1(p.args.n, MIN((size_t)64, ctx->device.max_work_group)), COST(4.0 * p.args.n, 28.0 * p.args.n),
                   ARG_TENSOR(&factors), ARG_TENSOR(running_mean), ARG_TENSOR(running_var), ARG_TENSOR(gamma), ARG_TENSOR(beta),
                   ARG_VALUE(p.args)));
    }
    TRY(kernel_get(ctx, "batch_norm", "column_apply", p.options, &kernel));
    TRY(LAUNCH(ctx, kernel, p.by_number, COST(3 * p.numbers, 8 * p.numbers), ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(&factors),
               ARG_VALUE(p.args)));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_batch_norm_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dgamma,
                              const struct tensor *dbeta, const struct tensor *dy, const struct tensor *x, const struct tensor *gamma,
                              const struct tensor *statistics, bool add_x, bool add_w)
{
    clio_status st = CLIO_OK;
    struct columns_plan p;
    struct kernel *kernel;
    uint64_t mark = arena_mark(arena);
    TRY(op_check(ctx, "batch norm", "x", x, DTYPE_F32, x->ndim, -1, -1, -1, -1));
    TRY(columns_plan(ctx, "batch norm", x, 1, true, &p));
    TRY(check_same(ctx, "dy", dy, x));
    TRY(check_channels(ctx, "gamma", gamma, p.channels));
    TRY(op_check(ctx, "batch norm", "statistics", statistics, DTYPE_F32, 2, 2, p.channels, 1, 1));
    if (!dgamma != !dbeta)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "batch norm: the gradients of gamma and beta are made together");
    if (dx)
        TRY(check_same(ctx, "dx", dx, x));
    if (dgamma)
        TRY(check_channels(ctx, "dgamma", dgamma, p.channels));
    if (dbeta)
        TRY(check_channels(ctx, "dbeta", dbeta, p.channels));

    struct tensor parts = p.parts, factors = p.factors;
    const struct tensor *to_gamma = dgamma ? dgamma : &factors, *to_beta = dbeta ? dbeta : &factors; /* not written */
    p.args.weights = dgamma ? 1 + add_w : 0;
    p.args.add = add_x;
    TRY(tensor_take(ctx, arena, &parts));
    TRY(tensor_take(ctx, arena, &factors));
    TRY(kernel_get(ctx, "batch_norm", "batch_norm_bwd_means", p.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(p.args.n, MIN((size_t)64, ctx->device.max_work_group)), COST(0, 8.0 * p.args.n), ARG_TENSOR(&factors),
               ARG_TENSOR(statistics), ARG_VALUE(p.args)));
    TRY(columns_bwd_sums(ctx, &p, &parts, dy, x, &factors));
    TRY(kernel_get(ctx, "batch_norm", "batch_norm_bwd_join", p.options, &kernel));
    TRY(LAUNCH(ctx, kernel, p.by_channel, COST(p.between, p.between), ARG_TENSOR(&factors), ARG_TENSOR(to_gamma), ARG_TENSOR(to_beta),
               ARG_TENSOR(&parts), ARG_TENSOR(statistics), ARG_TENSOR(gamma), ARG_VALUE(p.args)));
    if (dx)
        TRY(columns_bwd_apply(ctx, &p, dx, dy, x, &factors));
fail:
    arena_release(arena, mark);
    return st;
}
