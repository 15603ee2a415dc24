/* test_op_norm.c - layer norm: both kernel families against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

struct family {
    const char *name, *items;
};
static const struct family families[] = {{"row", "128"}, {"group", "128"}, {"group", "32"}, {"group", "1"}};

static void use(const struct family *f)
{
    test_param("norm.family", f->name);
    test_param("norm.items", f->items);
}

/* Random rows about `offset`; in place when asked. */
static void check(int rows, int n, float offset, bool in_place, double tolerance)
{
    size_t count = (size_t)rows * (size_t)n;
    float *x = malloc(count * sizeof *x), *want = malloc(count * sizeof *want);
    float *gamma = malloc((size_t)n * sizeof *gamma), *beta = malloc((size_t)n * sizeof *beta);
    assert_true(x && want && gamma && beta);
    test_random(x, count, (uint32_t)n);
    test_random(gamma, (size_t)n, 2);
    test_random(beta, (size_t)n, 3);
    for (size_t i = 0; i < count; i++)
        x[i] += offset;
    ref_layer_norm(want, x, gamma, beta, rows, n, 1e-5f);

    struct tensor in = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, x), out = in_place ? in : test_tensor(DTYPE_F32, 2, rows, n, 1, 1, NULL);
    struct tensor g = test_tensor(DTYPE_F32, 1, n, 1, 1, 1, gamma), b = test_tensor(DTYPE_F32, 1, n, 1, 1, 1, beta);
    assert_ok(op_layer_norm_fwd(test_context(), &out, &in, &g, &b, 1e-5f));
    float *y = test_read(&out);
    assert_close(y, want, count, tolerance);
    free(y);
    if (!in_place)
        test_free(&out);
    test_free(&in);
    test_free(&g);
    test_free(&b);
    free(x);
    free(want);
    free(gamma);
    free(beta);
}

static void test_shapes(void **state)
{
    static const int widths[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257, 512, 1021};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t i = 0; i < COUNT(widths) - (test_small() ? 2 : 0); i++)
            check(i % 3 ? 3 : 1, widths[i], 0, i % 2, 1e-5);
        if (!test_small())
            check(1500, 384, 0, false, 1e-5);
    }
}

/* Mean 1000, deviation 0.6: a variance made of E[x^2] - mean^2 has nothing left here. The input itself is exact to 6e-5. */
static void test_far_from_zero(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        check(2, 65, 1000, false, 1e-3);
    }
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    clio_context *ctx = test_context();
    float *x = test_floats(&golden, "layer_norm.x", 360), *want = test_floats(&golden, "layer_norm.y", 360);
    float *w = test_floats(&golden, "layer_norm.w", 24), *b = test_floats(&golden, "layer_norm.b", 24);
    struct tensor in = test_tensor(DTYPE_F32, 3, 3, 5, 24, 1, x), gamma = test_tensor(DTYPE_F32, 1, 24, 1, 1, 1, w);
    struct tensor beta = test_tensor(DTYPE_F32, 1, 24, 1, 1, 1, b);
    for (size_t f = 0; f < COUNT(families); f++) {
        struct tensor out = test_tensor(DTYPE_F32, 3, 3, 5, 24, 1, NULL);
        use(&families[f]);
        assert_ok(op_layer_norm_fwd(ctx, &out, &in, &gamma, &beta, 1e-5f));
        float *y = test_read(&out);
        assert_close(y, want, 360, 1e-5);
        free(y);
        test_free(&out);
    }
    test_free(&in);
    test_free(&gamma);
    test_free(&beta);
    free(x);
    free(want);
    free(w);
    free(b);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor in = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), g = test_tensor(DTYPE_F32, 1, 8, 1, 1, 1, NULL);
    struct tensor seven = test_tensor(DTYPE_F32, 1, 7, 1, 1, 1, NULL), halves = test_tensor(DTYPE_F16, 2, 3, 8, 1, 1, NULL);
    struct tensor nowhere = tensor_shape(DTYPE_F32, 2, 3, 8, 1, 1);
    (void)state;
    assert_fails(op_layer_norm_fwd(ctx, &in, &in, &seven, &g, 1e-5f), CLIO_ERROR_INTERNAL, "gamma is f32 [7], but must be f32 [8]");
    assert_fails(op_layer_norm_fwd(ctx, &halves, &in, &g, &g, 1e-5f), CLIO_ERROR_INTERNAL, "out is f16 [3, 8], but must be f32 [3, 8]");
    assert_fails(op_layer_norm_fwd(ctx, &in, &halves, &g, &g, 1e-5f), CLIO_ERROR_INTERNAL, "must be f32 [*, *]");
    assert_fails(op_layer_norm_fwd(ctx, &nowhere, &in, &g, &g, 1e-5f), CLIO_ERROR_INTERNAL, "no memory");
    test_free(&in);
    test_free(&g);
    test_free(&seven);
    test_free(&halves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_far_from_zero),
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
