/* reduce_rows.c - see reduce_rows.h. */
#include "reduce_rows.h"
#include "families.h"

#include <limits.h>
#include <stdio.h>

/* Whether the parameters ask for a work-item per row; in the second attempt the other way round. */
static bool is_offered(clio_context *ctx, const struct rows_call *c, int attempt, bool by_row)
{
    char key[32];
    snprintf(key, sizeof key, "%s.family", c->op);
    return (params_is(ctx, key, "row") == by_row) == (attempt == 0);
}

static void finish(const struct rows_call *c, struct kernel_variant *v, const char *algorithm)
{
    char act[24] = "";
    if (c->groups)
        snprintf(act, sizeof act, " -DACT=%d", c->act);
    if (c->by_row)
        snprintf(v->options, sizeof v->options, "-DROW=1%s", act);
    else
        snprintf(v->options, sizeof v->options, "-DITEMS=%d%s", c->items, act);
    snprintf(v->value, sizeof v->value, "%s.family", c->op);
    v->test.params[0].key = v->value;
    v->test.params[0].value = algorithm;
    v->test.groups = c->groups ? 3 : 0;
    v->test.act = c->act;
}

bool norm_row_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct rows_call *c = call;
    c->by_row = true;
    finish(c, v, "row");
    return is_offered(ctx, c, attempt, true);
}

bool norm_group_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct rows_call *c = call;
    char key[32];
    snprintf(key, sizeof key, "%s.items", c->op);
    int wish = params_int(ctx, key, 128);
    c->by_row = false;
    c->items = 1;
    while (c->items * 2 <= wish && (size_t)c->items * 2 <= ctx->device.max_work_group)
        c->items *= 2;
    finish(c, v, "group");
    return is_offered(ctx, c, attempt, false);
}

clio_status rows_plan(clio_context *ctx, const char *op, const struct tensor *t, struct rows_plan *plan)
{
    clio_status st = CLIO_OK;
    size_t n = t->ndim > 0 && t->ndim <= TENSOR_DIMS && t->dim[t->ndim - 1] > 0 ? (size_t)t->dim[t->ndim - 1] : 0;
    size_t rows = n ? tensor_count(t) / n : 0;
    *plan = (struct rows_plan){.rows = (int)rows, .n = (int)n};
    if (rows == 0 || rows > INT_MAX) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot work on the rows of %s", op, tensor_describe(t, shape));
    }
    struct rows_call call = {.op = op};
    struct kernel_variant v;
    TRY(family_choose(ctx, op, NULL, &call, &v));
    snprintf(plan->options, sizeof plan->options, "%.31s", v.options);
    plan->grid = call.by_row ? GRID1(plan->rows, 1) : GRID1((size_t)plan->rows * (size_t)call.items, call.items);
fail:
    return st;
}
