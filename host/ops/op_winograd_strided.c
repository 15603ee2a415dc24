/* op_winograd_strided.c - 4 x 4 convolution of stride 2, and its transposed form, by minimal filtering; kernels in cl/winograd_strided.cl.
 * Divided into strips, blocks and chunks as in op_winograd.c, by the same parameters. */
#include "conv2d.h"

#include <math.h>
#include <stdio.h>

#define PHASES 4
#define PARTS 25
#define PAD 16                 /* floats; as in cl/winograd_strided.cl */
#define BLOCK_AT_MOST 128      /* tiles: their accumulators (3.2 KB a tile) and the weights fit into the cache of a core */
#define SCRATCH_BYTES 0x1.8p24 /* of the transformed input, at most */

struct plan {
    int strip, block, rows, channels, items; /* tiles of a strip, of a job; of a register tile; channels of a chunk; work-items */
    int part;                                /* floats of one part of the transformed strip */
    size_t input, scratch;                   /* floats */
};

static struct plan make_plan(clio_context *ctx, const struct strided_call *c)
{
    struct plan p;
    int units = MAX(1, ctx->device.compute_units), panels = (c->g.n + PANEL - 1) / PANEL * (c->transposed ? PHASES : 1);
    int all = c->v.batch * c->v.tiles_y * c->v.tiles_x;
    p.rows = params_int(ctx, "conv.winograd.rows", 8);
    int chunks = params_int(ctx, "conv.winograd.channels", 320);
    chunks = (c->v.in + chunks - 1) / chunks;
    p.channels = ROUND_UP((c->v.in + chunks - 1) / chunks, 16);
    double tile_bytes = 4.0 * PHASES * PARTS * c->v.in, megabytes = params_int(ctx, "conv.winograd.megabytes", 4) * 0x1p20;
    double strip = MAX(megabytes / tile_bytes, params_int(ctx, "conv.winograd.tiles", 128)); /* each strip transforms all weights again */
    strip = MAX(1, MIN(strip, SCRATCH_BYTES / tile_bytes));
    int strips = (int)ceil(all / strip);
    p.strip = ROUND_UP((all + strips - 1) / strips, p.rows);
    int jobs = params_int(ctx, "conv.winograd.jobs", 4) * units; /* at least, if there are enough tiles */
    int blocks = MAX((jobs + panels - 1) / panels, (p.strip + BLOCK_AT_MOST - 1) / BLOCK_AT_MOST);
    p.block = MAX(p.rows, ROUND_UP((p.strip + blocks - 1) / blocks, p.rows));
    blocks = (p.strip + p.block - 1) / p.block;
    int each = (blocks * panels + 2 * jobs - 1) / (2 * jobs); /* the same number for each work-item, so that no core waits for another */
    p.items = (blocks * panels + each - 1) / each;
    p.part = p.strip * c->v.in + PAD;
    p.input = (size_t)PHASES * PARTS * (size_t)p.part;
    p.scratch = (size_t)p.items * (5 * (size_t)(p.channels * PANEL + PAD) + PARTS * (size_t)(p.block * PANEL + PAD));
    return p;
}

/* Only if it saves a third of the multiplications of the direct algorithm: not where the last tiles are mostly empty. */
bool strided_wanted(clio_context *ctx, const struct strided_call *c)
{
    int height = c->transposed ? c->v.out_height / 2 : c->v.out_height, width = c->transposed ? c->v.out_width / 2 : c->v.out_width;
    double tiles = (double)c->v.tiles_y * c->v.tiles_x;
    return params_is(ctx, "conv.family", "winograd") && c->w->layout == MATRIX_PANELS && c->v.in % 16 == 0 && c->v.in >= 32 &&
           1.5 * PARTS * tiles < 4.0 * height * width;
}

void strided_options(clio_context *ctx, const struct strided_call *c, char options[128])
{
    snprintf(options, 128, "-DW_F16=%d -DMR=%d%s", c->w->data.dtype == DTYPE_F16, params_int(ctx, "conv.winograd.rows", 8),
             c->transposed ? " -DTRANSPOSED" : "");
}

clio_status strided_fwd(clio_context *ctx, struct arena *arena, const struct strided_call *c)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct plan p = make_plan(ctx, c);
    struct tensor input = tensor_shape(DTYPE_F32, 1, (int)p.input, 0, 0, 0), scratch = tensor_shape(DTYPE_F32, 1, (int)p.scratch, 0, 0, 0);
    struct strided_args v = c->v;
    struct kernel *transform, *multiply;
    int all = v.batch * v.tiles_y * v.tiles_x;
    char options[128];
    strided_options(ctx, c, options);
    TRY(tensor_take(ctx, arena, &input));
    TRY(tensor_take(ctx, arena, &scratch));
    TRY(kernel_get(ctx, "winograd_strided", "strided_input", options, &transform));
    TRY(kernel_get(ctx, "winograd_strided", "strided_panel", options, &multiply));
    for (v.first = 0; v.first < all; v.first += p.strip) {
        v.tiles = MIN(p.strip, all - v.first);
        double share = (double)v.tiles / all;
        TRY(LAUNCH(ctx, transform, GRID2(v.tiles, PHASES, 1, 1), COST(0, 4.0 * PHASES * PARTS * (v.tiles * (double)v.in)),
                   ARG_TENSOR(&input), ARG_TENSOR(c->in), ARG_VALUE(v), ARG_VALUE(p.part)));
        TRY(LAUNCH(ctx, multiply, GRID1(p.items, 1), COST(c->cost.flops * share, c->cost.bytes * share), ARG_TENSOR(c->out),
                   ARG_TENSOR(&input), ARG_TENSOR(&c->w->data), ARG_TENSOR(c->bias), ARG_TENSOR(c->residual), ARG_VALUE(c->g), ARG_VALUE(v),
                   ARG_TENSOR(&scratch), ARG_VALUE(p.part), ARG_VALUE(p.block), ARG_VALUE(p.channels)));
    }
fail:
    arena_release(arena, mark);
    return st;
}
