/* test_op_matmul_bwd.c - gradients of products of two activations, both ways of storing the second: against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

/* What one operand's gradient is, over memory with anything in it or added to numbers, alone or with the other's. */
static void compare(const float *dy, const float *a, const float *b, const float *const want[2], const int shape[4], bool transpose_b)
{
    int batch = shape[0], m = shape[1], n = shape[2], k = shape[3], rows = transpose_b ? n : k, columns = transpose_b ? k : n;
    size_t count[2] = {(size_t)(batch * m * k), (size_t)(batch * n * k)};
    struct arena arena = {0};
    struct tensor tdy = test_tensor(DTYPE_F32, 3, batch, m, n, 1, dy), ta = test_tensor(DTYPE_F32, 3, batch, m, k, 1, a);
    struct tensor tb = test_tensor(DTYPE_F32, 3, batch, rows, columns, 1, b);
    for (int how = 0; how < 4; how++) { /* bit 0: da is added to; 1: db is; unwanted once each */
        float *before[2], *got[2][2] = {{NULL}};
        bool add[2] = {how & 1, how & 2}, wanted[2] = {how != 2, how != 1};
        for (int i = 0; i < 2; i++) {
            before[i] = malloc(count[i] * sizeof(float));
            assert_non_null(before[i]);
            test_random(before[i], count[i], 9);
        }
        for (int time = 0; time < 2; time++) {
            struct tensor da = test_tensor(DTYPE_F32, 3, batch, m, k, 1, add[0] ? before[0] : NULL);
            struct tensor db = test_tensor(DTYPE_F32, 3, batch, rows, columns, 1, add[1] ? before[1] : NULL);
            assert_ok(op_matmul_bwd(test_context(), &arena, wanted[0] ? &da : NULL, wanted[1] ? &db : NULL, &tdy, &ta, &tb, transpose_b,
                                    add[0], add[1]));
            got[0][time] = test_read(&da);
            got[1][time] = test_read(&db);
            test_free(&da);
            test_free(&db);
        }
        for (int i = 0; i < 2; i++) {
            for (size_t j = 0; j < count[i]; j++)
                before[i][j] = want[i][j] + (add[i] ? before[i][j] : 0);
            if (wanted[i])
                assert_close(got[i][0], before[i], count[i], 1e-5);
            assert_memory_equal(got[i][0], got[i][1], count[i] * sizeof(float));
            free(got[i][0]);
            free(got[i][1]);
            free(before[i]);
        }
    }
    test_free(&tdy);
    test_free(&ta);
    test_free(&tb);
    arena_free(test_context(), &arena);
}

static void check(int batch, int m, int n, int k)
{
    size_t left = (size_t)(batch * m * k), right = (size_t)(batch * n * k), products = (size_t)(batch * m * n);
    float *a = malloc(left * sizeof *a), *b = malloc(right * sizeof *b), *dy = malloc(products * sizeof *dy);
    float *da = malloc(left * sizeof *da), *db = malloc(right * sizeof *db);
    assert_true(a && b && dy && da && db);
    test_random(a, left, 1);
    test_random(b, right, 2);
    test_random(dy, products, 3);
    for (int transpose_b = 0; transpose_b < 2; transpose_b++) {
        ref_matmul_bwd(da, db, dy, a, b, batch, m, n, k, transpose_b);
        compare(dy, a, b, (const float *const[]){da, db}, (const int[]){batch, m, n, k}, transpose_b);
    }
    float *arrays[] = {a, b, dy, da, db};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
}

static void test_shapes(void **state)
{
    static const int sizes[] = {1, 15, 16, 17, 33};
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

/* [rows][columns] of each batch to [columns][rows] */
static void transpose(float *to, const float *from, int batch, int rows, int columns)
{
    for (int i = 0; i < batch * rows * columns; i++)
        to[(i / rows / columns * columns + i % columns) * rows + i / columns % rows] = from[i];
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    float *a = test_floats(&golden, "matmul.a", 70), *b = test_floats(&golden, "matmul.b", 42), *dy = test_floats(&golden, "matmul.dy", 30);
    float *da = test_floats(&golden, "matmul.da", 70), *db = test_floats(&golden, "matmul.db", 42), turned[42], turned_db[42];
    compare(dy, a, b, (const float *const[]){da, db}, (const int[]){2, 5, 3, 7}, false);
    transpose(turned, b, 2, 7, 3);
    transpose(turned_db, db, 2, 7, 3);
    compare(dy, a, turned, (const float *const[]){da, turned_db}, (const int[]){2, 5, 3, 7}, true);
    float *arrays[] = {a, b, dy, da, db};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    weights_close(&golden);
}

/* Through the tape, with b used twice, so that its second gradient is added. */
static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    struct tape tape;
    float x[2][24], dy[12], want[24], da[24], db[24];
    (void)state;
    test_random(x[0], 24, 1);
    test_random(x[1], 24, 2);
    test_random(dy, 12, 3);
    struct tensor a = test_tensor(DTYPE_F32, 3, 2, 3, 4, 1, x[0]), b = test_tensor(DTYPE_F32, 3, 2, 2, 4, 1, x[1]);
    struct tensor tdy = test_tensor(DTYPE_F32, 3, 2, 3, 2, 1, dy), ga = test_tensor(DTYPE_F32, 3, 2, 3, 4, 1, NULL);
    struct tensor gb = test_tensor(DTYPE_F32, 3, 2, 2, 4, 1, NULL), y = test_tensor(DTYPE_F32, 3, 2, 3, 2, 1, NULL);
    struct tensor z = test_tensor(DTYPE_F32, 3, 2, 3, 2, 1, NULL);
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &a, &ga, false));
    assert_ok(tape_watch(ctx, &tape, &b, &gb, false));
    assert_ok(op_matmul_fwd(ctx, &y, &a, &b, true));
    assert_ok(op_matmul_fwd(ctx, &z, &a, &b, true));
    assert_ok(op_add_fwd(ctx, &y, &y, &z, 1, 1));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &y, &tdy));
    tape_close(&tape);
    ref_matmul_bwd(da, db, dy, x[0], x[1], 2, 3, 2, 4, true);
    float *got = test_read(&ga);
    for (int i = 0; i < 24; i++)
        want[i] = 2 * da[i];
    assert_close(got, want, 24, 1e-5);
    free(got);
    got = test_read(&gb);
    for (int i = 0; i < 16; i++)
        want[i] = 2 * db[i];
    assert_close(got, want, 16, 1e-5);
    free(got);
    struct tensor *tensors[] = {&a, &b, &tdy, &ga, &gb, &y, &z};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor a = test_tensor(DTYPE_F32, 3, 2, 3, 4, 1, NULL), b = test_tensor(DTYPE_F32, 3, 2, 4, 5, 1, NULL);
    struct tensor dy = test_tensor(DTYPE_F32, 3, 2, 3, 5, 1, NULL);
    (void)state;
    assert_fails(op_matmul_bwd(ctx, &arena, &a, NULL, &a, &a, &b, false, false, false), CLIO_ERROR_INTERNAL, "dy is f32 [2, 3, 4]");
    assert_fails(op_matmul_bwd(ctx, &arena, &b, NULL, &dy, &a, &b, false, false, false), CLIO_ERROR_INTERNAL, "da is f32 [2, 4, 5]");
    assert_fails(op_matmul_bwd(ctx, &arena, NULL, &a, &dy, &a, &b, false, false, false), CLIO_ERROR_INTERNAL, "db is f32 [2, 3, 4]");
    assert_fails(op_matmul_bwd(ctx, &arena, NULL, &b, &dy, &a, &b, true, false, false), CLIO_ERROR_INTERNAL, "b is f32 [2, 4, 5]");
    test_free(&a);
    test_free(&b);
    test_free(&dy);
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
