/* op_norm_bwd.c - the gradient of layer norm; kernels in cl/norm_bwd.cl. */
#include "reduce_columns.h"
#include "gradients.h"

static clio_status check_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dgamma, const struct tensor *dbeta,
                             const struct tensor *dy, const struct tensor *x, const struct tensor *gamma, int n)
{
    clio_status st = CLIO_OK;
    TRY(op_check(ctx, "layer norm", "dy", dy, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    TRY(op_check(ctx, "layer norm", "gamma", gamma, DTYPE_F32, 1, n, 1, 1, 1));
    if (!dgamma != !dbeta)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "layer norm: the gradients of gamma and beta are made together");
    if (dx)
        TRY(op_check(ctx, "layer norm", "dx", dx, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    if (dgamma)
        TRY(op_check(ctx, "layer norm", "dgamma", dgamma, DTYPE_F32, 1, n, 1, 1, 1));
    if (dbeta)
        TRY(op_check(ctx, "layer norm", "dbeta", dbeta, DTYPE_F32, 1, n, 1, 1, 1));
fail:
    return st;
}

clio_status op_layer_norm_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dgamma,
                              const struct tensor *dbeta, const struct tensor *dy, const struct tensor *x, const struct tensor *gamma,
                              float eps, bool add_x, bool add_w)
{
    clio_status st = CLIO_OK;
    struct columns_plan p;
    struct kernel *kernel;
    uint64_t mark = arena_mark(arena);
    int wants_x = dx != NULL;
    TRY(op_check(ctx, "layer norm", "x", x, DTYPE_F32, x->ndim, -1, -1, -1, -1));
    struct tensor rows = *x; /* columns_plan wants rows: a vector is one */
    if (x->ndim == 1)
        rows = tensor_reshape(x, 2, 1, x->dim[0], 0, 0);
    TRY(columns_plan(ctx, "layer norm", &rows, 1, false, &p));
    TRY(check_bwd(ctx, dx, dgamma, dbeta, dy, x, gamma, p.channels));
    p.args.eps = eps;
    p.args.add = add_x;
    p.args.weights = dgamma ? 1 + add_w : 0;

    struct tensor parts = tensor_shape(DTYPE_F32, 3, p.args.chunks, 2, p.args.n, 0);
    struct tensor statistics = p.by_row ? parts : tensor_shape(DTYPE_F32, 2, p.args.rows, 2, 0, 0);
    TRY(tensor_take(ctx, arena, &parts));
    if (p.by_row)
        statistics = parts;
    else
        TRY(tensor_take(ctx, arena, &statistics));
    const struct tensor *to_x = dx ? dx : &parts; /* not written */
    struct grid grid = p.by_row ? GRID1(p.args.chunks, 1) : GRID1((size_t)p.args.rows * p.items, p.items);
    TRY(kernel_get(ctx, "norm_bwd", "layer_norm_bwd", p.options, &kernel));
    TRY(LAUNCH(ctx, kernel, grid, COST(14 * p.numbers, (add_x ? 16 : 12) * p.numbers), ARG_TENSOR(to_x), ARG_TENSOR(&statistics),
               ARG_TENSOR(dy), ARG_TENSOR(x), ARG_TENSOR(gamma), ARG_VALUE(wants_x), ARG_VALUE(p.args)));
    if (dgamma && !p.by_row) {
        TRY(kernel_get(ctx, "norm_bwd", "layer_norm_bwd_columns", p.options, &kernel));
        TRY(LAUNCH(ctx, kernel, p.by_chunk, COST(4 * p.numbers, 8 * p.numbers + p.between), ARG_TENSOR(&parts), ARG_TENSOR(dy),
                   ARG_TENSOR(x), ARG_TENSOR(&statistics), ARG_VALUE(p.args)));
    }
    if (dgamma) {
        TRY(kernel_get(ctx, "norm_bwd", "layer_norm_bwd_join", p.options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID1(p.args.n, MIN((size_t)64, ctx->device.max_work_group)), COST(p.between, p.between),
                   ARG_TENSOR(dgamma), ARG_TENSOR(dbeta), ARG_TENSOR(&parts), ARG_VALUE(p.args)));
    }
fail:
    arena_release(arena, mark);
    return st;
}
