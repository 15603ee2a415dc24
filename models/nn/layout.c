/* layout.c - NCHW on the host, NHWC on the device. */
#include "layout.h"
#include "../../host/ops/tape.h"

#include <stdlib.h>

/* to [B, columns, rows] = from [B, rows, columns] */
static void transpose(float *to, const float *from, int batch, int rows, int columns)
{
    for (int b = 0; b < batch; b++, to += (size_t)rows * (size_t)columns, from += (size_t)rows * (size_t)columns)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
                to[(size_t)c * (size_t)rows + (size_t)r] = from[(size_t)r * (size_t)columns + (size_t)c];
}

clio_status nchw_write(clio_context *ctx, const struct tensor *t, const float *planes)
{
    clio_status st = CLIO_OK;
    float *pixels = NULL;
    size_t count = tensor_count(t);
    if (ctx->planning)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &pixels, count, sizeof *pixels));
    transpose(pixels, planes, t->dim[0], t->dim[3], t->dim[1] * t->dim[2]);
    TRY(tensor_write(ctx, t, 0, count, pixels));
fail:
    free(pixels);
    return st;
}

clio_status nchw_read(clio_context *ctx, const struct tensor *t, float *planes)
{
    clio_status st = CLIO_OK;
    float *pixels = NULL;
    size_t count = tensor_count(t);
    if (ctx->planning)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &pixels, count, sizeof *pixels));
    TRY(tensor_read(ctx, t, 0, count, pixels));
    transpose(planes, pixels, t->dim[0], t->dim[1] * t->dim[2], t->dim[3]);
fail:
    free(pixels);
    return st;
}
