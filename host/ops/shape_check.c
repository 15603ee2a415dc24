/* shape_check.c - the contract of an operation's tensors, checked before a kernel could read outside of one. */
#include "ops.h"

#include <limits.h>
#include <stdio.h>

/* "f32 [4, *]": a wanted shape, * for any size. */
static void describe_wanted(enum dtype dtype, int ndim, const int *dim, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s [", dtype_name(dtype));
    for (int i = 0; i < ndim && used < size; i++) {
        const char *comma = i ? ", " : "";
        if (dim[i] < 0)
            used += (size_t)snprintf(text + used, size - used, "%s*", comma);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%d", comma, dim[i]);
    }
    if (used < size)
        snprintf(text + used, size - used, "]");
}

clio_status op_check(clio_context *ctx, const char *op, const char *name, const struct tensor *t, enum dtype dtype, int ndim, int d0,
                     int d1, int d2, int d3)
{
    clio_status st = CLIO_OK;
    int dim[TENSOR_DIMS] = {d0, d1, d2, d3};
    bool fits = t && t->dtype == dtype && t->ndim == ndim && ndim <= TENSOR_DIMS;
    for (int i = 0; fits && i < ndim; i++)
        fits = t->dim[i] > 0 && (dim[i] < 0 || t->dim[i] == dim[i]);
    if (!fits) {
        char is[96] = "missing", wanted[96];
        if (t)
            tensor_describe(t, is);
        describe_wanted(dtype, MIN(ndim, TENSOR_DIMS), dim, wanted, sizeof wanted);
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %s is %s, but must be %s", op, name, is, wanted);
    }
    if (!t->mem && !ctx->planning)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %s has no memory", op, name);
fail:
    return st;
}

clio_status op_elements(clio_context *ctx, const char *op, const struct tensor *t, int *n)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t);
    if (count == 0 || count > INT_MAX - SUM_CHUNK) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot work on %s", op, tensor_describe(t, shape));
    }
    *n = (int)count;
fail:
    return st;
}

clio_status op_floats(clio_context *ctx, const char *op, const char *name, const struct tensor *t, int *n)
{
    clio_status st = CLIO_OK;
    TRY(op_check(ctx, op, name, t, DTYPE_F32, t ? t->ndim : 1, -1, -1, -1, -1));
    TRY(op_elements(ctx, op, t, n));
fail:
    return st;
}
