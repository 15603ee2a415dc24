/* test_op_embed.c - rows of a table by id, f32 and f16, with and without positions, against host/ref and torch. */
#include "../support/test.h"

#include <limits.h>

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

/* Some ids are outside the table; the table's rows are what its storage can hold. */
static void check(enum dtype dtype, int vocab, int n, int batch, int length, int position, bool with_positions)
{
    int rows = batch * length, places = position + length + 2;
    size_t count = (size_t)rows * (size_t)n;
    float *table = malloc((size_t)vocab * (size_t)n * sizeof *table), *positions = malloc((size_t)places * (size_t)n * sizeof *positions);
    float *want = malloc(count * sizeof *want);
    int *ids = malloc((size_t)rows * sizeof *ids);
    assert_true(table && positions && want && ids);
    test_random(table, (size_t)vocab * (size_t)n, 1);
    test_random(positions, (size_t)places * (size_t)n, 2);
    if (dtype == DTYPE_F16)
        for (int i = 0; i < vocab * n; i++)
            table[i] = half_to_float(float_to_half(table[i]));
    static const int special[] = {0, -1, INT_MIN, INT_MAX};
    for (int r = 0; r < rows; r++)
        ids[r] = r % 5 < 4 ? (r * 7919 + 3) % vocab : special[r / 5 % 4];
    if (rows > 2) {
        ids[1] = vocab;
        ids[2] = vocab - 1;
    }
    struct embed_args args = {.rows = rows, .n = n, .vocab = vocab, .position = position, .positions = with_positions ? length : 0};
    ref_embed(want, table, ids, positions, &args);

    struct tensor t = test_tensor(dtype, 2, vocab, n, 1, 1, table), p = test_tensor(DTYPE_F32, 2, places, n, 1, 1, positions);
    struct tensor i = test_tensor(DTYPE_I32, 2, batch, length, 1, 1, ids), out = test_tensor(DTYPE_F32, 3, batch, length, n, 1, NULL);
    assert_ok(op_embed_fwd(test_context(), &out, &t, &i, with_positions ? &p : NULL, position));
    float *y = test_read(&out);
    assert_close(y, want, count, 1e-6);
    if (rows > 1 && !with_positions)
        for (int c = 0; c < n; c++)
            assert_true(y[n + c] == (rows > 2 ? 0 : want[n + c]));
    free(y);

    /* the same rows without a batch */
    struct tensor flat = tensor_reshape(&i, 1, rows, 1, 1, 1), matrix = tensor_reshape(&out, 2, rows, n, 1, 1);
    if (batch == 1) {
        assert_ok(tensor_zero(test_context(), &out));
        assert_ok(op_embed_fwd(test_context(), &matrix, &t, &flat, with_positions ? &p : NULL, position));
        y = test_read(&out);
        assert_close(y, want, count, 1e-6);
        free(y);
    }
    test_free(&t);
    test_free(&p);
    test_free(&i);
    test_free(&out);
    free(table);
    free(positions);
    free(want);
    free(ids);
}

static void test_shapes(void **state)
{
    static const int widths[] = {1, 31, 32, 33, 63, 64, 65, 127};
    (void)state;
    for (int half_table = 0; half_table < 2; half_table++)
        for (size_t i = 0; i < COUNT(widths); i++) {
            enum dtype dtype = half_table ? DTYPE_F16 : DTYPE_F32;
            check(dtype, 53, widths[i], 1, 1, 0, i % 2);
            check(dtype, 53, widths[i], 3, 4, 7, i % 2);
            check(dtype, 53, widths[i], 1, 13, 0, i % 2 == 0);
        }
    if (!test_small())
        check(DTYPE_F16, 5000, 384, 2, 448, 0, true);
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    float *w = test_floats(&golden, "embedding.w", 60), *i = test_floats(&golden, "embedding.i", 6);
    float *want = test_floats(&golden, "embedding.y", 36);
    struct tensor table = test_tensor(DTYPE_F32, 2, 10, 6, 1, 1, w), ids = test_tensor(DTYPE_I32, 2, 2, 3, 1, 1, i);
    struct tensor out = test_tensor(DTYPE_F32, 3, 2, 3, 6, 1, NULL);
    assert_ok(op_embed_fwd(test_context(), &out, &table, &ids, NULL, 0));
    float *y = test_read(&out);
    assert_close(y, want, 36, 1e-7);
    free(y);
    free(w);
    free(i);
    free(want);
    test_free(&table);
    test_free(&ids);
    test_free(&out);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor table = test_tensor(DTYPE_F32, 2, 10, 6, 1, 1, NULL), ids = test_tensor(DTYPE_I32, 2, 1, 3, 1, 1, NULL);
    struct tensor out = test_tensor(DTYPE_F32, 3, 1, 3, 6, 1, NULL), places = test_tensor(DTYPE_F32, 2, 4, 6, 1, 1, NULL);
    (void)state;
    assert_fails(op_embed_fwd(ctx, &out, &table, &ids, &places, 2), CLIO_ERROR_INTERNAL, "positions 2 to 4 are asked for, but there are 4");
    assert_fails(op_embed_fwd(ctx, &out, &table, &ids, &places, -1), CLIO_ERROR_INTERNAL, "positions -1 to 1");
    assert_fails(op_embed_fwd(ctx, &out, &table, &table, NULL, 0), CLIO_ERROR_INTERNAL, "ids is f32 [10, 6]");
    assert_fails(op_embed_fwd(ctx, &places, &table, &ids, NULL, 0), CLIO_ERROR_INTERNAL, "must be f32 [3, 6]");
    test_free(&table);
    test_free(&ids);
    test_free(&out);
    test_free(&places);
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
