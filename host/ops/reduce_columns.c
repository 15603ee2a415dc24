/* reduce_columns.c - see reduce_columns.h; kernels in cl/batch_norm.cl. */
#include "reduce_columns.h"
#include "reduce_rows.h"

#include <limits.h>
#include <string.h>

#define BLOCK_FLOATS 16384 /* that a CPU's work-item reads twice, the second time from cache */
#define CHUNK_FLOATS_AT_LEAST 4096
#define CHUNKS_AT_MOST 64   /* of a picture on a CPU, for 16 cores; more cores: 4 for each */
#define CHUNKS_WANTED 8     /* for a CPU's cores, where that leaves floats enough */
#define ITEMS_WANTED 131072 /* that fill a GPU, one per column of a chunk */
#define COLUMNS_WANTED 64   /* side by side, for a GPU's memory */
#define FACTORS 4           /* as in cl/batch_norm.cl */

/* Rows of a chunk. */
static int chunk_of(const clio_context *ctx, const struct column_args *a, bool by_row)
{
    double numbers = (double)a->rows * a->n;
    if (!by_row)
        return (int)MAX(16, MIN(256, a->pictures * numbers / ITEMS_WANTED));
    double most = MAX(CHUNKS_AT_MOST, 4.0 * ctx->device.compute_units);
    double floats = MAX(CHUNK_FLOATS_AT_LEAST, MIN(BLOCK_FLOATS, numbers * a->pictures / CHUNKS_WANTED));
    int rows = (int)MAX(4, MAX(floats, numbers / most) / a->n);
    return (int)MIN((size_t)a->rows, ROUND_UP((size_t)rows, 4));
}

clio_status columns_plan(clio_context *ctx, const char *op, const struct tensor *t, int pictures, bool copies, struct columns_plan *plan)
{
    clio_status st = CLIO_OK;
    struct rows_plan rows;
    *plan = (struct columns_plan){0};
    TRY(rows_plan(ctx, "norm", t, &rows));
    if (t->ndim < 2 || pictures < 1 || rows.rows % pictures || tensor_count(t) > INT_MAX) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot work on the columns of %s", op, tensor_describe(t, shape));
    }
    struct column_args *a = &plan->args;
    *a = (struct column_args){.pictures = pictures, .rows = rows.rows / pictures, .n = rows.n, .copies = 1};
    plan->by_row = strstr(rows.options, "ROW") != NULL;
    plan->channels = rows.n;
    plan->items = rows.grid.local[0];
    memcpy(plan->options, rows.options, sizeof plan->options);
    if (plan->by_row)
        while (copies && a->n % 16 && a->copies < 16 && a->rows % 2 == 0)
            a->copies *= 2, a->n *= 2, a->rows /= 2;
    else
        while (copies && a->n * 2 <= COLUMNS_WANTED && a->rows % 2 == 0)
            a->copies *= 2, a->n *= 2, a->rows /= 2;
    a->chunk = chunk_of(ctx, a, plan->by_row);
    a->chunks = (a->rows + a->chunk - 1) / a->chunk;
    a->block = MAX(4, BLOCK_FLOATS / a->n / 4 * 4);

    int local = (int)MIN((size_t)64, ctx->device.max_work_group);
    plan->by_channel = GRID2((size_t)plan->channels * plan->items, 1, plan->items, 1);
    if (plan->by_row) {
        plan->by_chunk = plan->by_number = GRID2(a->chunks, pictures, 1, 1);
    } else {
        plan->by_chunk = GRID3(a->n, a->chunks, pictures, MIN(a->n, local), 1, 1);
        plan->by_number = GRID2((size_t)a->rows * (size_t)a->n, pictures, local, 1);
    }
    plan->parts = tensor_shape(DTYPE_F32, 4, pictures, a->chunks, plan->by_row ? 4 : 2, a->n);
    plan->factors = tensor_shape(DTYPE_F32, 3, pictures, FACTORS, a->n, 1);
    plan->numbers = (double)tensor_count(t);
    plan->between = 8.0 * pictures * a->chunks * a->n;
fail:
    return st;
}

clio_status columns_statistics(clio_context *ctx, const struct columns_plan *p, const struct tensor *parts, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    TRY(kernel_get(ctx, "batch_norm", "column_sums", p->options, &kernel));
    TRY(LAUNCH(ctx, kernel, p->by_chunk, COST(5 * p->numbers, 4 * p->numbers + p->between), ARG_TENSOR(parts), ARG_TENSOR(in),
               ARG_VALUE(p->args)));
fail:
    return st;
}

clio_status columns_bwd_sums(clio_context *ctx, const struct columns_plan *p, const struct tensor *parts, const struct tensor *dy,
                             const struct tensor *x, const struct tensor *factors)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    TRY(kernel_get(ctx, "batch_norm", "column_bwd_sums", p->options, &kernel));
    TRY(LAUNCH(ctx, kernel, p->by_chunk, COST(4 * p->numbers, 8 * p->numbers + p->between), ARG_TENSOR(parts), ARG_TENSOR(dy),
               ARG_TENSOR(x), ARG_TENSOR(factors), ARG_VALUE(p->args)));
fail:
    return st;
}

clio_status columns_bwd_apply(clio_context *ctx, const struct columns_plan *p, const struct tensor *dx, const struct tensor *dy,
                              const struct tensor *x, const struct tensor *factors)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    TRY(kernel_get(ctx, "batch_norm", "column_bwd_apply", p->options, &kernel));
    TRY(LAUNCH(ctx, kernel, p->by_number, COST(5 * p->numbers, (p->args.add ? 16 : 12) * p->numbers), ARG_TENSOR(dx), ARG_TENSOR(dy),
               ARG_TENSOR(x), ARG_TENSOR(factors), ARG_VALUE(p->args)));
fail:
    return st;
}

clio_status norm_grads(clio_context *ctx, struct tape *tape, const struct tape_record *r, int first, struct norm_grads *g)
{
    clio_status st = CLIO_OK;
    bool adds[3] = {false, false, false}, weights = tape_wants(tape, r, first + 1) || tape_wants(tape, r, first + 2);
    *g = (struct norm_grads){.dy = tape_given(tape, r, 0), .x = tape_value(tape, r, first), .gamma = tape_value(tape, r, first + 1)};
    for (int i = 0; i < 3; i++) {
        if (tape_wants(tape, r, first + i)) {
            TRY(tape_grad(ctx, tape, r, first + i, &g->places[i], &adds[i]));
        } else if (i > 0 && weights) {
            g->places[i] = r->t[first + i];
            TRY(tensor_take(ctx, &tape->arena, &g->places[i]));
        }
    }
    g->add_x = adds[0];
    g->add_w = adds[1] || adds[2];
    for (int i = 1; g->add_w && i < 3; i++)
        if (!adds[i])
            TRY(tensor_zero(ctx, &g->places[i]));
    g->dx = tape_wants(tape, r, first) ? &g->places[0] : NULL;
    g->dgamma = weights ? &g->places[1] : NULL;
    g->dbeta = weights ? &g->places[2] : NULL;
fail:
    return st;
}
