/* op_rows.c - see rows.h. */
#include "rows.h"

#include <limits.h>
#include <stdio.h>

clio_status rows_plan(clio_context *ctx, const char *op, const struct tensor *t, struct rows_plan *plan)
{
    clio_status st = CLIO_OK;
    char key[64];
    size_t n = t->ndim > 0 && t->ndim <= TENSOR_DIMS && t->dim[t->ndim - 1] > 0 ? (size_t)t->dim[t->ndim - 1] : 0;
    size_t rows = n ? tensor_count(t) / n : 0;
    *plan = (struct rows_plan){.rows = (int)rows, .n = (int)n};
    if (rows == 0 || rows > INT_MAX) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot work on the rows of %s", op, tensor_describe(t, shape));
    }
    snprintf(key, sizeof key, "%s.family", op);
    if (params_is(ctx, key, "row")) {
        snprintf(plan->options, sizeof plan->options, "-DROW=1");
        plan->grid = GRID1(rows, 1);
    } else {
        int wish, items = 1;
        snprintf(key, sizeof key, "%s.items", op);
        wish = params_int(ctx, key, 128);
        while (items * 2 <= wish && (size_t)items * 2 <= ctx->device.max_work_group)
            items *= 2;
        snprintf(plan->options, sizeof plan->options, "-DITEMS=%d", items);
        plan->grid = GRID1(rows * (size_t)items, items);
    }
fail:
    return st;
}
