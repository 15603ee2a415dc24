/* test_tape.c - the tape itself: values that are overwritten, used twice or by nobody, gradients that add up, blocks that are computed
 * again, memory that is given back, the first result that is not finite. What the operations note is in their own tests. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"

#include <math.h>

#define N 37

static struct tape tape;
static float a0[N], b0[N];
static struct tensor a, b, da, db, one;

static struct tensor vector(const float *data)
{
    return test_tensor(DTYPE_F32, 1, N, 1, 1, 1, data);
}

static int start(void **state)
{
    float ones[N];
    (void)state;
    test_random(a0, N, 1);
    test_random(b0, N, 2);
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    a = vector(a0);
    b = vector(b0);
    da = vector(NULL);
    db = vector(NULL);
    one = vector(ones);
    assert_ok(tape_open(test_context(), &tape));
    assert_ok(tape_start(test_context(), &tape));
    assert_ok(tape_watch(test_context(), &tape, &a, &da, false));
    assert_ok(tape_watch(test_context(), &tape, &b, &db, false));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tape_close(&tape);
    assert_null(test_context()->tape);
    test_free(&a);
    test_free(&b);
    test_free(&da);
    test_free(&db);
    test_free(&one);
    return 0;
}

static struct tensor take(void)
{
    struct tensor t = tensor_shape(DTYPE_F32, 1, N, 0, 0, 0);
    assert_ok(tensor_take(test_context(), &tape.arena, &t));
    return t;
}

static void backward(const struct tensor *y)
{
    tape_pause(test_context());
    assert_ok(tape_backward(test_context(), &tape, y, &one));
}

/* The gradient is f(i), where the numbers of a and b are a0[i] and b0[i]. */
#define expect(t, i, f)                                                                                                                    \
    do {                                                                                                                                   \
        float want_[N], *got_ = test_read(&(t));                                                                                           \
        for (int i = 0; i < N; i++)                                                                                                        \
            want_[i] = (float)(f);                                                                                                         \
        assert_close(got_, want_, N, 1e-5);                                                                                                \
        free(got_);                                                                                                                        \
    } while (0)

/* x = a b; x = tanh(x) in place; x = x + a in place: the product's operands and tanh's result are wanted later. */
static void test_in_place(void **state)
{
    struct tensor x = take();
    (void)state;
    assert_ok(op_multiply_fwd(test_context(), &x, &a, &b));
    assert_ok(op_activation_fwd(test_context(), &x, &x, ACT_TANH, 0));
    assert_ok(op_add_fwd(test_context(), &x, &x, &a, 1, 2));
    backward(&x);
    expect(da, i, (1 - pow(tanh(a0[i] * b0[i]), 2)) * b0[i] + 2);
    expect(db, i, (1 - pow(tanh(a0[i] * b0[i]), 2)) * a0[i]);
}

/* An activation that is known by its input, which it overwrites; and the old result is used by another before. */
static void test_overwritten_input(void **state)
{
    struct tensor x = take(), y = take();
    (void)state;
    assert_ok(op_multiply_fwd(test_context(), &x, &a, &a));
    assert_ok(op_multiply_fwd(test_context(), &y, &x, &b)); /* needs the old x */
    assert_ok(op_activation_fwd(test_context(), &x, &x, ACT_SILU, 0));
    assert_ok(op_add_fwd(test_context(), &y, &y, &x, 1, 1));
    backward(&y);
#define SQUARE(i) ((double)a0[i] * a0[i])
#define SIGMOID(x) (1 / (1 + exp(-(x))))
    expect(da, i, 2.0 * a0[i] * (b0[i] + SIGMOID(SQUARE(i)) * (1 + SQUARE(i) * (1 - SIGMOID(SQUARE(i))))));
    expect(db, i, SQUARE(i));
}

/* Both operands are the same value; b leads nowhere and gets zeros. */
static void test_used_twice(void **state)
{
    struct tensor x = take();
    (void)state;
    assert_ok(op_add_fwd(test_context(), &x, &a, &a, 3, -1));
    assert_ok(op_multiply_fwd(test_context(), &x, &x, &x));
    backward(&x);
    expect(da, i, 8.0 * a0[i]);
    expect(db, i, 0);
}

/* A second tape sees what the first one made as a constant, and gradients of several passes add up. */
static void test_two_tapes(void **state)
{
    clio_context *ctx = test_context();
    struct tape other;
    struct tensor x = take(), y;
    (void)state;
    assert_ok(op_multiply_fwd(ctx, &x, &a, &b));
    assert_ptr_equal(tape_pause(ctx), &tape);
    assert_ok(tape_open(ctx, &other));
    for (int pass = 0; pass < 2; pass++) {
        assert_ok(tape_start(ctx, &other));
        assert_ok(tape_watch(ctx, &other, &b, &db, pass > 0));
        y = tensor_shape(DTYPE_F32, 1, N, 0, 0, 0);
        assert_ok(tensor_take(ctx, &other.arena, &y));
        assert_ok(op_multiply_fwd(ctx, &y, &x, &b));
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &other, &y, &one));
    }
    expect(db, i, 2.0 * a0[i] * b0[i]);
    tape_close(&other);
    tape_resume(ctx, &tape);
    assert_ok(op_multiply_fwd(ctx, &x, &x, &b));
    backward(&x);
    expect(da, i, (double)b0[i] * b0[i]);
    expect(db, i, 2.0 * a0[i] * b0[i]);
}

/* out = tanh(in[0] * in[1]) * in[1] */
static clio_status block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor x = in[0];
    assert_int_equal(*(const int *)user, 7);
    TRY(tensor_take(ctx, arena, &x));
    TRY(op_multiply_fwd(ctx, &x, &in[0], &in[1]));
    TRY(op_activation_fwd(ctx, &x, &x, ACT_TANH, 0));
    TRY(op_multiply_fwd(ctx, out, &x, &in[1]));
fail:
    arena_release(arena, mark);
    return st;
}

/* The same gradients, to the bit, and nothing held but the inputs. */
static void test_checkpoint(void **state)
{
    clio_context *ctx = test_context();
    float *direct[2];
    int user = 7;
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct tensor x = take(), y = take();
        assert_ok(op_add_fwd(ctx, &x, &a, &b, 1, 1));
        if (again)
            assert_ok(tape_checkpoint(ctx, &tape.arena, block, &user, sizeof user, &y, (struct tensor[]){x, b}, 2));
        else
            assert_ok(block(ctx, &tape.arena, &user, &y, (struct tensor[]){x, b}));
        size_t held = tape.arena.piece_count;
        assert_int_equal(held, again ? 2 : 3);
        backward(&y);
        if (!again) {
            direct[0] = test_read(&da);
            direct[1] = test_read(&db);
            assert_ok(tape_start(ctx, &tape));
            assert_ok(tape_watch(ctx, &tape, &a, &da, false));
            assert_ok(tape_watch(ctx, &tape, &b, &db, false));
        }
    }
    float *got[2] = {test_read(&da), test_read(&db)};
    for (int i = 0; i < 2; i++) {
        assert_close(got[i], direct[i], N, 1e-6);
        free(got[i]);
        free(direct[i]);
    }
}

/* One value as both inputs, and a value that is watched; what had a part in no block is added to nothing. */
static void test_checkpoint_twice(void **state)
{
    clio_context *ctx = test_context();
    struct tensor x = take(), y = take(), z = take();
    int user = 7;
    (void)state;
    assert_ok(op_add_fwd(ctx, &x, &a, &a, 1, 0));
    assert_ok(tape_checkpoint(ctx, &tape.arena, block, &user, sizeof user, &y, (struct tensor[]){x, x}, 2));
    assert_ok(tape_checkpoint(ctx, &tape.arena, block, &user, sizeof user, &z, (struct tensor[]){a, a}, 2));
    assert_ok(op_add_fwd(ctx, &z, &z, &y, 1, 1));
    backward(&z);
#define TANH(i) tanh((double)a0[i] * a0[i])
    expect(da, i, 2 * (TANH(i) + (1 - TANH(i) * TANH(i)) * 2 * a0[i] * a0[i]));
    expect(db, i, 0);
}

/* Steps take their memory from what the steps before gave back. */
static void test_memory(void **state)
{
    clio_context *ctx = test_context();
    uint64_t now = 0, peak = 0;
    (void)state;
    for (int step = 0; step < 4; step++) {
        struct tensor x;
        assert_ok(tape_start(ctx, &tape));
        assert_ok(tape_watch(ctx, &tape, &a, &da, false));
        x = take();
        for (int i = 0; i < 10; i++) {
            struct tensor y = take();
            assert_ok(op_activation_fwd(ctx, &y, i ? &x : &a, ACT_SIGMOID, 0));
            x = y;
        }
        backward(&x);
        tape_reset(&tape);
        if (step == 1) {
            now = ctx->pool.now;
            peak = ctx->pool.peak;
        }
    }
    assert_int_equal(ctx->pool.now, now);
    assert_int_equal(ctx->pool.peak, peak);
}

/* The first result that is not finite is named. */
static void test_examine(void **state)
{
    clio_context *ctx = test_context();
    struct tensor x = take(), y = take();
    bool found;
    (void)state;
    tape.examine = true;
    assert_ok(op_add_fwd(ctx, &x, &a, &b, 1e30f, 0));
    assert_ok(op_multiply_fwd(ctx, &y, &x, &x));
    assert_ok(op_activation_fwd(ctx, &y, &y, ACT_RELU, 0));
    assert_ok(tape_examine(ctx, &tape, &found));
    assert_true(found);
    assert_non_null(strstr(tape.nonfinite, "the result of multiply, f32 [37], operation 2"));
}

/* What cannot be right is refused, and leaves nothing recorded that would be believed. */
static void test_refused(void **state)
{
    clio_context *ctx = test_context();
    struct tensor x = take(), half = tensor_shape(DTYPE_F32, 1, 5, 0, 0, 0);
    (void)state;
    assert_fails(op_add_fwd(ctx, &a, &a, &b, 1, 1), CLIO_ERROR_INTERNAL, "gradient is wanted");
    half.mem = b.mem;
    assert_fails(tape_watch(ctx, &tape, &a, &half, false), CLIO_ERROR_INTERNAL, "cannot be the gradient");
    assert_ok(op_add_fwd(ctx, &x, &a, &b, 1, 1));
    assert_fails(tape_backward(ctx, &tape, &x, &half), CLIO_ERROR_INTERNAL, "37 elements");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_place, start, stop),   cmocka_unit_test_setup_teardown(test_overwritten_input, start, stop),
        cmocka_unit_test_setup_teardown(test_used_twice, start, stop), cmocka_unit_test_setup_teardown(test_two_tapes, start, stop),
        cmocka_unit_test_setup_teardown(test_checkpoint, start, stop), cmocka_unit_test_setup_teardown(test_checkpoint_twice, start, stop),
        cmocka_unit_test_setup_teardown(test_memory, start, stop),     cmocka_unit_test_setup_teardown(test_examine, start, stop),
        cmocka_unit_test_setup_teardown(test_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
