/* op_winograd_weights.c - the gradient by the weights of 3 x 3 convolutions, by minimal filtering; kernels in cl/winograd_weights.cl. The
 * images are divided into strips of tiles, so that the transformed data stays in the last-level cache. */
#include "conv2d.h"
#include "gradients.h"

#include <math.h>
#include <stdio.h>

#define PARTS 36
#define PAD 16          /* floats; as in cl/winograd.clh */
#define CHUNK 128       /* tiles; as in cl/matmul_bwd_weights.clh */
#define FEW_CHANNELS 32 /* below, the transforms cost more than the multiplications that they save */

bool winograd_weights_wanted(clio_context *ctx, const struct matrix *dw, const struct window_args *v)
{
    int rows = (v->out_height + 3) / 4, columns = (v->out_width + 3) / 4;
    double tiles = (double)rows * columns;
    return params_is(ctx, "weights.family", "winograd") && dw->layout == MATRIX_PANELS && v->taps == 3 && v->stride == 1 &&
           v->in % 16 == 0 && dw->n % 16 == 0 && MIN(v->in, dw->n) >= FEW_CHANNELS &&
           1.5 * PARTS * tiles < 9.0 * v->out_height * v->out_width;
}

clio_status winograd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                             const struct tensor *x, const struct window_args *window, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct window_args v = *window;
    struct kernel *input, *gradient, *planes, *filters;
    char transform[64];
    int n = dw->n, panels = (n + PANEL - 1) / PANEL, added = add;
    v.tiles_y = (v.out_height + 3) / 4;
    v.tiles_x = (v.out_width + 3) / 4;
    int all = v.batch * v.tiles_y * v.tiles_x;
    double bytes = params_int(ctx, "conv.winograd.megabytes", 4) * 0x1p20, tile_bytes = 4.0 * PARTS * (v.in + n);
    int strips = (int)ceil(all / MAX(CHUNK, bytes / tile_bytes)), strip = (all + strips - 1) / strips;
    int x_part = strip * v.in + PAD, y_part = strip * n + PAD;
    struct tensor tx = tensor_shape(DTYPE_F32, 2, PARTS, x_part, 0, 0), ty = tensor_shape(DTYPE_F32, 2, PARTS, y_part, 0, 0);
    struct tensor u = tensor_shape(DTYPE_F32, 4, PARTS, panels, v.in, PANEL);
    TRY(tensor_take(ctx, arena, &tx));
    TRY(tensor_take(ctx, arena, &ty));
    TRY(tensor_take(ctx, arena, &u));
    snprintf(transform, sizeof transform, "-DW_F16=0 -DMR=%d", params_int(ctx, "conv.winograd.rows", 8));
    TRY(kernel_get(ctx, "winograd", "winograd_input", transform, &input));
    TRY(kernel_get(ctx, "winograd_weights", "gradient_input", "", &gradient));
    TRY(kernel_get(ctx, "winograd_weights", "gradient_planes", "", &planes));
    TRY(kernel_get(ctx, "winograd_weights", "gradient_filters", "", &filters));
    for (v.first = 0; v.first < all; v.first += strip) {
        int more = v.first > 0;
        v.tiles = MIN(strip, all - v.first);
        double flops = 2.0 * v.tiles / all * v.batch * v.out_height * v.out_width * n * dw->k;
        TRY(LAUNCH(ctx, input, GRID1(v.tiles, 1), COST(0, 4.0 * PARTS * ((double)v.tiles * v.in)), ARG_TENSOR(&tx), ARG_TENSOR(x),
                   ARG_VALUE(v), ARG_VALUE(x_part)));
        TRY(LAUNCH(ctx, gradient, GRID1(v.tiles, 1), COST(0, 4.0 * PARTS * ((double)v.tiles * n)), ARG_TENSOR(&ty), ARG_TENSOR(dy),
                   ARG_VALUE(v), ARG_VALUE(n), ARG_VALUE(y_part)));
        TRY(LAUNCH(ctx, planes, GRID2(PARTS, panels, 1, 1), COST(flops, tile_bytes * v.tiles), ARG_TENSOR(&u), ARG_TENSOR(&ty),
                   ARG_TENSOR(&tx), ARG_VALUE(n), ARG_VALUE(v.in), ARG_VALUE(v.tiles), ARG_VALUE(y_part), ARG_VALUE(x_part),
                   ARG_VALUE(more)));
    }
    TRY(LAUNCH(ctx, filters, GRID1(2 * panels * v.in, MIN((size_t)64, ctx->device.max_work_group)),
               COST(0, 4.0 * (double)(tensor_count(&u) + tensor_count(&dw->data))), ARG_TENSOR(&dw->data), ARG_TENSOR(&u), ARG_VALUE(v.in),
               ARG_VALUE(panels), ARG_VALUE(added)));
fail:
    arena_release(arena, mark);
    return st;
}
