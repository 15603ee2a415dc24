/* test_op_mel.c - frames, power and logarithm of a mel spectrogram, and the Fourier transform, against plain C. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

#define PI 3.14159265358979323846

static void test_frames(void **state)
{
    static const int cases[][3] = {{1, 1, 1}, {3, 7, 2}, {2, 65, 65}, {5, 33, 40}, {4, 400, 160}}; /* frames, samples of one, hop */
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int count = cases[i][0], n = cases[i][1], hop = cases[i][2], samples = (count - 1) * hop + n;
        float *x = test_values((size_t)samples, 1), *w = test_values((size_t)n, 2), *want = test_values((size_t)(count * n), 3);
        struct tensor in = test_tensor(DTYPE_F32, 1, samples, 1, 1, 1, x), window = test_tensor(DTYPE_F32, 1, n, 1, 1, 1, w);
        struct tensor out = test_tensor(DTYPE_F32, 2, count, n, 1, 1, NULL);
        assert_ok(op_frames_fwd(test_context(), &out, &in, &window, hop));
        for (int f = 0; f < count; f++)
            for (int j = 0; j < n; j++)
                want[f * n + j] = x[f * hop + j] * w[j];
        float *y = test_read(&out);
        assert_close(y, want, (size_t)(count * n), 1e-7);
        free(x);
        free(w);
        free(want);
        free(y);
        test_free(&in);
        test_free(&window);
        test_free(&out);
    }
}

static void test_power(void **state)
{
    static const int cases[][2] = {{1, 1}, {3, 21}, {4, 16}, {5, 201}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int frames = cases[i][0], bins = cases[i][1], n = frames * bins;
        float *x = test_values((size_t)(2 * n), 4), *want = test_values((size_t)n, 4);
        struct tensor in = test_tensor(DTYPE_F32, 3, frames, bins, 2, 1, x), out = test_tensor(DTYPE_F32, 2, frames, bins, 1, 1, NULL);
        assert_ok(op_power_fwd(test_context(), &out, &in));
        for (int j = 0; j < n; j++)
            want[j] = x[2 * j] * x[2 * j] + x[2 * j + 1] * x[2 * j + 1];
        float *y = test_read(&out);
        assert_close(y, want, (size_t)n, 1e-6);
        free(x);
        free(want);
        free(y);
        test_free(&in);
        test_free(&out);
    }
}

/* x in place, planned and run, beside the reference. */
static void check_log_mel(float *x, int frames, int bands)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor mel = test_tensor(DTYPE_F32, 2, frames, bands, 1, 1, x);
    ctx->planning = true;
    clio_status planned = op_log_mel_fwd(ctx, &arena, &mel);
    ctx->planning = false;
    assert_ok(planned);
    assert_ok(arena_commit(ctx, &arena, "scratch"));
    assert_ok(op_log_mel_fwd(ctx, &arena, &mel));
    float *y = test_read(&mel);
    ref_log_mel(x, frames * bands);
    assert_close(y, x, (size_t)(frames * bands), 1e-6);
    free(y);
    arena_free(ctx, &arena);
    test_free(&mel);
}

/* Powers over 24 decades, so that both floors are met; sizes below, at and beyond the groups' share. */
static void test_log_mel(void **state)
{
    static const int cases[][2] = {{1, 1}, {3, 21}, {64, 64}, {51, 80}, {3000, 128}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases) - (test_small() ? 1 : 0); i++) {
        int n = cases[i][0] * cases[i][1];
        float *x = test_values((size_t)n, 6);
        for (int j = 0; j < n; j++)
            x[j] = powf(10, 12 * x[j]);
        x[n / 2] = 0;
        check_log_mel(x, cases[i][0], cases[i][1]);
        free(x);
    }
}

/* Silence: all the same number, no infinity. The greatest may be the last, too. */
static void test_log_mel_corners(void **state)
{
    float x[99];
    (void)state;
    for (int i = 0; i < 99; i++)
        x[i] = 0;
    check_log_mel(x, 9, 11);
    assert_true(fabsf(x[5] + 1.5f) < 1e-6f); /* (log10(1e-10) + 4) / 4 */
    for (int i = 0; i < 99; i++)
        x[i] = 1e-9f;
    x[98] = 5;
    check_log_mel(x, 9, 11);
}

/* ---- the Fourier transform ---- */

static void plain_dft(float *out, const float *in, int frames, int n)
{
    int bins = n / 2 + 1;
    for (int f = 0; f < frames; f++)
        for (int k = 0; k < bins; k++) {
            double re = 0, im = 0;
            for (int j = 0; j < n; j++) {
                double angle = -2 * PI * (double)(j * k % n) / n;
                re += (double)in[f * n + j] * cos(angle);
                im += (double)in[f * n + j] * sin(angle);
            }
            out[(f * bins + k) * 2] = (float)re;
            out[(f * bins + k) * 2 + 1] = (float)im;
        }
}

static void check_fft(clio_context *ctx, int frames, int n)
{
    int bins = n / 2 + 1;
    float *x = test_values((size_t)(frames * n), 8), *want = test_values((size_t)(2 * frames * bins), 8),
          *y = test_values((size_t)(2 * frames * bins), 9);
    struct tensor in = tensor_shape(DTYPE_F32, 2, frames, n, 0, 0), out = tensor_shape(DTYPE_F32, 3, frames, bins, 2, 0);
    assert_int_equal(tensor_new(ctx, &in, "samples"), CLIO_OK);
    assert_int_equal(tensor_new(ctx, &out, "a spectrum"), CLIO_OK);
    plain_dft(want, x, frames, n);
    for (int twice = 0; twice < 2; twice++) { /* the plan is checked at its first use, and used at its second */
        assert_int_equal(tensor_write(ctx, &in, 0, (size_t)(frames * n), x), CLIO_OK);
        if (op_rfft_fwd(ctx, &out, &in))
            fail_msg("%s", clio_error(ctx));
        assert_int_equal(tensor_read(ctx, &out, 0, (size_t)(2 * frames * bins), y), CLIO_OK);
        assert_close(y, want, (size_t)(2 * frames * bins), 1e-5);
    }
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    free(x);
    free(want);
    free(y);
}

static void test_fft(void **state)
{
    (void)state;
    if (test_small())
        skip(); /* clFFT compiles for seconds */
    check_fft(test_context(), 3, 400);
    check_fft(test_context(), 1, 16);
    check_fft(test_context(), 3, 400);
}

/* clFFT has one state for the whole process: a context that closes leaves the others theirs. */
static void test_fft_of_two_contexts(void **state)
{
    clio_context *second = clio_create();
    (void)state;
    assert_non_null(second);
    if (test_small()) {
        clio_destroy(second);
        skip();
    }
    check_fft(test_context(), 2, 50);
    assert_int_equal(clio_device_open(second, NULL), CLIO_OK);
    check_fft(second, 2, 50);
    clio_destroy(second);
    check_fft(test_context(), 2, 50);
    check_fft(test_context(), 5, 64);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct tensor samples = test_tensor(DTYPE_F32, 1, 20, 1, 1, 1, NULL), window = test_tensor(DTYPE_F32, 1, 8, 1, 1, 1, NULL);
    struct tensor frames = test_tensor(DTYPE_F32, 2, 4, 8, 1, 1, NULL), spectrum = test_tensor(DTYPE_F32, 3, 4, 8, 2, 1, NULL);
    (void)state;
    assert_ok(op_frames_fwd(ctx, &frames, &samples, &window, 4));
    assert_fails(op_frames_fwd(ctx, &frames, &samples, &window, 5), CLIO_ERROR_INTERNAL, "4 frames of 8 samples, 5 apart, from f32 [20]");
    assert_fails(op_frames_fwd(ctx, &frames, &samples, &samples, 4), CLIO_ERROR_INTERNAL, "window is f32 [20], but must be f32 [8]");
    assert_fails(op_power_fwd(ctx, &frames, &frames), CLIO_ERROR_INTERNAL, "spectrum is f32 [4, 8], but must be f32 [4, 8, 2]");
    assert_fails(op_power_fwd(ctx, &window, &spectrum), CLIO_ERROR_INTERNAL, "power is f32 [8]");
    assert_fails(op_log_mel_fwd(ctx, &arena, &spectrum), CLIO_ERROR_INTERNAL, "mel is f32 [4, 8, 2]");
    test_free(&samples);
    test_free(&window);
    test_free(&frames);
    test_free(&spectrum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),          cmocka_unit_test(test_power), cmocka_unit_test(test_log_mel),
        cmocka_unit_test(test_log_mel_corners), cmocka_unit_test(test_fft),   cmocka_unit_test(test_fft_of_two_contexts),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
