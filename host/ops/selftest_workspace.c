/* selftest_workspace.c - tensors and host arrays of a self-test, and the comparison of its result; see selftest_private.h. */
#include "selftest_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLERANCE 1e-4 /* of the largest value: f32 sums in any order stay far below, fp16 arithmetic does not */
#define GUARD_WORDS 64
#define GUARD 0x7fc0beefu /* a NaN: an element that the kernel does not write is found as well */

void workspace_free(clio_context *ctx, struct workspace *ws)
{
    arena_free(ctx, &ws->arena);
    for (int i = 0; i < ws->tensor_count; i++)
        tensor_free(ctx, &ws->tensors[i]);
    for (int i = 0; i < ws->array_count; i++)
        free(ws->arrays[i]);
}

float *workspace_floats(struct workspace *ws, size_t count, enum dtype dtype)
{
    uint32_t s = 2463534242u + 7919u * (uint32_t)ws->array_count;
    float *x = malloc((count + 1) * sizeof *x);
    for (size_t i = 0; x && i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
        x[i] = dtype_nearest(dtype, x[i]);
        if (dtype == DTYPE_Q8) /* the largest value of each block is known */
            x[i] = i % 16 ? rintf(127 * x[i]) / 128 : 127 / 128.0f;
    }
    return ws->arrays[ws->array_count++] = x;
}

clio_status workspace_place(clio_context *ctx, struct workspace *ws, struct tensor **out, struct tensor shape, const void *data)
{
    clio_status st = CLIO_OK;
    struct tensor *t = *out = &ws->tensors[ws->tensor_count++];
    size_t bytes = tensor_count(&shape) * dtype_size(shape.dtype), words = (bytes + 3) / 4 + GUARD_WORDS;
    uint32_t *guards = NULL;
    *t = shape;
    TRY(mem_alloc(ctx, &guards, words, 4));
    for (size_t i = 0; i < words; i++)
        guards[i] = GUARD;
    TRY(pool_get(ctx, &t->mem, words * 4, "a kernel self-test"));
    CL_TRY(ctx, clEnqueueWriteBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, guards, 0, NULL, NULL));
    if (data)
        TRY(tensor_write(ctx, t, 0, tensor_count(t), data));
fail:
    free(guards);
    return st;
}

clio_status workspace_fetch(clio_context *ctx, struct workspace *ws, const struct tensor *t, float **out)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t), words = count * dtype_size(t->dtype) / 4 + GUARD_WORDS;
    uint32_t *x = NULL;
    TRY(mem_alloc(ctx, &x, words, 4));
    ws->arrays[ws->array_count++] = x;
    CL_TRY(ctx, clEnqueueReadBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, x, 0, NULL, NULL));
    for (size_t i = count; i < words; i++)
        if (x[i] != GUARD)
            snprintf(ws->wrong, sizeof ws->wrong, "writes past the end of its output");
    *out = (float *)x;
fail:
    return st;
}

void workspace_compare(struct workspace *ws, const float *x, const float *want, size_t count)
{
    double greatest = 1e-3, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double e = isfinite(x[i]) ? fabs((double)x[i] - (double)want[i]) : INFINITY;
        greatest = fmax(greatest, fabs((double)want[i]));
        worst = fmax(worst, e);
    }
    if (isinf(worst))
        snprintf(ws->wrong, sizeof ws->wrong, "wrong result (not a number)");
    else if (worst > (ws->tolerance > 0 ? ws->tolerance : TOLERANCE) * greatest)
        snprintf(ws->wrong, sizeof ws->wrong, "wrong result (error %.2g of %.2g)", worst, greatest);
}
