/* test_op_batch_norm.c - batch norm and its gradient: both kernel families against host/ref and torch, running statistics. */
#include "../support/test_planes.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

#include <math.h>

static const struct family {
    const char *name, *items;
} families[] = {{"row", "128"}, {"group", "128"}, {"group", "1"}};

static void use(const struct family *f)
{
    test_param("norm.family", f->name);
    test_param("norm.items", f->items);
}

/* Inputs on the host, and what came out. `first`: what dx, dgamma, dbeta held where they are added to. */
struct batch {
    int rows, n;
    float *x, *gamma, *beta, *dy, *first;
    bool add;
    float *y, *statistics, *mean, *var, *dx, *dgamma, *dbeta; /* mean, var: the running ones, also on the way in */
};

static struct tensor matrix(const struct batch *b, const float *data)
{
    return test_tensor(DTYPE_F32, 2, b->rows, b->n, 1, 1, data);
}

static struct tensor vector(const struct batch *b, const float *data)
{
    return test_tensor(DTYPE_F32, 1, b->n, 1, 1, 1, data);
}

static void replace(float **old, struct tensor *t)
{
    float *now = test_read(t);
    free(*old);
    *old = now;
    test_free(t);
}

/* Forward and backward on the device. */
static void run(struct batch *b)
{
    struct tensor x = matrix(b, b->x), gamma = vector(b, b->gamma), beta = vector(b, b->beta), mean = vector(b, b->mean);
    struct tensor var = vector(b, b->var), y = matrix(b, NULL), dy = matrix(b, b->dy), dx = matrix(b, b->add ? b->first : NULL);
    struct tensor dgamma = vector(b, b->add ? b->first : NULL), dbeta = vector(b, b->add ? b->first : NULL);
    struct tensor statistics = test_tensor(DTYPE_F32, 2, 2, b->n, 1, 1, NULL);
    PLANNED(op_batch_norm_fwd(ctx, &arena, &y, &x, &gamma, &beta, &mean, &var, &statistics, 1e-5f, 0.1f, true));
    PLANNED(op_batch_norm_bwd(ctx, &arena, &dx, &dgamma, &dbeta, &dy, &x, &gamma, &statistics, b->add, b->add));
    replace(&b->y, &y);
    replace(&b->mean, &mean);
    replace(&b->var, &var);
    replace(&b->dx, &dx);
    replace(&b->dgamma, &dgamma);
    replace(&b->dbeta, &dbeta);
    replace(&b->statistics, &statistics);
    test_free(&x);
    test_free(&gamma);
    test_free(&beta);
    test_free(&dy);
}

static struct batch batch_new(int rows, int n, float offset)
{
    size_t count = (size_t)rows * (size_t)n, columns = (size_t)n;
    struct batch b = {.rows = rows, .n = n};
    b.x = test_values(count, (uint32_t)(rows + n));
    b.dy = test_values(count, (uint32_t)(rows + n + 1));
    b.first = test_values(count + columns, 7);
    b.gamma = test_values(columns, 2);
    b.beta = test_values(columns, 3);
    b.mean = test_values(columns, 4);
    b.var = test_values(columns, 5);
    for (size_t i = 0; i < count; i++) {
        float c = (float)(i % columns) / (float)columns;
        b.x[i] = b.x[i] * (0.5f + c) + offset + 2 * c;
    }
    for (size_t c = 0; c < columns; c++)
        b.var[c] = 1.5f + b.var[c];
    return b;
}

static void batch_free(struct batch *b)
{
    float *all[] = {b->x, b->gamma, b->beta, b->dy, b->first, b->y, b->statistics, b->mean, b->var, b->dx, b->dgamma, b->dbeta};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

/* tolerance: of everything but dgamma, which is a sum of products with the differences that tolerance speaks of. */
static void check(int rows, int n, float offset, bool add, double tolerance)
{
    struct batch b = batch_new(rows, n, offset), again = batch_new(rows, n, offset);
    size_t count = (size_t)rows * (size_t)n, columns = (size_t)n;
    struct batch want = batch_new(rows, n, offset);
    want.y = test_new(count);
    want.dx = test_new(count);
    want.statistics = test_new(2 * columns);
    want.dgamma = test_new(columns);
    want.dbeta = test_new(columns);
    b.add = again.add = add;
    run(&b);
    run(&again);
    ref_batch_norm(want.y, want.statistics, want.mean, want.var, want.x, want.gamma, want.beta, rows, n, 1e-5f, 0.1f, true);
    ref_batch_norm_bwd(want.dx, want.dgamma, want.dbeta, want.dy, want.x, want.gamma, rows, n, 1e-5f);
    if (add) {
        plus(want.dx, b.first, count);
        plus(want.dgamma, b.first, columns);
        plus(want.dbeta, b.first, columns);
    }
    assert_close(b.y, want.y, count, tolerance);
    assert_close(b.statistics, want.statistics, columns, 1e-6);
    assert_close(b.statistics + columns, want.statistics + columns, columns, tolerance);
    assert_close(b.mean, want.mean, columns, 1e-6);
    assert_close(b.var, want.var, columns, tolerance);
    assert_close(b.dx, want.dx, count, rows == 2 ? MAX(1e-3, tolerance) : 3 * tolerance); /* of two rows nothing but rounding is left */
    assert_close(b.dgamma, want.dgamma, columns, 3 * tolerance);
    assert_close(b.dbeta, want.dbeta, columns, 2e-5);
    assert_memory_equal(b.y, again.y, count * sizeof(float)); /* the same bits every time */
    assert_memory_equal(b.dx, again.dx, count * sizeof(float));
    assert_memory_equal(b.dgamma, again.dgamma, columns * sizeof(float));
    assert_memory_equal(b.dbeta, again.dbeta, columns * sizeof(float));
    batch_free(&b);
    batch_free(&again);
    batch_free(&want);
}

/* Columns that fill vectors and that do not, few of them (several rows are seen as one then) and many; rows of one chunk and of several. */
static void test_shapes(void **state)
{
    static const int columns[] = {1, 2, 3, 5, 8, 15, 16, 17, 24, 31, 32, 33, 64, 65, 100, 127, 128, 512, 1021},
                     rows[] = {3, 4, 5, 16, 63, 64, 65, 96, 127, 2, 480};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t c = 0; c < (test_small() ? 10 : COUNT(columns)); c++)
            for (size_t r = c % 2; r < (test_small() ? 6 : COUNT(rows)); r += 2)
                check(rows[r], columns[c], 1, (c + r / 2) % 2, 1e-5);
        if (!test_small()) {
            check(20000, 8, 0, false, 1e-5);
            check(40960, 3, 0, true, 1e-5);
            check(9973, 67, 0, false, 1e-5);
            check(4099, 512, 0, true, 1e-5);
        }
    }
}

/* Rows enough for several blocks in a chunk. */
static void test_many_rows(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2 && !test_small(); f++) {
        use(&families[f]);
        check(65539, 40, 0.25f, false, 2e-5);
        check(262144, 8, 0.25f, false, 2e-5);
    }
}

/* Mean 1000, deviation 0.6: a variance made of E[x^2] - mean^2 has nothing left here. The input itself is exact to 6e-5. */
static void test_far_from_zero(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        check(37, 20, 1000, false, 4e-4);
        if (!test_small())
            check(30000, 12, 1000, false, 4e-4);
    }
}

/* Running statistics in place of the batch's, for inference; a batch without running statistics; parts of the gradient alone. */
static void test_parts(void **state)
{
    struct batch b = batch_new(48, 12, 0);
    float *want = test_new(48 * 12), *dx = test_new(48 * 12), dgamma[12], dbeta[12];
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        struct tensor x = matrix(&b, b.x), gamma = vector(&b, b.gamma), beta = vector(&b, b.beta), mean = vector(&b, b.mean);
        struct tensor var = vector(&b, b.var), y = matrix(&b, NULL), statistics = test_tensor(DTYPE_F32, 2, 2, 12, 1, 1, NULL);
        struct tensor dy = matrix(&b, b.dy), to_x = matrix(&b, NULL), to_gamma = vector(&b, NULL), to_beta = vector(&b, NULL);
        PLANNED(op_batch_norm_fwd(ctx, &arena, &y, &x, &gamma, &beta, &mean, &var, NULL, 1e-5f, 0.1f, false));
        ref_batch_norm(want, NULL, b.mean, b.var, b.x, b.gamma, b.beta, 48, 12, 1e-5f, 0.1f, false);
        float *got = test_read(&y), *kept = test_read(&var);
        assert_close(got, want, 48 * 12, 1e-5);
        assert_memory_equal(kept, b.var, sizeof(float) * 12);
        free(got);
        free(kept);
        PLANNED(op_batch_norm_fwd(ctx, &arena, &y, &x, &gamma, &beta, NULL, NULL, &statistics, 1e-5f, 0.1f, true));
        ref_batch_norm(want, NULL, NULL, NULL, b.x, b.gamma, b.beta, 48, 12, 1e-5f, 0.1f, true);
        got = test_read(&y);
        assert_close(got, want, 48 * 12, 1e-5);
        free(got);
        ref_batch_norm_bwd(dx, dgamma, dbeta, b.dy, b.x, b.gamma, 48, 12, 1e-5f);
        PLANNED(op_batch_norm_bwd(ctx, &arena, &to_x, NULL, NULL, &dy, &x, &gamma, &statistics, false, false));
        PLANNED(op_batch_norm_bwd(ctx, &arena, NULL, &to_gamma, &to_beta, &dy, &x, &gamma, &statistics, false, false));
        got = test_read(&to_x);
        assert_close(got, dx, 48 * 12, 2e-5);
        free(got);
        got = test_read(&to_gamma);
        assert_close(got, dgamma, 12, 2e-5);
        free(got);
        got = test_read(&to_beta);
        assert_close(got, dbeta, 12, 2e-5);
        free(got);
        struct tensor *all[] = {&x, &gamma, &beta, &mean, &var, &y, &statistics, &dy, &to_x, &to_gamma, &to_beta};
        for (size_t i = 0; i < COUNT(all); i++)
            test_free(all[i]);
    }
    free(want);
    free(dx);
    batch_free(&b);
}

/* Through the tape, in place, and with only one of gamma and beta watched: the same gradients. */
static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    struct batch b = batch_new(48, 12, 0);
    float dx[48 * 12], dgamma[12], dbeta[12];
    (void)state;
    ref_batch_norm_bwd(dx, dgamma, dbeta, b.dy, b.x, b.gamma, 48, 12, 1e-5f);
    plus(dx, b.first, 48 * 12);
    for (int way = 0; way < 3; way++) {
        struct tape tape;
        struct tensor x = matrix(&b, b.x), gamma = vector(&b, b.gamma), beta = vector(&b, b.beta), mean = vector(&b, b.mean);
        struct tensor var = vector(&b, b.var), dy = matrix(&b, b.dy), to_x = matrix(&b, b.first), to_gamma = vector(&b, NULL);
        struct tensor to_beta = vector(&b, NULL), y = x, statistics = tensor_shape(DTYPE_F32, 2, 2, 12, 1, 1);
        assert_ok(tape_open(ctx, &tape));
        assert_ok(tape_start(ctx, &tape));
        assert_ok(tape_watch(ctx, &tape, &x, &to_x, true));
        if (way != 1)
            assert_ok(tape_watch(ctx, &tape, &gamma, &to_gamma, false));
        if (way != 2)
            assert_ok(tape_watch(ctx, &tape, &beta, &to_beta, false));
        uint64_t mark = arena_mark(&tape.arena);
        assert_ok(tensor_take(ctx, &tape.arena, &statistics));
        assert_ok(tensor_take(ctx, &tape.arena, &y));
        assert_ok(op_batch_norm_fwd(ctx, &tape.arena, &y, &x, &gamma, &beta, &mean, &var, &statistics, 1e-5f, 0.1f, true));
        arena_release(&tape.arena, mark); /* as a network does */
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &tape, &y, &dy));
        float *got = test_read(&to_x);
        assert_close(got, dx, 48 * 12, 2e-5);
        free(got);
        got = test_read(&to_gamma);
        if (way != 1)
            assert_close(got, dgamma, 12, 2e-5);
        free(got);
        got = test_read(&to_beta);
        if (way != 2)
            assert_close(got, dbeta, 12, 2e-5);
        free(got);
        tape_close(&tape);
        struct tensor *all[] = {&x, &gamma, &beta, &mean, &var, &dy, &to_x, &to_gamma, &to_beta};
        for (size_t i = 0; i < COUNT(all); i++)
            test_free(all[i]);
    }
    batch_free(&b);
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    float *y = test_picture(&golden, NULL, "batch_norm.y"), *dx = test_picture(&golden, NULL, "batch_norm.dx");
    float *dw = test_floats(&golden, "batch_norm.dw", 5), *db = test_floats(&golden, "batch_norm.db", 5);
    for (size_t f = 0; f < COUNT(families); f++) {
        struct batch b = {.rows = 72, .n = 5, .mean = test_values(5, 1), .var = test_values(5, 2)};
        use(&families[f]);
        b.x = test_picture(&golden, NULL, "batch_norm.x");
        b.dy = test_picture(&golden, NULL, "batch_norm.dy");
        b.gamma = test_floats(&golden, "batch_norm.w", 5);
        b.beta = test_floats(&golden, "batch_norm.b", 5);
        run(&b);
        assert_close(b.y, y, 360, 1e-5);
        assert_close(b.dx, dx, 360, 2e-5);
        assert_close(b.dgamma, dw, 5, 2e-5);
        assert_close(b.dbeta, db, 5, 2e-5);
        batch_free(&b);
    }
    free(y);
    free(dx);
    free(dw);
    free(db);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor x = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL), g = test_tensor(DTYPE_F32, 1, 8, 1, 1, 1, NULL);
    struct tensor seven = test_tensor(DTYPE_F32, 1, 7, 1, 1, 1, NULL), s = test_tensor(DTYPE_F32, 2, 2, 8, 1, 1, NULL);
    (void)state;
    assert_fails(op_batch_norm_fwd(ctx, &arena, &x, &x, &seven, &g, &g, &g, &s, 1e-5f, 0.1f, true), CLIO_ERROR_INTERNAL,
                 "gamma is f32 [7]");
    assert_fails(op_batch_norm_fwd(ctx, &arena, &x, &x, &g, &g, &g, &g, NULL, 1e-5f, 0.1f, true), CLIO_ERROR_INTERNAL, "missing");
    assert_fails(op_batch_norm_fwd(ctx, &arena, &x, &x, &g, &g, NULL, NULL, &s, 1e-5f, 0.1f, false), CLIO_ERROR_INTERNAL, "running");
    assert_fails(op_batch_norm_fwd(ctx, &arena, &x, &x, &g, &g, &g, &seven, &s, 1e-5f, 0.1f, true), CLIO_ERROR_INTERNAL,
                 "running variance");
    assert_fails(op_batch_norm_fwd(ctx, &arena, &g, &g, &g, &g, &g, &g, &s, 1e-5f, 0.1f, true), CLIO_ERROR_INTERNAL, "columns of f32 [8]");
    assert_fails(op_batch_norm_bwd(ctx, &arena, &x, &g, NULL, &x, &x, &g, &s, false, false), CLIO_ERROR_INTERNAL, "together");
    assert_fails(op_batch_norm_bwd(ctx, &arena, &x, &g, &seven, &x, &x, &g, &s, false, false), CLIO_ERROR_INTERNAL, "dbeta is f32 [7]");
    arena_free(ctx, &arena);
    test_free(&x);
    test_free(&g);
    test_free(&seven);
    test_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_many_rows), cmocka_unit_test(test_far_from_zero), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_torch),  cmocka_unit_test(test_tape),      cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
