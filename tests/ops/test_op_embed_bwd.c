/* test_op_embed_bwd.c - the gradients of a table of rows and of positions: against host/ref and torch, and through the tape. */
#include "../support/test_planes.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

struct embedding {
    int batch, length, n, vocab, position, positions; /* positions: rows of their table; 0: none */
    bool add;
};

static void run(const struct embedding *e, const float *dy, const int *ids, const float *first, float **dtable, float **dpositions)
{
    struct tensor g = test_tensor(DTYPE_F32, 3, e->batch, e->length, e->n, 1, dy);
    struct tensor i = test_tensor(DTYPE_I32, 2, e->batch, e->length, 1, 1, ids);
    struct tensor table = test_tensor(DTYPE_F32, 2, e->vocab, e->n, 1, 1, e->add ? first : NULL);
    struct tensor positions = test_tensor(DTYPE_F32, 2, MAX(e->positions, 1), e->n, 1, 1, e->add ? first : NULL);
    PLANNED(op_embed_bwd(ctx, &arena, &table, e->positions ? &positions : NULL, &g, &i, e->position, e->add, e->add));
    *dtable = test_read(&table);
    *dpositions = e->positions ? test_read(&positions) : NULL;
    test_free(&g);
    test_free(&i);
    test_free(&table);
    test_free(&positions);
}

static void check(struct embedding e)
{
    size_t rows = (size_t)(e.batch * e.length), n = (size_t)e.n, table = (size_t)e.vocab * n, places = (size_t)MAX(e.positions, 1) * n;
    float *dy = test_values(rows * n, 1), *first = test_values(table + places, 2), *want = test_new(table), *at = test_new(places);
    float *dtable, *dpositions, *again, *at_again, *random = test_values(rows, (uint32_t)e.vocab);
    int *ids = malloc(rows * sizeof *ids);
    struct embed_args args = {.rows = (int)rows, .n = e.n, .vocab = e.vocab, .position = e.position, .positions = e.length};
    assert_non_null(ids);
    for (size_t i = 0; i < rows; i++) /* half of them one and the same; some outside the table */
        ids[i] = i % 2 ? e.vocab / 2 : (int)(random[i] * 0.6f * (float)e.vocab + 0.55f * (float)e.vocab);
    ref_embed_bwd(want, e.positions ? at : NULL, dy, ids, e.positions, &args);
    if (e.add) {
        plus(want, first, table);
        plus(at, first, places);
    }
    run(&e, dy, ids, first, &dtable, &dpositions);
    run(&e, dy, ids, first, &again, &at_again);
    assert_close(dtable, want, table, 1e-5);
    assert_memory_equal(dtable, again, table * sizeof *again);
    if (e.positions) {
        assert_close(dpositions, at, places, 1e-5);
        assert_memory_equal(dpositions, at_again, places * sizeof *again);
    }
    void *all[] = {dy, first, want, at, dtable, dpositions, again, at_again, random, ids};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

static void test_shapes(void **state)
{
    static const int widths[] = {1, 15, 16, 17, 48, 63, 64, 65, 257};
    (void)state;
    for (size_t i = 0; i < COUNT(widths); i++)
        check((struct embedding){.batch = 1 + (int)i % 3,
                                 .length = 1 + (int)(5 * i),
                                 .n = widths[i],
                                 .vocab = 3 + (int)(7 * i),
                                 .position = (int)i % 2 * 3,
                                 .positions = i % 4 == 3 ? 0 : 5 + (int)(5 * i),
                                 .add = i % 2});
    if (!test_small())
        check((struct embedding){.batch = 4, .length = 448, .n = 384, .vocab = 5003, .positions = 448});
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    struct embedding e = {.batch = 2, .length = 3, .n = 6, .vocab = 10};
    (void)state;
    float *dy = test_floats(&golden, "embedding.dy", 36), *want = test_floats(&golden, "embedding.dw", 60), *dtable, *none;
    float *bits = test_floats(&golden, "embedding.i", 6);
    int ids[6];
    memcpy(ids, bits, sizeof ids);
    run(&e, dy, ids, NULL, &dtable, &none);
    assert_close(dtable, want, 60, 1e-5);
    free(dy);
    free(want);
    free(bits);
    free(dtable);
    weights_close(&golden);
}

/* The table is used twice, as one that is tied does; positions once. */
static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    static const int ids[6] = {2, 0, 2, 1, 9, -1};
    struct embed_args args = {.rows = 6, .n = 5, .vocab = 4, .position = 1, .positions = 3};
    float table[20], places[20], dy[30], want[20], at[20];
    struct tape tape;
    (void)state;
    test_random(table, 20, 1);
    test_random(places, 20, 2);
    test_random(dy, 30, 3);
    ref_embed_bwd(want, at, dy, ids, 4, &args);
    for (int i = 0; i < 20; i++)
        want[i] *= 2;
    struct tensor t = test_tensor(DTYPE_F32, 2, 4, 5, 1, 1, table), p = test_tensor(DTYPE_F32, 2, 4, 5, 1, 1, places);
    struct tensor i = test_tensor(DTYPE_I32, 2, 2, 3, 1, 1, ids), g = test_tensor(DTYPE_F32, 3, 2, 3, 5, 1, dy);
    struct tensor dt = test_tensor(DTYPE_F32, 2, 4, 5, 1, 1, NULL), dp = test_tensor(DTYPE_F32, 2, 4, 5, 1, 1, NULL);
    struct tensor a = g, b = g, sum = g;
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &t, &dt, false));
    assert_ok(tape_watch(ctx, &tape, &p, &dp, false));
    assert_ok(tensor_take(ctx, &tape.arena, &a));
    assert_ok(tensor_take(ctx, &tape.arena, &b));
    assert_ok(tensor_take(ctx, &tape.arena, &sum));
    assert_ok(op_embed_fwd(ctx, &a, &t, &i, &p, 1));
    assert_ok(op_embed_fwd(ctx, &b, &t, &i, NULL, 0));
    assert_ok(op_add_fwd(ctx, &sum, &a, &b, 1, 1));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &sum, &g));
    float *got = test_read(&dt), *got_at = test_read(&dp);
    assert_close(got, want, 20, 1e-5);
    assert_close(got_at, at, 20, 1e-5);
    free(got);
    free(got_at);
    tape_close(&tape);
    struct tensor *all[] = {&t, &p, &i, &g, &dt, &dp};
    for (size_t k = 0; k < COUNT(all); k++)
        test_free(all[k]);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor g = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), ids = test_tensor(DTYPE_I32, 1, 3, 1, 1, 1, NULL);
    struct tensor seven = test_tensor(DTYPE_F32, 2, 4, 7, 1, 1, NULL), table = test_tensor(DTYPE_F32, 2, 4, 8, 1, 1, NULL);
    (void)state;
    assert_fails(op_embed_bwd(ctx, &arena, &seven, NULL, &g, &ids, 0, false, false), CLIO_ERROR_INTERNAL, "dy is f32 [3, 8]");
    assert_fails(op_embed_bwd(ctx, &arena, &table, &seven, &g, &ids, 0, false, false), CLIO_ERROR_INTERNAL, "dpositions is f32 [4, 7]");
    assert_fails(op_embed_bwd(ctx, &arena, &table, &table, &g, &ids, 2, false, false), CLIO_ERROR_INTERNAL, "positions 2 to 4");
    assert_fails(op_embed_bwd(ctx, &arena, NULL, NULL, &g, &ids, 0, false, false), CLIO_ERROR_INTERNAL, "no gradient");
    arena_free(ctx, &arena);
    test_free(&g);
    test_free(&ids);
    test_free(&seven);
    test_free(&table);
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
