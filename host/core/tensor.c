/* tensor.c - shapes, device memory and copies; fp16 and bf16 conversions in integer arithmetic. */
#include "context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t dtype_size(enum dtype dtype)
{
    static const size_t sizes[] = {4, 2, 2, 4, 1, 1};
    return sizes[dtype];
}

const char *dtype_name(enum dtype dtype)
{
    static const char *const names[] = {"f32", "f16", "bf16", "i32", "u8", "q8_0"};
    return names[dtype];
}

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
    uint16_t *halves = NULL;
    cl_event event = NULL;
    if (ctx->planning || count == 0)
        return CLIO_OK;
    TRY(check_range(ctx, t, first, count));
    if (t->dtype == DTYPE_F16) {
        TRY(mem_alloc(ctx, &halves, count, sizeof *halves));
        for (size_t i = 0; i < count; i++)
            halves[i] = float_to_half(((const float *)data)[i]);
        data = halves;
    }
    CL_TRY(ctx, clEnqueueWriteBuffer,
           (ctx->queue, t->mem, CL_TRUE, first * size, count * size, data, 0, NULL, ctx->profile ? &event : NULL));
    if (ctx->profile)
        transfer_add(ctx, "write", t, count * size, event);
fail:
    free(halves);
    return st;
}

clio_status tensor_read(clio_context *ctx, const struct tensor *t, size_t first, size_t count, void *data)
{
    clio_status st = CLIO_OK;
    size_t size = dtype_size(t->dtype);
    uint16_t *halves = NULL;
    cl_event event = NULL;
    if (ctx->planning || count == 0)
        return CLIO_OK;
    TRY(check_range(ctx, t, first, count));
    if (t->dtype == DTYPE_F16)
        TRY(mem_alloc(ctx, &halves, count, sizeof *halves));
    CL_TRY(
        ctx, clEnqueueReadBuffer,
        (ctx->queue, t->mem, CL_TRUE, first * size, count * size, halves ? (void *)halves : data, 0, NULL, ctx->profile ? &event : NULL));
    if (ctx->profile)
        transfer_add(ctx, "read", t, count * size, event);
    for (size_t i = 0; halves && i < count; i++)
        ((float *)data)[i] = half_to_float(halves[i]);
    TRY(launch_collect(ctx, false));
fail:
    free(halves);
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

float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ff, bits;
    float f;
    if (exponent == 31)
        bits = sign | 0x7f800000u | mantissa << 13;
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else {
        f = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &f, 4);
        bits |= sign;
    }
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t float_to_half(float f)
{
    uint32_t bits, sign, magnitude;
    memcpy(&bits, &f, 4);
    sign = bits >> 16 & 0x8000;
    magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x7f800000) /* infinity, NaN */
        return (uint16_t)(sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0));
    if (magnitude >= 0x477ff000) /* rounds beyond 65504 */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
        float value, shifted;
        memcpy(&value, &magnitude, 4);
        shifted = value * 0x1p24f + 0x1p23f; /* the sum rounds to the nearest integer, ties to even */
        memcpy(&bits, &shifted, 4);
        return (uint16_t)(sign | (bits & 0x7ff));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
}

float bfloat_to_float(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t float_to_bfloat(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40); /* rounding may not make a number of a NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float dtype_nearest(enum dtype dtype, float f)
{
    return dtype == DTYPE_F16 ? half_to_float(float_to_half(f)) : dtype == DTYPE_BF16 ? bfloat_to_float(float_to_bfloat(f)) : f;
}
