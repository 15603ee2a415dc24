/* test_op_elementwise_bwd.c - gradients of activations, gates and tensors side by side, and products, with one and with 16 elements per
 * work-item, against host/ref, torch and differences of the forward. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

static const int sizes[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1021, 1024, 5003};
static const int widths[] = {1, 16}; /* device.simd_width chooses the lanes: see host/ops/lanes.h */
static const float SLOPE = 0.2f;

static int size_count(void)
{
    return (int)COUNT(sizes) - (test_small() ? 3 : 0);
}

/* A result that holds `before` when it is added to, which is taken off again; otherwise nothing. */
static struct tensor result(int rows, int columns, bool add, float before)
{
    int n = rows * columns;
    float *x = test_scaled(n, 1, 0);
    for (int i = 0; i < n; i++)
        x[i] = before;
    struct tensor t = test_tensor(DTYPE_F32, 2, rows, columns, 1, 1, add ? x : NULL);
    free(x);
    return t;
}

static void check_result(struct tensor *t, const float *want, bool add, float before, double tolerance)
{
    size_t n = tensor_count(t);
    float *y = test_read(t);
    for (size_t i = 0; i < n && add; i++)
        y[i] -= before;
    assert_close(y, want, n, tolerance);
    free(y);
    test_free(t);
}

/* What the operation sees of the forward: x, or its result as the device gives it. */
static struct tensor seen(const float *x, int n, int act)
{
    struct tensor in = test_tensor(DTYPE_F32, 2, 1, n, 1, 1, x);
    if (activation_by_result(act))
        assert_ok(op_activation_fwd(test_context(), &in, &in, act, SLOPE));
    return in;
}

static void check_activation(const float *x, const float *dy, const float *want, int n, int act, double tolerance)
{
    for (int add = 0; add < 2; add++) {
        struct tensor from = seen(x, n, act), t = test_tensor(DTYPE_F32, 2, 1, n, 1, 1, dy), out = result(1, n, add, 0.5f);
        assert_ok(op_activation_bwd(test_context(), &out, &t, &from, act, SLOPE, add));
        check_result(&out, want, add, 0.5f, tolerance);
        if (!add) { /* in place */
            assert_ok(op_activation_bwd(test_context(), &t, &t, &from, act, SLOPE, false));
            check_result(&t, want, false, 0, tolerance);
        } else
            test_free(&t);
        test_free(&from);
    }
}

static void test_activations(void **state)
{
    static const float scales[] = {1, 5, 30};
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int act = 0; act < ACT_COUNT; act++)
            for (int i = 0; i < size_count(); i++) {
                int n = sizes[i];
                float *x = test_scaled(n, (uint32_t)(n + act), scales[i % 3]), *dy = test_scaled(n, 3, 1), *want = test_scaled(n, 4, 1);
                ref_activation_bwd(want, dy, x, n, act, SLOPE);
                check_activation(x, dy, want, n, act, 3e-6);
                free(x);
                free(dy);
                free(want);
            }
    }
}

/* Each number on its own scale; far from zero every slope is flat; a NaN stays one. */
static void test_extremes(void **state)
{
    static const float x[24] = {0,   -0.0f, 1e-20f, -1e-20f, 4,   -4, 5.5437f, -5.5437f, 5.6f,   -5.6f, 12,     -12,
                                -25, -18,   19.9f,  20.1f,   -60, 60, 70,      -70,      -1e18f, 1e18f, -3e38f, 3e38f};
    float nan[17], ones[24], want[24];
    (void)state;
    for (int i = 0; i < 24; i++)
        ones[i] = 1;
    for (int i = 0; i < 17; i++)
        nan[i] = NAN;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int act = 0; act < ACT_COUNT; act++) {
            int n = act == ACT_EXP ? 20 : 24;
            ref_activation_bwd(want, ones, x, n, act, SLOPE);
            struct tensor from = seen(x, n, act), t = test_tensor(DTYPE_F32, 2, 1, n, 1, 1, ones);
            assert_ok(op_activation_bwd(test_context(), &t, &t, &from, act, SLOPE, false));
            float *y = test_read(&t);
            for (int i = 0; i < n; i++)
                if (!(fabs((double)y[i] - (double)want[i]) <= 4e-6 * fmax(1, fabs((double)want[i]))))
                    fail_msg("slope of activation %d at %g is %g, expected %g", act, (double)x[i], (double)y[i], (double)want[i]);
            if (act == ACT_SOFTPLUS) /* -18: the slope is small, and its digits count */
                assert_close(y + 13, want + 13, 1, 1e-5);
            free(y);
            test_free(&from);
            test_free(&t);
            if (act == ACT_NONE)
                continue; /* it is not looked at */
            from = test_tensor(DTYPE_F32, 2, 1, 17, 1, 1, nan);
            t = test_tensor(DTYPE_F32, 2, 1, 17, 1, 1, ones);
            assert_ok(op_activation_bwd(test_context(), &t, &t, &from, act, SLOPE, false));
            y = test_read(&t);
            for (int i = 0; i < 17; i++)
                assert_true(isnan(y[i]));
            free(y);
            test_free(&from);
            test_free(&t);
        }
    }
}

/* The reference against differences of the forward's reference, away from corners. */
static void test_differences(void **state)
{
    (void)state;
    for (int act = 0; act < ACT_COUNT; act++)
        for (float x = -3.3f; x < 3.5f; x += 0.37f) {
            float h = 0.01f, up = x + h, down = x - h, one = 1, slope;
            double rise = (double)ref_activate(up, act, SLOPE) - (double)ref_activate(down, act, SLOPE), run = (double)up - (double)down;
            ref_activation_bwd(&slope, &one, &x, 1, act, SLOPE);
            if (fabs(rise / run - (double)slope) > 5e-4 * fmax(1, fabs((double)slope)))
                fail_msg("slope of activation %d at %g: %g, differences say %g", act, (double)x, (double)slope, rise / run);
        }
}

static void check_gated(const float *x, const float *dy, const float *want, int rows, int n, int act)
{
    for (int add = 0; add < 2; add++) {
        struct tensor tx = test_tensor(DTYPE_F32, 2, rows, 2 * n, 1, 1, x), t = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, dy);
        struct tensor out = result(rows, 2 * n, add, -2);
        assert_ok(op_gated_bwd(test_context(), &out, &t, &tx, act, add));
        check_result(&out, want, add, -2, 3e-6);
        test_free(&tx);
        test_free(&t);
    }
}

static void test_gated(void **state)
{
    static const int columns[] = {1, 5, 15, 16, 17, 40, 257, 1280};
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(columns) - (test_small() ? 2 : 0); i++)
            for (int act = 0; act < ACT_COUNT; act++) {
                int rows = 1 + (act + (int)i) % 7, n = columns[i];
                float *x = test_scaled(rows * n * 2, (uint32_t)act, 4), *dy = test_scaled(rows * n, 3, 1),
                      *want = test_scaled(rows * n * 2, 4, 1);
                ref_gated_bwd(want, dy, x, rows, n, act);
                check_gated(x, dy, want, rows, n, act);
                free(x);
                free(dy);
                free(want);
            }
    }
}

static void check_concat(int rows, int n, int width, int first)
{
    float *dy = test_scaled(rows * width, 7, 1), *want = test_scaled(rows * n, 8, 1);
    ref_concat_bwd(want, dy, rows, n, width, first);
    struct tensor t = test_tensor(DTYPE_F32, 2, rows, width, 1, 1, dy);
    for (int add = 0; add < 2; add++) {
        struct tensor out = result(rows, n, add, 1);
        assert_ok(op_concat_bwd(test_context(), &out, &t, first, add));
        check_result(&out, want, add, 1, add ? 1e-6 : 0);
    }
    test_free(&t);
    free(dy);
    free(want);
}

static void test_concat(void **state)
{
    static const int columns[] = {1, 7, 16, 17, 33, 320, 641};
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(columns); i++)
            for (size_t j = i % 2; j < COUNT(columns) - (test_small() ? 2 : 0); j += 2) {
                check_concat(1 + (int)(i + j), columns[i], columns[i] + columns[j], 0);
                check_concat(1 + (int)(i + j), columns[j], columns[i] + columns[j], columns[i]);
            }
        check_concat(3, 5, 12, 4);
    }
}

static void check_multiply(int n, int nb, bool in_place)
{
    float *a = test_scaled(n, 1, 1), *b = test_scaled(nb, 2, 3), *want = test_scaled(n, 3, 1);
    ref_multiply(want, a, b, n, nb);
    struct tensor ta = test_tensor(DTYPE_F32, 2, n / nb, nb, 1, 1, a), tb = test_tensor(DTYPE_F32, 1, nb, 1, 1, 1, b);
    struct tensor out = in_place ? ta : result(n / nb, nb, false, 0);
    assert_ok(op_multiply_fwd(test_context(), &out, &ta, &tb));
    check_result(&out, want, false, 0, 1e-7);
    if (!in_place)
        test_free(&ta);
    test_free(&tb);
    free(a);
    free(b);
    free(want);
}

static void test_multiply(void **state)
{
    static const int repeated[] = {1, 5, 15, 16, 17, 48, 512};
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (int i = 0; i < size_count(); i++)
            check_multiply(sizes[i], sizes[i], i % 2);
        for (size_t i = 0; i < COUNT(repeated); i++)
            check_multiply(7 * repeated[i], repeated[i], i % 2);
    }
}

/* out = a b on a tape: da = dy b, db = the sums of dy a over its repetitions; and a square, a = b. */
static void check_multiply_tape(int rows, int nb, bool square)
{
    clio_context *ctx = test_context();
    int n = rows * nb;
    float *a = test_scaled(n, 1, 1), *b = test_scaled(n, 2, 3), *dy = test_scaled(n, 3, 1), *da = test_scaled(n, 4, 0),
          *db = test_scaled(nb, 5, 0);
    struct tensor ta = test_tensor(DTYPE_F32, 2, rows, nb, 1, 1, a), tb = test_tensor(DTYPE_F32, 1, nb, 1, 1, 1, b);
    struct tensor ga = result(rows, nb, false, 0), gb = test_tensor(DTYPE_F32, 1, nb, 1, 1, 1, NULL);
    struct tensor ty = test_tensor(DTYPE_F32, 2, rows, nb, 1, 1, dy), out = result(rows, nb, false, 0);
    struct tape tape;
    for (int i = 0; i < n; i++) {
        da[i] = dy[i] * (square ? 2 * a[i] : b[i % nb]);
        db[i % nb] += dy[i] * a[i];
    }
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &ta, &ga, false));
    assert_ok(tape_watch(ctx, &tape, &tb, &gb, false));
    assert_ok(op_multiply_fwd(ctx, &out, &ta, square ? &ta : &tb));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &out, &ty));
    tape_close(&tape);
    check_result(&ga, da, false, 0, 3e-6);
    if (square)
        test_free(&gb);
    else
        check_result(&gb, db, false, 0, 3e-6);
    test_free(&ta);
    test_free(&tb);
    test_free(&ty);
    test_free(&out);
    free(a);
    free(b);
    free(dy);
    free(da);
    free(db);
}

static void test_multiply_tape(void **state)
{
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        check_multiply_tape(1, 37, false);
        check_multiply_tape(5, 17, false);
        check_multiply_tape(3, 16, true);
    }
}

static float *part(const struct weights *golden, const char *name, const char *what, size_t count)
{
    char key[32];
    snprintf(key, sizeof key, "%s.%s", name, what);
    return test_floats(golden, key, count);
}

static void test_torch(void **state)
{
    static const struct {
        const char *name;
        int act;
        bool gated;
    } cases[] = {
        {"relu", ACT_RELU, false}, {"leaky_relu", ACT_LEAKY_RELU, false}, {"gelu", ACT_GELU, false},  {"gelu_tanh", ACT_GELU_TANH, false},
        {"silu", ACT_SILU, false}, {"quick_gelu", ACT_QUICK_GELU, false}, {"tanh", ACT_TANH, false},  {"sigmoid", ACT_SIGMOID, false},
        {"exp", ACT_EXP, false},   {"softplus", ACT_SOFTPLUS, false},     {"glu", ACT_SIGMOID, true}, {"geglu", ACT_GELU, true}};
    struct weights golden = test_operations();
    (void)state;
    for (size_t lanes = 0; lanes < COUNT(widths); lanes++) {
        test_context()->device.simd_width = widths[lanes];
        for (size_t i = 0; i < COUNT(cases); i++) {
            float *x = part(&golden, cases[i].name, "x", 40), *want = part(&golden, cases[i].name, "dx", 40);
            float *dy = part(&golden, cases[i].name, "dy", cases[i].gated ? 20 : 40);
            if (cases[i].gated)
                check_gated(x, dy, want, 4, 5, cases[i].act);
            else
                check_activation(x, dy, want, 40, cases[i].act, 3e-6);
            free(x);
            free(want);
            free(dy);
        }
    }
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor a = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), b = test_tensor(DTYPE_F32, 1, 5, 1, 1, 1, NULL);
    struct tensor four = test_tensor(DTYPE_F32, 2, 3, 4, 1, 1, NULL);
    (void)state;
    assert_fails(op_activation_bwd(ctx, &b, &a, &a, ACT_RELU, 0, false), CLIO_ERROR_INTERNAL, "dx is f32 [5]");
    assert_fails(op_activation_bwd(ctx, &a, &a, &four, ACT_RELU, 0, false), CLIO_ERROR_INTERNAL, "f32 [3, 4]");
    assert_fails(op_activation_bwd(ctx, &a, &a, &a, ACT_COUNT, 0, false), CLIO_ERROR_INTERNAL, "no activation");
    assert_fails(op_activation_bwd(ctx, &a, &a, &a, ACT_LEAKY_RELU, -1, false), CLIO_ERROR_INTERNAL, "leaky relu with the slope -1");
    assert_fails(op_gated_bwd(ctx, &a, &a, &a, ACT_GELU, false), CLIO_ERROR_INTERNAL, "must be f32 [3, 16]");
    assert_fails(op_gated_bwd(ctx, &a, &four, &a, -1, false), CLIO_ERROR_INTERNAL, "no activation -1");
    assert_fails(op_concat_bwd(ctx, &four, &a, 5, false), CLIO_ERROR_INTERNAL, "4 columns from column 5 of f32 [3, 8]");
    assert_fails(op_concat_bwd(ctx, &four, &a, -1, false), CLIO_ERROR_INTERNAL, "from column -1");
    assert_fails(op_multiply_fwd(ctx, &a, &a, &b), CLIO_ERROR_INTERNAL, "f32 [5] cannot be repeated to f32 [3, 8]");
    test_free(&a);
    test_free(&b);
    test_free(&four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),   cmocka_unit_test(test_extremes), cmocka_unit_test(test_differences),
        cmocka_unit_test(test_gated),         cmocka_unit_test(test_concat),   cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_multiply_tape), cmocka_unit_test(test_torch),    cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
