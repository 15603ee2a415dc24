/* reduce_sums.c - see reduce_sums.h; kernel in cl/reduce_sums.cl. It uses the families of norms: rows of a matrix there, chunks here. */
#include "reduce_sums.h"

clio_status sums_plan(clio_context *ctx, struct arena *arena, int n, struct rows_plan *plan, struct tensor *parts)
{
    clio_status st = CLIO_OK;
    int chunks = (n - 1) / SUM_CHUNK + 1;
    struct tensor seen = tensor_shape(DTYPE_F32, 2, chunks, SUM_CHUNK, 0, 0);
    TRY(rows_plan(ctx, "norm", &seen, plan));
    *parts = tensor_shape(DTYPE_F32, 1, chunks, 0, 0, 0);
    TRY(tensor_take(ctx, arena, parts));
fail:
    return st;
}

clio_status sums_finish(clio_context *ctx, const struct tensor *out, int slot, const struct tensor *parts, float scale, bool add)
{
    clio_status st = CLIO_OK;
    int count = (int)tensor_count(parts), more = add;
    struct tensor seen = tensor_shape(DTYPE_F32, 2, 1, count, 0, 0);
    struct rows_plan plan;
    struct kernel *kernel;
    TRY(op_check(ctx, "sum", "out", out, DTYPE_F32, 1, -1, 0, 0, 0));
    if (slot < 0 || slot >= out->dim[0])
        FAIL(ctx, CLIO_ERROR_INTERNAL, "sum: there is no slot %d of %d", slot, out->dim[0]);
    TRY(rows_plan(ctx, "norm", &seen, &plan));
    TRY(kernel_get(ctx, "reduce_sums", "sum_parts", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(count, 4.0 * count), ARG_TENSOR(out), ARG_TENSOR(parts), ARG_VALUE(count), ARG_VALUE(slot),
               ARG_VALUE(scale), ARG_VALUE(more)));
fail:
    return st;
}
