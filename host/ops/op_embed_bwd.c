/* op_embed_bwd.c - gradients of the embedding table and of the position table; kernels in cl/embed_bwd.cl. */
#include "gradients.h"

#include <limits.h>

clio_status op_embed_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dtable, const struct tensor *dpositions,
                         const struct tensor *dy, const struct tensor *ids, int position, bool add_table, bool add_positions)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char shape[96];
    uint64_t mark = arena_mark(arena);
    const struct tensor *either = dtable ? dtable : dpositions;
    TRY(op_check(ctx, "embed", "ids", ids, DTYPE_I32, ids->ndim == 1 ? 1 : 2, -1, -1, -1, -1));
    if (!either)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "embed: no gradient is asked for");
    int n = either->dim[1], batch = ids->ndim == 2 ? ids->dim[0] : 1, length = ids->dim[ids->ndim - 1];
    if (batch < 1 || length < 1 || length > INT_MAX / batch)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "embed cannot work on ids %s", tensor_describe(ids, shape));
    if (dy->ndim == 2) /* [rows, N] */
        TRY(op_check(ctx, "embed", "dy", dy, DTYPE_F32, 2, batch * length, n, -1, -1));
    else
        TRY(op_check(ctx, "embed", "dy", dy, DTYPE_F32, 3, batch, length, n, -1));
    if (dtable)
        TRY(op_check(ctx, "embed", "dtable", dtable, DTYPE_F32, 2, -1, n, -1, -1));
    if (dpositions) {
        TRY(op_check(ctx, "embed", "dpositions", dpositions, DTYPE_F32, 2, -1, n, -1, -1));
        if (position < 0 || position > dpositions->dim[0] - length)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "embed: positions %d to %d are asked for, but there are %d", position, position + length - 1,
                 dpositions->dim[0]);
    }

    struct embed_args args = {.rows = batch * length, .n = n, .position = position, .positions = length};
    bool wide = ctx->device.simd_width > 1 && n % 16 == 0;
    const char *options = wide ? "-DLANES=16" : "";
    size_t columns = (size_t)(wide ? n / 16 : n), local = MIN((size_t)64, ctx->device.max_work_group);
    double numbers = (double)args.rows * n;
    if (dtable && !add_table)
        TRY(tensor_zero(ctx, dtable));
    if (dpositions && !add_positions)
        TRY(tensor_zero(ctx, dpositions));
    if (dtable) {
        struct tensor links = tensor_shape(DTYPE_I32, 2, 2, args.rows, 0, 0);
        args.vocab = dtable->dim[0];
        TRY(tensor_take(ctx, arena, &links));
        TRY(kernel_get(ctx, "embed_bwd", "embed_bwd_links", options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID1(args.rows, local), COST(0.5 * args.rows * args.rows, 8.0 * args.rows), ARG_TENSOR(&links),
                   ARG_TENSOR(ids), ARG_VALUE(args)));
        TRY(kernel_get(ctx, "embed_bwd", "embed_bwd_table", options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID2(columns, args.rows, MIN(columns, local), 1), COST(numbers, 12 * numbers), ARG_TENSOR(dtable),
                   ARG_TENSOR(dy), ARG_TENSOR(ids), ARG_TENSOR(&links), ARG_VALUE(args)));
    }
    if (dpositions) {
        TRY(kernel_get(ctx, "embed_bwd", "embed_bwd_positions", options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID2(columns, length, MIN(columns, local), 1), COST(numbers, 4 * numbers + 8.0 * length * n),
                   ARG_TENSOR(dpositions), ARG_TENSOR(dy), ARG_VALUE(args)));
    }
fail:
    arena_release(arena, mark);
    return st;
}
