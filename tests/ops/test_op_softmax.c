/* test_op_softmax.c - softmax and log-softmax: both kernel families against host/ref and torch. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

struct family {
    const char *name, *items;
};
static const struct family families[] = {{"row", "128"}, {"group", "128"}, {"group", "32"}, {"group", "1"}};

static void use(const struct family *f)
{
    test_param("softmax.family", f->name);
    test_param("softmax.items", f->items);
}

/* The operation on host numbers; the answer in fresh memory. */
static float *run(const float *x, int rows, int n, bool logarithm, bool in_place)
{
    struct tensor in = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, x), out = in_place ? in : test_tensor(DTYPE_F32, 2, rows, n, 1, 1, NULL);
    assert_ok(op_softmax_fwd(test_context(), &out, &in, logarithm));
    float *y = test_read(&out);
    if (!in_place)
        test_free(&out);
    test_free(&in);
    return y;
}

static void check(int rows, int n, float scale, bool in_place)
{
    size_t count = (size_t)rows * (size_t)n;
    float *x = malloc(count * sizeof *x), *want = malloc(count * sizeof *want);
    assert_true(x && want);
    test_random(x, count, (uint32_t)n);
    for (size_t i = 0; i < count; i++)
        x[i] *= scale;
    for (int logarithm = 0; logarithm < 2; logarithm++) {
        float *y = run(x, rows, n, logarithm, in_place);
        ref_softmax(want, x, rows, n, logarithm);
        assert_close(y, want, count, 1e-5);
        free(y);
    }
    free(x);
    free(want);
}

static void test_shapes(void **state)
{
    static const int widths[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257, 1021};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t i = 0; i < COUNT(widths) - (test_small() ? 1 : 0); i++)
            check(i % 3 ? 3 : 1, widths[i], 4, i % 2);
        if (!test_small() && strcmp(families[f].items, "1") != 0) /* a single f32 sum of so many loses digits */
            check(2, 51865, 8, false);
    }
}

/* Where exp alone would overflow or vanish. */
static void test_range(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        check(2, 37, 1e4f, true);
        check(2, 37, 1e-4f, false);
    }
}

/* Row 0: some -inf, which get nothing; row 1: nothing else, which has no answer; row 2: a NaN, which must not be hidden. */
static void test_infinities(void **state)
{
    enum { N = 35 };
    float x[3 * N], want[N];
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        test_random(x, 3 * N, 5);
        for (int c = 0; c < N; c++) {
            if (c % 3 == 0)
                x[c] = -INFINITY;
            x[N + c] = -INFINITY;
        }
        x[2 * N + 20] = NAN;
        ref_softmax(want, x, 1, N, false);
        float *y = run(x, 3, N, false, false), *logs = run(x, 3, N, true, false);
        assert_close(y, want, N, 1e-5);
        for (int c = 0; c < N; c++) {
            if (c % 3 == 0)
                assert_true(y[c] == 0 && isinf(logs[c]) && logs[c] < 0);
            else
                assert_true(fabsf(expf(logs[c]) - want[c]) < 1e-5f);
            assert_true(isnan(y[N + c]) && isnan(logs[N + c]) && isnan(y[2 * N + c]) && isnan(logs[2 * N + c]));
        }
        free(y);
        free(logs);
    }
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    for (int logarithm = 0; logarithm < 2; logarithm++) {
        float *x = test_floats(&golden, logarithm ? "log_softmax.x" : "softmax.x", 40);
        float *want = test_floats(&golden, logarithm ? "log_softmax.y" : "softmax.y", 40);
        for (size_t f = 0; f < COUNT(families); f++) {
            use(&families[f]);
            float *y = run(x, 4, 10, logarithm, false);
            assert_close(y, want, 40, 1e-5);
            free(y);
        }
        free(x);
        free(want);
    }
    weights_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_infinities),
        cmocka_unit_test(test_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
