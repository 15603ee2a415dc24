/* reduce_rows.c - see reduce_rows.h. */
#include "reduce_rows.h"
#include "selftest.h"

#include <limits.h>
#include <stdio.h>

static void choose(clio_context *ctx, const char *op, struct rows_plan *plan, bool by_row)
{
    char key[64];
    int items = 1;
    snprintf(key, sizeof key, "%s.items", op);
    int wish = params_int(ctx, key, 128);
    while (items * 2 <= wish && (size_t)items * 2 <= ctx->device.max_work_group)
        items *= 2;
    if (by_row) {
        snprintf(plan->options, sizeof plan->options, "-DROW=1");
        plan->grid = GRID1(plan->rows, 1);
    } else {
        snprintf(plan->options, sizeof plan->options, "-DITEMS=%d", items);
        plan->grid = GRID1((size_t)plan->rows * (size_t)items, items);
    }
}

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
    bool by_row = params_is(ctx, key, "row"), works = false;
    for (int way = 0; way < 2 && !works; way++, by_row = !by_row) {
        char path[24];
        snprintf(path, sizeof path, "%s.%s", op, by_row ? "row" : "group");
        choose(ctx, op, plan, by_row);
        TRY(check_path(ctx, &(struct check){.path = path, .variant = plan->options, .force = {{key, by_row ? "row" : "group"}}}, &works));
    }
    if (!works)
        TRY(check_none_left(ctx, "works on rows"));
fail:
    return st;
}
