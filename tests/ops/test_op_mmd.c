/* test_op_mmd.c - maximum mean discrepancy: both families of kernels against host/ref, and host/ref against finite differences. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

#include <math.h>

static const struct {
    const char *name, *items;
} families[] = {{"row", "128"}, {"group", "128"}, {"group", "1"}};

static void use(size_t family)
{
    test_param("norm.family", families[family].name);
    test_param("norm.items", families[family].items);
}

/* Rows about `offset`, with as much noise as bandwidths of about 1 want. */
static float *rows_of(int rows, int d, float offset, uint32_t seed)
{
    size_t n = (size_t)rows * (size_t)d;
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    test_random(x, n, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * 1.5f / sqrtf((float)d) + offset;
    return x;
}

static const struct mmd_args mixtures[] = {
    {.form = MMD_RBF, .count = 5, .unbiased = 1, .bandwidths = {0.25f, 0.5f, 1, 2, 4}},
    {.form = MMD_RBF, .count = 1, .bandwidths = {0.7f}},
    {.form = MMD_RATIONAL, .count = 5, .unbiased = 1, .bandwidths = {0.2f, 0.5f, 1, 2, 5}},
    {.form = MMD_RATIONAL, .count = 8, .bandwidths = {0.2f, 0.5f, 1, 2, 5, 1, 1, 1}},
};

static void close_to(const struct tensor *t, const float *before, const float *want, double tolerance)
{
    size_t n = tensor_count(t);
    float *got = test_read(t);
    for (size_t i = 0; before && i < n; i++)
        got[i] -= before[i];
    assert_close(got, want, n, tolerance);
    free(got);
}

static void check(int m, int n, int d, float offset, const struct mmd_args *mixture)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct mmd_args args = *mixture;
    float *x = rows_of(m, d, offset, 1), *y = rows_of(n, d, offset + 0.3f / (float)d, 2), *gx = rows_of(m, d, 0, 3),
          *gy = rows_of(n, d, 0, 4);
    float *before = rows_of(m > n ? m : n, d, 0, 5), *got;
    const float dloss = 2;
    struct tensor tx = test_tensor(DTYPE_F32, 2, m, d, 1, 1, x), ty = test_tensor(DTYPE_F32, 2, n, d, 1, 1, y);
    struct tensor loss = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, NULL), td = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, &dloss);
    struct tensor dx = test_tensor(DTYPE_F32, 2, m, d, 1, 1, NULL), dy = test_tensor(DTYPE_F32, 2, n, d, 1, 1, NULL);
    struct tensor ax = test_tensor(DTYPE_F32, 2, m, d, 1, 1, before), ay = test_tensor(DTYPE_F32, 2, n, d, 1, 1, before);
    arena_grow(ctx, &arena);
    assert_ok(op_mmd_fwd(ctx, &arena, &loss, &tx, &ty, args));
    args.m = m;
    args.n = n;
    args.d = d;
    double want = ref_mmd(x, y, &args);
    got = test_read(&loss);
    /* it is the small difference of three means of up to `count` */
    if (!(fabs((double)*got - want) < 1e-6 * args.count))
        fail_msg("the discrepancy of %d and %d rows of %d is %.9g, expected %.9g", m, n, d, (double)*got, want);
    free(got);
    ref_mmd_bwd(gx, gy, dloss, x, y, &args);
    assert_ok(op_mmd_bwd(ctx, &arena, &dx, &dy, &td, &tx, &ty, *mixture, false, false));
    assert_ok(op_mmd_bwd(ctx, &arena, &ax, NULL, &td, &tx, &ty, *mixture, true, false));
    assert_ok(op_mmd_bwd(ctx, &arena, NULL, &ay, &td, &tx, &ty, *mixture, false, true));
    close_to(&dx, NULL, gx, 5e-5);
    close_to(&dy, NULL, gy, 5e-5);
    close_to(&ax, before, gx, 1e-3); /* to the rounding of `before` */
    close_to(&ay, before, gy, 1e-3);
    float *first = test_read(&dx), *second;
    assert_ok(op_mmd_bwd(ctx, &arena, &dx, NULL, &td, &tx, &ty, *mixture, false, false));
    second = test_read(&dx);
    assert_memory_equal(first, second, tensor_count(&dx) * sizeof *first);
    free(first);
    free(second);
    struct tensor *all[] = {&tx, &ty, &loss, &td, &dx, &dy, &ax, &ay};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    float *arrays[] = {x, y, gx, gy, before};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    arena_free(ctx, &arena);
}

static void test_shapes(void **state)
{
    static const int shapes[][3] = {{2, 2, 1},    {3, 5, 15},   {4, 4, 16},   {7, 9, 17},  {16, 16, 31},
                                    {15, 18, 32}, {17, 16, 33}, {31, 33, 63}, {65, 64, 40}};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        for (size_t i = 0; i < COUNT(shapes) - (test_small() ? 3 : 0); i++)
            for (size_t k = 0; k < COUNT(mixtures); k++)
                if (i < 4 || k == i % COUNT(mixtures))
                    check(shapes[i][0], shapes[i][1], shapes[i][2], 0, &mixtures[k]);
        if (!test_small())
            check(5, 4, 12288, 0, &mixtures[0]);
    }
}

/* Where |x|^2 + |y|^2 - 2 x y would have no digits left; the inputs themselves are exact to 4e-6 here. */
static void test_far_from_zero(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        check(9, 8, 100, 100, &mixtures[0]);
    }
}

static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    struct tape tape;
    struct mmd_args args = mixtures[0];
    float *x = rows_of(5, 12, 0, 1), *y = rows_of(6, 12, 0.1f, 2), gx[60], gy[72];
    const float one = 1;
    struct tensor tx = test_tensor(DTYPE_F32, 3, 5, 4, 3, 1, x), ty = test_tensor(DTYPE_F32, 3, 6, 4, 3, 1, y);
    struct tensor dx = test_tensor(DTYPE_F32, 3, 5, 4, 3, 1, NULL), dy = test_tensor(DTYPE_F32, 3, 6, 4, 3, 1, NULL);
    struct tensor loss = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, NULL), start = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, &one);
    (void)state;
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &tx, &dx, false));
    assert_ok(tape_watch(ctx, &tape, &ty, &dy, false));
    assert_ok(op_mmd_fwd(ctx, &tape.arena, &loss, &tx, &ty, args));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &loss, &start));
    args.m = 5;
    args.n = 6;
    args.d = 12;
    ref_mmd_bwd(gx, gy, 1, x, y, &args);
    close_to(&dx, NULL, gx, 1e-5);
    close_to(&dy, NULL, gy, 1e-5);
    tape_close(&tape);
    struct tensor *all[] = {&tx, &ty, &dx, &dy, &loss, &start};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    free(x);
    free(y);
}

/* The gradients of host/ref: central differences of its values. */
static void test_differences(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(mixtures); k++) {
        struct mmd_args args = mixtures[k];
        float *x = rows_of(4, 3, 0, 1), *y = rows_of(5, 3, 0.2f, 2), gx[12], gy[15];
        args.m = 4;
        args.n = 5;
        args.d = 3;
        for (int i = 0; i < 12; i++)
            x[i] = roundf(x[i] * 256) / 256;
        for (int i = 0; i < 15; i++)
            y[i] = roundf(y[i] * 256) / 256;
        ref_mmd_bwd(gx, gy, 3, x, y, &args);
        for (int i = 0; i < 27; i++) {
            float *at = i < 12 ? &x[i] : &y[i - 12], keep = *at;
            const float h = 0x1p-11f;
            *at = keep + h;
            double high = ref_mmd(x, y, &args);
            *at = keep - h;
            double low = ref_mmd(x, y, &args);
            *at = keep;
            assert_true(fabs((high - low) / (2 * (double)h) * 3 - (double)(i < 12 ? gx[i] : gy[i - 12])) < 2e-5);
        }
        free(x);
        free(y);
    }
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor a = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), b = test_tensor(DTYPE_F32, 2, 3, 7, 1, 1, NULL);
    struct tensor single = test_tensor(DTYPE_F32, 2, 1, 8, 1, 1, NULL), one = test_tensor(DTYPE_F32, 1, 1, 1, 1, 1, NULL);
    struct mmd_args args = mixtures[0];
    (void)state;
    arena_grow(ctx, &arena);
    assert_fails(op_mmd_fwd(ctx, &arena, &one, &a, &b, args), CLIO_ERROR_INTERNAL, "y is f32 [3, 7], but must be f32 [*, 8]");
    assert_fails(op_mmd_fwd(ctx, &arena, &one, &a, &single, args), CLIO_ERROR_INTERNAL,
                 "cannot compare the rows of f32 [3, 8] and f32 [1, 8]");
    assert_fails(op_mmd_bwd(ctx, &arena, &b, NULL, &one, &a, &a, args, false, false), CLIO_ERROR_INTERNAL, "dx is f32 [3, 7]");
    args.bandwidths[1] = 0;
    assert_fails(op_mmd_fwd(ctx, &arena, &one, &a, &a, args), CLIO_ERROR_INTERNAL, "a bandwidth is 0");
    args.count = MMD_KERNELS + 1;
    assert_fails(op_mmd_fwd(ctx, &arena, &one, &a, &a, args), CLIO_ERROR_INTERNAL, "no kernel 0 with 9");
    arena_free(ctx, &arena);
    test_free(&a);
    test_free(&b);
    test_free(&single);
    test_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_far_from_zero), cmocka_unit_test(test_differences),
        cmocka_unit_test(test_tape),   cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
