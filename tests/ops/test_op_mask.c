/* test_op_mask.c - fill rectangles of a batch of matrices, against host/ref: boxes that overlap, are empty, cover everything, or reach over
 * the edge. */
#include "../support/test.h"

#include "../../host/ops/tape.h"
#include "../../host/ref/ref.h"

static void check(int batch, int rows, int columns, int count, const int *boxes)
{
    size_t n = (size_t)batch * (size_t)rows * (size_t)columns;
    struct mask_args args = {.batch = batch, .rows = rows, .columns = columns, .count = count, .value = -2.5f};
    float *want = test_values(n, 1);
    struct tensor x = test_tensor(DTYPE_F32, 3, batch, rows, columns, 1, want),
                  list = test_tensor(DTYPE_I32, 2, count, MASK_BOX, 1, 1, boxes);
    ref_mask(want, boxes, &args);
    assert_ok(op_mask_fwd(test_context(), &x, &list, args.value));
    float *got = test_read(&x);
    assert_memory_equal(got, want, n * sizeof *want);
    free(got);
    free(want);
    test_free(&x);
    test_free(&list);
}

static void test_boxes(void **state)
{
    static const int sides[] = {1, 3, 15, 16, 17, 31, 64, 65, 257};
    (void)state;
    for (size_t i = 0; i < COUNT(sides) - (test_small() ? 3 : 0); i++)
        for (size_t j = 0; j < COUNT(sides) - (test_small() ? 3 : 0); j++) {
            int r = sides[i], c = sides[j];
            const int boxes[][MASK_BOX] = {{0, 0, r, c / 2, c / 2 + 1},     {2, r / 3, r / 2, 0, c}, {2, r / 4, r / 2 + 1, c / 4, c},
                                           {1, r / 2, r / 2, 0, c},         {1, 0, 1, 0, 1},         {0, r - 1, r + 7, c - 1, c + 9},
                                           {3, 0, r, 0, c} /* no sample */, {-1, 0, r, 0, c}};
            check(3, r, c, (int)COUNT(boxes), boxes[0]);
            check(3, r, c, 1, boxes[1]);
        }
    const int all[MASK_BOX] = {0, 0, 33, 0, 17};
    check(1, 33, 17, 1, all);
}

static void test_refusals(void **state)
{
    const int boxes[2 * MASK_BOX] = {0};
    struct tensor x = test_tensor(DTYPE_F32, 3, 1, 4, 4, 1, NULL), list = test_tensor(DTYPE_I32, 2, 2, MASK_BOX, 1, 1, boxes), bad = list;
    struct tape tape;
    (void)state;
    bad = tensor_reshape(&list, 2, MASK_BOX, 2, 0, 0);
    assert_fails(op_mask_fwd(test_context(), &x, &bad, 0), CLIO_ERROR_INTERNAL, "boxes");
    bad = tensor_reshape(&x, 2, 4, 4, 0, 0);
    assert_fails(op_mask_fwd(test_context(), &bad, &list, 0), CLIO_ERROR_INTERNAL, "x");
    bad = tensor_reshape(&list, 2, 0, MASK_BOX, 0, 0);
    assert_fails(op_mask_fwd(test_context(), &x, &bad, 0), CLIO_ERROR_INTERNAL, "i32 [0, 5]");
    assert_ok(tape_open(test_context(), &tape));
    assert_ok(tape_start(test_context(), &tape));
    assert_fails(op_mask_fwd(test_context(), &x, &list, 0), CLIO_ERROR_INTERNAL, "no gradient");
    tape_pause(test_context());
    tape_close(&tape);
    test_free(&x);
    test_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_boxes), cmocka_unit_test_teardown(test_refusals, test_forget_tapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
