/* op_matmul_bwd_weights.c - gradients of matmul and of convolutions by their weights, and the choice among their kernel families
 * (families.h). Each is a sum over the pixels q of the batch: dw[n][tap][c] = sum over q of x[q + tap][c] dy[q][n]. Kernels:
 * cl/matmul_bwd_weights.cl, cl/winograd_weights.cl. A gradient has the layout of its weights, and f32 storage. */
#include "conv2d.h"
#include "families.h"
#include "gradients.h"

#include <limits.h>
#include <stdio.h>

#define CHUNK 128        /* pixels, as in the kernel */
#define REGISTER_ROWS 12 /* at most: the self-test has 13 columns */

struct call {
    const struct matrix *dw;
    const struct tensor *dy, *x;
    const struct conv2d_window *window; /* of op_conv2d_bwd_weights; otherwise NULL */
    struct weights_args a;              /* with v as dy and s as x */
    bool add;
    /* set by the family that is chosen */
    clio_status (*run)(clio_context *, struct arena *, const struct call *, const struct kernel_variant *);
    struct weights_args plan;
    bool turned; /* v is x and s is dy */
};

static int steps(int n, int step)
{
    return (n + step - 1) / step;
}

/* Columns of s in registers: at most as many as there are. */
static int register_rows(clio_context *ctx, int columns)
{
    int wish = MAX(1, MIN(REGISTER_ROWS, params_int(ctx, "weights.panel.rows", 8)));
    return columns >= wish ? wish : columns >= 8 ? 8 : columns >= 4 ? 4 : columns;
}

/* Relative cost of a pixel: for each panel of v, the columns of s and the copy of the columns of v. */
static double panel_cost(clio_context *ctx, int v_columns, int s_columns)
{
    int rows = register_rows(ctx, s_columns), columns = ROUND_UP(s_columns, rows);
    return (double)steps(v_columns, PANEL) * (columns + 8);
}

/* Divide the pixels into as many slices as the device can use, each of at least weights.slice pixels. */
static void divide_pixels(clio_context *ctx, struct weights_args *a, double pieces)
{
    int64_t pixels = (int64_t)a->batch * a->rows * a->columns;
    int wanted = (int)MIN(1e6, params_int(ctx, "weights.jobs", 16) / pieces + 0.999);
    int slices = (int)MAX(1, MIN(wanted, pixels / MAX(1, params_int(ctx, "weights.slice", 512))));
    a->slice = (int)MIN(pixels, ROUND_UP((pixels + slices - 1) / slices, CHUNK));
    a->slices = (int)((pixels + a->slice - 1) / a->slice);
}

/* ---- how a family computes the call ---- */

/* Add up the sums of the slices, in the layout of dw or turned. */
static clio_status join(clio_context *ctx, const struct call *c, const struct kernel_variant *v, const struct tensor *parts)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    size_t group = MIN((size_t)64, ctx->device.max_work_group);
    int count = (int)tensor_count(&c->dw->data), add = c->add;
    struct weights_args a = c->plan;
    struct cost cost = COST(tensor_count(parts), 4.0 * (double)(tensor_count(parts) + (size_t)count));
    a.add = add;
    TRY(kernel_get(ctx, v->program, c->turned ? "weights_join_turned" : "weights_join", v->options, &k));
    if (c->turned)
        TRY(LAUNCH(ctx, k, GRID1(count, group), cost, ARG_TENSOR(&c->dw->data), ARG_TENSOR(parts), ARG_VALUE(a)));
    else
        TRY(LAUNCH(ctx, k, GRID1(count, group), cost, ARG_TENSOR(&c->dw->data), ARG_TENSOR(parts), ARG_VALUE(count), ARG_VALUE(a.slices),
                   ARG_VALUE(add)));
fail:
    return st;
}

static clio_status run_direct(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct kernel *k;
    struct tensor parts;
    struct weights_args a = c->plan;
    double pixels = (double)a.batch * a.rows * a.columns;
    struct cost cost =
        COST(2 * pixels * c->dw->n * c->dw->k, 4.0 * (double)(tensor_count(c->dy) + tensor_count(c->x) + tensor_count(&c->dw->data)));
    bool apart = c->turned || a.slices > 1;
    const struct tensor *out = &c->dw->data;
    if (apart) {
        int each = c->turned ? steps(a.v_columns, PANEL) * PANEL * a.taps_y * a.taps_x * a.s_columns : (int)tensor_count(&c->dw->data);
        parts = tensor_shape(DTYPE_F32, 2, a.slices, each, 0, 0);
        TRY(tensor_take(ctx, arena, &parts));
        out = &parts;
    }
    a.add = c->add && !apart;
    TRY(kernel_get(ctx, v->program, v->kernel, v->options, &k));
    TRY(LAUNCH(ctx, k, v->grid, cost, ARG_TENSOR(out), ARG_TENSOR(c->turned ? c->x : c->dy), ARG_TENSOR(c->turned ? c->dy : c->x),
               ARG_VALUE(a)));
    if (apart)
        TRY(join(ctx, c, v, &parts));
fail:
    arena_release(arena, mark);
    return st;
}

/* ---- the families ---- */

/* Parameters with which a self-test gets a gradient of this layout, and the families of `algorithm` (a value of weights.family). */
static void test_params(struct kernel_variant *v, const struct matrix *dw, const char *algorithm, const char *key, const char *value)
{
    v->test.params[0].key = "gemm.many.family";
    v->test.params[0].value = dw->layout == MATRIX_PANELS ? "panel" : "tile";
    v->test.params[1].key = "weights.family";
    v->test.params[1].value = algorithm;
    v->test.params[2].key = key;
    v->test.params[2].value = value;
}

static bool may_use(clio_context *ctx, int attempt)
{
    return attempt == 0 && !params_is(ctx, "weights.family", "single");
}

bool weights_panel_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    struct weights_args *a = &c->plan;
    *a = c->a;
    c->run = run_direct;
    c->turned = panel_cost(ctx, a->s_columns, a->v_columns) < panel_cost(ctx, a->v_columns, a->s_columns) && a->v_columns <= PANEL;
    if (c->turned) {
        a->v_columns = c->a.s_columns;
        a->s_columns = c->a.v_columns;
        a->v_moves = !c->a.v_moves;
    }
    int rows = register_rows(ctx, a->s_columns);
    int panels = steps(a->v_columns, PANEL), taps = a->taps_y * a->taps_x, jobs = params_int(ctx, "weights.jobs", 16);
    int at_once = ROUND_UP(MAX(1, params_int(ctx, "weights.panel.kib", 256) * 8), rows); /* rows of dw, of 128 bytes */
    a->s_step = MIN(at_once, a->s_columns);
    a->tap_step = MIN(taps, MAX(1, at_once / a->s_columns));
    divide_pixels(ctx, a, (double)panels * steps(taps, a->tap_step) * steps(a->s_columns, a->s_step));
    int more = steps(jobs, panels * a->slices); /* too few slices for the device: divide by kernel position, then by columns */
    a->tap_step = MIN(a->tap_step, MAX(1, taps / more));
    if (taps < more)
        a->s_step = MIN(a->s_step, ROUND_UP(MAX(4 * rows, a->s_columns * taps / more), rows));
    v->program = "matmul_bwd_weights";
    v->kernel = "weights_panel";
    snprintf(v->options, sizeof v->options, "-DPANEL -DMR=%d", rows);
    snprintf(v->tested, sizeof v->tested, "%s%s", v->options, c->turned ? ", turned" : "");
    v->test.variant = v->tested;
    test_params(v, c->dw, "direct", "weights.slice", "128");
    v->test.n = c->turned ? rows : 0;
    v->test.k = c->turned || rows >= 8 ? 0 : rows;
    v->grid = GRID3(steps(taps, a->tap_step) * steps(a->s_columns, a->s_step), panels, a->slices, 1, 1, 1);
    return may_use(ctx, attempt);
}

bool weights_tile_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const int group = square_group(ctx), side = 4 * group;
    struct call *c = call;
    struct weights_args *a = &c->plan;
    *a = c->a;
    c->run = run_direct;
    c->turned = false;
    int taps = a->taps_y * a->taps_x, channels = a->s_columns;
    int columns = a->v_moves ? taps * steps(channels, side) : steps(taps * channels, side), rows = steps(a->v_columns, side);
    divide_pixels(ctx, a, (double)columns * rows);
    v->program = "matmul_bwd_weights";
    v->kernel = "weights_tile";
    snprintf(v->options, sizeof v->options, "%s", group < 16 ? "-DGROUP=8" : "");
    test_params(v, c->dw, "direct", "weights.slice", "128");
    v->grid = GRID3(columns * group, rows * group, a->slices, group, group, 1);
    return may_use(ctx, attempt);
}

bool weights_single_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    c->plan = c->a;
    c->plan.slices = 1;
    c->run = run_direct;
    c->turned = false;
    v->program = "matmul_bwd_weights";
    v->kernel = "weights_single";
    snprintf(v->options, sizeof v->options, "%s", c->dw->layout == MATRIX_PANELS ? "-DPANEL" : "");
    test_params(v, c->dw, "single", "weights.slice", "128");
    v->grid = GRID1(tensor_count(&c->dw->data), MIN((size_t)64, ctx->device.max_work_group));
    return attempt == 0;
}

/* The call as op_winograd_weights.c takes it. */
static struct window_args filtered_args(const struct call *c)
{
    return (struct window_args){.batch = c->a.batch,
                                .height = c->a.height,
                                .width = c->a.width,
                                .in = c->a.s_columns,
                                .out_height = c->a.rows,
                                .out_width = c->a.columns,
                                .taps = c->window->taps,
                                .stride = c->window->stride,
                                .before = c->window->before,
                                .shift = c->a.shift};
}

static clio_status run_filtered(clio_context *ctx, struct arena *arena, const struct call *c, const struct kernel_variant *v)
{
    struct window_args args = filtered_args(c);
    (void)v;
    return winograd_weights(ctx, arena, c->dw, c->dy, c->x, &args, c->add);
}

bool weights_winograd_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct call *c = call;
    if (!c->window)
        return false;
    struct window_args args = filtered_args(c);
    c->run = run_filtered;
    test_params(v, c->dw, "winograd", "conv.winograd.megabytes", "0");
    v->test.kernel_size = 3;
    v->test.batch = 13; /* of 12 tiles each: more than one strip */
    v->test.n = v->test.k = 48;
    return attempt == 0 && winograd_weights_wanted(ctx, c->dw, &args);
}

static clio_status run(clio_context *ctx, struct arena *arena, struct call *c)
{
    clio_status st = CLIO_OK;
    struct kernel_variant v;
    TRY(family_choose(ctx, "weights", c->dw, c, &v));
    TRY(c->run(ctx, arena, c, &v));
fail:
    return st;
}

/* ---- the operations ---- */

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

/* counted, moved: dy and x; for transposed convolutions x and dy. */
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
    struct call c = {.dw = dw, .dy = dy, .x = x, .window = &window, .add = add, .a = window_args(dw, dy, x, &window)};
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
