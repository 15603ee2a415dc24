/* op_group_norm_bwd.c - the gradient of group norm; kernels in cl/group_norm_bwd.cl and cl/batch_norm.cl. */
#include "reduce_columns.h"
#include "gradients.h"

static clio_status check_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dgamma, const struct tensor *dbeta,
                             const struct tensor *dy, const struct tensor *x, const struct tensor *gamma, int groups)
{
    clio_status st = CLIO_OK;
    char shape[96];
    int channels = x->ndim > 1 && x->ndim <= TENSOR_DIMS ? x->dim[x->ndim - 1] : 0;
    if (channels < 1 || groups < 1 || channels % groups || !dgamma != !dbeta)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "the gradient of group norm: %d groups of %s, or one of dgamma and dbeta alone", groups,
             tensor_describe(x, shape));
    TRY(op_check(ctx, "group norm", "x", x, DTYPE_F32, x->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "group norm", "dy", dy, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    TRY(op_check(ctx, "group norm", "gamma", gamma, DTYPE_F32, 1, channels, 1, 1, 1));
    if (dx)
        TRY(op_check(ctx, "group norm", "dx", dx, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    if (dgamma)
        TRY(op_check(ctx, "group norm", "dgamma", dgamma, DTYPE_F32, 1, channels, 1, 1, 1));
    if (dbeta)
        TRY(op_check(ctx, "group norm", "dbeta", dbeta, DTYPE_F32, 1, channels, 1, 1, 1));
fail:
    return st;
}

clio_status op_group_norm_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dgamma,
                              const struct tensor *dbeta, const struct tensor *dy, const struct tensor *x, const struct tensor *gamma,
                              int groups, float eps, bool add_x, bool add_w)
{
    clio_status st = CLIO_OK;
    struct columns_plan p;
    struct kernel *kernel;
    uint64_t mark = arena_mark(arena);
    TRY(check_bwd(ctx, dx, dgamma, dbeta, dy, x, gamma, groups));
    TRY(columns_plan(ctx, "group norm", x, x->dim[0], false, &p));
    p.args.groups = groups;
    p.args.eps = eps;
    p.args.add = add_x;
    p.args.weights = dgamma ? 1 + add_w : 0;

    struct tensor parts = p.parts, factors = p.factors;
    struct grid by_group = GRID2((size_t)groups * p.items, p.args.pictures, p.items, 1);
    TRY(tensor_take(ctx, arena, &parts));
    TRY(tensor_take(ctx, arena, &factors));
    TRY(columns_statistics(ctx, &p, &parts, x));
    TRY(kernel_get(ctx, "group_norm_bwd", "group_norm_bwd_statistics", p.options, &kernel));
    TRY(LAUNCH(ctx, kernel, by_group, COST(p.between, p.between), ARG_TENSOR(&factors), ARG_TENSOR(&parts), ARG_VALUE(p.args)));
    TRY(columns_bwd_sums(ctx, &p, &parts, dy, x, &factors));
    if (dgamma) {
        TRY(kernel_get(ctx, "group_norm_bwd", "group_norm_bwd_weights", p.options, &kernel));
        TRY(LAUNCH(ctx, kernel, p.by_channel, COST(p.between, p.between), ARG_TENSOR(dgamma), ARG_TENSOR(dbeta), ARG_TENSOR(&parts),
                   ARG_TENSOR(&factors), ARG_VALUE(p.args)));
    }
    if (dx) {
        TRY(kernel_get(ctx, "group_norm_bwd", "group_norm_bwd_join", p.options, &kernel));
        TRY(LAUNCH(ctx, kernel, by_group, COST(p.between, p.between), ARG_TENSOR(&factors), ARG_TENSOR(&parts), ARG_TENSOR(gamma),
                   ARG_VALUE(p.args)));
        TRY(columns_bwd_apply(ctx, &p, dx, dy, x, &factors));
    }
fail:
    arena_release(arena, mark);
    return st;
}
