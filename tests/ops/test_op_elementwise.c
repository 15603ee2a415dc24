/* test_op_elementwise.c - activations, sums, gates and tensors side by side, with one and with 16 elements per work-item, against host/ref
 * and torch. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

static const int sizes[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1021, 1024, 5003};
static const int widths[] = {1, 16}; /* device.simd_width chooses the lanes: see host/ops/lanes.h */

static int size_count(void)
{
    return (int)COUNT(sizes) - (test_small() ? 3 : 0);
}

static float *run(const float *x, int n, int act, float slope, bool in_place)
{
    struct tensor in = test_tensor(DTYPE_F32, 1, n, 1, 1, 1, x), out = in_place ? in : test_tensor(DTYPE_F32, 1, n, 1, 1, 1, NULL);
    assert_ok(op_activation_fwd(test_context(), &out, &in, act, slope));
    float *y = test_read(&out);
    if (!in_place)
        test_free(&out);
    test_free(&in);
    return y;
}

static void test_activations(void **state)
{
    static const float scales[] = {1, 6, 30};
    float x[5003], want[5003];
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int act = 0; act < ACT_COUNT; act++)
            for (int i = 0; i < size_count(); i++) {
                int n = sizes[i];
                test_random(x, (size_t)n, (uint32_t)(n + act));
                for (int j = 0; j < n; j++)
                    x[j] *= scales[i % 3];
                ref_activation(want, x, n, act, 0.2f);
                float *y = run(x, n, act, 0.2f, i % 2);
                assert_close(y, want, (size_t)n, 1e-5);
                free(y);
            }
    }
}

/* Far from zero every activation is flat or a line, whatever formula computes it; a NaN stays one. */
static void test_extremes(void **state)
{
    static const float x[20] = {0,  -0.0f, 1e-20f, -1e-20f, 4,  -4,  5.5437f, -5.5437f, 5.6f,  -5.6f,
                                12, -12,   19.9f,  20.1f,   60, -60, 80,      -80,      -1e6f, -1e18f};
    static const float line[4] = {1e6f, 1e18f, 3e38f, 100};
    float nan[17], want[20];
    (void)state;
    for (int i = 0; i < 17; i++)
        nan[i] = NAN;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int act = 0; act < ACT_COUNT; act++) {
            float *y = run(x, 20, act, 0.2f, false);
            ref_activation(want, x, 20, act, 0.2f);
            for (int i = 0; i < 20; i++) /* each on its own scale: the greatest must not hide the others */
                if (!(fabs((double)y[i] - (double)want[i]) <= 2e-6 * fmax(1, fabs((double)want[i]))))
                    fail_msg("activation %d of %g is %g, expected %g", act, (double)x[i], (double)y[i], (double)want[i]);
            free(y);
            y = run(nan, 17, act, 0.2f, false);
            for (int i = 0; i < 17; i++)
                assert_true(isnan(y[i]));
            free(y);
            if (act == ACT_EXP)
                continue;
            y = run(line, 4, act, 0.2f, false);
            ref_activation(want, line, 4, act, 0.2f);
            for (int i = 0; i < 4; i++)
                assert_close(y + i, want + i, 1, 1e-6);
            free(y);
        }
    }
}

static void check_add(int n, int nb, float alpha, float beta, bool in_place)
{
    float *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)nb * sizeof *b), *want = malloc((size_t)n * sizeof *want);
    assert_true(a && b && want);
    test_random(a, (size_t)n, 1);
    test_random(b, (size_t)nb, 2);
    ref_add(want, a, b, n, nb, alpha, beta);
    struct tensor ta = test_tensor(DTYPE_F32, 2, n / nb, nb, 1, 1, a), tb = test_tensor(DTYPE_F32, 1, nb, 1, 1, 1, b);
    struct tensor out = in_place ? ta : test_tensor(DTYPE_F32, 2, n / nb, nb, 1, 1, NULL);
    assert_ok(op_add_fwd(test_context(), &out, &ta, &tb, alpha, beta));
    float *y = test_read(&out);
    assert_close(y, want, (size_t)n, 1e-6);
    free(y);
    if (!in_place)
        test_free(&out);
    test_free(&ta);
    test_free(&tb);
    free(a);
    free(b);
    free(want);
}

static void test_add(void **state)
{
    static const int repeated[] = {1, 5, 15, 16, 17, 48, 512};
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int i = 0; i < size_count(); i++)
            check_add(sizes[i], sizes[i], 1, 1, i % 2);
        for (size_t i = 0; i < COUNT(repeated); i++)
            check_add(7 * repeated[i], repeated[i], -0.5f, 2, i % 2);
    }
}

static void test_clamp(void **state)
{
    static float x[5003], want[5003];
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int i = 0; i < size_count(); i++) {
            int n = sizes[i];
            test_random(x, (size_t)n, (uint32_t)n);
            ref_clamp(want, x, n, -0.5f, 0.25f);
            struct tensor in = test_tensor(DTYPE_F32, 1, n, 1, 1, 1, x), out = i % 2 ? in : test_tensor(DTYPE_F32, 1, n, 1, 1, 1, NULL);
            assert_ok(op_clamp_fwd(test_context(), &out, &in, -0.5f, 0.25f));
            float *y = test_read(&out);
            assert_memory_equal(y, want, (size_t)n * sizeof *y);
            free(y);
            if (i % 2 == 0)
                test_free(&out);
            test_free(&in);
        }
    }
}

static float *run_gated(const float *x, int rows, int n, int act)
{
    struct tensor in = test_tensor(DTYPE_F32, 2, rows, 2 * n, 1, 1, x), out = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, NULL);
    assert_ok(op_gated_fwd(test_context(), &out, &in, act));
    float *y = test_read(&out);
    test_free(&in);
    test_free(&out);
    return y;
}

static void test_gated(void **state)
{
    static const int columns[] = {1, 5, 15, 16, 17, 40, 257, 1280};
    static float x[7 * 2 * 1280], want[7 * 1280];
    (void)state;
    test_random(x, COUNT(x), 5);
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] *= 4;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(columns) - (test_small() ? 2 : 0); i++)
            for (int rows = 1; rows <= 7; rows += 3) {
                static const int acts[] = {ACT_GELU, ACT_SILU, ACT_SIGMOID};
                ref_gated(want, x, rows, columns[i], acts[rows % 3]);
                float *y = run_gated(x, rows, columns[i], acts[rows % 3]);
                assert_close(y, want, (size_t)(rows * columns[i]), 1e-5);
                free(y);
            }
    }
}

static void check_concat(int rows, int na, int nb)
{
    float *a = malloc((size_t)(rows * na) * sizeof *a), *b = malloc((size_t)(rows * nb) * sizeof *b);
    assert_true(a && b);
    test_random(a, (size_t)(rows * na), 1);
    test_random(b, (size_t)(rows * nb), 2);
    struct tensor ta = test_tensor(DTYPE_F32, 3, 1, rows, na, 1, a), tb = test_tensor(DTYPE_F32, 3, 1, rows, nb, 1, b);
    struct tensor out = test_tensor(DTYPE_F32, 3, 1, rows, na + nb, 1, NULL);
    assert_ok(op_concat_fwd(test_context(), &out, &ta, &tb));
    float *y = test_read(&out);
    for (int r = 0; r < rows; r++) {
        assert_memory_equal(y + r * (na + nb), a + r * na, (size_t)na * sizeof *a);
        assert_memory_equal(y + r * (na + nb) + na, b + r * nb, (size_t)nb * sizeof *b);
    }
    free(y);
    free(a);
    free(b);
    test_free(&ta);
    test_free(&tb);
    test_free(&out);
}

static void test_concat(void **state)
{
    static const int columns[] = {1, 7, 16, 17, 33, 320, 641};
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(columns); i++)
            for (size_t j = i % 2; j < COUNT(columns) - (test_small() ? 2 : 0); j += 2)
                check_concat(1 + (int)(i + j), columns[i], columns[j]);
    }
}

/* torch: glu(x) = a sigmoid(b); geglu, as diffusers has it, a gelu(b) */
static void check_gated_torch(const struct weights *golden, const char *name, int act)
{
    char key[32];
    snprintf(key, sizeof key, "%s.x", name);
    float *x = test_floats(golden, key, 40);
    snprintf(key, sizeof key, "%s.y", name);
    float *want = test_floats(golden, key, 20), *y = run_gated(x, 4, 5, act);
    assert_close(y, want, 20, 1e-5);
    free(x);
    free(want);
    free(y);
}

static void test_torch(void **state)
{
    static const struct {
        const char *name;
        int act;
    } cases[] = {{"relu", ACT_RELU}, {"leaky_relu", ACT_LEAKY_RELU}, {"gelu", ACT_GELU}, {"gelu_tanh", ACT_GELU_TANH},
                 {"silu", ACT_SILU}, {"quick_gelu", ACT_QUICK_GELU}, {"tanh", ACT_TANH}, {"sigmoid", ACT_SIGMOID},
                 {"exp", ACT_EXP},   {"softplus", ACT_SOFTPLUS}};
    struct weights golden = test_operations();
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(cases); i++) {
            char name[32];
            snprintf(name, sizeof name, "%s.x", cases[i].name);
            float *x = test_floats(&golden, name, 40);
            snprintf(name, sizeof name, "%s.y", cases[i].name);
            float *want = test_floats(&golden, name, 40), *y = run(x, 40, cases[i].act, 0.2f, false);
            assert_close(y, want, 40, 1e-5);
            free(x);
            free(want);
            free(y);
        }
        check_gated_torch(&golden, "glu", ACT_SIGMOID);
        check_gated_torch(&golden, "geglu", ACT_GELU);
    }
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor a = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), b = test_tensor(DTYPE_F32, 1, 5, 1, 1, 1, NULL);
    (void)state;
    assert_fails(op_add_fwd(ctx, &a, &a, &b, 1, 1), CLIO_ERROR_INTERNAL, "f32 [5] cannot be repeated to f32 [3, 8]");
    assert_fails(op_add_fwd(ctx, &b, &a, &a, 1, 1), CLIO_ERROR_INTERNAL, "out is f32 [5]");
    assert_fails(op_activation_fwd(ctx, &b, &a, ACT_RELU, 0), CLIO_ERROR_INTERNAL, "out is f32 [5]");
    assert_fails(op_activation_fwd(ctx, &a, &a, ACT_COUNT, 0), CLIO_ERROR_INTERNAL, "no activation");
    struct tensor odd = test_tensor(DTYPE_F32, 2, 3, 5, 1, 1, NULL), four = test_tensor(DTYPE_F32, 2, 3, 4, 1, 1, NULL);
    assert_fails(op_clamp_fwd(ctx, &b, &a, 0, 1), CLIO_ERROR_INTERNAL, "out is f32 [5]");
    assert_fails(op_clamp_fwd(ctx, &a, &a, 1, 0), CLIO_ERROR_INTERNAL, "from 1 to 0");
    assert_fails(op_gated_fwd(ctx, &four, &odd, ACT_GELU), CLIO_ERROR_INTERNAL, "f32 [3, 5] cannot be halved");
    assert_fails(op_gated_fwd(ctx, &odd, &a, ACT_GELU), CLIO_ERROR_INTERNAL, "out is f32 [3, 5], but must be f32 [3, 4]");
    assert_fails(op_gated_fwd(ctx, &four, &a, -1), CLIO_ERROR_INTERNAL, "no activation -1");
    assert_fails(op_concat_fwd(ctx, &a, &odd, &four), CLIO_ERROR_INTERNAL, "out is f32 [3, 8], but must be f32 [3, 9]");
    assert_fails(op_concat_fwd(ctx, &a, &a, &b), CLIO_ERROR_INTERNAL, "b is f32 [5]");
    test_free(&odd);
    test_free(&four);
    test_free(&a);
    test_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations), cmocka_unit_test(test_extremes),     cmocka_unit_test(test_add),
        cmocka_unit_test(test_clamp),       cmocka_unit_test(test_gated),        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_torch),       cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
