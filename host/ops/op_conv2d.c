/* op_conv2d.c - convolution of pictures; kernels in cl/conv2d.cl (any convolution, plain weights), cl/conv2d_packed.cl (a window over
 * packed weights, as a product) and cl/winograd.cl. Of a window, the family that pays serves, or else one that is right on this device. */
#include "selftest.h"
#include "conv2d.h"
#include "gradients.h"
#include "autograd_matmul.h"
#include "tape.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

int window_count(int size, int taps, int stride, int padding, int dilation)
{
    int room = size + 2 * padding - dilation * (taps - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

static clio_status direct_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct conv2d_args *a = (const void *)r->args;
    struct tensor dx, dw, db, dy = tape_given(tape, r, 0), x = tape_value(tape, r, 1), w = tape_value(tape, r, 2);
    bool wants_x = tape_wants(tape, r, 1), wants_w = tape_wants(tape, r, 2), add_x = false, add_w = false, add;
    if (wants_x)
        TRY(tape_grad(ctx, tape, r, 1, &dx, &add_x));
    if (wants_w)
        TRY(tape_grad(ctx, tape, r, 2, &dw, &add_w));
    TRY(op_conv2d_direct_bwd(ctx, wants_x ? &dx : NULL, wants_w ? &dw : NULL, &dy, &x, &w, a->stride, a->padding, a->dilation, a->groups,
                             add_x, add_w));
    if (tape_wants(tape, r, 3)) {
        TRY(tape_grad(ctx, tape, r, 3, &db, &add));
        TRY(op_bias_bwd(ctx, &tape->arena, &db, &dy, add));
    }
fail:
    return st;
}

clio_status direct_args(clio_context *ctx, const char *op, struct conv2d_args *args, const struct tensor *in, const struct tensor *w,
                        int stride, int padding, int dilation, int groups)
{
    clio_status st = CLIO_OK;
    if (stride < 1 || padding < 0 || dilation < 1 || groups < 1)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: stride %d, padding %d, dilation %d or groups %d is impossible", op, stride, padding, dilation,
             groups);
    TRY(op_check(ctx, op, "in", in, DTYPE_F32, 4, -1, -1, -1, -1));
    TRY(op_check(ctx, op, "w", w, DTYPE_F32, 4, -1, -1, -1, in->dim[3] / groups));
    if (in->dim[3] % groups || w->dim[0] % groups)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: %d input and %d output channels do not divide into %d groups", op, in->dim[3], w->dim[0],
             groups);
    *args = (struct conv2d_args){.batch = in->dim[0],
                                 .height = in->dim[1],
                                 .width = in->dim[2],
                                 .in = in->dim[3],
                                 .out = w->dim[0],
                                 .kernel_h = w->dim[1],
                                 .kernel_w = w->dim[2],
                                 .stride = stride,
                                 .padding = padding,
                                 .dilation = dilation,
                                 .groups = groups,
                                 .out_height = window_count(in->dim[1], w->dim[1], stride, padding, dilation),
                                 .out_width = window_count(in->dim[2], w->dim[2], stride, padding, dilation)};
fail:
    return st;
}

clio_status op_conv2d_direct_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct tensor *w,
                                 const struct tensor *bias, int stride, int padding, int dilation, int groups, int act, float slope)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    if (ctx->tape && act != ACT_NONE) { /* each has a gradient of its own */
        TRY(op_conv2d_direct_fwd(ctx, out, in, w, bias, stride, padding, dilation, groups, ACT_NONE, 0));
        return op_activation_fwd(ctx, out, out, act, slope);
    }
    struct conv2d_args args;
    if (act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d: there is no activation %d", act);
    TRY(direct_args(ctx, "conv2d", &args, in, w, stride, padding, dilation, groups));
    if (bias)
        TRY(op_check(ctx, "conv2d", "bias", bias, DTYPE_F32, 1, w->dim[0], 1, 1, 1));
    args.act = act;
    args.has_bias = bias != NULL;
    args.slope = slope;
    TRY(op_check(ctx, "conv2d", "out", out, DTYPE_F32, 4, args.batch, args.out_height, args.out_width, args.out));

    if (ctx->tape) {
        struct tape_record r = {.op = "conv2d", .backward = direct_backward, .t = {*out, *in, *w}, .keep = 1 << 1 | 1 << 2};
        if (bias)
            r.t[3] = *bias;
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }
    int outputs = args.out / groups % 4 == 0 ? 4 : 1;
    double flops = 2.0 * (double)tensor_count(out) * args.kernel_h * args.kernel_w * (args.in / groups);
    double bytes = 4.0 * (double)(tensor_count(in) + tensor_count(out) + tensor_count(w));
    const struct tensor *added = bias ? bias : w; /* w: something valid that is not read */
    TRY(kernel_get(ctx, "conv2d", "conv2d", outputs == 4 ? "-DOUTPUTS=4" : "", &kernel));
    TRY(LAUNCH(ctx, kernel,
               GRID3(args.out_height * args.out_width, args.out / outputs, args.batch, MIN((size_t)64, ctx->device.max_work_group), 1, 1),
               COST(flops, bytes), ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(w), ARG_TENSOR(added), ARG_VALUE(args)));
fail:
    return st;
}

/* ---- a window over packed weights ---- */

/* One way to compute it: a kernel of cl/conv2d_packed.cl, or Winograd's (kernel NULL). */
struct variant {
    const char *path, *family, *kernel;
    char options[128];
    struct grid grid;
    int batch; /* of the check: 0 for a few pictures */
};

#define FEW_OUTPUTS 4
#define FEW_PIXELS 4

static struct variant few_variant(const struct conv2d_call *c)
{
    struct variant v = {.path = "conv.few", .family = "direct", .kernel = "conv2d_few"};
    snprintf(v.options, sizeof v.options, "-DW_F16=%d -DPANEL", c->w->data.dtype == DTYPE_F16);
    v.grid = GRID1((c->g.m + FEW_PIXELS - 1) / FEW_PIXELS, 1);
    return v;
}

static struct variant panel_variant(clio_context *ctx, const struct conv2d_call *c)
{
    int mr = params_int(ctx, "conv.panel.rows", 8);
    struct variant v = {.path = "conv.panel", .family = "direct", .kernel = "conv2d_panel"};
    bool pictures = tile_of_pictures(c->v.batch, mr);
    int tiles = pictures ? (c->v.batch + mr - 1) / mr * c->v.out_height * c->v.out_width : (c->g.m + mr - 1) / mr;
    snprintf(v.options, sizeof v.options, "-DW_F16=%d -DPANEL -DMR=%d%s", c->w->data.dtype == DTYPE_F16, mr, pictures ? " -DPICTURES" : "");
    v.grid = GRID2(tiles, (c->g.n + PANEL - 1) / PANEL, 1, 1);
    v.batch = pictures ? pictures_to_check(mr) : 0;
    return v;
}

static struct variant tile_variant(const struct conv2d_call *c)
{
    const int side = 64, group = 16; /* outputs and pixels, work-items: the defaults of the kernel */
    struct variant v = {.path = "conv.tile", .family = "direct", .kernel = "conv2d_tile"};
    snprintf(v.options, sizeof v.options, "-DW_F16=%d", c->w->data.dtype == DTYPE_F16);
    v.grid = GRID2((c->g.n + side - 1) / side * group, (c->g.m + side - 1) / side * group, group, group);
    return v;
}

static struct variant single_variant(clio_context *ctx, const struct conv2d_call *c)
{
    struct variant v = {.path = "conv.single", .family = "single", .kernel = "conv2d_single"};
    snprintf(v.options, sizeof v.options, "-DW_F16=%d%s", c->w->data.dtype == DTYPE_F16, c->w->layout == MATRIX_PANELS ? " -DPANEL" : "");
    v.grid = GRID2(c->g.n, c->g.m, MIN((size_t)64, ctx->device.max_work_group), 1);
    return v;
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

static struct variant strided_variant(clio_context *ctx, const struct conv2d_call *c)
{
    struct variant v = {.path = "conv.strided", .family = "winograd"};
    struct strided_call s = strided_call(c);
    strided_options(ctx, &s, v.options);
    return v;
}

/* What may serve a call, the first that pays first. */
enum way { WAY_FEW, WAY_STRIDED, WAY_WINOGRAD, WAY_TILES, WAY_SINGLE, WAY_COUNT };

static bool is_way(clio_context *ctx, const struct conv2d_call *c, enum way way)
{
    if (way == WAY_SINGLE || params_is(ctx, "conv.family", "single"))
        return way == WAY_SINGLE;
    if (way == WAY_FEW)
        return c->w->layout == MATRIX_PANELS && c->g.n <= FEW_OUTPUTS && c->v.in % 16 == 0;
    if (way == WAY_STRIDED) {
        struct strided_call s = strided_call(c);
        return c->v.taps == 4 && c->v.stride == 2 && c->v.shift == 0 && strided_wanted(ctx, &s);
    }
    return way != WAY_WINOGRAD || winograd_wanted(ctx, c);
}

static struct variant make_variant(clio_context *ctx, const struct conv2d_call *c, enum way way)
{
    struct variant v = {.path = "conv.winograd", .family = "winograd"};
    if (way != WAY_WINOGRAD)
        return way == WAY_FEW                  ? few_variant(c)
               : way == WAY_STRIDED            ? strided_variant(ctx, c)
               : way == WAY_SINGLE             ? single_variant(ctx, c)
               : c->w->layout == MATRIX_PANELS ? panel_variant(ctx, c)
                                               : tile_variant(c);
    winograd_options(ctx, c, v.options);
    return v;
}

/* The first way that is right on this device. */
static clio_status choose(clio_context *ctx, const struct conv2d_call *c, struct variant *v)
{
    clio_status st = CLIO_OK;
    bool works = false;
    for (int way = 0; way < WAY_COUNT && !works; way++) {
        if (!is_way(ctx, c, (enum way)way))
            continue;
        *v = make_variant(ctx, c, (enum way)way);
        TRY(check_path(ctx,
                       &(struct check){.path = v->path,
                                       .variant = v->options,
                                       .force = {{"gemm.many.family", c->w->layout == MATRIX_PANELS ? "panel" : "tile"},
                                                 {"gemm.large.storage", c->w->data.dtype == DTYPE_F16 ? "f16" : "f32"},
                                                 {"conv.family", v->family}},
                                       .batch = v->batch},
                       &works));
    }
    if (!works)
        TRY(check_none_left(ctx, "convolves pictures"));
fail:
    return st;
}

clio_status conv_end(clio_context *ctx, const char *op, struct conv_end *end, const struct tensor *out, const struct matrix *w, int batch,
                     int channels, int pixels, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    bool each = e->bias && tensor_count(e->bias) != (size_t)w->n;
    if (e->lda || e->a_offset || e->ldc || e->c_offset || e->alpha < 0 || e->alpha > 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: the epilogue's offsets, row lengths and scale are %s's own", op, op);
    if (each && tensor_count(e->bias) != (size_t)batch * (size_t)w->n)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: a bias of %zu numbers for %d pictures of %d channels", op, tensor_count(e->bias), batch, w->n);
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
    struct conv_end end;
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
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv2d: %d pictures of %d x %d are too large for one call", c->v.batch, c->v.height, c->v.width);
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

/* The kernels that read a pixel of zeros beyond the edges. */
static clio_status convolve_panel(clio_context *ctx, struct arena *arena, const struct conv2d_call *c, const struct variant *v)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct tensor zeros = tensor_shape(DTYPE_F32, 1, c->v.in, 0, 0, 0), w = c->w->data;
    TRY(tensor_take(ctx, arena, &zeros));
    TRY(tensor_zero(ctx, &zeros));
    if (strcmp(v->path, "conv.few") == 0) {
        w = tensor_shape(DTYPE_F32, 2, FEW_OUTPUTS, c->g.k, 0, 0);
        TRY(tensor_take(ctx, arena, &w));
        TRY(kernel_get(ctx, "conv2d_packed", "conv2d_few_weights", v->options, &kernel));
        TRY(LAUNCH(ctx, kernel, GRID1(c->g.k, MIN((size_t)64, ctx->device.max_work_group)), COST(0, 32.0 * c->g.k), ARG_TENSOR(&w),
                   ARG_TENSOR(&c->w->data), ARG_VALUE(c->g.k)));
    }
    TRY(kernel_get(ctx, "conv2d_packed", v->kernel, v->options, &kernel));
    TRY(LAUNCH(ctx, kernel, v->grid, c->cost, ARG_TENSOR(c->out), ARG_TENSOR(c->in), ARG_TENSOR(&w), ARG_TENSOR(c->bias),
               ARG_TENSOR(c->residual), ARG_VALUE(c->g), ARG_TENSOR(&zeros), ARG_VALUE(c->v)));
fail:
    return st;
}

clio_status op_conv2d_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                          struct conv2d_window window, const struct gemm_epilogue *epilogue)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = epilogue ? *epilogue : (struct gemm_epilogue){0};
    struct conv2d_call c = {.out = out, .in = in, .w = w};
    struct variant v;
    struct kernel *kernel;
    struct product product = {.kind = PRODUCT_CONV2D, .window = window};
    if (product_comes_apart(ctx, epilogue))
        return product_apart(ctx, arena, &product, out, in, w, epilogue);
    TRY(make_call(ctx, &c, &window, &e));
    if (window.taps == 1 && window.stride == 1 && window.before + window.after == 0 && window.upsample == 1 && !c.v.bias_step)
        return op_gemm_fwd(ctx, out, in, w, c.g.m, &e);
    TRY(product_record(ctx, &product, out, in, w, epilogue));
    TRY(choose(ctx, &c, &v));
    if (strcmp(v.path, "conv.strided") == 0) {
        struct strided_call s = strided_call(&c);
        return strided_fwd(ctx, arena, &s);
    }
    if (!v.kernel)
        return winograd_fwd(ctx, arena, &c);
    if (strcmp(v.path, "conv.panel") == 0 || strcmp(v.path, "conv.few") == 0)
        TRY(convolve_panel(ctx, arena, &c, &v));
    else {
        TRY(kernel_get(ctx, "conv2d_packed", v.kernel, v.options, &kernel));
        TRY(LAUNCH(ctx, kernel, v.grid, c.cost, ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(&w->data), ARG_TENSOR(c.bias),
                   ARG_TENSOR(c.residual), ARG_VALUE(c.g), ARG_VALUE(c.v)));
    }
fail:
    arena_release(arena, mark);
    return st;
}
