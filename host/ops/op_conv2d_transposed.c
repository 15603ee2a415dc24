/* op_conv2d_transposed.c - transposed convolution of pictures; kernels in cl/conv2d_transposed.cl. The family that pays serves, or else one
 * that is right on this device. */
#include "selftest.h"
#include "conv2d.h"
#include "gradients.h"
#include "autograd_matmul.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LANES 16 /* of transposed_few: outputs times phases, at most */

struct call {
    const struct tensor *out, *in, *bias, *residual; /* bias and residual: something valid where there is none */
    const struct matrix *w;
    struct gemm_args g;
    struct transposed_args v;
    struct cost cost;
};

/* One way to compute it: a kernel of cl/conv2d_transposed.cl. */
struct variant {
    const char *path, *family, *kernel;
    char options[128];
    struct grid grid;
    int batch;   /* of the check: 0 for a few pictures */
    int outputs; /* of the check: such as lead to this kernel */
};

/* Pixels of the largest phase. */
static int phase_pixels(const struct call *c)
{
    const struct transposed_args *v = &c->v;
    return v->batch * ((v->out_height + v->stride_y - 1) / v->stride_y) * ((v->out_width + v->stride_x - 1) / v->stride_x);
}

static struct variant panel_variant(clio_context *ctx, struct call *c)
{
    int mr = params_int(ctx, "conv.panel.rows", 8);
    struct variant v = {.path = "transposed.panel", .family = "direct", .kernel = "transposed_panel", .outputs = 35};
    bool pictures = tile_of_pictures(c->v.batch, mr);
    int pixels = phase_pixels(c), tiles = pictures ? (c->v.batch + mr - 1) / mr * (pixels / c->v.batch) : (pixels + mr - 1) / mr;
    snprintf(v.options, sizeof v.options, "-DW_F16=%d -DPANEL -DMR=%d%s", c->w->data.dtype == DTYPE_F16, mr, pictures ? " -DPICTURES" : "");
    v.grid = GRID3(tiles, (c->g.n + PANEL - 1) / PANEL, c->v.stride_y * c->v.stride_x, 1, 1, 1);
    v.batch = pictures ? pictures_to_check(mr) : 0;
    return v;
}

/* Blocks of stride x stride outputs along one direction. */
static int blocks(int size, int before, int stride)
{
    return (size - 1 + before) / stride - before / stride + 1;
}

static struct variant few_variant(struct call *c)
{
    const int mr = 12;
    struct variant v = {.path = "transposed.few", .family = "direct", .kernel = "transposed_few", .outputs = 3};
    int all = c->v.batch * blocks(c->v.out_height, c->v.before_y, c->v.stride_y) * blocks(c->v.out_width, c->v.before_x, c->v.stride_x);
    snprintf(v.options, sizeof v.options, "-DW_F16=%d -DPANEL -DMR=%d", c->w->data.dtype == DTYPE_F16, mr);
    v.grid = GRID1((all + mr - 1) / mr, 1);
    return v;
}

static struct variant tile_variant(struct call *c)
{
    bool few = c->g.n <= 4;
    const int group_x = few ? 4 : 16, group_y = few ? 32 : 16, side_n = few ? 4 : 64, side_m = few ? 128 : 64;
    struct variant v = {.path = "transposed.tile", .family = "direct", .kernel = "transposed_tile", .outputs = few ? 3 : 35};
    snprintf(v.options, sizeof v.options, "-DW_F16=%d%s", c->w->data.dtype == DTYPE_F16, few ? " -DGX=4 -DGY=32 -DTN=1 -DTM=4" : "");
    v.grid = GRID3((c->g.n + side_n - 1) / side_n * group_x, (phase_pixels(c) + side_m - 1) / side_m * group_y,
                   c->v.stride_y * c->v.stride_x, group_x, group_y, 1);
    return v;
}

static struct variant single_variant(clio_context *ctx, struct call *c)
{
    struct variant v = {.path = "transposed.single", .family = "single", .kernel = "transposed_single", .outputs = 35};
    snprintf(v.options, sizeof v.options, "-DW_F16=%d%s", c->w->data.dtype == DTYPE_F16, c->w->layout == MATRIX_PANELS ? " -DPANEL" : "");
    v.grid = GRID2(c->g.n, c->g.m, MIN((size_t)64, ctx->device.max_work_group), 1);
    return v;
}

/* The call as op_winograd_strided.c takes it. */
static struct strided_call strided_call(const struct call *c)
{
    return (struct strided_call){.out = c->out,
                                 .in = c->in,
                                 .bias = c->bias,
                                 .residual = c->residual,
                                 .w = c->w,
                                 .g = c->g,
                                 .cost = c->cost,
                                 .transposed = true,
                                 .v = {.batch = c->v.batch,
                                       .height = c->v.height,
                                       .width = c->v.width,
                                       .in = c->v.in,
                                       .out_height = c->v.out_height,
                                       .out_width = c->v.out_width,
                                       .before = c->v.before_y,
                                       .bias_step = c->v.bias_step,
                                       .tiles_y = (c->v.out_height + 7) / 8,
                                       .tiles_x = (c->v.out_width + 7) / 8}};
}

static struct variant strided_variant(clio_context *ctx, const struct call *c)
{
    struct variant v = {.path = "transposed.strided", .family = "winograd", .outputs = 35};
    struct strided_call s = strided_call(c);
    strided_options(ctx, &s, v.options);
    return v;
}

/* What may serve a call, the first that pays first. */
enum way { WAY_FEW, WAY_STRIDED, WAY_TILES, WAY_SINGLE, WAY_COUNT };

static bool is_way(clio_context *ctx, const struct call *c, enum way way)
{
    if (way == WAY_SINGLE || params_is(ctx, "conv.family", "single"))
        return way == WAY_SINGLE;
    const struct transposed_args *v = &c->v;
    int phases = v->stride_y * v->stride_x;
    if (way == WAY_STRIDED) {
        struct strided_call s = strided_call(c);
        return v->taps_y == 4 && v->taps_x == 4 && v->stride_y == 2 && v->stride_x == 2 && v->before_y == v->before_x &&
               strided_wanted(ctx, &s);
    }
    return way == WAY_TILES || (c->w->layout == MATRIX_PANELS && phases > 1 && phases * c->g.n <= LANES);
}

/* The first way that is right on this device. */
static clio_status choose(clio_context *ctx, struct call *c, struct variant *v)
{
    clio_status st = CLIO_OK;
    bool works = false, panels = c->w->layout == MATRIX_PANELS;
    for (int way = 0; way < WAY_COUNT && !works; way++) {
        if (!is_way(ctx, c, (enum way)way))
            continue;
        *v = way == WAY_FEW       ? few_variant(c)
             : way == WAY_STRIDED ? strided_variant(ctx, c)
             : way == WAY_SINGLE  ? single_variant(ctx, c)
             : panels             ? panel_variant(ctx, c)
                                  : tile_variant(c);
        TRY(check_path(ctx,
                       &(struct check){.path = v->path,
                                       .variant = v->options,
                                       .force = {{"gemm.many.family", panels ? "panel" : "tile"},
                                                 {"gemm.large.storage", c->w->data.dtype == DTYPE_F16 ? "f16" : "f32"},
                                                 {"conv.family", v->family}},
                                       .n = v->outputs,
                                       .batch = v->batch},
                       &works));
    }
    if (!works)
        TRY(check_none_left(ctx, "convolves pictures"));
fail:
    return st;
}

/* Everything about the call, once its shapes fit. */
static clio_status make_call(clio_context *ctx, struct call *c, const struct transposed_args *window, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    struct conv_end end;
    const struct tensor *in = c->in, *out = c->out;
    int taps = window->taps_y * window->taps_x;
    TRY(op_check(ctx, "conv2d_transposed", "in", in, DTYPE_F32, 4, -1, -1, -1, c->w->k / taps));
    TRY(op_check(ctx, "conv2d_transposed", "out", out, DTYPE_F32, 4, in->dim[0], -1, -1, c->w->n));
    double pixels_in = (double)in->dim[0] * in->dim[1] * in->dim[2], pixels = (double)out->dim[0] * out->dim[1] * out->dim[2];
    if (pixels_in > INT_MAX || pixels > INT_MAX || pixels_in < 1 || pixels < 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d_transposed: %d pictures of %d x %d from %d x %d are too large or too small for one call",
             out->dim[0], out->dim[1], out->dim[2], in->dim[1], in->dim[2]);
    c->v = *window;
    c->v.batch = in->dim[0];
    c->v.height = in->dim[1];
    c->v.width = in->dim[2];
    c->v.in = in->dim[3];
    c->v.out_height = out->dim[1];
    c->v.out_width = out->dim[2];
    TRY(conv_end(ctx, "conv2d_transposed", &end, out, c->w, c->v.batch, c->v.in, (int)pixels, e));
    c->g = end.g;
    c->v.bias_step = end.bias_step;
    c->bias = end.bias;
    c->residual = end.residual;
    c->cost = COST(2.0 * pixels_in * c->g.n * c->g.k,
                   4.0 * (double)(tensor_count(in) + tensor_count(out)) + (double)dtype_size(c->w->data.dtype) * c->g.n * c->g.k);
fail:
    return st;
}

/* The kernels that read a pixel of zeros beyond the edges. */
static clio_status run_panel(clio_context *ctx, struct arena *arena, const struct call *c, const struct variant *v)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct tensor zeros = tensor_shape(DTYPE_F32, 1, c->v.in, 0, 0, 0), w = c->w->data;
    TRY(tensor_take(ctx, arena, &zeros));
    TRY(tensor_zero(ctx, &zeros));
    if (strcmp(v->path, "transposed.few") == 0) {
        int seen = ((c->v.taps_y + c->v.stride_y - 1) / c->v.stride_y) * ((c->v.taps_x + c->v.stride_x - 1) / c->v.stride_x);
        w = tensor_shape(DTYPE_F32, 3, seen, c->v.in, LANES, 0);
        TRY(tensor_take(ctx, arena, &w));
        TRY(kernel_get(ctx, "conv2d_transposed", "transposed_few_weights", v->options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID1(tensor_count(&w), MIN((size_t)64, ctx->device.max_work_group)), COST(0, 8.0 * tensor_count(&w)),
                   ARG_TENSOR(&w), ARG_TENSOR(&c->w->data), ARG_VALUE(c->g.n), ARG_VALUE(c->v)));
    }
    TRY(kernel_get(ctx, "conv2d_transposed", v->kernel, v->options, &kernel));
    TRY(LAUNCH(ctx, kernel, v->grid, c->cost, ARG_TENSOR(c->out), ARG_TENSOR(c->in), ARG_TENSOR(&w), ARG_TENSOR(c->bias),
               ARG_TENSOR(c->residual), ARG_VALUE(c->g), ARG_TENSOR(&zeros), ARG_VALUE(c->v)));
fail:
    return st;
}

clio_status conv2d_transpose(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                             const struct matrix *w, struct transposed_args window, const struct gemm_epilogue *epilogue)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = epilogue ? *epilogue : (struct gemm_epilogue){0};
    struct call c = {.out = out, .in = in, .w = w};
    struct variant v;
    struct kernel *kernel;
    TRY(make_call(ctx, &c, &window, &e));
    TRY(choose(ctx, &c, &v));
    if (strcmp(v.path, "transposed.strided") == 0) {
        struct strided_call s = strided_call(&c);
        return strided_fwd(ctx, arena, &s);
    }
    if (strcmp(v.path, "transposed.panel") == 0 || strcmp(v.path, "transposed.few") == 0)
        TRY(run_panel(ctx, arena, &c, &v));
    else {
        TRY(kernel_get(ctx, "conv2d_transposed", v.kernel, v.options, &kernel));
        TRY(LAUNCH(ctx, kernel, v.grid, c.cost, ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(&w->data), ARG_TENSOR(c.bias),
                   ARG_TENSOR(c.residual), ARG_VALUE(c.g), ARG_VALUE(c.v)));
    }
fail:
    arena_release(arena, mark);
    return st;
}

/* CLIO_ERROR_INTERNAL unless the transposed convolution of `in` with this window has the size of `out`. */
static clio_status check_window(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                                const struct conv2d_window *v)
{
    clio_status st = CLIO_OK;
    if (v->taps < 1 || v->stride < 1 || v->before < 0 || v->after <= -v->stride || v->upsample != 1 || w->k % (v->taps * v->taps))
        FAIL(ctx, CLIO_ERROR_INTERNAL,
             "conv2d_transposed: a window of %d x %d, stride %d, padding %d and %d, upsampling %d over %d weights is impossible", v->taps,
             v->taps, v->stride, v->before, v->after, v->upsample, w->k);
    TRY(op_check(ctx, "conv2d_transposed", "in", in, DTYPE_F32, 4, -1, -1, -1, w->k / (v->taps * v->taps)));
    int more = v->taps - v->before - v->after;
    TRY(op_check(ctx, "conv2d_transposed", "out", out, DTYPE_F32, 4, in->dim[0], (in->dim[1] - 1) * v->stride + more,
                 (in->dim[2] - 1) * v->stride + more, w->n));
fail:
    return st;
}

clio_status op_conv2d_transposed_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                     const struct matrix *w, struct conv2d_window window, const struct gemm_epilogue *epilogue)
{
    clio_status st = CLIO_OK;
    struct product product = {.kind = PRODUCT_CONV2D_TRANSPOSED, .window = window};
    if (product_comes_apart(ctx, epilogue))
        return product_apart(ctx, arena, &product, out, in, w, epilogue);
    TRY(check_window(ctx, out, in, w, &window));
    TRY(product_record(ctx, &product, out, in, w, epilogue));
    TRY(conv2d_transpose(ctx, arena, out, in, w,
                         (struct transposed_args){.taps_y = window.taps,
                                                  .taps_x = window.taps,
                                                  .stride_y = window.stride,
                                                  .stride_x = window.stride,
                                                  .before_y = window.before,
                                                  .before_x = window.before},
                         epilogue));
fail:
    return st;
}

clio_status op_conv2d_transposed_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                                          const struct matrix *w, struct conv2d_window window, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct matrix swapped;
    struct gemm_epilogue e = {.residual = add ? dx : NULL};
    TRY(check_window(ctx, dy, dx, w, &window));
    TRY(matrix_swap(ctx, arena, &swapped, w, window.taps * window.taps));
    window.after = MAX(window.after, 0); /* what output padding added is beyond the last window */
    TRY(op_conv2d_fwd(ctx, arena, dx, dy, &swapped, window, &e));
fail:
    arena_release(arena, mark);
    return st;
}
