/* test_op_reparam.c - random numbers: the same bits as in plain C, and distributed as they should be; sampling by reparameterization and
 * its gradient against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ref/ref_bwd.h"
#include "../../host/core/random.h"

#include <math.h>

#define SEED 0x123456789abcdef0u

static float *drawn(int n, uint64_t seed, uint64_t stream, bool normal)
{
    struct tensor out = test_tensor(DTYPE_F32, 1, n, 1, 1, 1, NULL);
    assert_ok(op_random_fwd(test_context(), &out, seed, stream, normal));
    float *x = test_read(&out);
    test_free(&out);
    return x;
}

/* Odd lengths, every seed and stream: bits. */
static void test_same_bits(void **state)
{
    static const int lengths[] = {1, 2, 3, 4, 5, 63, 64, 65, 255, 256, 257, 1021, 40000};
    static const uint64_t seeds[][2] = {{0, 0}, {42, 1}, {SEED, 0xfedcba9876543210u}, {UINT64_MAX, UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths) - (test_small() ? 1 : 0); i++)
        for (int k = 0; k < 8; k++) {
            int n = lengths[i];
            const uint64_t *s = seeds[k / 2];
            float *x = drawn(n, s[0], s[1], k % 2), *want = test_new((size_t)n);
            ref_random(want, n, s[0], s[1], k % 2);
            for (int j = 0; j < n; j++)
                if (memcmp(&x[j], &want[j], 4) != 0)
                    fail_msg("number %d of %d, seed %d: %a, expected %a", j, n, k, (double)x[j], (double)want[j]);
            free(x);
            free(want);
        }
}

/* The uniform numbers are the top 24 bits of Philox's words, whose published vectors test_random.c has. */
static void test_philox(void **state)
{
    (void)state;
    float *x = drawn(8, SEED, 77, false);
    for (uint32_t block = 0; block < 2; block++) {
        uint32_t counter[4] = {block, 0, 77, 0};
        const uint32_t key[2] = {(uint32_t)SEED, (uint32_t)(SEED >> 32)};
        random_philox(counter, key);
        for (int i = 0; i < 4; i++)
            assert_true((double)x[4 * block + (uint32_t)i] == (double)(counter[i] >> 8) * 0x1p-24);
    }
    free(x);
}

/* Numbers of host/ref, which are the device's: those of Box and Muller in double, from the same words. */
static void test_box_muller(void **state)
{
    enum { N = 100000 };
    float *x = test_new(N), worst = 0;
    const double turn = 6.283185307179586;
    (void)state;
    ref_random(x, N, SEED, 5, true);
    for (uint32_t i = 0; i < N; i += 2) {
        uint32_t c[4] = {i / 4, 0, 5, 0};
        const uint32_t key[2] = {(uint32_t)SEED, (uint32_t)(SEED >> 32)};
        random_philox(c, key);
        const uint32_t *w = c + i % 4;
        double radius = sqrt(-2 * log((w[0] + 0.5) / 4294967296.0)), angle = ((w[1] & 0x3fffffff) + 0.5) / 4294967296.0 * turn;
        double a = radius * cos(angle), b = radius * sin(angle);
        worst = fmaxf(worst, (float)fabs((double)x[i] - (w[1] >> 31 ? -a : a)));
        worst = fmaxf(worst, (float)fabs((double)x[i + 1] - (w[1] >> 30 & 1 ? -b : b)));
    }
    free(x);
    assert_true(worst < 1e-6f);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* sqrt(n) times the greatest distance of the numbers' distribution from the one it should be; sorts x */
static double kolmogorov(float *x, int n, bool normal)
{
    double most = 0;
    qsort(x, (size_t)n, sizeof *x, compare);
    for (int i = 0; i < n; i++) {
        double p = normal ? 0.5 * erfc(-(double)x[i] / sqrt(2)) : (double)x[i];
        most = fmax(most, fmax(fabs(p - (double)i / n), fabs(p - (double)(i + 1) / n)));
    }
    return most * sqrt(n);
}

/* Moments within five standard errors; Kolmogorov and Smirnov's distance below its quantile of 1 - 2e-4; tails as likely as they are; and
 * neighbours, and numbers of neighbouring streams, uncorrelated. */
static void test_distribution(void **state)
{
    const int n = test_small() ? 20000 : 1 << 20;
    const double root = sqrt(n);
    (void)state;
    for (int normal = 0; normal < 2; normal++) {
        float *x = drawn(n, 7, 1, normal), *other = drawn(n, 7, 2, normal);
        double mean = 0, square = 0, cube = 0, fourth = 0, lag[4] = {0}, cross = 0;
        int beyond2 = 0, beyond4 = 0;
        for (int i = 0; i < n; i++) {
            double a = normal ? (double)x[i] : ((double)x[i] - 0.5) * sqrt(12),
                   b = normal ? (double)other[i] : ((double)other[i] - 0.5) * sqrt(12);
            mean += a / n;
            square += a * a / n;
            cube += a * a * a / n;
            fourth += a * a * a * a / n;
            cross += a * b / n;
            for (int k = 0; k < 4 && i >= k + 1; k++)
                lag[k] += a * (normal ? (double)x[i - k - 1] : ((double)x[i - k - 1] - 0.5) * sqrt(12)) / n;
            beyond2 += fabs(a) > 2;
            beyond4 += fabs(a) > 4;
        }
        assert_true(fabs(mean) < 5 / root);
        assert_true(fabs(square - 1) < 5 * sqrt(normal ? 2 : 0.8) / root);
        assert_true(fabs(cube) < 5 * sqrt(normal ? 15 : 27.0 / 7) / root);
        assert_true(fabs(fourth - (normal ? 3 : 1.8)) < 5 * sqrt(normal ? 96 : 5.76) / root);
        assert_true(fabs(cross) < 5 / root);
        for (int k = 0; k < 4; k++)
            assert_true(fabs(lag[k]) < 5 / root);
        if (normal) {
            double p2 = erfc(2 / sqrt(2)), p4 = erfc(4 / sqrt(2));
            assert_true(fabs(beyond2 - n * p2) < 5 * sqrt(n * p2) && fabs(beyond4 - n * p4) < 5 * sqrt(n * p4) + 1);
        } else {
            assert_true(beyond2 == 0);
        }
        double distance = kolmogorov(x, n, normal);
        assert_true(normal || (x[0] >= 0 && x[n - 1] < 1));
        assert_true(distance < 2.15);
        free(x);
        free(other);
    }
}

/* ---- sampling ---- */

static struct tensor vector(int n, const float *data)
{
    return test_tensor(DTYPE_F32, 1, n, 1, 1, 1, data);
}

/* eps given or made from (SEED, 3). */
static void check(int n, bool given)
{
    clio_context *ctx = test_context();
    size_t count = (size_t)n;
    float *mu = test_new(count), *logvar = test_new(count), *eps = test_new(count), *dz = test_new(count), *before = test_new(count);
    float *want = test_new(count), *dmu = test_new(count), *dlogvar = test_new(count);
    test_random(mu, count, 1);
    test_random(logvar, count, 2);
    test_random(eps, count, 3);
    test_random(dz, count, 4);
    test_random(before, count, 5);
    for (int i = 0; i < n; i++)
        logvar[i] *= 4;
    if (!given)
        ref_random(eps, n, SEED, 3, true);
    ref_reparam(want, mu, logvar, eps, n);
    ref_reparam_bwd(dmu, dlogvar, dz, logvar, eps, n);

    struct tensor tm = vector(n, mu), tl = vector(n, logvar), te = vector(n, eps), tz = vector(n, NULL), td = vector(n, dz);
    assert_ok(op_reparam_fwd(ctx, &tz, &tm, &tl, given ? &te : NULL, SEED, 3));
    float *z = test_read(&tz);
    assert_close(z, want, count, 1e-6);
    free(z);
    for (int way = 0; way < 3; way++) { /* both; the second alone, added to; both added to */
        struct tensor gm = vector(n, way == 2 ? before : NULL), gl = vector(n, way ? before : NULL);
        assert_ok(op_reparam_bwd(ctx, way == 1 ? NULL : &gm, &gl, &td, &tl, given ? &te : NULL, SEED, 3, way == 2, way > 0));
        float *got = test_read(&gl);
        for (int i = 0; i < n; i++)
            got[i] -= way ? before[i] : 0;
        assert_close(got, dlogvar, count, 1e-6);
        free(got);
        got = test_read(&gm);
        for (int i = 0; way != 1 && i < n; i++)
            got[i] -= way ? before[i] : 0;
        if (way != 1)
            assert_close(got, dmu, count, 1e-6);
        free(got);
        test_free(&gm);
        test_free(&gl);
    }
    assert_ok(op_reparam_bwd(ctx, NULL, NULL, &td, &tl, NULL, SEED, 3, false, false));
    test_free(&tm);
    test_free(&tl);
    test_free(&te);
    test_free(&tz);
    test_free(&td);
    free(mu);
    free(logvar);
    free(eps);
    free(dz);
    free(before);
    free(want);
    free(dmu);
    free(dlogvar);
}

static void test_reparam(void **state)
{
    static const int lengths[] = {1, 2, 3, 4, 7, 64, 255, 1021};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        check(lengths[i], true);
        check(lengths[i], false);
    }
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    clio_context *ctx = test_context();
    (void)state;
    float *mu = test_floats(&golden, "reparameterize.mu", 24), *logvar = test_floats(&golden, "reparameterize.logvar", 24);
    float *eps = test_floats(&golden, "reparameterize.eps", 24), *y = test_floats(&golden, "reparameterize.y", 24);
    float *dy = test_floats(&golden, "reparameterize.dy", 24), *dmu = test_floats(&golden, "reparameterize.dmu", 24);
    float *dlogvar = test_floats(&golden, "reparameterize.dlogvar", 24);
    struct tensor tm = vector(24, mu), tl = vector(24, logvar), te = vector(24, eps), td = vector(24, dy), tz = vector(24, NULL);
    struct tensor gm = vector(24, NULL), gl = vector(24, NULL);
    assert_ok(op_reparam_fwd(ctx, &tz, &tm, &tl, &te, 0, 0));
    assert_ok(op_reparam_bwd(ctx, &gm, &gl, &td, &tl, &te, 0, 0, false, false));
    float *z = test_read(&tz), *got_mu = test_read(&gm), *got_logvar = test_read(&gl);
    assert_close(z, y, 24, 1e-6);
    assert_close(got_mu, dmu, 24, 1e-6);
    assert_close(got_logvar, dlogvar, 24, 1e-6);
    struct tensor *all[] = {&tm, &tl, &te, &td, &tz, &gm, &gl};
    for (size_t i = 0; i < COUNT(all); i++)
        test_free(all[i]);
    float *arrays[] = {mu, logvar, eps, y, dy, dmu, dlogvar, z, got_mu, got_logvar};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor eight = vector(8, NULL), seven = vector(7, NULL);
    (void)state;
    assert_fails(op_reparam_fwd(ctx, &eight, &eight, &seven, NULL, 0, 0), CLIO_ERROR_INTERNAL, "logvar is f32 [7], but must be f32 [8]");
    assert_fails(op_reparam_bwd(ctx, &seven, NULL, &eight, &eight, NULL, 0, 0, false, false), CLIO_ERROR_INTERNAL, "dmu is f32 [7]");
    test_free(&eight);
    test_free(&seven);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),    cmocka_unit_test(test_philox),  cmocka_unit_test(test_box_muller),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_reparam), cmocka_unit_test(test_torch),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
