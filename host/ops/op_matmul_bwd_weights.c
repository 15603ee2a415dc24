/* op_matmul_bwd_weights.c - gradients of products and convolutions by their weights. All of them are one sum over pixels, in which one
 * operand is counted and the other lies under a window; kernels in cl/matmul_bwd_weights.cl. A gradient has the layout of its weights, and
 * f32 numbers. */
#include "selftest.h"
#include "conv2d.h"
#include "gradients.h"

#include <limits.h>
#include <stdio.h>

#define CHUNK 128        /* pixels, as in the kernel */
#define REGISTER_ROWS 12 /* at most: the check has 13 columns */

struct call {
    const struct matrix *dw;
    const struct tensor *dy, *x;
    struct weights_args a; /* with v as dy and s as x */
    bool add;
};

/* One way to compute it. */
struct variant {
    const char *path, *family, *kernel;
    char options[64], checked[80]; /* what is compiled; that, and which way round it is used */
    struct weights_args a;
    struct grid grid;
    bool turned; /* v is x and s is dy */
    int rows;    /* columns of s in registers */
};

static int steps(int n, int step)
{
    return (n + step - 1) / step;
}

/* Columns of s in registers, of which there must be as many. */
static int register_rows(clio_context *ctx, int columns)
{
    int wish = MAX(1, MIN(REGISTER_ROWS, params_int(ctx, "weights.panel.rows", 8)));
    return columns >= wish ? wish : columns >= 8 ? 8 : columns >= 4 ? 4 : columns;
}

/* What a pixel takes: for each panel of v the columns of s, and the copy of the pixel's columns of v. */
static double panel_cost(clio_context *ctx, int v_columns, int s_columns)
{
    int rows = register_rows(ctx, s_columns);
    return (double)steps(v_columns, PANEL) * (ROUND_UP(s_columns, rows) + 8);
}

/* Pixels into as many slices as are wanted, as long as they are worth it. */
static void divide_pixels(clio_context *ctx, struct weights_args *a, double pieces)
{
    int64_t pixels = (int64_t)a->batch * a->rows * a->columns;
    int wanted = (int)MIN(1e6, params_int(ctx, "weights.jobs", 16) / pieces + 0.999);
    int slices = (int)MAX(1, MIN(wanted, pixels / MAX(1, params_int(ctx, "weights.slice", 512))));
    a->slice = (int)MIN(pixels, ROUND_UP((pixels + slices - 1) / slices, CHUNK));
    a->slices = (int)((pixels + a->slice - 1) / a->slice);
}

static struct variant panel_variant(clio_context *ctx, const struct call *c)
{
    struct variant v = {.path = "weights.panel", .family = "direct", .kernel = "weights_panel", .a = c->a};
    struct weights_args *a = &v.a;
    v.turned = panel_cost(ctx, a->s_columns, a->v_columns) < panel_cost(ctx, a->v_columns, a->s_columns) && a->v_columns <= PANEL;
    if (v.turned) {
        a->v_columns = c->a.s_columns;
        a->s_columns = c->a.v_columns;
        a->v_moves = !c->a.v_moves;
    }
    v.rows = register_rows(ctx, a->s_columns);
    int panels = steps(a->v_columns, PANEL), taps = a->taps_y * a->taps_x, jobs = params_int(ctx, "weights.jobs", 16);
    int at_once = ROUND_UP(MAX(1, params_int(ctx, "weights.panel.kib", 256) * 8), v.rows); /* rows of dw, of 128 bytes */
    a->s_step = MIN(at_once, a->s_columns);
    a->tap_step = MIN(taps, MAX(1, at_once / a->s_columns));
    divide_pixels(ctx, a, (double)panels * steps(taps, a->tap_step) * steps(a->s_columns, a->s_step));
    int more = steps(jobs, panels * a->slices); /* where slices do not make work enough: steps of taps, then of columns */
    a->tap_step = MIN(a->tap_step, MAX(1, taps / more));
    if (taps < more)
        a->s_step = MIN(a->s_step, ROUND_UP(MAX(4 * v.rows, a->s_columns * taps / more), v.rows));
    snprintf(v.options, sizeof v.options, "-DPANEL -DMR=%d", v.rows);
    snprintf(v.checked, sizeof v.checked, "%s%s", v.options, v.turned ? ", turned" : "");
    v.grid = GRID3(steps(taps, a->tap_step) * steps(a->s_columns, a->s_step), panels, a->slices, 1, 1, 1);
    return v;
}

static struct variant tile_variant(clio_context *ctx, const struct call *c)
{
    const int side = 64, group = 16;
    struct variant v = {.path = "weights.tile", .family = "direct", .kernel = "weights_tile", .a = c->a};
    int taps = v.a.taps_y * v.a.taps_x, channels = v.a.s_columns;
    int columns = v.a.v_moves ? taps * steps(channels, side) : steps(taps * channels, side), rows = steps(v.a.v_columns, side);
    divide_pixels(ctx, &v.a, (double)columns * rows);
    v.grid = GRID3(columns * group, rows * group, v.a.slices, group, group, 1);
    return v;
}

static struct variant single_variant(clio_context *ctx, const struct call *c)
{
    struct variant v = {.path = "weights.single", .family = "single", .kernel = "weights_single", .a = c->a};
    snprintf(v.options, sizeof v.options, "%s", c->dw->layout == MATRIX_PANELS ? "-DPANEL" : "");
    snprintf(v.checked, sizeof v.checked, "%s", v.options);
    v.a.slices = 1;
    v.grid = GRID1(tensor_count(&c->dw->data), MIN((size_t)64, ctx->device.max_work_group));
    return v;
}

/* The first way that is right on this device. */
static clio_status choose(clio_context *ctx, const struct call *c, struct variant *v)
{
    clio_status st = CLIO_OK;
    bool panels = c->dw->layout == MATRIX_PANELS, works = false;
    for (int way = params_is(ctx, "weights.family", "single"); way < 2 && !works; way++) {
        *v = way ? single_variant(ctx, c) : panels ? panel_variant(ctx, c) : tile_variant(ctx, c);
        struct check check = {
            .path = v->path,
            .variant = v->checked,
            .force = {{"gemm.many.family", panels ? "panel" : "tile"}, {"weights.family", v->family}, {"weights.slice", "128"}},
            .n = v->turned ? v->rows : 0,
            .k = v->turned || !v->rows || v->rows >= 8 ? 0 : v->rows};
        TRY(check_path(ctx, &check, &works));
    }
    if (!works)
        TRY(check_none_left(ctx, "computes gradients of weights"));
fail:
    return st;
}

/* Add up what the slices left, in dw's layout or turned. */
static clio_status join(clio_context *ctx, const struct call *c, const struct variant *v, const struct tensor *parts)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    size_t group = MIN((size_t)64, ctx->device.max_work_group);
    int count = (int)tensor_count(&c->dw->data), add = c->add;
    struct weights_args a = v->a;
    struct cost cost = COST(tensor_count(parts), 4.0 * (double)(tensor_count(parts) + (size_t)count));
    a.add = add;
    TRY(kernel_get(ctx, "matmul_bwd_weights", v->turned ? "weights_join_turned" : "weights_join", v->options, &k));
    if (v->turned)
        TRY(LAUNCH(ctx, k, GRID1(count, group), cost, ARG_TENSOR(&c->dw->data), ARG_TENSOR(parts), ARG_VALUE(a)));
    else
        TRY(LAUNCH(ctx, k, GRID1(count, group), cost, ARG_TENSOR(&c->dw->data), ARG_TENSOR(parts), ARG_VALUE(count), ARG_VALUE(v->a.slices),
                   ARG_VALUE(add)));
fail:
    return st;
}

static clio_status run(clio_context *ctx, struct arena *arena, const struct call *c)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct variant v;
    struct kernel *k;
    struct tensor parts;
    TRY(choose(ctx, c, &v));
    double pixels = (double)v.a.batch * v.a.rows * v.a.columns;
    struct cost cost =
        COST(2 * pixels * c->dw->n * c->dw->k, 4.0 * (double)(tensor_count(c->dy) + tensor_count(c->x) + tensor_count(&c->dw->data)));
    bool apart = v.turned || v.a.slices > 1;
    const struct tensor *out = &c->dw->data;
    if (apart) {
        int each =
            v.turned ? steps(v.a.v_columns, PANEL) * PANEL * v.a.taps_y * v.a.taps_x * v.a.s_columns : (int)tensor_count(&c->dw->data);
        parts = tensor_shape(DTYPE_F32, 2, v.a.slices, each, 0, 0);
        TRY(tensor_take(ctx, arena, &parts));
        out = &parts;
    }
    v.a.add = c->add && !apart;
    TRY(kernel_get(ctx, "matmul_bwd_weights", v.kernel, v.options, &k));
    TRY(LAUNCH(ctx, k, v.grid, cost, ARG_TENSOR(out), ARG_TENSOR(v.turned ? c->x : c->dy), ARG_TENSOR(v.turned ? c->dy : c->x),
               ARG_VALUE(v.a)));
    if (apart)
        TRY(join(ctx, c, &v, &parts));
fail:
    arena_release(arena, mark);
    return st;
}

static clio_status check_matrix(clio_context *ctx, const char *op, const struct matrix *dw, double pixels)
{
    clio_status st = CLIO_OK;
    if (dw->data.dtype != DTYPE_F32 || tensor_count(&dw->data) > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: a gradient of %d x %d weights must be f32, and of at most %d numbers", op, dw->n, dw->k,
             INT_MAX);
    if (pixels < 1 || pixels > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %.0f pixels are too many for one call, or none", op, pixels);
fail:
    return st;
}

clio_status op_gemm_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                const struct tensor *x, int m, bool add)
{
    clio_status st = CLIO_OK;
    char text_dy[96], text_x[96];
    struct call c = {.dw = dw, .dy = dy, .x = x, .add = add};
    c.a = (struct weights_args){.taps_y = 1, .taps_x = 1, .stride = 1, .batch = 1, .rows = 1, .height = 1};
    c.a.columns = c.a.width = m;
    c.a.v_columns = dw->n;
    c.a.s_columns = dw->k;
    TRY(check_matrix(ctx, "gemm's gradient", dw, m));
    if (dy->dtype != DTYPE_F32 || x->dtype != DTYPE_F32 || tensor_count(dy) < (size_t)m * (size_t)dw->n ||
        tensor_count(x) < (size_t)m * (size_t)dw->k)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gemm's gradient by %d x %d weights from %d rows of %s and %s", dw->n, dw->k, m,
             tensor_describe(dy, text_dy), tensor_describe(x, text_x));
    TRY(run(ctx, arena, &c));
fail:
    return st;
}

static clio_status check_window(clio_context *ctx, const char *op, const struct matrix *dw, const struct conv2d_window *w)
{
    clio_status st = CLIO_OK;
    if (w->taps < 1 || w->stride < 1 || w->before < 0 || w->upsample < 1 || w->upsample > 2 || dw->k % (w->taps * w->taps))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: a window of %d x %d, stride %d, padding %d and %d, upsampling %d over %d weights is impossible",
             op, w->taps, w->taps, w->stride, w->before, w->after, w->upsample, dw->k);
fail:
    return st;
}

/* `counted` and `moved` are dy and x, or x and dy. */
static struct weights_args window_args(const struct matrix *dw, const struct tensor *counted, const struct tensor *moved,
                                       const struct conv2d_window *w)
{
    struct weights_args a = {.taps_y = w->taps, .taps_x = w->taps, .stride = w->stride, .before_y = w->before, .before_x = w->before};
    a.shift = w->upsample - 1;
    a.batch = counted->dim[0];
    a.rows = counted->dim[1];
    a.columns = counted->dim[2];
    a.height = moved->dim[1];
    a.width = moved->dim[2];
    a.v_columns = dw->n;
    a.s_columns = dw->k / (w->taps * w->taps);
    return a;
}

/* By minimal filtering, where that pays and is right on this device. */
static clio_status filter(clio_context *ctx, struct arena *arena, const struct call *c, const struct conv2d_window *window, bool *done)
{
    clio_status st = CLIO_OK;
    struct check check = {.path = "weights.winograd",
                          .variant = "",
                          .force = {{"gemm.many.family", "panel"}, {"weights.family", "winograd"}, {"conv.winograd.megabytes", "0"}}};
    struct window_args v = {.batch = c->a.batch,
                            .height = c->a.height,
                            .width = c->a.width,
                            .in = c->a.s_columns,
                            .out_height = c->a.rows,
                            .out_width = c->a.columns,
                            .taps = window->taps,
                            .stride = window->stride,
                            .before = window->before,
                            .shift = c->a.shift};
    *done = false;
    if (!winograd_weights_wanted(ctx, c->dw, &v))
        return CLIO_OK;
    TRY(check_path(ctx, &check, done));
    if (*done)
        TRY(winograd_weights(ctx, arena, c->dw, c->dy, c->x, &v, c->add));
fail:
    return st;
}

clio_status op_conv2d_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                  const struct tensor *x, struct conv2d_window window, bool add)
{
    clio_status st = CLIO_OK;
    const char *op = "conv2d's gradient";
    TRY(check_window(ctx, op, dw, &window));
    int padding = window.before + window.after, up = window.upsample;
    TRY(op_check(ctx, op, "x", x, DTYPE_F32, 4, -1, -1, -1, dw->k / (window.taps * window.taps)));
    TRY(op_check(ctx, op, "dy", dy, DTYPE_F32, 4, x->dim[0], (x->dim[1] * up + padding - window.taps) / window.stride + 1,
                 (x->dim[2] * up + padding - window.taps) / window.stride + 1, dw->n));
    double pixels = (double)x->dim[0] * MAX((double)dy->dim[1] * dy->dim[2], (double)x->dim[1] * x->dim[2]);
    TRY(check_matrix(ctx, op, dw, pixels));
    if (window.taps == 1 && window.stride == 1 && padding == 0 && up == 1)
        return op_gemm_bwd_weights(ctx, arena, dw, dy, x, (int)pixels, add);
    struct call c = {.dw = dw, .dy = dy, .x = x, .add = add, .a = window_args(dw, dy, x, &window)};
    bool filtered;
    TRY(filter(ctx, arena, &c, &window, &filtered));
    if (!filtered)
        TRY(run(ctx, arena, &c));
fail:
    return st;
}

clio_status op_conv2d_transposed_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                             const struct tensor *x, struct conv2d_window window, bool add)
{
    clio_status st = CLIO_OK;
    const char *op = "conv2d_transposed's gradient";
    TRY(check_window(ctx, op, dw, &window));
    int more = window.taps - window.before - window.after;
    if (window.upsample != 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: no upsampling", op);
    TRY(op_check(ctx, op, "x", x, DTYPE_F32, 4, -1, -1, -1, dw->k / (window.taps * window.taps)));
    TRY(op_check(ctx, op, "dy", dy, DTYPE_F32, 4, x->dim[0], (x->dim[1] - 1) * window.stride + more, (x->dim[2] - 1) * window.stride + more,
                 dw->n));
    TRY(check_matrix(ctx, op, dw, (double)x->dim[0] * MAX((double)dy->dim[1] * dy->dim[2], (double)x->dim[1] * x->dim[2])));
    struct call c = {.dw = dw, .dy = dy, .x = x, .add = add, .a = window_args(dw, x, dy, &window)};
    c.a.v_moves = 1;
    TRY(run(ctx, arena, &c));
fail:
    return st;
}

clio_status op_conv1d_bwd_weights(clio_context *ctx, struct arena *arena, const struct matrix *dw, const struct tensor *dy,
                                  const struct tensor *x, int kernel, int stride, int padding, bool add)
{
    clio_status st = CLIO_OK;
    const char *op = "conv1d's gradient";
    if (kernel < 1 || stride < 1 || padding < 0 || dw->k % kernel)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: kernel %d of %d weights, stride %d or padding %d is impossible", op, kernel, dw->k, stride,
             padding);
    TRY(op_check(ctx, op, "x", x, DTYPE_F32, 3, -1, -1, dw->k / kernel, -1));
    TRY(op_check(ctx, op, "dy", dy, DTYPE_F32, 3, x->dim[0], (x->dim[1] + 2 * padding - kernel) / stride + 1, dw->n, -1));
    TRY(check_matrix(ctx, op, dw, (double)x->dim[0] * MAX(x->dim[1], dy->dim[1])));
    struct call c = {.dw = dw, .dy = dy, .x = x, .add = add};
    c.a = (struct weights_args){.taps_y = 1, .taps_x = kernel, .stride = stride, .before_x = padding, .rows = 1, .height = 1};
    c.a.batch = x->dim[0];
    c.a.columns = dy->dim[1];
    c.a.width = x->dim[1];
    c.a.v_columns = dw->n;
    c.a.s_columns = dw->k / kernel;
    TRY(run(ctx, arena, &c));
fail:
    return st;
}
