/* test_op_matmul.c - products of two activations, both ways of storing the second: against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

static void compare(const float *a, const float *b, const float *want, int batch, int m, int n, int k, bool transpose_b)
{
    struct tensor at = test_tensor(DTYPE_F32, 3, batch, m, k, 1, a), out = test_tensor(DTYPE_F32, 3, batch, m, n, 1, NULL);
    struct tensor bt = test_tensor(DTYPE_F32, 3, batch, transpose_b ? n : k, transpose_b ? k : n, 1, b);
    assert_ok(op_matmul_fwd(test_context(), &out, &at, &bt, transpose_b));
    float *y = test_read(&out);
    assert_close(y, want, (size_t)(batch * m * n), 1e-5);
    free(y);
    test_free(&at);
    test_free(&bt);
    test_free(&out);
}

static void check(int batch, int m, int n, int k)
{
    size_t left = (size_t)(batch * m * k), right = (size_t)(batch * n * k), products = (size_t)(batch * m * n);
    float *a = malloc(left * sizeof *a), *b = malloc(right * sizeof *b), *want = malloc(products * sizeof *want);
    assert_true(a && b && want);
    test_random(a, left, 1);
    test_random(b, right, 2);
    for (int transpose_b = 0; transpose_b < 2; transpose_b++) {
        ref_matmul(want, a, b, batch, m, n, k, transpose_b);
        compare(a, b, want, batch, m, n, k, transpose_b);
    }
    free(a);
    free(b);
    free(want);
}

static void test_shapes(void **state)
{
    static const int sizes[] = {1, 15, 16, 17, 31, 33, 65};
    (void)state;
    check(1, 1, 1, 1);
    check(3, 17, 5, 16);
    check(2, 4, 17, 33);
    if (test_small())
        return;
    for (size_t m = 0; m < COUNT(sizes); m++)
        for (size_t n = 0; n < COUNT(sizes); n++)
            for (size_t k = 0; k < COUNT(sizes); k++)
                check((int)(m + n + k) % 3 + 1, sizes[m], sizes[n], sizes[k]);
}

/* What a GPU hands to CLBlast, single and batched, here on every device. */
static void test_large(void **state)
{
    clio_context *ctx = test_context();
    bool is_cpu = ctx->device.is_cpu;
    (void)state;
    if (test_small())
        return;
    check(2, 111, 101, 97); /* as this device has it */
    ctx->device.is_cpu = false;
    check(1, 111, 101, 97);
    check(3, 103, 127, 89);
    ctx->device.is_cpu = is_cpu;
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    float *a = test_floats(&golden, "matmul.a", 70), *b = test_floats(&golden, "matmul.b", 42),
          *want = test_floats(&golden, "matmul.y", 30);
    compare(a, b, want, 2, 5, 3, 7, false);
    free(a);
    free(b);
    free(want);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor a = test_tensor(DTYPE_F32, 3, 2, 3, 4, 1, NULL), b = test_tensor(DTYPE_F32, 3, 2, 4, 5, 1, NULL);
    struct tensor out = test_tensor(DTYPE_F32, 3, 2, 3, 5, 1, NULL), flat = test_tensor(DTYPE_F32, 2, 6, 4, 1, 1, NULL);
    (void)state;
    assert_ok(op_matmul_fwd(ctx, &out, &a, &b, false));
    assert_fails(op_matmul_fwd(ctx, &out, &a, &b, true), CLIO_ERROR_INTERNAL, "matmul: b is f32 [2, 4, 5]");
    assert_fails(op_matmul_fwd(ctx, &a, &a, &b, false), CLIO_ERROR_INTERNAL, "out is f32 [2, 3, 4], but must be f32 [2, 3, 5]");
    assert_fails(op_matmul_fwd(ctx, &out, &flat, &b, false), CLIO_ERROR_INTERNAL, "a is f32 [6, 4]");
    test_free(&a);
    test_free(&b);
    test_free(&out);
    test_free(&flat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
