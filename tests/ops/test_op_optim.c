/* test_op_optim.c - optimizers against torch.optim and host/ref, averages, and clipping by the global norm. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ref/ref_bwd.h"

#include <math.h>

static struct tensor vector(int n, const float *data)
{
    return test_tensor(DTYPE_F32, 1, n, 1, 1, 1, data);
}

static struct tensor zeros(int n)
{
    struct tensor t = vector(n, NULL);
    assert_ok(tensor_zero(test_context(), &t));
    return t;
}

static void close_to(const struct tensor *t, const float *want, double tolerance)
{
    float *got = test_read(t);
    assert_close(got, want, tensor_count(t), tolerance);
    free(got);
}

static void use_lanes(int lanes)
{
    test_context()->device.simd_width = lanes;
}

static void correct(struct optim_args *args, int step, double beta1, double beta2)
{
    args->step = step;
    args->correction1 = (float)(1 - pow(beta1, step));
    args->correction2 = (float)(1 - pow(beta2, step));
}

/* ---- torch: five steps on mean((x w^T - y)^2), x [10, 4], w [6, 4], y [10, 6] ---- */

static void gradient(float *g, const float *w, const float *x, const float *y)
{
    double sums[24] = {0};
    for (int b = 0; b < 10; b++)
        for (int o = 0; o < 6; o++) {
            double e = -(double)y[b * 6 + o];
            for (int i = 0; i < 4; i++)
                e += (double)x[b * 4 + i] * (double)w[o * 4 + i];
            for (int i = 0; i < 4; i++)
                sums[o * 4 + i] += 2 * e * (double)x[b * 4 + i] / 60;
        }
    for (int i = 0; i < 24; i++)
        g[i] = (float)sums[i];
}

static const struct {
    const char *name;
    struct optim_args args;
    double beta1, beta2;
} rules[] = {
    {"w.sgd", {.rule = OPTIM_SGD, .rate = 0.05f}, 0, 0},
    {"w.momentum", {.rule = OPTIM_SGD, .rate = 0.05f, .momentum = 0.9f, .nesterov = 1, .weight_decay = 0.01f}, 0, 0},
    {"w.adam", {.rule = OPTIM_ADAM, .rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f}, 0.9, 0.999},
    {"w.adamw", {.rule = OPTIM_ADAMW, .rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f}, 0.9, 0.999},
    {"w.rmsprop", {.rule = OPTIM_RMSPROP, .rate = 0.01f, .beta2 = 0.99f, .eps = 1e-8f}, 0, 0.99},
};

static void test_torch(void **state)
{
    const char *path = test_golden("training/optimizers.safetensors");
    struct weights golden = {0};
    clio_context *ctx = test_context();
    int lanes = ctx->device.simd_width;
    (void)state;
    if (!path)
        skip();
    assert_ok(weights_open(ctx, &golden, path, "model"));
    float *w0 = test_floats(&golden, "w0", 24), *x = test_floats(&golden, "x", 40), *y = test_floats(&golden, "y", 60);
    for (size_t i = 0; i < 2 * COUNT(rules); i++) {
        struct optim_args args = rules[i / 2].args;
        float *want = test_floats(&golden, rules[i / 2].name, 24), g[24], fives[24];
        struct tensor w = vector(24, w0), m = vector(24, NULL), v = zeros(24), grad = vector(24, NULL), scale;
        const float fifth = 0.2f;
        bool scaled = i % 2;
        use_lanes(scaled ? 1 : 16);
        scale = vector(1, &fifth);
        if (args.rule != OPTIM_SGD)
            assert_ok(tensor_zero(ctx, &m)); /* the momentum of sgd is set by its first step */
        for (int step = 1; step <= 5; step++) {
            float *now = test_read(&w);
            gradient(g, now, x, y);
            for (int k = 0; k < 24; k++)
                fives[k] = 5 * g[k];
            assert_ok(tensor_write(ctx, &grad, 0, 24, scaled ? fives : g));
            correct(&args, step, rules[i / 2].beta1, rules[i / 2].beta2);
            assert_ok(op_optim_step(ctx, &w, &grad, &m, args.rule == OPTIM_SGD ? NULL : &v, scaled ? &scale : NULL, args));
            free(now);
        }
        close_to(&w, want, 1e-6);
        struct tensor *all[] = {&w, &m, &v, &grad, &scale};
        for (size_t k = 0; k < COUNT(all); k++)
            test_free(all[k]);
        free(want);
    }
    use_lanes(lanes);
    free(w0);
    free(x);
    free(y);
    weights_close(&golden);
}

/* ---- host/ref ---- */

static void check(struct optim_args args, int n, bool scaled)
{
    clio_context *ctx = test_context();
    size_t count = (size_t)n;
    bool is_adam = args.rule == OPTIM_ADAM || args.rule == OPTIM_ADAMW;
    float *w = test_scaled(count, 1, 1), *g = test_scaled(count, 2, 1), *m = test_scaled(count, 3, 1), *v = test_scaled(count, 4, 1);
    const float scale = scaled ? 0.3f : 1;
    for (int i = 0; i < n; i++)
        v[i] = v[i] * v[i];
    args.n = n;
    correct(&args, args.step, (double)args.beta1, (double)args.beta2);
    struct tensor tw = vector(n, w), tg = vector(n, g), tm = vector(n, m), tv = vector(n, v), ts = vector(1, &scale);
    bool has_m = is_adam || args.momentum > 0, has_v = args.rule != OPTIM_SGD;
    assert_ok(op_optim_step(ctx, &tw, &tg, has_m ? &tm : NULL, has_v ? &tv : NULL, scaled ? &ts : NULL, args));
    ref_optim_step(w, g, m, v, scale, &args);
    close_to(&tw, w, 1e-5);
    close_to(&tm, m, 1e-5);
    close_to(&tv, v, 1e-5);
    close_to(&tg, g, 0);
    struct tensor *all[] = {&tw, &tg, &tm, &tv, &ts};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    free(w);
    free(g);
    free(m);
    free(v);
}

static const struct optim_args steps[] = {
    {.rule = OPTIM_SGD, .rate = 0.1f, .weight_decay = 0.1f, .step = 1},
    {.rule = OPTIM_SGD, .rate = 0.1f, .weight_decay = 0.1f, .momentum = 0.8f, .step = 1},
    {.rule = OPTIM_SGD, .rate = 0.1f, .momentum = 0.8f, .step = 2},
    {.rule = OPTIM_SGD, .rate = 0.1f, .momentum = 0.8f, .nesterov = 1, .step = 2},
    {.rule = OPTIM_ADAM, .rate = 0.1f, .weight_decay = 0.1f, .beta1 = 0.5f, .beta2 = 0.75f, .eps = 1e-3f, .step = 3},
    {.rule = OPTIM_ADAMW, .rate = 0.1f, .weight_decay = 0.1f, .beta1 = 0.5f, .beta2 = 0.75f, .eps = 1e-3f, .step = 3},
    {.rule = OPTIM_RMSPROP, .rate = 0.1f, .weight_decay = 0.1f, .beta2 = 0.75f, .eps = 1e-3f, .step = 3},
    {.rule = OPTIM_RMSPROP, .rate = 0.1f, .momentum = 0.5f, .nesterov = 1, .beta2 = 0.75f, .eps = 1e-3f, .step = 3},
};

static void test_shapes(void **state)
{
    static const int lengths[] = {1, 15, 16, 17, 1021};
    int lanes = test_context()->device.simd_width;
    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++)
        for (size_t k = 0; k < COUNT(lengths); k++)
            for (int way = 0; way < 4; way++) {
                use_lanes(way & 1 ? 1 : 16);
                check(steps[i], lengths[k], way & 2);
            }
    use_lanes(lanes);
}

/* A scale that is not finite: not a bit changes. */
static void test_skipped(void **state)
{
    static const float scales[] = {NAN, INFINITY, -INFINITY};
    clio_context *ctx = test_context();
    int lanes = ctx->device.simd_width;
    float *x = test_scaled(37, 1, 1);
    (void)state;
    for (size_t i = 0; i < COUNT(steps) * COUNT(scales) * 2; i++) {
        struct tensor w = vector(37, x), g = vector(37, x), m = vector(37, x), v = vector(37, x);
        struct tensor scale = vector(1, &scales[i / 2 % COUNT(scales)]), *kept[] = {&w, &m, &v};
        use_lanes(i % 2 ? 1 : 16);
        assert_ok(op_optim_step(ctx, &w, &g, &m, &v, &scale, steps[i / 2 / COUNT(scales)]));
        for (size_t k = 0; k < COUNT(kept); k++) {
            float *now = test_read(kept[k]);
            assert_memory_equal(now, x, 37 * sizeof *x);
            free(now);
            test_free(kept[k]);
        }
        test_free(&g);
        test_free(&scale);
    }
    use_lanes(lanes);
    free(x);
}

/* ---- averages and clipping ---- */

static void test_average(void **state)
{
    static const int lengths[] = {1, 16, 33, 1021};
    clio_context *ctx = test_context();
    int lanes = ctx->device.simd_width;
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
        int n = lengths[i / 2];
        float *a = test_scaled((size_t)n, 1, 1), *w = test_scaled((size_t)n, 2, 1);
        struct tensor ta = vector(n, a), tw = vector(n, w);
        use_lanes(i % 2 ? 1 : 16);
        assert_ok(op_average_step(ctx, &ta, &tw, 0.9f));
        for (int k = 0; k < n; k++)
            a[k] = (float)((double)0.9f * (double)a[k] + (1 - (double)0.9f) * (double)w[k]);
        close_to(&ta, a, 1e-6);
        test_free(&ta);
        test_free(&tw);
        free(a);
        free(w);
    }
    use_lanes(lanes);
}

static const struct {
    const char *name, *items;
} families[] = {{"row", "128"}, {"group", "128"}, {"group", "32"}, {"group", "1"}};

static void test_clipping(void **state)
{
    static const int lengths[] = {1, 17, 2047, 2048, 2049, 70001};
    clio_context *ctx = test_context();
    struct arena arena = {0};
    (void)state;
    arena_grow(ctx, &arena);
    for (size_t f = 0; f < COUNT(families); f++) {
        test_param("norm.family", families[f].name);
        test_param("norm.items", families[f].items);
        struct tensor sums = vector(300, NULL), scale = vector(1, NULL);
        assert_ok(tensor_zero(ctx, &sums));
        double total = 0;
        for (size_t i = 0; i < COUNT(lengths); i++) {
            float *g = test_scaled((size_t)lengths[i], (uint32_t)i, 3), want, *got;
            double sum = 0;
            for (int k = 0; k < lengths[i]; k++)
                sum += (double)g[k] * (double)g[k];
            total += sum;
            want = (float)sum;
            struct tensor t = vector(lengths[i], g);
            assert_ok(op_norm2(ctx, &arena, &sums, 50 * (int)i, &t));
            got = test_read(&sums);
            assert_close(got + 50 * i, &want, 1, 1e-5);
            free(got);
            free(g);
            test_free(&t);
        }
        /* clipped, not clipped, no limit; with and without a scale of the loss */
        const struct {
            float most, loss_scale;
            double want;
        } cases[] = {{2, 1, 2 / sqrt(total)},           {1e6f, 1, 1},     {0, 1, 1}, {0, 64, 1.0 / 64},
                     {2, 4, 2 / (sqrt(total) / 4) / 4}, {500, 8, 1.0 / 8}};
        for (size_t i = 0; i < COUNT(cases); i++) {
            float want = (float)cases[i].want;
            assert_ok(op_clip_scale(ctx, &scale, &sums, 300, cases[i].most, cases[i].loss_scale));
            close_to(&scale, &want, 1e-5);
        }
        float bad[2] = {INFINITY, NAN};
        for (size_t i = 0; i < COUNT(bad); i++) {
            assert_ok(tensor_write(ctx, &sums, 299, 1, &bad[i]));
            assert_ok(op_clip_scale(ctx, &scale, &sums, 300, 0, 1));
            float *got = test_read(&scale);
            assert_true(isnan(*got));
            free(got);
            assert_ok(op_clip_scale(ctx, &scale, &sums, 299, 0, 1)); /* behind the last that counts */
            got = test_read(&scale);
            assert_true(*got >= 1 && *got <= 1);
            free(got);
        }
        test_free(&sums);
        test_free(&scale);
    }
    arena_free(ctx, &arena);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor eight = vector(8, NULL), seven = vector(7, NULL), matrix = test_tensor(DTYPE_F32, 2, 2, 4, 1, 1, NULL);
    struct optim_args adam = steps[4];
    (void)state;
    arena_grow(ctx, &arena);
    assert_ok(op_optim_step(ctx, &matrix, &eight, &eight, &eight, NULL, adam)); /* the shape is nobody's concern */
    assert_fails(op_optim_step(ctx, &eight, &seven, &eight, &eight, NULL, adam), CLIO_ERROR_INTERNAL, "grad has 7 elements");
    assert_fails(op_optim_step(ctx, &eight, &eight, NULL, &eight, NULL, adam), CLIO_ERROR_INTERNAL, "m is missing");
    assert_fails(op_optim_step(ctx, &eight, &eight, &eight, &eight, &seven, adam), CLIO_ERROR_INTERNAL, "scale is f32 [7]");
    adam.rule = 4;
    assert_fails(op_optim_step(ctx, &eight, &eight, &eight, &eight, NULL, adam), CLIO_ERROR_INTERNAL, "no rule 4");
    assert_fails(op_norm2(ctx, &arena, &eight, 8, &eight), CLIO_ERROR_INTERNAL, "no slot 8 of 8");
    assert_fails(op_clip_scale(ctx, &eight, &eight, 8, 0, 1), CLIO_ERROR_INTERNAL, "scale is f32 [8]");
    arena_free(ctx, &arena);
    test_free(&eight);
    test_free(&seven);
    test_free(&matrix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torch),   cmocka_unit_test(test_shapes),   cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_average), cmocka_unit_test(test_clipping), cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
