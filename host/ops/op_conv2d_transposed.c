/* op_conv2d_transposed.c - transposed 2D convolution, and the choice among its kernel families (families.h). Kernels:
 * cl/conv2d_transposed.cl, cl/winograd_strided.cl. */
#include "conv2d.h"
#include "families.h"
#include "gradients.h"

#include <limits.h>
#include <stdio.h>

#define LANES 16 /* of transposed_few: outputs times phases, at most */

struct call {
    const struct tensor *out, *in, *bias, *residual; /* bias and residual: any valid tensor where there is none */
    const struct matrix *w;
    struct gemm_args g;
    struct transposed_args v;
    struct cost cost;
    /* set by the family that is chosen */
    clio_status (*run)(clio_context *, struct arena *, const struct call *, const struct kernel_variant *);
};

/* ---- how a family computes the call ---- */

static clio_status run_kernel(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    (void)arena;
    TRY(kernel_get(ctx, v->program, v->kernel, v->options, &kernel));
    TRY(LAUNCH(ctx, kernel, v->grid, c->cost, ARG_TENSOR(c->out), ARG_TENSOR(c->in), ARG_TENSOR(&c->w->data), ARG_TENSOR(c->bias),
               ARG_TENSOR(c->residual), ARG_VALUE(c->g), ARG_VALUE(c->v)));
fail:
    return st;
}

/* Kernels that read a pixel of zeros outside of the image. */
static clio_status run_with_zeros(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v,
                                  const struct tensor *w)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct tensor zeros = tensor_shape(DTYPE_F32, 1, c->v.in, 0, 0, 0);
    TRY(tensor_take(ctx, arena, &zeros));
    TRY(tensor_zero(ctx, &zeros));
    TRY(kernel_get(ctx, v->program, v->kernel, v->options, &kernel));
    TRY(LAUNCH(ctx, kernel, v->grid, c->cost, ARG_TENSOR(c->out), ARG_TENSOR(c->in), ARG_TENSOR(w), ARG_TENSOR(c->bias),
               ARG_TENSOR(c->residual), ARG_VALUE(c->g), ARG_TENSOR(&zeros), ARG_VALUE(c->v)));
fail:
    return st;
}

static clio_status run_panel(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v)
{
    return run_with_zeros(ctx, arena, c, v, &c->w->data);
}

/* The weights of the few outputs, of all phases, are packed side by side first. */
static clio_status run_few(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    int positions = ((c->v.taps_y + c->v.stride_y - 1) / c->v.stride_y) * ((c->v.taps_x + c->v.stride_x - 1) / c->v.stride_x);
    struct tensor w = tensor_shape(DTYPE_F32, 3, positions, c->v.in, LANES, 0);
    TRY(tensor_take(ctx, arena, &w));
    TRY(kernel_get(ctx, v->program, "transposed_few_weights", v->options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(tensor_count(&w), MIN((size_t)64, ctx->device.max_work_group)), COST(0, 8.0 * tensor_count(&w)),
               ARG_TENSOR(&w), ARG_TENSOR(&c->w->data), ARG_VALUE(c->g.n), ARG_VALUE(c->v)));
    TRY(run_with_zeros(ctx, arena, c, v, &w));
fail:
    return st;
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

static clio_status run_strided(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v)
{
    struct strided_call s = strided_call(c);
    (void)v;
    return strided_fwd(ctx, arena, &s);
}

/* ---- the families ---- */

/* Pixels of the largest phase. */
static int phase_pixels(const struct call *c)
{
    const struct transposed_args *v = &c->v;
    return v->batch * ((v->out_height + v->stride_y - 1) / v->stride_y) * ((v->out_width + v->stride_x - 1) / v->stride_x);
}

/* Blocks of stride x stride outputs along one direction. */
static int blocks(int size, int before, int stride)
{
    return (size - 1 + before) / stride - before / stride + 1;
}

bool transposed_few_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const int mr = 12;
    struct call *c = call;
    int phases = c->v.stride_y * c->v.stride_x;
    int all = c->v.batch * blocks(c->v.out_height, c->v.before_y, c->v.stride_y) * blocks(c->v.out_width, c->v.before_x, c->v.stride_x);
    conv_test_params(v, c->w, "direct");
    v->test.n = 3;
    c->run = run_few;
    v->program = "conv2d_transposed";
    v->kernel = "transposed_few";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d -DPANEL -DMR=%d", c->w->data.dtype == DTYPE_F16, mr);
    v->grid = GRID1((all + mr - 1) / mr, 1);
    return conv_may_use(ctx, attempt) && phases > 1 && phases * c->g.n <= LANES;
}

bool transposed_strided_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    struct strided_call s = strided_call(c);
    const struct transposed_args *a = &c->v;
    conv_test_params(v, c->w, "winograd");
    v->test.n = 35;
    v->test.k = 336; /* more channels than are transformed at a time */
    c->run = run_strided;
    strided_options(ctx, &s, v->options);
    return conv_may_use(ctx, attempt) && a->taps_y == 4 && a->taps_x == 4 && a->stride_y == 2 && a->stride_x == 2 &&
           a->before_y == a->before_x && strided_wanted(ctx, &s);
}

bool transposed_panel_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    int mr = params_int(ctx, "conv.panel.rows", 8), pixels = phase_pixels(c);
    bool images = tile_of_images(c->v.batch, mr);
    int tiles = images ? (c->v.batch + mr - 1) / mr * (pixels / c->v.batch) : (pixels + mr - 1) / mr;
    conv_test_params(v, c->w, "direct");
    v->test.n = 35;
    v->test.batch = images ? images_to_test(mr) : 0;
    c->run = run_panel;
    v->program = "conv2d_transposed";
    v->kernel = "transposed_panel";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d -DPANEL -DMR=%d%s", c->w->data.dtype == DTYPE_F16, mr, images ? " -DPICTURES" : "");
    v->grid = GRID3(tiles, (c->g.n + PANEL - 1) / PANEL, c->v.stride_y * c->v.stride_x, 1, 1, 1);
    return conv_may_use(ctx, attempt);
}

bool transposed_tile_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    bool few = c->g.n <= 4;
    const int group = square_group(ctx), group_x = few ? 4 : group, group_y = few ? 2 * group : group;
    const int side_n = few ? group_x : 4 * group_x, side_m = 4 * group_y;
    conv_test_params(v, c->w, "direct");
    v->test.n = few ? 3 : 35;
    c->run = run_kernel;
    v->program = "conv2d_transposed";
    v->kernel = "transposed_tile";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d -DGX=%d -DGY=%d%s", c->w->data.dtype == DTYPE_F16, group_x, group_y,
             few ? " -DTN=1 -DTM=4" : "");
    v->grid = GRID3((c->g.n + side_n - 1) / side_n * group_x, (phase_pixels(c) + side_m - 1) / side_m * group_y,
                    c->v.stride_y * c->v.stride_x, group_x, group_y, 1);
    return conv_may_use(ctx, attempt);
}

bool transposed_single_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    conv_test_params(v, c->w, "single");
    v->test.n = 35;
    c->run = run_kernel;
    v->program = "conv2d_transposed";
    v->kernel = "transposed_single";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d%s", c->w->data.dtype == DTYPE_F16, c->w->layout == MATRIX_PANELS ? " -DPANEL" : "");
    v->grid = GRID2(c->g.n, c->g.m, MIN((size_t)64, ctx->device.max_work_group), 1);
    return attempt == 0;
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
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d_transposed: %d images of %d x %d from %d x %d are too large or too small for one call",
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

clio_status conv2d_transpose(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                             const struct matrix *w, struct transposed_args window, const struct gemm_epilogue *epilogue)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = epilogue ? *epilogue : (struct gemm_epilogue){0};
    struct call c = {.out = out, .in = in, .w = w};
    struct kernel_variant v;
    TRY(make_call(ctx, &c, &window, &e));
    TRY(family_choose(ctx, "transposed", w, &c, &v));
    TRY(c.run(ctx, arena, &c, &v));
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

clio_status conv2d_transposed_run(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                  const struct matrix *w, struct conv2d_window window, const struct gemm_epilogue *epilogue,
                                  const struct matmul_call *record)
{
    clio_status st = CLIO_OK;
    TRY(check_window(ctx, out, in, w, &window));
    TRY(matmul_record(ctx, record, out, in, w, epilogue));
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
    window.after = MAX(window.after, 0); /* output padding lies beyond the last window */
    TRY(conv2d_run(ctx, arena, dx, dy, &swapped, window, &e, NULL));
fail:
    arena_release(arena, mark);
    return st;
}
