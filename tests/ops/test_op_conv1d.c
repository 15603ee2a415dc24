/* test_op_conv1d.c - convolution over time, with one and with 16 elements per work-item in its padding, against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

/* Plan, commit, run: what a model does with its arena. */
static void run(const struct tensor *out, const struct tensor *in, const struct matrix *w, const struct conv1d_args *a,
                const struct gemm_epilogue *epilogue)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    ctx->planning = true;
    assert_ok(op_conv1d_fwd(ctx, &arena, out, in, w, a->taps, a->stride, a->padding, epilogue));
    ctx->planning = false;
    assert_int_equal(arena.used, 0);
    if (a->padding == 0)
        assert_int_equal(arena.peak, 0); /* nothing is copied */
    assert_ok(arena_commit(ctx, &arena, "test arena"));
    assert_ok(op_conv1d_fwd(ctx, &arena, out, in, w, a->taps, a->stride, a->padding, epilogue));
    assert_int_equal(arena.used, 0);
    assert_ok(launch_wait(ctx));
    arena_free(ctx, &arena);
}

static void check(struct conv1d_args a, int act, bool with_bias, bool with_residual)
{
    a.out_length = (a.length + 2 * a.padding - a.taps) / a.stride + 1;
    size_t inputs = (size_t)(a.batch * a.length * a.in), weights = (size_t)(a.out * a.taps * a.in);
    size_t outputs = (size_t)(a.batch * a.out_length * a.out);
    float *x = malloc(inputs * sizeof *x), *w = malloc(weights * sizeof *w), *b = malloc((size_t)a.out * sizeof *b);
    float *want = malloc(outputs * sizeof *want), *r = malloc(outputs * sizeof *r);
    assert_true(x && w && b && want && r);
    test_random(x, inputs, 1);
    test_random(w, weights, 2);
    test_random(b, (size_t)a.out, 3);
    test_random(r, outputs, 4);
    ref_conv1d(want, x, w, with_bias ? b : NULL, &a, act, 0.2f);
    for (size_t i = 0; with_residual && i < outputs; i++)
        want[i] += r[i];

    struct matrix matrix = {0};
    assert_ok(matrix_new(test_context(), &matrix, a.out, a.taps * a.in, true, "test matrix"));
    assert_ok(matrix_fill_floats(test_context(), &matrix, 0, a.out, w));
    struct tensor in = test_tensor(DTYPE_F32, 3, a.batch, a.length, a.in, 1, x), bias = test_tensor(DTYPE_F32, 1, a.out, 1, 1, 1, b);
    struct tensor residual = test_tensor(DTYPE_F32, 3, a.batch, a.out_length, a.out, 1, r);
    struct tensor out = test_tensor(DTYPE_F32, 3, a.batch, a.out_length, a.out, 1, NULL);
    run(&out, &in, &matrix, &a,
        &(struct gemm_epilogue){.bias = with_bias ? &bias : NULL, .residual = with_residual ? &residual : NULL, .act = act, .slope = 0.2f});
    float *y = test_read(&out);
    assert_close(y, want, outputs, matrix.data.dtype == DTYPE_F16 ? 1e-3 : 1e-5);
    free(y);
    test_free(&in);
    test_free(&bias);
    test_free(&residual);
    test_free(&out);
    matrix_free(test_context(), &matrix);
    free(x);
    free(w);
    free(b);
    free(want);
    free(r);
}

static void test_shapes(void **state)
{
    /* batch, length, in, out, taps, stride, padding */
    static const struct conv1d_args cases[] = {
        {1, 1, 1, 1, 1, 1, 0, 0},    {1, 1, 3, 5, 3, 1, 1, 0},    {2, 31, 5, 32, 3, 1, 1, 0},
        {1, 32, 16, 33, 3, 2, 1, 0}, {3, 33, 17, 31, 3, 2, 1, 0}, {1, 64, 7, 64, 5, 3, 2, 0},
        {2, 65, 8, 13, 4, 2, 0, 0},  {2, 10, 4, 6, 1, 1, 0, 0},   {1, 7, 20, 40, 7, 1, 3, 0},
    };
    static const int widths[] = {1, 16}; /* device.simd_width chooses the lanes of the padding: see host/ops/lanes.h */
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        int was = test_context()->device.simd_width;
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(cases); i++)
            check(cases[i], (int)(i % ACT_COUNT), i % 2 == 0, i % 3 == 0);
        test_context()->device.simd_width = was;
    }
    if (!test_small()) {
        check((struct conv1d_args){1, 300, 80, 96, 3, 1, 1, 0}, ACT_GELU, true, false);
        check((struct conv1d_args){1, 300, 96, 96, 3, 2, 1, 0}, ACT_GELU, true, true);
    }
}

/* [a][b][c] to [a][c][b], in fresh memory. */
static float *transposed(const float *x, int a, int b, int c)
{
    float *y = malloc((size_t)(a * b * c) * sizeof *y);
    assert_non_null(y);
    for (int i = 0; i < a; i++)
        for (int j = 0; j < b; j++)
            for (int k = 0; k < c; k++)
                y[(i * c + k) * b + j] = x[(i * b + j) * c + k];
    return y;
}

/* The weight goes in as it is stored, [N, C, taps], as a checkpoint's would. */
static void test_torch(void **state)
{
    struct weights golden = test_operations();
    struct matrix matrix = {0};
    (void)state;
    float *x = test_floats(&golden, "conv1d.0.x", 210), *y = test_floats(&golden, "conv1d.0.y", 132),
          *b = test_floats(&golden, "conv1d.0.b", 6);
    float *rows = transposed(x, 2, 5, 21), *want = transposed(y, 2, 6, 11);
    const struct weight *w = weights_find(&golden, "conv1d.0.w");
    assert_non_null(w);
    assert_ok(matrix_new(test_context(), &matrix, 6, 15, true, "test matrix"));
    assert_ok(matrix_fill(test_context(), &matrix, 0, w));
    struct tensor in = test_tensor(DTYPE_F32, 3, 2, 21, 5, 1, rows), bias = test_tensor(DTYPE_F32, 1, 6, 1, 1, 1, b);
    struct tensor out = test_tensor(DTYPE_F32, 3, 2, 11, 6, 1, NULL);
    run(&out, &in, &matrix, &(struct conv1d_args){.taps = 3, .stride = 2, .padding = 1}, &(struct gemm_epilogue){.bias = &bias});
    float *got = test_read(&out);
    assert_close(got, want, 132, matrix.data.dtype == DTYPE_F16 ? 1e-3 : 1e-5);
    free(got);
    free(x);
    free(y);
    free(b);
    free(rows);
    free(want);
    test_free(&in);
    test_free(&bias);
    test_free(&out);
    matrix_free(test_context(), &matrix);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct matrix matrix = {0};
    struct arena arena = {0};
    struct tensor in = test_tensor(DTYPE_F32, 3, 1, 10, 4, 1, NULL), out = test_tensor(DTYPE_F32, 3, 1, 10, 6, 1, NULL);
    (void)state;
    assert_ok(matrix_new(ctx, &matrix, 6, 12, true, "test matrix"));
    assert_fails(op_conv1d_fwd(ctx, &arena, &out, &in, &matrix, 3, 1, 0, NULL), CLIO_ERROR_INTERNAL, "must be f32 [1, 8, 6]");
    assert_fails(op_conv1d_fwd(ctx, &arena, &out, &in, &matrix, 2, 1, 0, NULL), CLIO_ERROR_INTERNAL, "must be f32 [*, *, 6]");
    assert_fails(op_conv1d_fwd(ctx, &arena, &out, &in, &matrix, 5, 1, 0, NULL), CLIO_ERROR_INTERNAL, "kernel 5 of 12");
    assert_fails(op_conv1d_fwd(ctx, &arena, &out, &in, &matrix, 3, 1, 1, &(struct gemm_epilogue){.lda = 4}), CLIO_ERROR_INTERNAL,
                 "conv1d's own");
    assert_fails(op_conv1d_fwd(ctx, &arena, &out, &in, &matrix, 3, 1, 1, &(struct gemm_epilogue){.residual = &in}), CLIO_ERROR_INTERNAL,
                 "residual");
    test_free(&in);
    test_free(&out);
    matrix_free(ctx, &matrix);
    arena_free(ctx, &arena);
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
