/* test_op_norm_bwd.c - the gradients of layer norm and group norm: both kernel families against host/ref and torch, and through the tape.
 */
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

/* Images [batch, pixels, channels] in groups; groups 0: layer norm of [batch * pixels, channels]. `first`: what the gradients hold where
 * they are added to. */
struct norm {
    int batch, pixels, channels, groups;
    bool add, wants_x, wants_w;
    float *x, *gamma, *dy, *first, *dx, *dgamma, *dbeta;
};

static size_t numbers(const struct norm *n)
{
    return (size_t)n->batch * (size_t)n->pixels * (size_t)n->channels;
}

static struct tensor pictures(const struct norm *n, const float *data)
{
    return test_tensor(DTYPE_F32, 3, n->batch, n->pixels, n->channels, 1, data);
}

static struct tensor vector(const struct norm *n, const float *data)
{
    return test_tensor(DTYPE_F32, 1, n->channels, 1, 1, 1, data);
}

static void fetch(float **out, struct tensor *t, bool wanted)
{
    free(*out);
    *out = wanted ? test_read(t) : NULL;
    test_free(t);
}

static void run(struct norm *n)
{
    struct tensor x = pictures(n, n->x), dy = pictures(n, n->dy), gamma = vector(n, n->gamma), dx = pictures(n, n->add ? n->first : NULL);
    struct tensor dgamma = vector(n, n->add ? n->first : NULL), dbeta = vector(n, n->add ? n->first : NULL);
    struct tensor *to_x = n->wants_x ? &dx : NULL, *to_gamma = n->wants_w ? &dgamma : NULL, *to_beta = n->wants_w ? &dbeta : NULL;
    if (n->groups)
        PLANNED(op_group_norm_bwd(ctx, &arena, to_x, to_gamma, to_beta, &dy, &x, &gamma, n->groups, 1e-5f, n->add, n->add));
    else
        PLANNED(op_layer_norm_bwd(ctx, &arena, to_x, to_gamma, to_beta, &dy, &x, &gamma, 1e-5f, n->add, n->add));
    fetch(&n->dx, &dx, n->wants_x);
    fetch(&n->dgamma, &dgamma, n->wants_w);
    fetch(&n->dbeta, &dbeta, n->wants_w);
    test_free(&x);
    test_free(&dy);
    test_free(&gamma);
}

static void reference(struct norm *n)
{
    size_t channels = (size_t)n->channels;
    n->dx = test_new(numbers(n));
    n->dgamma = test_new(channels);
    n->dbeta = test_new(channels);
    if (n->groups)
        ref_group_norm_bwd(n->dx, n->dgamma, n->dbeta, n->dy, n->x, n->gamma, n->batch, n->pixels, n->channels, n->groups, 1e-5f);
    else
        ref_layer_norm_bwd(n->dx, n->dgamma, n->dbeta, n->dy, n->x, n->gamma, n->batch * n->pixels, n->channels, 1e-5f);
    if (n->add) {
        plus(n->dx, n->first, numbers(n));
        plus(n->dgamma, n->first, channels);
        plus(n->dbeta, n->first, channels);
    }
}

static void norm_free(struct norm *n)
{
    float *all[] = {n->x, n->gamma, n->dy, n->first, n->dx, n->dgamma, n->dbeta};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

static void fill(struct norm *n, float offset)
{
    size_t count = numbers(n), channels = (size_t)n->channels;
    n->x = test_values(count, (uint32_t)n->channels);
    n->dy = test_values(count, (uint32_t)n->channels + 1);
    n->first = test_values(count + channels, 7);
    n->gamma = test_values(channels, 2);
    for (size_t i = 0; i < count; i++) {
        float c = (float)(i % channels) / (float)channels;
        n->x[i] = n->x[i] * (0.5f + c) + offset + 2 * c + 3.0f * (float)(i / (count / (size_t)n->batch));
    }
}

/* n: its shape and what is wanted of it. */
static void check(struct norm n, float offset, double tolerance)
{
    struct norm want = n, again = n;
    size_t channels = (size_t)n.channels;
    fill(&n, offset);
    fill(&want, offset);
    fill(&again, offset);
    run(&n);
    run(&again);
    reference(&want);
    if (n.wants_x) {
        assert_close(n.dx, want.dx, numbers(&n), tolerance);
        assert_memory_equal(n.dx, again.dx, numbers(&n) * sizeof(float)); /* the same bits every time */
    }
    if (n.wants_w) {
        assert_close(n.dgamma, want.dgamma, channels, tolerance);
        assert_close(n.dbeta, want.dbeta, channels, 1e-5);
        assert_memory_equal(n.dgamma, again.dgamma, channels * sizeof(float));
        assert_memory_equal(n.dbeta, again.dbeta, channels * sizeof(float));
    }
    norm_free(&n);
    norm_free(&again);
    norm_free(&want);
}

static void test_layer_norm(void **state)
{
    static const int widths[] = {3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257, 512, 1021};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t i = 0; i < COUNT(widths) - (test_small() ? 2 : 0); i++)
            check((struct norm){.batch = 1 + (int)i % 2,
                                .pixels = 1 + (int)(7 * i % 19),
                                .channels = widths[i],
                                .add = i % 3 == 1,
                                .wants_x = i % 5 != 4,
                                .wants_w = i % 5 != 3},
                  0, 2e-5);
        check((struct norm){.batch = 1, .pixels = 3, .channels = 65, .wants_x = true, .wants_w = true}, 1000, 1e-3);
        if (!test_small())
            check((struct norm){.batch = 4, .pixels = 1500, .channels = 384, .wants_x = true, .wants_w = true}, 0, 2e-5);
    }
}

static void test_group_norm(void **state)
{
    static const int channels[][2] = {{1, 1},   {5, 1},   {6, 3},   {12, 4},  {15, 5},   {16, 1},   {17, 17}, {24, 8},
                                      {32, 32}, {48, 16}, {64, 32}, {77, 11}, {128, 32}, {320, 32}, {640, 32}},
                     pixels[] = {3, 15, 64, 221, 384, 1147};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t c = 0; c < (test_small() ? 8 : COUNT(channels)); c++)
            for (size_t i = c % 2; i < (test_small() ? 3 : COUNT(pixels)); i += 2)
                check((struct norm){.batch = 1 + (int)(c + i) % 3,
                                    .pixels = pixels[i],
                                    .channels = channels[c][0],
                                    .groups = channels[c][1],
                                    .add = (c + i / 2) % 2,
                                    .wants_x = c % 5 != 4,
                                    .wants_w = c % 5 != 3},
                      0, 2e-5);
        check((struct norm){.batch = 2, .pixels = 35, .channels = 36, .groups = 12, .wants_x = true, .wants_w = true}, 1000, 1e-3);
        if (!test_small())
            check((struct norm){.batch = 2, .pixels = 131 * 127, .channels = 36, .groups = 4, .wants_x = true, .wants_w = true}, 0, 2e-5);
    }
}

static void compare_torch(struct norm *n, float *dx, float *dgamma, float *dbeta)
{
    n->wants_x = n->wants_w = true;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        run(n);
        assert_close(n->dx, dx, numbers(n), 2e-5);
        assert_close(n->dgamma, dgamma, (size_t)n->channels, 2e-5);
        assert_close(n->dbeta, dbeta, (size_t)n->channels, 2e-5);
    }
    free(dx);
    free(dgamma);
    free(dbeta);
    norm_free(n);
}

static void test_torch(void **state)
{
    struct weights g = test_operations();
    (void)state;
    struct norm layer = {.batch = 3, .pixels = 5, .channels = 24}, group = {.batch = 2, .pixels = 30, .channels = 12, .groups = 4};
    layer.x = test_floats(&g, "layer_norm.x", 360);
    layer.dy = test_floats(&g, "layer_norm.dy", 360);
    layer.gamma = test_floats(&g, "layer_norm.w", 24);
    compare_torch(&layer, test_floats(&g, "layer_norm.dx", 360), test_floats(&g, "layer_norm.dw", 24),
                  test_floats(&g, "layer_norm.db", 24));
    group.x = test_picture(&g, NULL, "group_norm.x");
    group.dy = test_picture(&g, NULL, "group_norm.dy");
    group.gamma = test_floats(&g, "group_norm.w", 12);
    compare_torch(&group, test_picture(&g, NULL, "group_norm.dx"), test_floats(&g, "group_norm.dw", 12),
                  test_floats(&g, "group_norm.db", 12));
    weights_close(&g);
}

/* The derivative of an activation, by central differences. */
static float slope_at(float x, int act)
{
    double h = 1e-3;
    return (float)(((double)ref_activate((float)((double)x + h), act, 0) - (double)ref_activate((float)((double)x - h), act, 0)) /
                   ((double)(float)((double)x + h) - (double)(float)((double)x - h)));
}

/* Through the tape: as a network calls them, with an activation whose gradient follows from its result and one where it does not, and in
 * place. */
static void check_tape(struct norm n, int act, bool in_place)
{
    clio_context *ctx = test_context();
    struct norm want = n;
    struct tape tape;
    size_t count = numbers(&n), channels = (size_t)n.channels;
    float *y = test_new(count), *beta = test_values(channels, 5);
    fill(&n, 0);
    fill(&want, 0);
    if (n.groups)
        ref_group_norm(y, n.x, n.gamma, beta, n.batch, n.pixels, n.channels, n.groups, 1e-5f, ACT_NONE);
    else
        ref_layer_norm(y, n.x, n.gamma, beta, n.batch * n.pixels, n.channels, 1e-5f);
    for (size_t i = 0; act != ACT_NONE && i < count; i++)
        want.dy[i] *= act == ACT_RELU ? (y[i] > 0 ? 1 : 0) : slope_at(y[i], act);
    reference(&want);

    struct tensor x = pictures(&n, n.x), gamma = vector(&n, n.gamma), b = vector(&n, beta), dy = pictures(&n, n.dy);
    struct tensor dx = pictures(&n, NULL), dgamma = vector(&n, NULL), dbeta = vector(&n, NULL), copy = x, out = x;
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &x, &dx, false));
    assert_ok(tape_watch(ctx, &tape, &gamma, &dgamma, false));
    assert_ok(tape_watch(ctx, &tape, &b, &dbeta, false));
    uint64_t mark = arena_mark(&tape.arena);
    assert_ok(tensor_take(ctx, &tape.arena, &copy));
    assert_ok(tensor_take(ctx, &tape.arena, &out));
    assert_ok(op_add_fwd(ctx, &copy, &x, &x, 0.5f, 0.5f)); /* watched tensors are not written */
    const struct tensor *to = in_place ? &copy : &out;
    if (n.groups)
        assert_ok(op_group_norm_fwd(ctx, &tape.arena, to, &copy, &gamma, &b, n.groups, 1e-5f, act));
    else
        assert_ok(op_layer_norm_fwd(ctx, to, &copy, &gamma, &b, 1e-5f));
    arena_release(&tape.arena, mark);
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, to, &dy));
    fetch(&n.dx, &dx, true);
    fetch(&n.dgamma, &dgamma, true);
    fetch(&n.dbeta, &dbeta, true);
    assert_close(n.dx, want.dx, count, act == ACT_SILU ? 2e-3 : 2e-5);
    assert_close(n.dgamma, want.dgamma, channels, act == ACT_SILU ? 2e-3 : 2e-5);
    assert_close(n.dbeta, want.dbeta, channels, act == ACT_SILU ? 2e-3 : 2e-5);
    tape_close(&tape);
    struct tensor *all[] = {&x, &gamma, &b, &dy};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    norm_free(&n);
    norm_free(&want);
    free(y);
    free(beta);
}

static void test_tape(void **state)
{
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        check_tape((struct norm){.batch = 2, .pixels = 9, .channels = 20}, ACT_NONE, in_place);
        check_tape((struct norm){.batch = 2, .pixels = 30, .channels = 12, .groups = 3}, ACT_NONE, in_place);
        check_tape((struct norm){.batch = 2, .pixels = 30, .channels = 12, .groups = 3}, ACT_RELU, in_place);
        check_tape((struct norm){.batch = 2, .pixels = 30, .channels = 12, .groups = 3}, ACT_SILU, in_place);
    }
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor x = test_tensor(DTYPE_F32, 3, 2, 3, 8, 1, NULL), g = test_tensor(DTYPE_F32, 1, 8, 1, 1, 1, NULL);
    struct tensor seven = test_tensor(DTYPE_F32, 1, 7, 1, 1, 1, NULL);
    (void)state;
    assert_fails(op_layer_norm_bwd(ctx, &arena, &x, &g, NULL, &x, &x, &g, 1e-5f, false, false), CLIO_ERROR_INTERNAL, "together");
    assert_fails(op_layer_norm_bwd(ctx, &arena, &x, &g, &g, &x, &x, &seven, 1e-5f, false, false), CLIO_ERROR_INTERNAL, "gamma is f32 [7]");
    assert_fails(op_layer_norm_bwd(ctx, &arena, &x, &g, &g, &g, &x, &g, 1e-5f, false, false), CLIO_ERROR_INTERNAL, "dy is f32 [8]");
    assert_fails(op_group_norm_bwd(ctx, &arena, &x, &g, &g, &x, &x, &g, 3, 1e-5f, false, false), CLIO_ERROR_INTERNAL, "3 groups");
    assert_fails(op_group_norm_bwd(ctx, &arena, &x, NULL, &g, &x, &x, &g, 4, 1e-5f, false, false), CLIO_ERROR_INTERNAL, "alone");
    assert_fails(op_group_norm_bwd(ctx, &arena, &x, &g, &seven, &x, &x, &g, 4, 1e-5f, false, false), CLIO_ERROR_INTERNAL,
                 "dbeta is f32 [7]");
    arena_free(ctx, &arena);
    test_free(&x);
    test_free(&g);
    test_free(&seven);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_group_norm),   cmocka_unit_test(test_torch),
        cmocka_unit_test(test_tape),       cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
