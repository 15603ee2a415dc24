/* test_op_conv2d.c - convolution of images, plain and over packed weights in every family, against host/ref and torch. */
#include "test_conv.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

/* The operation on host arrays (NHWC, OHWI), compared with `want`. */
static void compare(const struct conv2d_args *a, const float *x, const float *w, const float *bias, const float *want, double tolerance)
{
    struct tensor in = test_tensor(DTYPE_F32, 4, a->batch, a->height, a->width, a->in, x);
    struct tensor weight = test_tensor(DTYPE_F32, 4, a->out, a->kernel_h, a->kernel_w, a->in / a->groups, w);
    struct tensor b = test_tensor(DTYPE_F32, 1, a->out, 1, 1, 1, bias);
    struct tensor out = test_tensor(DTYPE_F32, 4, a->batch, a->out_height, a->out_width, a->out, NULL);
    assert_ok(op_conv2d_direct_fwd(test_context(), &out, &in, &weight, a->has_bias ? &b : NULL, a->stride, a->padding, a->dilation,
                                   a->groups, a->act, a->slope));
    float *y = test_read(&out);
    assert_close(y, want, tensor_count(&out), tolerance);
    free(y);
    test_free(&in);
    test_free(&weight);
    test_free(&b);
    test_free(&out);
}

static int extent(int size, int taps, const struct conv2d_args *a)
{
    return (size + 2 * a->padding - a->dilation * (taps - 1) - 1) / a->stride + 1;
}

static void check(struct conv2d_args a)
{
    a.out_height = extent(a.height, a.kernel_h, &a);
    a.out_width = extent(a.width, a.kernel_w, &a);
    size_t inputs = (size_t)(a.batch * a.height * a.width * a.in), outputs = (size_t)(a.batch * a.out_height * a.out_width * a.out);
    size_t weights = (size_t)(a.out * a.kernel_h * a.kernel_w * a.in / a.groups);
    float *x = malloc(inputs * sizeof *x), *w = malloc(weights * sizeof *w), *b = malloc((size_t)a.out * sizeof *b);
    float *want = malloc(outputs * sizeof *want);
    assert_true(x && w && b && want);
    test_random(x, inputs, 1);
    test_random(w, weights, 2);
    test_random(b, (size_t)a.out, 3);
    ref_conv2d(want, x, w, b, &a);
    compare(&a, x, w, b, want, 1e-5);
    free(x);
    free(w);
    free(b);
    free(want);
}

static void test_shapes(void **state)
{
    /* batch, height, width, in, out, kernel_h, kernel_w, stride, padding, dilation, groups, (two computed), act, has_bias, slope */
    static const struct conv2d_args cases[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, ACT_NONE, 0, 0},     {1, 1, 1, 3, 4, 3, 3, 1, 1, 1, 1, 0, 0, ACT_NONE, 1, 0},
        {2, 5, 7, 3, 8, 3, 3, 1, 1, 1, 1, 0, 0, ACT_RELU, 1, 0},     {1, 9, 8, 5, 7, 3, 2, 2, 1, 1, 1, 0, 0, ACT_SILU, 0, 0},
        {1, 11, 11, 4, 6, 3, 3, 1, 2, 2, 2, 0, 0, ACT_GELU, 1, 0},   {2, 8, 9, 8, 16, 3, 3, 2, 0, 1, 2, 0, 0, ACT_NONE, 1, 0},
        {1, 7, 7, 6, 6, 3, 3, 1, 1, 1, 6, 0, 0, ACT_TANH, 1, 0},     {1, 6, 6, 6, 24, 3, 3, 1, 1, 1, 6, 0, 0, ACT_LEAKY_RELU, 1, 0.2f},
        {1, 4, 33, 33, 5, 1, 1, 1, 0, 1, 1, 0, 0, ACT_NONE, 1, 0},   {1, 13, 5, 3, 12, 5, 1, 3, 2, 2, 3, 0, 0, ACT_NONE, 1, 0},
        {1, 5, 13, 4, 4, 1, 5, 1, 2, 1, 1, 0, 0, ACT_SIGMOID, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check(cases[i]);
    if (!test_small()) {
        check((struct conv2d_args){1, 31, 33, 32, 64, 3, 3, 1, 1, 1, 1, 0, 0, ACT_SILU, 1, 0});
        check((struct conv2d_args){2, 17, 16, 31, 65, 4, 4, 2, 1, 1, 1, 0, 0, ACT_NONE, 1, 0});
    }
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    for (int i = 0; i < 7; i++) {
        int in[4], w[4], out[4], attributes[4];
        char name[32];
        float *x = test_picture(&golden, in, "conv2d.%d.%s", i, "x"), *weight = test_picture(&golden, w, "conv2d.%d.%s", i, "w"),
              *want = test_picture(&golden, out, "conv2d.%d.%s", i, "y");
        snprintf(name, sizeof name, "conv2d.%d.b", i);
        float *bias = test_floats(&golden, name, (size_t)w[0]);
        snprintf(name, sizeof name, "conv2d.%d.attributes", i);
        float *stored = test_floats(&golden, name, 4);
        memcpy(attributes, stored, sizeof attributes);
        struct conv2d_args a = {
            .batch = in[0], .height = in[2], .width = in[3], .in = in[1], .out = w[0], .kernel_h = w[2], .kernel_w = w[3]};
        a.stride = attributes[0];
        a.padding = attributes[1];
        a.dilation = attributes[2];
        a.groups = attributes[3];
        a.out_height = out[2];
        a.out_width = out[3];
        a.has_bias = 1;
        compare(&a, x, weight, bias, want, 1e-5);
        free(x);
        free(weight);
        free(want);
        free(bias);
        free(stored);
    }
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor in = test_tensor(DTYPE_F32, 4, 1, 4, 4, 6, NULL), w = test_tensor(DTYPE_F32, 4, 8, 3, 3, 6, NULL);
    struct tensor thirds = test_tensor(DTYPE_F32, 4, 8, 3, 3, 2, NULL), out = test_tensor(DTYPE_F32, 4, 1, 4, 4, 8, NULL);
    struct tensor large = test_tensor(DTYPE_F32, 4, 8, 5, 5, 6, NULL);
    (void)state;
    assert_fails(op_conv2d_direct_fwd(ctx, &out, &in, &w, NULL, 1, 0, 1, 1, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "must be f32 [1, 2, 2, 8]");
    assert_fails(op_conv2d_direct_fwd(ctx, &out, &in, &w, NULL, 0, 0, 1, 1, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "stride 0");
    assert_fails(op_conv2d_direct_fwd(ctx, &out, &in, &w, NULL, 1, 1, 1, 2, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "must be f32 [*, *, *, 3]");
    assert_fails(op_conv2d_direct_fwd(ctx, &out, &in, &thirds, NULL, 1, 1, 1, 3, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "into 3 groups");
    assert_fails(op_conv2d_direct_fwd(ctx, &out, &in, &large, NULL, 1, 0, 1, 1, ACT_NONE, 0), CLIO_ERROR_INTERNAL,
                 "must be f32 [1, 0, 0, 8]");
    test_free(&in);
    test_free(&w);
    test_free(&thirds);
    test_free(&out);
    test_free(&large);
}

/* ---- a window over packed weights ---- */

static const struct family families[] = {
    {"direct", "panel", "f32"},   {"direct", "panel", "f16"},  {"direct", "tile", "f32"},  {"direct", "tile", "f16"},
    {"single", "panel", "f16"},   {"single", "tile", "f16"},   {"single", "panel", "f32"}, {"winograd", "panel", "f16"},
    {"winograd", "panel", "f32"}, {"winograd", "tile", "f16"},
};

/* What the window sees of one image: enlarged, with its edges, in fresh memory. */
static float *prepared(const float *x, const struct call *c, int high, int wide)
{
    const struct conv2d_window *w = &c->window;
    float *y = calloc((size_t)(high * wide * c->in), sizeof *y);
    assert_non_null(y);
    for (int row = 0; row < c->height * w->upsample; row++)
        for (int column = 0; column < c->width * w->upsample; column++)
            memcpy(y + ((row + w->before) * wide + column + w->before) * c->in,
                   x + (row / w->upsample * c->width + column / w->upsample) * c->in, (size_t)c->in * sizeof *y);
    return y;
}

static void reference(float *want, const struct call *c, const struct conv2d_args *a, const float *x, const float *w, const float *bias,
                      const float *residual)
{
    size_t inputs = (size_t)(c->height * c->width * c->in), outputs = (size_t)(a->out_height * a->out_width * c->out);
    for (int b = 0; b < c->batch; b++) {
        float *picture = prepared(x + (size_t)b * inputs, c, a->height, a->width);
        ref_conv2d(want + (size_t)b * outputs, picture, w, bias + (c->bias == BIAS_EACH ? b * c->out : 0), a);
        free(picture);
    }
    for (size_t i = 0; c->residual != RESIDUAL_NONE && i < (size_t)c->batch * outputs; i++)
        want[i] += residual[i];
}

/* Plan, commit, run: what a model does with its arena. Returns the bytes of scratch. */
static uint64_t run(const struct tensor *out, const struct tensor *in, const struct matrix *w, struct conv2d_window window,
                    const struct gemm_epilogue *e)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    ctx->planning = true;
    clio_status status = op_conv2d_fwd(ctx, &arena, out, in, w, window, e);
    ctx->planning = false;
    assert_ok(status);
    assert_int_equal(arena.used, 0);
    assert_ok(arena_commit(ctx, &arena, "test arena"));
    assert_ok(op_conv2d_fwd(ctx, &arena, out, in, w, window, e));
    assert_int_equal(arena.used, 0);
    assert_ok(launch_wait(ctx));
    uint64_t bytes = arena.peak;
    arena_free(ctx, &arena);
    return bytes;
}

/* Winograd's sums cancel: what it may lose is measured against what a sum of these numbers usually is. */
static double tolerance(const float *want, size_t n, int k, bool winograd)
{
    double greatest = 1e-3;
    for (size_t i = 0; i < n; i++)
        greatest = fmax(greatest, fabs((double)want[i]));
    return (winograd ? 5e-5 : 1e-5) * fmax(1, 0.3 * sqrt(k) / greatest);
}

/* As strided_wanted has it: tiles of 4 x 4 outputs that are full enough. */
static bool is_strided(const struct conv2d_window *v, int height, int width, int channels)
{
    int tiles = (height + 3) / 4 * ((width + 3) / 4);
    return v->taps == 4 && v->stride == 2 && v->upsample == 1 && channels >= 32 && 37.5 * tiles < 4.0 * height * width;
}

static void check_window(const struct family *f, const struct call *c)
{
    clio_context *ctx = test_context();
    bool f16 = use(f);
    const struct conv2d_window *v = &c->window;
    int k = v->taps * v->taps * c->in;
    struct conv2d_args a = {.batch = 1, .in = c->in, .out = c->out, .kernel_h = v->taps, .kernel_w = v->taps, .stride = v->stride};
    a.dilation = a.groups = 1;
    a.height = c->height * v->upsample + v->before + v->after;
    a.width = c->width * v->upsample + v->before + v->after;
    a.out_height = extent(a.height, v->taps, &a);
    a.out_width = extent(a.width, v->taps, &a);
    a.act = c->act;
    a.slope = 0.2f;
    a.has_bias = c->bias != BIAS_NONE;
    size_t inputs = (size_t)(c->batch * c->height * c->width * c->in), outputs = (size_t)(c->batch * a.out_height * a.out_width * c->out);
    float *x = test_values(inputs, 1), *w = test_values((size_t)(c->out * k), 2), *bias = test_values((size_t)(c->batch * c->out), 3);
    float *residual = test_values(outputs, 4), *want = test_values(outputs, 5);
    struct matrix matrix;
    assert_ok(matrix_new(ctx, &matrix, c->out, k, MATRIX_LARGE, "test matrix"));
    assert_int_equal(matrix.data.dtype, f16 ? DTYPE_F16 : DTYPE_F32);
    assert_int_equal(matrix.layout, strcmp(f->layout, "panel") == 0 ? MATRIX_PANELS : MATRIX_ROWS);
    assert_ok(matrix_fill_floats(ctx, &matrix, 0, c->out, w));
    for (size_t i = 0; f16 && i < (size_t)(c->out * k); i++)
        w[i] = half_to_float(float_to_half(w[i]));
    reference(want, c, &a, x, w, bias, residual);

    struct tensor in = test_tensor(DTYPE_F32, 4, c->batch, c->height, c->width, c->in, x);
    struct tensor b = test_tensor(DTYPE_F32, 2, c->bias == BIAS_EACH ? c->batch : 1, c->out, 1, 1, bias);
    struct tensor r = test_tensor(DTYPE_F32, 4, c->batch, a.out_height, a.out_width, c->out, residual);
    struct tensor apart = test_tensor(DTYPE_F32, 4, c->batch, a.out_height, a.out_width, c->out, NULL);
    struct tensor *out = c->residual == RESIDUAL_IN_PLACE ? &r : &apart;
    struct gemm_epilogue e = {.bias = c->bias != BIAS_NONE ? &b : NULL, .act = c->act, .slope = 0.2f};
    e.residual = c->residual != RESIDUAL_NONE ? &r : NULL;
    uint64_t scratch = run(out, &in, &matrix, *v, &e);
    bool winograd = strcmp(f->family, "winograd") == 0 && matrix.layout == MATRIX_PANELS && c->in % 16 == 0 && c->out > 4 &&
                    ((v->taps == 3 && v->stride == 1) || is_strided(v, a.out_height, a.out_width, c->in));
    assert_int_equal(scratch > 16384, winograd); /* it was the family asked for that answered */
    float *y = test_read(out);
    assert_close(y, want, outputs, tolerance(want, outputs, k, winograd));
    free(y);
    free(test_read(&in)); /* nothing was written into it, or behind it */
    struct tensor *tensors[] = {&in, &b, &r, &apart};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
    float *arrays[] = {x, w, bias, residual, want};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    matrix_free(ctx, &matrix);
}

#define SAME3                                                                                                                              \
    {                                                                                                                                      \
        3, 1, 1, 1, 1                                                                                                                      \
    }

static void test_windows(void **state)
{
    static const struct call calls[] = {
        /* 3 x 3, stride 1: tiles of 4 x 4 outputs, less, more; 32 outputs, less, more; channels that fill no vector */
        {1, 1, 1, 1, 1, SAME3, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        {1, 3, 5, 4, 31, SAME3, BIAS_ALL, RESIDUAL_NONE, ACT_SILU},
        {2, 4, 4, 16, 32, SAME3, BIAS_EACH, RESIDUAL_APART, ACT_NONE},
        {2, 5, 3, 33, 33, SAME3, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_SILU},
        {3, 7, 11, 17, 4, SAME3, BIAS_ALL, RESIDUAL_IN_PLACE, ACT_NONE},
        {1, 13, 9, 3, 65, SAME3, BIAS_NONE, RESIDUAL_APART, ACT_GELU},
        /* enlarged */
        {2, 3, 4, 5, 34, {3, 1, 1, 1, 2}, BIAS_EACH, RESIDUAL_NONE, ACT_NONE},
        {1, 5, 2, 33, 4, {3, 1, 1, 1, 2}, BIAS_ALL, RESIDUAL_IN_PLACE, ACT_TANH},
        {1, 3, 3, 4, 5, {1, 1, 0, 0, 2}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        /* few outputs */
        {2, 5, 7, 48, 4, SAME3, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_TANH},
        {1, 6, 5, 16, 3, {3, 1, 1, 1, 2}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {1, 9, 6, 32, 1, {4, 2, 1, 1, 1}, BIAS_NONE, RESIDUAL_APART, ACT_NONE},
        /* other edges */
        {1, 6, 5, 4, 7, {3, 1, 0, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 6, 7, 5, 6, {3, 1, 2, 0, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_RELU},
        {1, 4, 4, 3, 8, {3, 1, 0, 3, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 6, 7, 16, 6, {3, 1, 2, 0, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_RELU},
        {1, 6, 9, 32, 9, {3, 1, 0, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {1, 4, 4, 16, 8, {3, 1, 0, 3, 2}, BIAS_ALL, RESIDUAL_APART, ACT_NONE},
        /* stride 2, with edges on both sides and on one */
        {1, 8, 8, 33, 33, {3, 2, 0, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 9, 7, 16, 32, {3, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_APART, ACT_LEAKY_RELU},
        {1, 6, 10, 3, 17, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_LEAKY_RELU},
        /* 4 x 4 with stride 2: minimal filtering */
        {2, 8, 8, 32, 33, {4, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_SILU},
        {1, 15, 17, 48, 5, {4, 2, 0, 1, 1}, BIAS_ALL, RESIDUAL_APART, ACT_NONE},
        {9, 16, 14, 32, 40, {4, 2, 2, 2, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        /* others */
        {2, 3, 5, 17, 33, {1, 1, 0, 0, 1}, BIAS_ALL, RESIDUAL_IN_PLACE, ACT_NONE},
        {2, 3, 5, 17, 33, {1, 1, 0, 0, 1}, BIAS_EACH, RESIDUAL_NONE, ACT_SILU},
        {1, 5, 5, 4, 3, {1, 2, 0, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {1, 7, 6, 3, 5, {5, 1, 2, 2, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        {1, 8, 9, 3, 4, {7, 1, 3, 3, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
    };
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = test_small() ? f % 3 : 0; i < COUNT(calls); i += test_small() ? 3 : 1)
            check_window(&families[f], &calls[i]);
}

/* More than one tile of everything. */
static void test_large_windows(void **state)
{
    static const struct call calls[] = {
        {1, 16, 16, 64, 64, SAME3, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 31, 33, 31, 97, SAME3, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_SILU},
        {1, 8, 8, 512, 64, SAME3, BIAS_ALL, RESIDUAL_APART, ACT_NONE},
        {1, 17, 19, 40, 36, {3, 1, 1, 1, 2}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {3, 32, 30, 336, 65, {4, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_NONE, ACT_NONE},
        {67, 9, 8, 33, 36, {3, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_SILU},
        {2, 33, 31, 48, 65, {3, 2, 0, 1, 1}, BIAS_EACH, RESIDUAL_NONE, ACT_NONE},
        {1, 67, 61, 4, 32, SAME3, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
    };
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = 0; i < COUNT(calls) && !test_small(); i++)
            check_window(&families[f], &calls[i]);
}

/* Winograd's way cuts an image into strips, strips into blocks, and channels into chunks: several of each, and rests. */
static void test_strips(void **state)
{
    static const char *const keys[] = {"conv.winograd.rows", "conv.winograd.channels", "conv.winograd.tiles", "conv.winograd.jobs"};
    static const char *const values[][COUNT(keys)] = {
        {"4", "16", "5", "1"}, {"3", "32", "12", "9"}, {"12", "48", "1", "2"}, {"8", "320", "128", "4"}};
    (void)state;
    test_param("conv.winograd.megabytes", "0");
    for (size_t i = 0; i < COUNT(values); i++) {
        for (size_t k = 0; k < COUNT(keys); k++)
            test_param(keys[k], values[i][k]);
        for (size_t f = 0; f < COUNT(families); f++)
            if (strcmp(families[f].family, "winograd") == 0) {
                check_window(&families[f], &(struct call){2, 9, 13, 48, 35, SAME3, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_SILU});
                check_window(&families[f], &(struct call){1, 5, 7, 80, 5, {3, 1, 1, 1, 2}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE});
                if (!test_small()) {
                    check_window(&families[f], &(struct call){1, 57, 49, 16, 97, SAME3, BIAS_ALL, RESIDUAL_NONE, ACT_NONE});
                    check_window(&families[f], &(struct call){2, 8, 9, 336, 64, SAME3, BIAS_ALL, RESIDUAL_APART, ACT_NONE});
                }
            }
    }
    test_param("conv.winograd.megabytes", "4");
}

/* All activations; a window of one row of tiles. */
static void test_epilogue(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (int act = test_small() ? (int)f % 4 : 0; act < ACT_COUNT; act += test_small() ? 4 : 1)
            check_window(&families[f], &(struct call){2, 3, 4, 16, 35, SAME3, (enum bias)(act % 3), (enum residual)(act / 3 % 3), act});
}

static void test_wrong_windows(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct matrix w;
    struct tensor in = test_tensor(DTYPE_F32, 4, 2, 4, 4, 6, NULL), out = test_tensor(DTYPE_F32, 4, 2, 4, 4, 8, NULL);
    struct tensor three = test_tensor(DTYPE_F32, 1, 24, 1, 1, 1, NULL);
    struct conv2d_window same = SAME3, wide = {5, 1, 2, 2, 1}, thrice = {3, 1, 1, 1, 3}, bare = {3, 1, 0, 0, 1};
    (void)state;
    assert_ok(matrix_new(ctx, &w, 8, 54, MATRIX_LARGE, "test matrix"));
    assert_fails(op_conv2d_fwd(ctx, &arena, &out, &in, &w, wide, NULL), CLIO_ERROR_INTERNAL, "5 x 5");
    assert_fails(op_conv2d_fwd(ctx, &arena, &out, &in, &w, thrice, NULL), CLIO_ERROR_INTERNAL, "upsampling 3");
    assert_fails(op_conv2d_fwd(ctx, &arena, &out, &in, &w, bare, NULL), CLIO_ERROR_INTERNAL, "must be f32 [2, 2, 2, 8]");
    assert_fails(op_conv2d_fwd(ctx, &arena, &in, &out, &w, same, NULL), CLIO_ERROR_INTERNAL, "must be f32 [*, *, *, 6]");
    assert_fails(op_conv2d_fwd(ctx, &arena, &out, &in, &w, same, &(struct gemm_epilogue){.bias = &three}), CLIO_ERROR_INTERNAL,
                 "24 numbers");
    assert_fails(op_conv2d_fwd(ctx, &arena, &out, &in, &w, same, &(struct gemm_epilogue){.residual = &in}), CLIO_ERROR_INTERNAL,
                 "residual");
    assert_fails(op_conv2d_fwd(ctx, &arena, &out, &in, &w, same, &(struct gemm_epilogue){.lda = 7}), CLIO_ERROR_INTERNAL, "conv2d's own");
    test_free(&in);
    test_free(&out);
    test_free(&three);
    matrix_free(ctx, &w);
    arena_free(ctx, &arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),   cmocka_unit_test(test_torch),         cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_windows),  cmocka_unit_test(test_large_windows), cmocka_unit_test(test_strips),
        cmocka_unit_test(test_epilogue), cmocka_unit_test(test_wrong_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
