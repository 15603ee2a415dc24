/* test_op_softmax_bwd.c - the gradients of softmax and log-softmax: both kernel families against host/ref and torch, and through the tape.
 */
#include "../support/test_planes.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

static const struct family {
    const char *name, *items;
} families[] = {{"row", "128"}, {"group", "128"}, {"group", "1"}};

static void use(const struct family *f)
{
    test_param("softmax.family", f->name);
    test_param("softmax.items", f->items);
}

static float *run(int rows, int n, const float *dy, const float *y, const float *first, bool logarithm)
{
    struct tensor t = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, y), g = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, dy);
    struct tensor dx = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, first);
    assert_ok(op_softmax_bwd(test_context(), &dx, &g, &t, logarithm, first != NULL));
    float *out = test_read(&dx);
    test_free(&t);
    test_free(&g);
    test_free(&dx);
    return out;
}

static void check(int rows, int n, bool logarithm, bool add)
{
    size_t count = (size_t)rows * (size_t)n;
    float *x = test_values(count, (uint32_t)n), *dy = test_values(count, 2), *first = test_values(count, 3), *y = test_new(count);
    float *want = test_new(count);
    for (size_t i = 0; i < count; i++)
        x[i] *= 5;
    ref_softmax(y, x, rows, n, logarithm);
    ref_softmax_bwd(want, dy, y, rows, n, logarithm);
    if (add)
        plus(want, first, count);
    float *dx = run(rows, n, dy, y, add ? first : NULL, logarithm), *again = run(rows, n, dy, y, add ? first : NULL, logarithm);
    assert_close(dx, want, count, 1e-5);
    assert_memory_equal(dx, again, count * sizeof *dx);
    float *all[] = {x, dy, first, y, want, dx, again};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

static void test_shapes(void **state)
{
    static const int widths[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257, 512, 1021};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t i = 0; i < COUNT(widths) - (test_small() ? 2 : 0); i++) {
            check(i % 3 ? 5 : 1, widths[i], false, i % 2);
            check(i % 3 ? 5 : 1, widths[i], true, i % 2);
        }
        if (!test_small())
            check(300, 1500, true, false);
    }
}

static void test_torch(void **state)
{
    static const char *const names[][3] = {{"softmax.y", "softmax.dy", "softmax.dx"},
                                           {"log_softmax.y", "log_softmax.dy", "log_softmax.dx"}};
    struct weights golden = test_operations();
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (int logarithm = 0; logarithm < 2; logarithm++) {
            float *y = test_floats(&golden, names[logarithm][0], 40), *dy = test_floats(&golden, names[logarithm][1], 40);
            float *want = test_floats(&golden, names[logarithm][2], 40), *dx = run(4, 10, dy, y, NULL, logarithm);
            assert_close(dx, want, 40, 1e-5);
            free(y);
            free(dy);
            free(want);
            free(dx);
        }
    }
    weights_close(&golden);
}

static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    float x[3 * 20], dy[3 * 20], y[3 * 20], want[3 * 20];
    (void)state;
    test_random(x, 60, 1);
    test_random(dy, 60, 2);
    for (int logarithm = 0; logarithm < 2; logarithm++) {
        struct tape tape;
        struct tensor in = test_tensor(DTYPE_F32, 2, 3, 20, 1, 1, x), g = test_tensor(DTYPE_F32, 2, 3, 20, 1, 1, dy);
        struct tensor dx = test_tensor(DTYPE_F32, 2, 3, 20, 1, 1, NULL), out = in;
        ref_softmax(y, x, 3, 20, logarithm);
        ref_softmax_bwd(want, dy, y, 3, 20, logarithm);
        assert_ok(tape_open(ctx, &tape));
        assert_ok(tape_start(ctx, &tape));
        assert_ok(tape_watch(ctx, &tape, &in, &dx, false));
        assert_ok(tensor_take(ctx, &tape.arena, &out));
        assert_ok(op_softmax_fwd(ctx, &out, &in, logarithm));
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &tape, &out, &g));
        float *got = test_read(&dx);
        assert_close(got, want, 60, 1e-5);
        free(got);
        tape_close(&tape);
        test_free(&in);
        test_free(&g);
        test_free(&dx);
    }
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor y = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), seven = test_tensor(DTYPE_F32, 2, 3, 7, 1, 1, NULL);
    (void)state;
    assert_fails(op_softmax_bwd(ctx, &y, &seven, &y, false, false), CLIO_ERROR_INTERNAL, "dy is f32 [3, 7]");
    assert_fails(op_softmax_bwd(ctx, &seven, &y, &y, false, false), CLIO_ERROR_INTERNAL, "dx is f32 [3, 7]");
    test_free(&y);
    test_free(&seven);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_tape),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
