/* test_op_conv2d.c - convolution of pictures against host/ref and torch. */
#include "test.h"

#include "../host/ops/ops.h"
#include "../host/ref/ref.h"

/* The operation on host arrays (NHWC, OHWI), compared with `want`. */
static void compare(const struct conv2d_args *a, const float *x, const float *w, const float *bias, const float *want, double tolerance)
{
    struct tensor in = test_tensor(DTYPE_F32, 4, a->batch, a->height, a->width, a->in, x);
    struct tensor weight = test_tensor(DTYPE_F32, 4, a->out, a->kernel_h, a->kernel_w, a->in / a->groups, w);
    struct tensor b = test_tensor(DTYPE_F32, 1, a->out, 1, 1, 1, bias);
    struct tensor out = test_tensor(DTYPE_F32, 4, a->batch, a->out_height, a->out_width, a->out, NULL);
    assert_ok(op_conv2d_fwd(test_context(), &out, &in, &weight, a->has_bias ? &b : NULL, a->stride, a->padding, a->dilation, a->groups,
                            a->act, a->slope));
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

/* [a][b][h][w] to [a][h][w][b], in fresh memory. */
static float *channels_last(const float *x, const int dim[4])
{
    int a = dim[0], b = dim[1], pixels = dim[2] * dim[3];
    float *y = malloc((size_t)(a * b * pixels) * sizeof *y);
    assert_non_null(y);
    for (int i = 0; i < a; i++)
        for (int j = 0; j < b; j++)
            for (int p = 0; p < pixels; p++)
                y[(i * pixels + p) * b + j] = x[(i * b + j) * pixels + p];
    return y;
}

/* conv2d.<i>.<part> of the golden file with channels last, and its shape as stored. */
static float *picture(const struct weights *golden, int i, const char *part, int dim[4])
{
    char name[32];
    snprintf(name, sizeof name, "conv2d.%d.%s", i, part);
    const struct weight *stored = weights_find(golden, name);
    assert_non_null(stored);
    assert_int_equal(stored->ndim, 4);
    memcpy(dim, stored->dim, 4 * sizeof *dim);
    float *x = test_floats(golden, name, stored->count), *y = channels_last(x, dim);
    free(x);
    return y;
}

static void test_torch(void **state)
{
    const char *path = test_golden("operations/golden.safetensors");
    struct weights golden = {0};
    (void)state;
    if (!path)
        skip();
    assert_ok(weights_open(test_context(), &golden, path, "model"));
    for (int i = 0; i < 7; i++) {
        int in[4], w[4], out[4], attributes[4];
        char name[32];
        float *x = picture(&golden, i, "x", in), *weight = picture(&golden, i, "w", w), *want = picture(&golden, i, "y", out);
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
    assert_fails(op_conv2d_fwd(ctx, &out, &in, &w, NULL, 1, 0, 1, 1, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "must be f32 [1, 2, 2, 8]");
    assert_fails(op_conv2d_fwd(ctx, &out, &in, &w, NULL, 0, 0, 1, 1, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "stride 0");
    assert_fails(op_conv2d_fwd(ctx, &out, &in, &w, NULL, 1, 1, 1, 2, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "must be f32 [*, *, *, 3]");
    assert_fails(op_conv2d_fwd(ctx, &out, &in, &thirds, NULL, 1, 1, 1, 3, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "into 3 groups");
    assert_fails(op_conv2d_fwd(ctx, &out, &in, &large, NULL, 1, 0, 1, 1, ACT_NONE, 0), CLIO_ERROR_INTERNAL, "must be f32 [1, 0, 0, 8]");
    test_free(&in);
    test_free(&w);
    test_free(&thirds);
    test_free(&out);
    test_free(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
