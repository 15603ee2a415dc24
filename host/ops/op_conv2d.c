/* op_conv2d.c - 2D convolution with packed weights, and the choice among its kernel families (families.h). Kernels: cl/conv2d_packed.cl (a
 * matmul over a window), cl/winograd.cl and cl/winograd_strided.cl (minimal filtering). */
#include "conv2d.h"
#include "families.h"
#include "gemm.h"

#include <limits.h>
#include <stdio.h>

#define FEW_OUTPUTS 4
#define FEW_PIXELS 4

/* ---- how a family computes the call ---- */

static clio_status run_kernel(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct kernel_variant *v)
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
static clio_status run_with_zeros(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct kernel_variant *v,
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

static clio_status run_panel(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct kernel_variant *v)
{
    return run_with_zeros(ctx, arena, c, v, &c->w->data);
}

/* The weights of the few outputs are packed side by side first. */
static clio_status run_few(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct kernel_variant *v)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct tensor w = tensor_shape(DTYPE_F32, 2, FEW_OUTPUTS, c->g.k, 0, 0);
    TRY(tensor_take(ctx, arena, &w));
    TRY(kernel_get(ctx, v->program, "conv2d_few_weights", v->options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(c->g.k, MIN((size_t)64, ctx->device.max_work_group)), COST(0, 32.0 * c->g.k), ARG_TENSOR(&w),
               ARG_TENSOR(&c->w->data), ARG_VALUE(c->g.k)));
    TRY(run_with_zeros(ctx, arena, c, v, &w));
fail:
    return st;
}

/* The call as op_winograd_strided.c takes it. */
static struct strided_call strided_call(const struct conv2d_call *c)
{
    return (struct strided_call){.out = c->out,
                                 .in = c->in,
                                 .bias = c->bias,
                                 .residual = c->residual,
                                 .w = c->w,
                                 .g = c->g,
                                 .cost = c->cost,
                                 .v = {.batch = c->v.batch,
                                       .height = c->v.height,
                                       .width = c->v.width,
                                       .in = c->v.in,
                                       .out_height = c->v.out_height,
                                       .out_width = c->v.out_width,
                                       .before = c->v.before,
                                       .bias_step = c->v.bias_step,
                                       .tiles_y = (c->v.out_height + 3) / 4,
                                       .tiles_x = (c->v.out_width + 3) / 4}};
}

static clio_status run_strided(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct kernel_variant *v)
{
    struct strided_call s = strided_call(c);
    (void)v;
    return strided_fwd(ctx, arena, &s);
}

static clio_status run_winograd(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct kernel_variant *v)
{
    (void)v;
    return winograd_fwd(ctx, arena, c);
}

/* ---- the families ---- */

void conv_test_params(struct kernel_variant *v, const struct matrix *w, const char *algorithm)
{
    v->test.params[0].key = "gemm.many.family";
    v->test.params[0].value = w->layout == MATRIX_PANELS ? "panel" : "tile";
    v->test.params[1].key = "gemm.large.storage";
    v->test.params[1].value = w->data.dtype == DTYPE_F16 ? "f16" : "f32";
    v->test.params[2].key = "conv.family";
    v->test.params[2].value = algorithm;
}

bool conv_may_use(clio_context *ctx, int attempt)
{
    return attempt == 0 && !params_is(ctx, "conv.family", "single");
}

bool conv_few_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct conv2d_call *c = call;
    conv_test_params(v, c->w, "direct");
    v->test.n = 3;
    v->test.k = 48;
    c->run = run_few;
    v->program = "conv2d_packed";
    v->kernel = "conv2d_few";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d -DPANEL", c->w->data.dtype == DTYPE_F16);
    v->grid = GRID1((c->g.m + FEW_PIXELS - 1) / FEW_PIXELS, 1);
    return conv_may_use(ctx, attempt) && c->g.n <= FEW_OUTPUTS && c->v.in % 16 == 0;
}

bool conv_panel_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct conv2d_call *c = call;
    int mr = params_int(ctx, "conv.panel.rows", 8);
    bool images = tile_of_images(c->v.batch, mr);
    int tiles = images ? (c->v.batch + mr - 1) / mr * c->v.out_height * c->v.out_width : (c->g.m + mr - 1) / mr;
    conv_test_params(v, c->w, "direct");
    v->test.batch = images ? images_to_test(mr) : 0;
    c->run = run_panel;
    v->program = "conv2d_packed";
    v->kernel = "conv2d_panel";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d -DPANEL -DMR=%d%s", c->w->data.dtype == DTYPE_F16, mr, images ? " -DPICTURES" : "");
    v->grid = GRID2(tiles, (c->g.n + PANEL - 1) / PANEL, 1, 1);
    return conv_may_use(ctx, attempt);
}

bool conv_tile_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const int group = square_group(ctx), side = 4 * group; /* work-items, outputs and pixels */
    struct conv2d_call *c = call;
    conv_test_params(v, c->w, "direct");
    c->run = run_kernel;
    v->program = "conv2d_packed";
    v->kernel = "conv2d_tile";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d%s", c->w->data.dtype == DTYPE_F16, group < 16 ? " -DGX=8 -DGY=8" : "");
    v->grid = GRID2((c->g.n + side - 1) / side * group, (c->g.m + side - 1) / side * group, group, group);
    return conv_may_use(ctx, attempt);
}

bool conv_single_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct conv2d_call *c = call;
    conv_test_params(v, c->w, "single");
    c->run = run_kernel;
    v->program = "conv2d_packed";
    v->kernel = "conv2d_single";
    snprintf(v->options, sizeof v->options, "-DW_F16=%d%s", c->w->data.dtype == DTYPE_F16, c->w->layout == MATRIX_PANELS ? " -DPANEL" : "");
    v->grid = GRID2(c->g.n, c->g.m, MIN((size_t)64, ctx->device.max_work_group), 1);
    return attempt == 0;
}

bool conv_strided_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct conv2d_call *c = call;
    struct strided_call s = strided_call(c);
    conv_test_params(v, c->w, "winograd");
    v->test.k = 336; /* more channels than are transformed at a time */
    v->test.kernel_size = 4;
    strided_options(ctx, &s, v->options);
    c->run = run_strided;
    return conv_may_use(ctx, attempt) && c->v.taps == 4 && c->v.stride == 2 && c->v.shift == 0 && strided_wanted(ctx, &s);
}

bool conv_winograd_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    struct conv2d_call *c = call;
    conv_test_params(v, c->w, "winograd");
    v->test.k = 336; /* more channels than are transformed at a time */
    v->test.stride = 1;
    winograd_options(ctx, c, v->options);
    c->run = run_winograd;
    return conv_may_use(ctx, attempt) && winograd_wanted(ctx, c);
}

clio_status conv_end(clio_context *ctx, const char *op, struct conv_end *end, const struct tensor *out, const struct matrix *w, int batch,
                     int channels, int pixels, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    bool each = e->bias && tensor_count(e->bias) != (size_t)w->n;
    if (e->lda || e->a_offset || e->ldc || e->c_offset || e->alpha < 0 || e->alpha > 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: the epilogue's offsets, row lengths and scale are %s's own", op, op);
    if (each && tensor_count(e->bias) != (size_t)batch * (size_t)w->n)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: a bias of %zu numbers for %d images of %d channels", op, tensor_count(e->bias), batch, w->n);
    if (e->residual && tensor_count(e->residual) != tensor_count(out))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: the residual does not have the shape of out", op);
    *end = (struct conv_end){.bias_step = each ? w->n : 0, .bias = e->bias ? e->bias : out, .residual = e->residual ? e->residual : out};
    end->g = (struct gemm_args){.m = pixels,
                                .n = w->n,
                                .k = w->k,
                                .lda = channels,
                                .ldc = w->n,
                                .ldr = w->n,
                                .act = e->act,
                                .alpha = 1,
                                .slope = e->slope,
                                .has_bias = e->bias != NULL,
                                .has_residual = e->residual != NULL};
fail:
    return st;
}

/* Everything about the call, once its shapes fit. */
static clio_status make_call(clio_context *ctx, struct conv2d_call *c, const struct conv2d_window *window, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    struct conv_end end = {0};
    const struct tensor *in = c->in;
    int taps = window->taps, up = window->upsample;
    if (taps < 1 || window->stride < 1 || window->before < 0 || window->after < 0 || up < 1 || up > 2 || c->w->k % (taps * taps))
        FAIL(ctx, CLIO_ERROR_INTERNAL,
             "conv2d: a window of %d x %d, stride %d, padding %d and %d, upsampling %d over %d weights is impossible", taps, taps,
             window->stride, window->before, window->after, up, c->w->k);
    TRY(op_check(ctx, "conv2d", "in", in, DTYPE_F32, 4, -1, -1, -1, c->w->k / (taps * taps)));
    int padding = window->before + window->after;
    c->v = (struct window_args){.batch = in->dim[0],
                                .height = in->dim[1],
                                .width = in->dim[2],
                                .in = in->dim[3],
                                .taps = taps,
                                .stride = window->stride,
                                .before = window->before,
                                .shift = up - 1,
                                .out_height = window_count(in->dim[1] * up + padding, taps, window->stride, 0, 1),
                                .out_width = window_count(in->dim[2] * up + padding, taps, window->stride, 0, 1)};
    TRY(op_check(ctx, "conv2d", "out", c->out, DTYPE_F32, 4, in->dim[0], c->v.out_height, c->v.out_width, c->w->n));
    if ((double)c->v.batch * c->v.out_height * c->v.out_width > INT_MAX || (double)c->v.batch * c->v.height * c->v.width > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d: %d images of %d x %d are too large for one call", c->v.batch, c->v.height, c->v.width);
    TRY(conv_end(ctx, "conv2d", &end, c->out, c->w, c->v.batch, c->v.in, c->v.batch * c->v.out_height * c->v.out_width, e));
    c->g = end.g;
    c->v.bias_step = end.bias_step;
    c->bias = end.bias;
    c->residual = end.residual;
    c->cost = COST(2.0 * (double)c->g.m * c->g.n * c->g.k,
                   4.0 * (double)(tensor_count(in) + tensor_count(c->out)) + (double)dtype_size(c->w->data.dtype) * c->g.n * c->g.k);
fail:
    return st;
}

clio_status conv2d_run(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                       struct conv2d_window window, const struct gemm_epilogue *epilogue, const struct matmul_call *record)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = epilogue ? *epilogue : (struct gemm_epilogue){0};
    struct conv2d_call c = {.out = out, .in = in, .w = w};
    struct kernel_variant v;
    TRY(make_call(ctx, &c, &window, &e));
    if (window.taps == 1 && window.stride == 1 && window.before + window.after == 0 && window.upsample == 1 && !c.v.bias_step) {
        struct matmul_call gemm = {.kind = MATMUL_GEMM, .m = c.g.m, .backward = record ? record->backward : NULL};
        return gemm_run(ctx, out, in, w, c.g.m, &e, record ? &gemm : NULL);
    }
    TRY(matmul_record(ctx, record, out, in, w, epilogue));
    TRY(family_choose(ctx, "conv", w, &c, &v));
    TRY(c.run(ctx, arena, &c, &v));
fail:
    arena_release(arena, mark);
    return st;
}
