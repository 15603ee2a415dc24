/* op_winograd.c - 3 x 3 convolution by Winograd's minimal filtering (Lavin and Gray 2016, arXiv:1509.09308); kernels in cl/winograd.cl. The
 * images are divided into strips of tiles: the transformed input of a strip stays in the last-level cache, and scratch memory is bounded.
 */
#include "conv2d.h"

#include <math.h>
#include <stdio.h>

#define PARTS 36
#define PAD 16                 /* floats; as in cl/winograd.cl */
#define BLOCK_AT_MOST 128      /* tiles: their accumulators (4.6 KB a tile) and the weights fit into the cache of a core */
#define SCRATCH_BYTES 0x1.8p24 /* of the transformed input, at most */

/* How a call is divided. */
struct plan {
    int tiles, strip, block, rows, channels,
        items;             /* tiles in all, of a strip, of a job; of a register tile; channels of a chunk; work-items */
    int part;              /* floats of one of the 36 parts of the transformed strip */
    size_t input, scratch; /* floats */
};

static struct plan make_plan(clio_context *ctx, const struct conv2d_call *c)
{
    struct plan p;
    int units = MAX(1, ctx->device.compute_units), panels = (c->g.n + PANEL - 1) / PANEL;
    int tiles = (c->v.out_height + 3) / 4 * ((c->v.out_width + 3) / 4);
    p.tiles = c->v.batch * tiles;
    p.rows = params_int(ctx, "conv.winograd.rows", 8);
    int chunks = params_int(ctx, "conv.winograd.channels", 320);
    chunks = (c->v.in + chunks - 1) / chunks;
    p.channels = ROUND_UP((c->v.in + chunks - 1) / chunks, 16);
    double tile_bytes = 4.0 * PARTS * c->v.in, megabytes = params_int(ctx, "conv.winograd.megabytes", 4) * 0x1p20;
    double strip = MAX(megabytes / tile_bytes, params_int(ctx, "conv.winograd.tiles", 128)); /* each strip transforms all weights again */
    strip = MIN(strip, SCRATCH_BYTES / tile_bytes);
    int strips = (int)ceil(p.tiles / strip);
    p.strip = ROUND_UP((p.tiles + strips - 1) / strips, p.rows);
    int jobs = params_int(ctx, "conv.winograd.jobs", 4) * units; /* at least, if there are enough tiles */
    int blocks = MAX((jobs + panels - 1) / panels, (p.strip + BLOCK_AT_MOST - 1) / BLOCK_AT_MOST);
    p.block = MAX(p.rows, ROUND_UP((p.strip + blocks - 1) / blocks, p.rows));
    blocks = (p.strip + p.block - 1) / p.block;
    int each = (blocks * panels + 2 * jobs - 1) / (2 * jobs); /* the same number for each work-item, so that no core waits for another */
    p.items = (blocks * panels + each - 1) / each;
    p.part = p.strip * c->v.in + PAD;
    p.input = (size_t)PARTS * (size_t)p.part;
    p.scratch = (size_t)p.items * (6 * (size_t)(p.channels * PANEL + PAD) + PARTS * (size_t)(p.block * PANEL + PAD));
    return p;
}

bool winograd_wanted(clio_context *ctx, const struct conv2d_call *c)
{
    return params_is(ctx, "conv.family", "winograd") && c->w->layout == MATRIX_PANELS && c->v.taps == 3 && c->v.stride == 1 &&
           c->v.in % 16 == 0;
}

void winograd_options(clio_context *ctx, const struct conv2d_call *c, char options[128])
{
    struct plan p = make_plan(ctx, c);
    snprintf(options, 128, "-DW_F16=%d -DMR=%d", c->w->data.dtype == DTYPE_F16, p.rows);
}

clio_status winograd_fwd(clio_context *ctx, struct arena *arena, const struct conv2d_call *c)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct plan p = make_plan(ctx, c);
    struct tensor input = tensor_shape(DTYPE_F32, 1, (int)p.input, 0, 0, 0), scratch = tensor_shape(DTYPE_F32, 1, (int)p.scratch, 0, 0, 0);
    struct window_args v = c->v;
    struct kernel *transform, *multiply;
    char options[128];
    winograd_options(ctx, c, options);
    TRY(tensor_take(ctx, arena, &input));
    TRY(tensor_take(ctx, arena, &scratch));
    TRY(kernel_get(ctx, "winograd", "winograd_input", options, &transform));
    TRY(kernel_get(ctx, "winograd", "winograd_panel", options, &multiply));
    v.tiles_y = (v.out_height + 3) / 4;
    v.tiles_x = (v.out_width + 3) / 4;
    for (v.first = 0; v.first < p.tiles; v.first += p.strip) {
        v.tiles = MIN(p.strip, p.tiles - v.first);
        double share = (double)v.tiles / p.tiles;
        TRY(LAUNCH(ctx, transform, GRID1(v.tiles, 1), COST(0, 4.0 * PARTS * (v.tiles * (double)v.in)), ARG_TENSOR(&input),
                   ARG_TENSOR(c->in), ARG_VALUE(v), ARG_VALUE(p.part)));
        TRY(LAUNCH(ctx, multiply, GRID1(p.items, 1), COST(c->cost.flops * share, c->cost.bytes * share), ARG_TENSOR(c->out),
                   ARG_TENSOR(&input), ARG_TENSOR(&c->w->data), ARG_TENSOR(c->bias), ARG_TENSOR(c->residual), ARG_VALUE(c->g), ARG_VALUE(v),
                   ARG_TENSOR(&scratch), ARG_VALUE(p.part), ARG_VALUE(p.block), ARG_VALUE(p.channels)));
    }
fail:
    arena_release(arena, mark);
    return st;
}
