/* tensor.c - shapes, device memory and copies. */
#include "context.h"

#include <stdio.h>
#include <stdlib.h>

size_t tensor_count(const struct tensor *t)
{
    size_t n = 1;
    for (int i = 0; i < t->ndim; i++)
        n *= (size_t)t->dim[i];
    return n;
}

char *tensor_describe(const struct tensor *t, char text[96])
{
    int used = snprintf(text, 96, "%s [", dtype_name(t->dtype));
    for (int i = 0; i < t->ndim; i++)
        used += snprintf(text + used, (size_t)(96 - used), "%s%d", i ? ", " : "", t->dim[i]);
    snprintf(text + used, (size_t)(96 - used), "]");
    return text;
}

struct tensor tensor_shape(enum dtype dtype, int ndim, int d0, int d1, int d2, int d3)
{
    int dim[TENSOR_DIMS] = {d0, d1, d2, d3};
    struct tensor t = {.dtype = dtype, .ndim = ndim};
    for (int i = 0; i < TENSOR_DIMS; i++)
        t.dim[i] = i < ndim ? dim[i] : 1;
    return t;
}

struct tensor tensor_reshape(const struct tensor *t, int ndim, int d0, int d1, int d2, int d3)
{
    struct tensor r = tensor_shape(t->dtype, ndim, d0, d1, d2, d3);
    r.mem = t->mem;
    r.what = t->what;
    return r;
}

static uint64_t tensor_bytes(const struct tensor *t)
{
    return (uint64_t)tensor_count(t) * dtype_size(t->dtype);
}

clio_status tensor_new(clio_context *ctx, struct tensor *t, const char *what)
{
    t->what = t->what ? t->what : what;
    return pool_get(ctx, &t->mem, tensor_bytes(t), what);
}

void tensor_free(clio_context *ctx, struct tensor *t)
{
    if (t->mem)
        pool_put(ctx, t->mem);
    t->mem = NULL;
}

clio_status tensor_take(clio_context *ctx, struct arena *arena, struct tensor *t)
{
    return arena_take(ctx, arena, &t->mem, tensor_bytes(t));
}

static clio_status check_range(clio_context *ctx, const struct tensor *t, size_t first, size_t count)
{
    clio_status st = CLIO_OK;
    char text[96];
    if (first > tensor_count(t) || count > tensor_count(t) - first)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "elements %zu to %zu of a tensor %s", first, first + count, tensor_describe(t, text));
fail:
    return st;
}

clio_status tensor_write(clio_context *ctx, const struct tensor *t, size_t first, size_t count, const void *data)
{
    clio_status st = CLIO_OK;
    size_t size = dtype_size(t->dtype);
    uint16_t *fp16 = NULL;
    cl_event event = NULL;
    if (ctx->planning || count == 0)
        return CLIO_OK;
    TRY(check_range(ctx, t, first, count));
    if (t->dtype == DTYPE_F16) {
        TRY(mem_alloc(ctx, &fp16, count, sizeof *fp16));
        for (size_t i = 0; i < count; i++)
            fp16[i] = float_to_half(((const float *)data)[i]);
        data = fp16;
    }
    CL_TRY(ctx, clEnqueueWriteBuffer,
           (ctx->queue, t->mem, CL_TRUE, first * size, count * size, data, 0, NULL, ctx->profile ? &event : NULL));
    if (ctx->profile)
        transfer_add(ctx, "write", t, count * size, event);
fail:
    free(fp16);
    return st;
}

clio_status tensor_read(clio_context *ctx, const struct tensor *t, size_t first, size_t count, void *data)
{
    clio_status st = CLIO_OK;
    size_t size = dtype_size(t->dtype);
    uint16_t *fp16 = NULL;
    cl_event event = NULL;
    if (ctx->planning || count == 0)
        return CLIO_OK;
    TRY(check_range(ctx, t, first, count));
    if (t->dtype == DTYPE_F16)
        TRY(mem_alloc(ctx, &fp16, count, sizeof *fp16));
    CL_TRY(ctx, clEnqueueReadBuffer,
           (ctx->queue, t->mem, CL_TRUE, first * size, count * size, fp16 ? (void *)fp16 : data, 0, NULL, ctx->profile ? &event : NULL));
    if (ctx->profile)
        transfer_add(ctx, "read", t, count * size, event);
    for (size_t i = 0; fp16 && i < count; i++)
        ((float *)data)[i] = half_to_float(fp16[i]);
    TRY(launch_collect(ctx, false));
fail:
    free(fp16);
    return st;
}

clio_status tensor_zero(clio_context *ctx, const struct tensor *t)
{
    clio_status st = CLIO_OK;
    const unsigned char zero = 0;
    if (ctx->planning)
        return CLIO_OK;
    CL_TRY(ctx, clEnqueueFillBuffer, (ctx->queue, t->mem, &zero, 1, 0, tensor_bytes(t), 0, NULL, NULL));
fail:
    return st;
}

clio_status tensor_copy(clio_context *ctx, const struct tensor *to, size_t to_first, const struct tensor *from, size_t from_first,
                        size_t count)
{
    clio_status st = CLIO_OK;
    size_t size = dtype_size(to->dtype);
    if (to->dtype != from->dtype || to_first + count > tensor_count(to) || from_first + count > tensor_count(from))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%zu elements from %zu on do not fit into another tensor from %zu on", count, from_first, to_first);
    if (ctx->planning || !count)
        return CLIO_OK;
    CL_TRY(ctx, clEnqueueCopyBuffer, (ctx->queue, from->mem, to->mem, from_first * size, to_first * size, count * size, 0, NULL, NULL));
fail:
    return st;
}
