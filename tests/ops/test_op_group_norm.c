/* test_op_group_norm.c - group norm of images: both kernel families against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

struct family {
    const char *name, *items;
};
static const struct family families[] = {{"row", "128"}, {"group", "128"}, {"group", "32"}, {"group", "1"}};

static void use(const struct family *f)
{
    test_param("norm.family", f->name);
    test_param("norm.items", f->items);
}

struct shape {
    int batch, height, width, channels, groups, act;
    bool in_place;
};

/* Planned, then run; returns what came out, in fresh memory. */
static float *run(const struct shape *s, const float *x, const float *gamma, const float *beta)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor in = test_tensor(DTYPE_F32, 4, s->batch, s->height, s->width, s->channels, x), out = in;
    struct tensor g = test_tensor(DTYPE_F32, 1, s->channels, 1, 1, 1, gamma), b = test_tensor(DTYPE_F32, 1, s->channels, 1, 1, 1, beta);
    if (!s->in_place)
        out = test_tensor(DTYPE_F32, 4, s->batch, s->height, s->width, s->channels, NULL);
    ctx->planning = true;
    clio_status planned = op_group_norm_fwd(ctx, &arena, &out, &in, &g, &b, s->groups, 1e-5f, s->act);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_group_norm_fwd(ctx, &arena, &out, &in, &g, &b, s->groups, 1e-5f, s->act));
    float *y = test_read(&out);
    if (!s->in_place)
        test_free(&out);
    test_free(&in);
    test_free(&g);
    test_free(&b);
    arena_free(ctx, &arena);
    return y;
}

/* Random images about `offset`; the channels of an image differ in mean and spread, and the images from each other. */
static void check(struct shape s, float offset, double tolerance)
{
    size_t count = (size_t)s.batch * (size_t)s.height * (size_t)s.width * (size_t)s.channels, channels = (size_t)s.channels;
    float *x = test_new(count), *want = test_new(count), *gamma = test_new(channels), *beta = test_new(channels);
    test_random(x, count, (uint32_t)s.channels);
    test_random(gamma, channels, 2);
    test_random(beta, channels, 3);
    for (size_t i = 0; i < count; i++) {
        float c = (float)(i % channels) / (float)channels;
        x[i] = x[i] * (0.5f + c) + offset + 2 * c + 3.0f * (float)(i / (count / (size_t)s.batch));
    }
    ref_group_norm(want, x, gamma, beta, s.batch, s.height * s.width, s.channels, s.groups, 1e-5f, s.act);
    float *y = run(&s, x, gamma, beta), *again = run(&s, x, gamma, beta);
    assert_close(y, want, count, tolerance);
    assert_memory_equal(y, again, count * sizeof *y); /* the same bits every time */
    free(y);
    free(again);
    free(x);
    free(want);
    free(gamma);
    free(beta);
}

/* Groups of every width that diffusion models have, and of such as have none; images of one pixel, of a chunk, of chunks and a rest. */
static void test_shapes(void **state)
{
    static const int channels[][2] = {{1, 1},   {5, 1},    {6, 3},     {12, 4},    {15, 5},   {16, 1},   {17, 17},
                                      {24, 8},  {32, 32},  {48, 16},   {64, 32},   {128, 32}, {320, 32}, {640, 32},
                                      {77, 11}, {960, 32}, {1280, 32}, {1920, 32}, {2560, 32}},
                     sizes[][2] = {{1, 1}, {1, 2}, {3, 5}, {8, 8}, {13, 17}, {24, 16}, {31, 37}};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t c = 0; c < (test_small() ? 8 : COUNT(channels)); c++)
            for (size_t i = c % 2; i < (test_small() ? 4 : channels[c][0] > 640 ? 5 : COUNT(sizes)); i += 2)
                check((struct shape){.batch = 1 + (int)(c + i / 2) % 2,
                                     .height = sizes[i][0],
                                     .width = sizes[i][1],
                                     .channels = channels[c][0],
                                     .groups = channels[c][1],
                                     .act = c % 3 ? ACT_SILU : ACT_NONE,
                                     .in_place = i % 3 == 0},
                      0, 1e-5);
        if (!test_small())
            check((struct shape){.batch = 2, .height = 131, .width = 127, .channels = 36, .groups = 4, .act = ACT_SILU}, 0, 1e-5);
    }
}

/* Mean 1000, deviation 0.6: a variance made of E[x^2] - mean^2 has nothing left here. The input itself is exact to 6e-5. */
static void test_far_from_zero(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        check((struct shape){.batch = 2, .height = 5, .width = 7, .channels = 36, .groups = 12}, 1000, 3e-4);
        if (!test_small())
            check((struct shape){.batch = 1, .height = 200, .width = 173, .channels = 12, .groups = 3}, 1000, 3e-4);
    }
}

/* An image of one value has no variance: what is left is beta. */
static void test_flat(void **state)
{
    struct shape s = {.batch = 1, .height = 6, .width = 9, .channels = 20, .groups = 2};
    float x[6 * 9 * 20], gamma[20], beta[20];
    (void)state;
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = 123.456f;
    test_random(gamma, 20, 1);
    test_random(beta, 20, 2);
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        float *y = run(&s, x, gamma, beta);
        for (size_t i = 0; i < COUNT(x); i++)
            assert_true(y[i] == beta[i % 20]);
        free(y);
    }
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    struct shape s = {.batch = 2, .height = 5, .width = 6, .channels = 12, .groups = 4};
    float x[720], want[720];
    (void)state;
    float *planes_x = test_floats(&golden, "group_norm.x", 720), *planes_y = test_floats(&golden, "group_norm.y", 720);
    float *w = test_floats(&golden, "group_norm.w", 12), *b = test_floats(&golden, "group_norm.b", 12);
    for (int n = 0; n < 2; n++) /* NCHW to NHWC */
        for (int c = 0; c < 12; c++)
            for (int p = 0; p < 30; p++) {
                x[(n * 30 + p) * 12 + c] = planes_x[(n * 12 + c) * 30 + p];
                want[(n * 30 + p) * 12 + c] = planes_y[(n * 12 + c) * 30 + p];
            }
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        float *y = run(&s, x, w, b);
        assert_close(y, want, 720, 1e-5);
        free(y);
    }
    free(planes_x);
    free(planes_y);
    free(w);
    free(b);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor in = test_tensor(DTYPE_F32, 3, 1, 3, 8, 1, NULL), g = test_tensor(DTYPE_F32, 1, 8, 1, 1, 1, NULL);
    struct tensor seven = test_tensor(DTYPE_F32, 1, 7, 1, 1, 1, NULL), flat = test_tensor(DTYPE_F32, 2, 3, 8, 1, 1, NULL);
    (void)state;
    assert_fails(op_group_norm_fwd(ctx, &arena, &in, &in, &g, &g, 3, 1e-5f, ACT_NONE), CLIO_ERROR_INTERNAL, "3 groups of f32 [1, 3, 8]");
    assert_fails(op_group_norm_fwd(ctx, &arena, &in, &in, &g, &g, 0, 1e-5f, ACT_NONE), CLIO_ERROR_INTERNAL, "0 groups");
    assert_fails(op_group_norm_fwd(ctx, &arena, &in, &in, &g, &g, 4, 1e-5f, ACT_COUNT), CLIO_ERROR_INTERNAL, "activation 11");
    assert_fails(op_group_norm_fwd(ctx, &arena, &g, &g, &g, &g, 4, 1e-5f, ACT_NONE), CLIO_ERROR_INTERNAL, "4 groups of f32 [8]");
    assert_fails(op_group_norm_fwd(ctx, &arena, &in, &in, &seven, &g, 4, 1e-5f, ACT_NONE), CLIO_ERROR_INTERNAL, "gamma is f32 [7]");
    assert_fails(op_group_norm_fwd(ctx, &arena, &flat, &in, &g, &g, 4, 1e-5f, ACT_NONE), CLIO_ERROR_INTERNAL, "out is f32 [3, 8]");
    test_free(&in);
    test_free(&g);
    test_free(&seven);
    test_free(&flat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_far_from_zero), cmocka_unit_test(test_flat),
        cmocka_unit_test(test_torch),  cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
