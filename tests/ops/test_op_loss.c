/* test_op_loss.c - losses of single numbers, divergence of Gaussians and cross-entropy: every family of kernels against host/ref, host/ref
 * against finite differences, and both against torch. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

#include <math.h>

/* Kernel families: rows in vectors (CPUs) and groups (GPUs), of sums and of rows. */
static const struct {
    const char *name, *items;
} families[] = {{"row", "128"}, {"group", "128"}, {"group", "32"}, {"group", "1"}};

static int lanes; /* of the device, as it is */

static void use(size_t family)
{
    clio_context *ctx = test_context();
    test_param("norm.family", families[family].name);
    test_param("norm.items", families[family].items);
    test_param("softmax.family", families[family].name);
    test_param("softmax.items", families[family].items);
    lanes = lanes ? lanes : ctx->device.simd_width;
    ctx->device.simd_width = family ? 1 : 16;
}

static void use_default(void)
{
    test_context()->device.simd_width = lanes;
}

static struct tensor vector(int n, const float *data)
{
    return test_tensor(DTYPE_F32, 1, n, 1, 1, 1, data);
}

static void close_to(const struct tensor *t, const float *before, const float *want, double tolerance)
{
    size_t n = tensor_count(t);
    float *got = test_read(t);
    for (size_t i = 0; before && i < n; i++)
        got[i] -= before[i];
    assert_close(got, want, n, tolerance);
    free(got);
}

static void value_is(const struct tensor *loss, double want, double tolerance)
{
    float *got = test_read(loss);
    if (!(fabs((double)*got - want) <= tolerance * fmax(1e-3, fabs(want))))
        fail_msg("the loss is %.9g, expected %.9g", (double)*got, want);
    free(got);
}

static void same_bits(const struct tensor *a, const struct tensor *b)
{
    float *x = test_read(a), *y = test_read(b);
    assert_memory_equal(x, y, tensor_count(a) * sizeof *x);
    free(x);
    free(y);
}

/* ---- losses ---- */

static void check_loss(int loss, int n, float size, bool targets)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct loss_args args = {.n = n, .loss = loss, .scale = 1.0f / (float)n, .target = 0.9f}, bare = args;
    float *x = test_scaled((size_t)n, 1, size), *t = test_scaled((size_t)n, 2, 1), *before = test_scaled((size_t)n, 3, 1),
          *want = test_scaled((size_t)n, 4, 1);
    const float d = -1.5f, first = 0.25f;
    struct tensor tx = vector(n, x), tt = vector(n, t), total = vector(1, NULL), again = vector(1, NULL), more = vector(1, &first);
    struct tensor td = vector(1, &d), dx = vector(n, NULL), dx2 = vector(n, NULL), added = vector(n, before);
    arena_grow(ctx, &arena);
    bare.n = 0; /* filled in */
    double value = ref_loss(x, targets ? t : NULL, &args) / n;
    assert_ok(op_loss_fwd(ctx, &arena, &total, &tx, targets ? &tt : NULL, bare, false));
    assert_ok(op_loss_fwd(ctx, &arena, &again, &tx, targets ? &tt : NULL, bare, false));
    assert_ok(op_loss_fwd(ctx, &arena, &more, &tx, targets ? &tt : NULL, bare, true));
    double tolerance = loss == LOSS_MEAN ? 1e-5 * fmax(1, (double)size / fmax(1e-3, fabs(value))) : 1e-5;
    value_is(&total, value, tolerance);
    value_is(&more, value + (double)first, tolerance + 1e-5);
    same_bits(&total, &again);

    ref_loss_bwd(want, d, x, targets ? t : NULL, &args);
    assert_ok(op_loss_bwd(ctx, &dx, &td, &tx, targets ? &tt : NULL, bare, false));
    assert_ok(op_loss_bwd(ctx, &dx2, &td, &tx, targets ? &tt : NULL, bare, false));
    assert_ok(op_loss_bwd(ctx, &added, &td, &tx, targets ? &tt : NULL, bare, true));
    float *got = test_read(&dx);
    for (int i = 0; i < n; i++) /* they may be as small as 1 / n: compared at their own size */
        got[i] *= (float)n, want[i] *= (float)n;
    assert_close(got, want, (size_t)n, 1e-5);
    free(got);
    for (int i = 0; i < n; i++)
        want[i] /= (float)n;
    close_to(&added, before, want, 1e-4);
    same_bits(&dx, &dx2);

    struct tensor *all[] = {&tx, &tt, &total, &again, &more, &td, &dx, &dx2, &added};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    arena_free(ctx, &arena);
    free(x);
    free(t);
    free(before);
    free(want);
}

static void test_losses(void **state)
{
    static const int lengths[] = {1, 15, 16, 17, 127, 2047, 2048, 2049, 70001};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        for (int loss = 0; loss < LOSS_COUNT; loss++)
            for (size_t i = 0; i < COUNT(lengths) - (test_small() ? 2 : 0); i++)
                check_loss(loss, lengths[i], 3, loss <= LOSS_BCE_LOGITS && i % 2 == 0);
        check_loss(LOSS_BCE_LOGITS, 37, 120, true); /* far out: nothing overflows */
        check_loss(LOSS_JSD_REAL, 37, 120, false);
    }
    use_default();
}

/* Of a certain and right answer the loss is exp(-|x|), not what rounding leaves of x - x. */
static void test_right_answers(void **state)
{
    clio_context *ctx = test_context();
    const float x[2] = {12, -12}, t[2] = {1, 0}, nan[2] = {NAN, 1};
    struct tensor loss = vector(1, NULL), tt = vector(2, t), tx, tn;
    struct arena arena = {0};
    (void)state;
    arena_grow(ctx, &arena);
    for (size_t f = 0; f < 2; f++) {
        use(f);
        float wide[16], wide_t[16];
        for (int i = 0; i < 16; i++)
            wide[i] = x[i % 2], wide_t[i] = t[i % 2];
        struct tensor w = vector(16, wide), wt = vector(16, wide_t);
        assert_ok(op_loss_fwd(ctx, &arena, &loss, &w, &wt, (struct loss_args){.loss = LOSS_BCE_LOGITS, .scale = 1e5f}, false));
        value_is(&loss, 16e5 * log1p(exp(-12.0)), 1e-5);
        tx = vector(2, x);
        assert_ok(op_loss_fwd(ctx, &arena, &loss, &tx, &tt, (struct loss_args){.loss = LOSS_BCE_LOGITS, .scale = 1e5f}, false));
        value_is(&loss, 2e5 * log1p(exp(-12.0)), 1e-5);
        tn = vector(2, nan);
        for (int kind = 0; kind < LOSS_COUNT; kind++) { /* a NaN is seen */
            assert_ok(op_loss_fwd(ctx, &arena, &loss, &tn, NULL, (struct loss_args){.loss = kind, .scale = 1}, false));
            float *got = test_read(&loss);
            assert_true(isnan(*got));
            free(got);
        }
        test_free(&w);
        test_free(&wt);
        test_free(&tx);
        test_free(&tn);
    }
    use_default();
    arena_free(ctx, &arena);
    test_free(&loss);
    test_free(&tt);
}

/* The gradients of host/ref themselves: central differences of its values. Exact floats: steps of 2^-10. */
static void test_differences(void **state)
{
    const float h = 0x1p-10f;
    (void)state;
    for (int loss = 0; loss < LOSS_COUNT; loss++) {
        struct loss_args args = {.n = 50, .loss = loss, .scale = 0.7f};
        float *x = test_scaled(50, 5, 3), *t = test_scaled(50, 6, 1), dx[50];
        for (int i = 0; i < 50; i++) { /* no corner between x - h and x + h */
            x[i] = roundf(x[i] * 64) / 64 + 1.0f / 128;
            t[i] = roundf(t[i] * 64) / 64;
        }
        const float *targets = loss <= LOSS_BCE_LOGITS ? t : NULL;
        ref_loss_bwd(dx, 2, x, targets, &args);
        for (int i = 0; i < 50; i++) {
            float keep = x[i];
            x[i] = keep + h;
            double high = ref_loss(x, targets, &args);
            x[i] = keep - h;
            double low = ref_loss(x, targets, &args);
            x[i] = keep;
            assert_true(fabs((high - low) / (2 * (double)h) * 2 * 0.7 - (double)dx[i]) < 1e-5);
        }
        free(x);
        free(t);
    }
}

/* ---- divergence of Gaussians ---- */

static void check_kl(int n, float size)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    size_t count = (size_t)n;
    float *mu = test_scaled(count, 1, size), *logvar = test_scaled(count, 2, size), *before = test_scaled(count, 3, 1),
          *dm = test_scaled(count, 4, 1);
    float *dl = test_scaled(count, 5, 1);
    const float d = 0.5f, scale = 0.25f;
    struct tensor tm = vector(n, mu), tl = vector(n, logvar), loss = vector(1, NULL), td = vector(1, &d);
    struct tensor gm = vector(n, NULL), gl = vector(n, NULL), am = vector(n, before), al = vector(n, before);
    arena_grow(ctx, &arena);
    assert_ok(op_gaussian_kl_fwd(ctx, &arena, &loss, &tm, &tl, scale));
    value_is(&loss, (double)scale * ref_gaussian_kl(mu, logvar, n), 1e-5);
    ref_gaussian_kl_bwd(dm, dl, d, mu, logvar, n, scale);
    assert_ok(op_gaussian_kl_bwd(ctx, &gm, &gl, &td, &tm, &tl, scale, false, false));
    assert_ok(op_gaussian_kl_bwd(ctx, &am, NULL, &td, &tm, &tl, scale, true, false));
    assert_ok(op_gaussian_kl_bwd(ctx, NULL, &al, &td, &tm, &tl, scale, false, true));
    close_to(&gm, NULL, dm, 1e-5);
    close_to(&gl, NULL, dl, 1e-5);
    close_to(&am, before, dm, 1e-5);
    close_to(&al, before, dl, 1e-5);
    struct tensor *all[] = {&tm, &tl, &loss, &td, &gm, &gl, &am, &al};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    arena_free(ctx, &arena);
    free(mu);
    free(logvar);
    free(before);
    free(dm);
    free(dl);
}

static void test_kl(void **state)
{
    static const int lengths[] = {1, 17, 2047, 2049, 5003};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            check_kl(lengths[i], 2);
            check_kl(lengths[i], 15);
        }
    }
    use_default();
}

/* ---- cross-entropy ---- */

/* Every third row does not count; x far from zero when asked. */
static void check_cross_entropy(int rows, int n, float smoothing, float offset)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    size_t count = (size_t)rows * (size_t)n;
    struct cross_entropy_args args = {.rows = rows, .n = n, .ignore = -7, .smoothing = smoothing}, bare = args;
    float *x = test_scaled(count, 1, 5), *before = test_scaled(count, 2, 1), *want = test_scaled(count, 3, 1);
    int *targets = malloc((size_t)rows * sizeof *targets);
    const float d = 1.5f;
    assert_non_null(targets);
    for (int r = 0; r < rows; r++)
        targets[r] = r % 3 == 1 ? -7 : (r * 31 + n / 2) % n;
    for (size_t i = 0; i < count; i++)
        x[i] += offset;
    struct tensor tx = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, x), tt = test_tensor(DTYPE_I32, 1, rows, 1, 1, 1, targets);
    struct tensor loss = vector(1, NULL), td = vector(1, &d), dx = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, NULL);
    struct tensor dx2 = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, NULL), added = test_tensor(DTYPE_F32, 2, rows, n, 1, 1, before);
    arena_grow(ctx, &arena);
    bare.rows = bare.n = 0; /* filled in */
    assert_ok(op_cross_entropy_fwd(ctx, &arena, &loss, &tx, &tt, bare));
    value_is(&loss, ref_cross_entropy(x, targets, &args), 1e-5);
    ref_cross_entropy_bwd(want, d, x, targets, &args);
    assert_ok(op_cross_entropy_bwd(ctx, &arena, &dx, &td, &tx, &tt, bare, false));
    assert_ok(op_cross_entropy_bwd(ctx, &arena, &dx2, &td, &tx, &tt, bare, false));
    assert_ok(op_cross_entropy_bwd(ctx, &arena, &added, &td, &tx, &tt, bare, true));
    close_to(&dx, NULL, want, 1e-5);
    close_to(&added, before, want, 1e-4);
    same_bits(&dx, &dx2);
    struct tensor *all[] = {&tx, &tt, &loss, &td, &dx, &dx2, &added};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    arena_free(ctx, &arena);
    free(x);
    free(before);
    free(want);
    free(targets);
}

static void test_cross_entropy(void **state)
{
    static const int widths[] = {1, 15, 16, 17, 127, 128, 129, 1021};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        for (size_t i = 0; i < COUNT(widths); i++)
            check_cross_entropy(i % 2 ? 1 : 7, widths[i], i % 3 ? 0.1f : 0, i % 4 == 3 ? -1000 : 0);
        if (!test_small()) {
            check_cross_entropy(5, 51866, 0.1f, 0);
            check_cross_entropy(3001, 10, 0, 0);
        }
    }
    use_default();
}

/* Rows that do not count, columns that are impossible, targets that there are not. */
static void test_cross_entropy_edges(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    float x[2][20] = {{0}};
    const int ignored[2] = {-100, -100}, good[2] = {3, -100}, bad[2] = {3, 20};
    const float d = 1;
    struct cross_entropy_args args = {.ignore = -100};
    (void)state;
    x[0][5] = x[0][17] = -INFINITY;
    struct tensor tx = test_tensor(DTYPE_F32, 2, 2, 20, 1, 1, x), loss = vector(1, NULL), td = vector(1, &d);
    arena_grow(ctx, &arena);
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        struct tensor none = test_tensor(DTYPE_I32, 1, 2, 1, 1, 1, ignored), some = test_tensor(DTYPE_I32, 1, 2, 1, 1, 1, good);
        struct tensor wrong = test_tensor(DTYPE_I32, 1, 2, 1, 1, 1, bad), dx = test_tensor(DTYPE_F32, 2, 2, 20, 1, 1, NULL);
        float want[40] = {0}, *got;
        assert_ok(op_cross_entropy_fwd(ctx, &arena, &loss, &tx, &none, args));
        assert_ok(op_cross_entropy_bwd(ctx, &arena, &dx, &td, &tx, &none, args, false));
        value_is(&loss, 0, 0);
        close_to(&dx, NULL, want, 0);
        assert_ok(op_cross_entropy_fwd(ctx, &arena, &loss, &tx, &some, args));
        value_is(&loss, log(18), 1e-6);
        assert_ok(op_cross_entropy_bwd(ctx, &arena, &dx, &td, &tx, &some, args, false));
        for (int i = 0; i < 20; i++)
            want[i] = (i == 5 || i == 17 ? 0 : 1.0f / 18) - (i == 3 ? 1 : 0);
        close_to(&dx, NULL, want, 1e-6);
        assert_ok(op_cross_entropy_fwd(ctx, &arena, &loss, &tx, &wrong, args));
        assert_ok(op_cross_entropy_bwd(ctx, &arena, &dx, &td, &tx, &wrong, args, false));
        got = test_read(&loss);
        assert_true(isnan(*got));
        free(got);
        got = test_read(&dx);
        assert_true(isfinite(got[0]) && isnan(got[20]));
        free(got);
        test_free(&none);
        test_free(&some);
        test_free(&wrong);
        test_free(&dx);
    }
    use_default();
    arena_free(ctx, &arena);
    test_free(&tx);
    test_free(&loss);
    test_free(&td);
}

/* With smoothing, which torch's golden file lacks. */
static void test_cross_entropy_differences(void **state)
{
    struct cross_entropy_args args = {.rows = 3, .n = 7, .ignore = -1, .smoothing = 0.2f};
    const int targets[3] = {2, -1, 6};
    float *x = test_scaled(21, 9, 2), dx[21];
    (void)state;
    for (int i = 0; i < 21; i++)
        x[i] = roundf(x[i] * 64) / 64;
    ref_cross_entropy_bwd(dx, 3, x, targets, &args);
    for (int i = 0; i < 21; i++) {
        const float h = 0x1p-10f, keep = x[i];
        x[i] = keep + h;
        double high = ref_cross_entropy(x, targets, &args);
        x[i] = keep - h;
        double low = ref_cross_entropy(x, targets, &args);
        x[i] = keep;
        assert_true(fabs((high - low) / (2 * (double)h) * 3 - (double)dx[i]) < 1e-5);
    }
    free(x);
}

/* ---- torch ---- */

static struct weights golden;

static struct tensor stored(const char *name, const char *part, int n)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, part);
    float *x = test_floats(&golden, key, (size_t)n);
    struct tensor t = vector(n, x);
    free(x);
    return t;
}

static void expect(const struct tensor *t, const char *name, const char *part, double tolerance)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%s", name, part);
    float *want = test_floats(&golden, key, tensor_count(t));
    close_to(t, NULL, want, tolerance);
    free(want);
}

static void check_pairs(const char *name, int loss)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct loss_args args = {.loss = loss, .scale = 1.0f / 20};
    struct tensor x = stored(name, "x", 20), t = stored(name, "t", 20), dy = stored(name, "dy", 1), y = vector(1, NULL),
                  dx = vector(20, NULL);
    arena_grow(ctx, &arena);
    assert_ok(op_loss_fwd(ctx, &arena, &y, &x, &t, args, false));
    assert_ok(op_loss_bwd(ctx, &dx, &dy, &x, &t, args, false));
    expect(&y, name, "y", 1e-5);
    expect(&dx, name, "dx", 1e-5);
    struct tensor *all[] = {&x, &t, &dy, &y, &dx};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    arena_free(ctx, &arena);
}

static void test_torch(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    (void)state;
    arena_grow(ctx, &arena);
    golden = test_operations();
    for (size_t f = 0; f < COUNT(families); f++) {
        use(f);
        check_pairs("mse", LOSS_MSE);
        check_pairs("bce_with_logits", LOSS_BCE_LOGITS);
        const char *name = "gaussian_kl";
        struct tensor mu = stored(name, "mu", 24), logvar = stored(name, "logvar", 24), dy = stored(name, "dy", 1), y = vector(1, NULL);
        struct tensor dm = vector(24, NULL), dl = vector(24, NULL);
        assert_ok(op_gaussian_kl_fwd(ctx, &arena, &y, &mu, &logvar, 1));
        assert_ok(op_gaussian_kl_bwd(ctx, &dm, &dl, &dy, &mu, &logvar, 1, false, false));
        expect(&y, name, "y", 1e-5);
        expect(&dm, name, "dmu", 1e-5);
        expect(&dl, name, "dlogvar", 1e-5);
        name = "cross_entropy";
        struct tensor x = stored(name, "x", 54), dce = stored(name, "dy", 1), loss = vector(1, NULL), dx = vector(54, NULL);
        float *ids = test_floats(&golden, "cross_entropy.t", 6);
        struct tensor t = test_tensor(DTYPE_I32, 1, 6, 1, 1, 1, ids);
        x = tensor_reshape(&x, 2, 6, 9, 0, 0);
        dx = tensor_reshape(&dx, 2, 6, 9, 0, 0);
        assert_ok(op_cross_entropy_fwd(ctx, &arena, &loss, &x, &t, (struct cross_entropy_args){.ignore = -100}));
        assert_ok(op_cross_entropy_bwd(ctx, &arena, &dx, &dce, &x, &t, (struct cross_entropy_args){.ignore = -100}, false));
        expect(&loss, name, "y", 1e-5);
        expect(&dx, name, "dx", 1e-5);
        free(ids);
        struct tensor *all[] = {&mu, &logvar, &dy, &y, &dm, &dl, &x, &dce, &loss, &dx, &t};
        for (size_t i = 0; i < COUNT(all); i++)
            test_free(all[i]);
    }
    use_default();
    weights_close(&golden);
    arena_free(ctx, &arena);
}

/* ---- on the tape: mean((z - t)^2) + mean |z - t| + 0.1 KL, z = mu + exp(logvar / 2) eps; and cross-entropy ---- */

static void test_tape(void **state)
{
    enum { N = 37 };
    clio_context *ctx = test_context();
    struct tape tape;
    float *mu = test_scaled(N, 1, 1), *logvar = test_scaled(N, 2, 1), *eps = test_scaled(N, 3, 1), *t = test_scaled(N, 4, 1), z[N], dz[N],
          more[N], dm[N], dl[N];
    float *x = test_scaled(60, 5, 3), dx[60], dt[N];
    const int ids[6] = {1, 0, -100, 9, 3, 3};
    const float one = 1;
    struct loss_args square = {.n = N, .loss = LOSS_MSE, .scale = 1.0f / N}, linear = {.n = N, .loss = LOSS_L1, .scale = 0.5f / N};
    struct cross_entropy_args ce = {.rows = 6, .n = 10, .ignore = -100};
    (void)state;
    for (int given = 0; given < 2; given++) {
        if (!given)
            ref_random(eps, N, 11, 12, true);
        else
            test_random(eps, N, 3);
        struct tensor tm = vector(N, mu), tl = vector(N, logvar), te = vector(N, eps), tt = vector(N, t), tz = vector(N, NULL);
        struct tensor loss = vector(1, NULL), kl = vector(1, NULL), start = vector(1, &one), gm = vector(N, NULL), gl = vector(N, NULL);
        struct tensor gt = vector(N, NULL);
        assert_ok(tape_open(ctx, &tape));
        assert_ok(tape_start(ctx, &tape));
        assert_ok(tape_watch(ctx, &tape, &tm, &gm, false));
        assert_ok(tape_watch(ctx, &tape, &tl, &gl, false));
        assert_ok(tape_watch(ctx, &tape, &tt, &gt, false));
        assert_ok(op_reparam_fwd(ctx, &tz, &tm, &tl, given ? &te : NULL, 11, 12));
        assert_ok(op_gaussian_kl_fwd(ctx, &tape.arena, &kl, &tm, &tl, 0.1f));
        assert_ok(op_loss_fwd(ctx, &tape.arena, &loss, &tz, &tt, square, false));
        assert_ok(op_loss_fwd(ctx, &tape.arena, &loss, &tz, &tt, linear, true));
        assert_ok(op_add_fwd(ctx, &loss, &loss, &kl, 1, 1));
        assert_ok(op_random_fwd(ctx, &tz, 1, 2, false)); /* what backward needs is put aside first */
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &tape, &loss, &start));

        ref_reparam(z, mu, logvar, eps, N);
        ref_loss_bwd(dz, 1, z, t, &square);
        ref_loss_bwd(more, 1, z, t, &linear);
        for (int i = 0; i < N; i++) {
            dz[i] += more[i];
            dt[i] = -dz[i];
        }
        ref_reparam_bwd(dm, dl, dz, logvar, eps, N);
        ref_gaussian_kl_bwd(dz, more, 1, mu, logvar, N, 0.1f);
        for (int i = 0; i < N; i++) {
            dm[i] += dz[i];
            dl[i] += more[i];
        }
        value_is(&loss, ref_loss(z, t, &square) / N + 0.5 * ref_loss(z, t, &linear) / N + 0.1 * ref_gaussian_kl(mu, logvar, N), 1e-5);
        close_to(&gm, NULL, dm, 1e-5);
        close_to(&gl, NULL, dl, 1e-5);
        close_to(&gt, NULL, dt, 1e-5);
        tape_close(&tape);
        struct tensor *all[] = {&tm, &tl, &te, &tt, &tz, &loss, &kl, &start, &gm, &gl, &gt};
        for (size_t i = 0; i < COUNT(all); i++)
            test_free(all[i]);
    }
    struct tensor tx = test_tensor(DTYPE_F32, 3, 2, 3, 10, 1, x), ti = test_tensor(DTYPE_I32, 2, 2, 3, 1, 1, ids), loss = vector(1, NULL);
    struct tensor gx = test_tensor(DTYPE_F32, 3, 2, 3, 10, 1, NULL), start = vector(1, &one);
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &tx, &gx, false));
    assert_ok(op_cross_entropy_fwd(ctx, &tape.arena, &loss, &tx, &ti, ce));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &loss, &start));
    ref_cross_entropy_bwd(dx, 1, x, ids, &ce);
    value_is(&loss, ref_cross_entropy(x, ids, &ce), 1e-5);
    close_to(&gx, NULL, dx, 1e-5);
    tape_close(&tape);
    struct tensor *all[] = {&tx, &ti, &loss, &gx, &start};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    float *arrays[] = {mu, logvar, eps, t, x};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor eight = vector(8, NULL), seven = vector(7, NULL), one = vector(1, NULL);
    struct loss_args args = {.loss = LOSS_MSE, .scale = 1};
    (void)state;
    arena_grow(ctx, &arena);
    assert_fails(op_loss_fwd(ctx, &arena, &one, &eight, &seven, args, false), CLIO_ERROR_INTERNAL,
                 "targets is f32 [7], but must be f32 [8]");
    assert_fails(op_loss_fwd(ctx, &arena, &seven, &eight, NULL, args, false), CLIO_ERROR_INTERNAL, "loss is f32 [7], but must be f32 [1]");
    args.loss = LOSS_COUNT;
    assert_fails(op_loss_fwd(ctx, &arena, &one, &eight, NULL, args, false), CLIO_ERROR_INTERNAL, "there is no loss 8");
    args.loss = LOSS_MEAN;
    assert_fails(op_loss_fwd(ctx, &arena, &one, &eight, &eight, args, false), CLIO_ERROR_INTERNAL, "no loss 5 of targets");
    assert_fails(op_loss_bwd(ctx, &seven, &one, &eight, NULL, args, false), CLIO_ERROR_INTERNAL, "dx is f32 [7]");
    assert_fails(op_gaussian_kl_fwd(ctx, &arena, &one, &eight, &seven, 1), CLIO_ERROR_INTERNAL, "logvar is f32 [7]");
    arena_free(ctx, &arena);
    test_free(&eight);
    test_free(&seven);
    test_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_right_answers),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_kl),
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cross_entropy_edges),
        cmocka_unit_test(test_cross_entropy_differences),
        cmocka_unit_test(test_tape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
