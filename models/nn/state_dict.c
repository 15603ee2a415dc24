/* state_dict.c - load and free the members that a table of weights lists. */
#include "parameters.h"

#include <stdio.h>
#include <stdlib.h>

#define FLOATS_AT_ONCE ((size_t)1 << 20)

static bool is_matrix(enum weight_type kind)
{
    return kind == WEIGHT_MATRIX_MANY || kind == WEIGHT_MATRIX_FEW || kind == WEIGHT_MATRIX_LARGE || kind == WEIGHT_CONV_LARGE ||
           kind == WEIGHT_CONV1X1_LARGE;
}

static enum matrix_use matrix_use(enum weight_type kind)
{
    return kind == WEIGHT_MATRIX_FEW ? MATRIX_FEW : kind == WEIGHT_MATRIX_MANY ? MATRIX_MANY : MATRIX_LARGE;
}

/* Copy a stored tensor into elements first.. of t. */
static clio_status copy_floats(clio_context *ctx, const struct tensor *t, size_t first, const struct weight *w)
{
    clio_status st = CLIO_OK;
    float *block = NULL;
    TRY(mem_alloc(ctx, &block, MIN(w->count, FLOATS_AT_ONCE), sizeof *block));
    for (size_t at = 0; at < w->count; at += FLOATS_AT_ONCE) {
        size_t n = MIN(w->count - at, FLOATS_AT_ONCE);
        TRY(weight_floats(ctx, w, at, n, block));
        TRY(weight_check_range(ctx, w, t->dtype, DTYPE_F32, block, n));
        TRY(tensor_write(ctx, t, first + at, n, block));
    }
fail:
    free(block);
    return st;
}

/* Add what a row has loaded to the list of parameters, under its key. A key that the checkpoint lacks is added too: it is part of a matmul.
 */
static clio_status collect(clio_context *ctx, const struct state_dict_row *row, const char *key, int ndim, const int *dim,
                           const struct tensor *t, struct matrix *m, bool absent)
{
    clio_status st = CLIO_OK;
    if (!ctx->collects)
        return CLIO_OK;
    TRY(row->part > 0 ? parameters_add_key(ctx, ctx->collects, t, key)
                      : parameters_add(ctx, ctx->collects, key, ndim, dim, t, m, false, true));
    if (absent)
        parameters_set_absent(ctx->collects, t);
fail:
    return st;
}

static clio_status load_row(clio_context *ctx, char *base, const struct state_dict_row *row, const char *key, const int *sizes,
                            const struct weights *weights)
{
    clio_status st = CLIO_OK;
    const struct weight *w = NULL;
    int rows = sizes[row->rows], columns = sizes[row->columns], parts = MAX(row->parts, 1);
    int kernel = row->kernel ? sizes[row->kernel] : 1, points = kernel;
    int ndim = row->kind == WEIGHT_VECTOR ? 1 : row->kernel ? 3 : 2, dim[4] = {rows, columns, kernel, kernel};
    const struct weight *found = weights ? weights_find(weights, key) : NULL;
    if (row->kind == WEIGHT_CONV_LARGE) {
        ndim = kernel == 1 && found && found->ndim == 2 ? 2 : 4;
        points = kernel * kernel;
    } else if (row->kind == WEIGHT_CONV1X1_LARGE) {
        ndim = found && found->ndim == 4 ? 4 : 2;
    }
    if (weights && (!row->optional || found))
        TRY(weights_need(ctx, weights, key, ndim, dim, &w));
    if (is_matrix(row->kind)) {
        struct matrix *m = (struct matrix *)(void *)(base + row->offset);
        if (row->part == 0)
            TRY(matrix_new(ctx, m, rows * parts, columns * points, ctx->collects ? MATRIX_EXACT : matrix_use(row->kind), "the model"));
        if (w)
            TRY(matrix_fill(ctx, m, row->part * rows, w));
        else if (row->part == 0)
            TRY(tensor_zero(ctx, &m->data));
        return collect(ctx, row, key, ndim, dim, &m->data, m, weights && !w);
    }
    struct tensor *t = (struct tensor *)(void *)(base + row->offset);
    if (row->part == 0) {
        bool half = row->kind == WEIGHT_TABLE_LARGE && !ctx->collects && params_is(ctx, "table.large.storage", "f16");
        enum dtype dtype = half ? DTYPE_F16 : DTYPE_F32;
        *t = row->kind == WEIGHT_VECTOR ? tensor_shape(dtype, 1, rows * parts, 0, 0, 0)
                                        : tensor_shape(dtype, 2, rows * parts, columns, 0, 0);
        TRY(tensor_new(ctx, t, "the model"));
        if (parts > 1 || !w)
            TRY(tensor_zero(ctx, t));
    }
    if (w)
        TRY(copy_floats(ctx, t, (size_t)row->part * w->count, w));
    TRY(collect(ctx, row, key, ndim, dim, t, NULL, weights && !w));
fail:
    return st;
}

clio_status state_dict_load(clio_context *ctx, void *base, const struct state_dict_row *table, size_t count, const char *prefix,
                            const int *sizes, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    char key[256];
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%s%s", prefix, table[i].key);
        TRY(load_row(ctx, base, &table[i], key, sizes, weights));
    }
fail:
    return st;
}

void state_dict_free(clio_context *ctx, void *base, const struct state_dict_row *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_matrix(table[i].kind))
            matrix_free(ctx, (struct matrix *)(void *)((char *)base + table[i].offset));
        else
            tensor_free(ctx, (struct tensor *)(void *)((char *)base + table[i].offset));
}
