/* op_mel.c - the parts of a log-mel spectrogram: frames, Fourier transform, power, logarithm. Kernels: cl/mel.cl; clFFT (core/fft.h). */
#include "families.h"
#include "../core/fft.h"

#include <stdio.h>

#define LOCAL 64
#define GROUPS 64

clio_status op_frames_fwd(clio_context *ctx, const struct tensor *frames, const struct tensor *samples, const struct tensor *window,
                          int hop)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    char text[96];
    int count = frames->dim[0], n = frames->dim[1];
    struct mel_args args = {.frames = count, .bins = n, .ld = hop};
    TRY(op_check(ctx, "frames", "frames", frames, DTYPE_F32, 2, -1, -1, 0, 0));
    TRY(op_check(ctx, "frames", "window", window, DTYPE_F32, 1, n, 0, 0, 0));
    if (samples->dtype != DTYPE_F32 || hop < 0 || (size_t)(count - 1) * (size_t)hop + (size_t)n > tensor_count(samples))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "frames: %d frames of %d samples, %d apart, from %s", count, n, hop, tensor_describe(samples, text));
    TRY(kernel_get(ctx, "mel", "mel_frames", "", &k));
    TRY(LAUNCH(ctx, k, GRID2(n, count, MIN(n, LOCAL), 1), COST((double)count * n, 8.0 * count * n), ARG_TENSOR(frames), ARG_TENSOR(samples),
               ARG_TENSOR(window), ARG_VALUE(args)));
fail:
    return st;
}

/* A length is tested before the first transform: the library is unmaintained, and wrong with some drivers. */
bool clfft_choose(clio_context *ctx, void *call, int attempt, struct kernel_variant *v)
{
    const struct tensor *in = call;
    (void)ctx;
    snprintf(v->options, sizeof v->options, "n=%d", in->dim[1]);
    v->test.m = in->dim[0];
    v->test.n = in->dim[1];
    return attempt == 0;
}

clio_status op_rfft_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    struct tensor call = *in;
    struct kernel_variant v;
    bool works;
    TRY(op_check(ctx, "rfft", "in", in, DTYPE_F32, 2, -1, -1, 0, 0));
    TRY(op_check(ctx, "rfft", "out", out, DTYPE_F32, 3, in->dim[0], in->dim[1] / 2 + 1, 2, 0));
    if (ctx->planning)
        return CLIO_OK;
    TRY(family_find(ctx, "clfft", NULL, &call, &v, &works));
    if (!works) {
        const struct selftest_result *result = selftest_result_find(ctx, "clfft", v.options);
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "clFFT is disabled on %s: %s", ctx->device.name, result ? result->reason : "not tested");
    }
    TRY(fft_real(ctx, out, in));
fail:
    return st;
}

clio_status op_power_fwd(clio_context *ctx, const struct tensor *power, const struct tensor *spectrum)
{
    clio_status st = CLIO_OK;
    struct kernel *k;
    struct mel_args args = {.frames = power->dim[0], .bins = power->dim[1]};
    TRY(op_check(ctx, "power", "power", power, DTYPE_F32, 2, -1, -1, 0, 0));
    TRY(op_check(ctx, "power", "spectrum", spectrum, DTYPE_F32, 3, args.frames, args.bins, 2, 0));
    TRY(kernel_get(ctx, "mel", "mel_power", "", &k));
    TRY(LAUNCH(ctx, k, GRID1(tensor_count(power), LOCAL), COST(3.0 * (double)tensor_count(power), 12.0 * (double)tensor_count(power)),
               ARG_TENSOR(power), ARG_TENSOR(spectrum), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_log_mel_fwd(clio_context *ctx, struct arena *arena, const struct tensor *mel)
{
    clio_status st = CLIO_OK;
    struct kernel *logarithm, *scale;
    uint64_t mark = arena_mark(arena);
    size_t n = tensor_count(mel);
    struct tensor peaks = tensor_shape(DTYPE_F32, 1, GROUPS, 0, 0, 0);
    struct mel_args args = {.frames = (int)n, .ld = GROUPS};
    TRY(op_check(ctx, "log mel", "mel", mel, DTYPE_F32, 2, -1, -1, 0, 0));
    TRY(tensor_take(ctx, arena, &peaks));
    TRY(kernel_get(ctx, "mel", "mel_log", "", &logarithm));
    TRY(kernel_get(ctx, "mel", "mel_scale", "", &scale));
    TRY(LAUNCH(ctx, logarithm, GRID1(GROUPS * LOCAL, LOCAL), COST(2.0 * (double)n, 8.0 * (double)n), ARG_TENSOR(mel), ARG_TENSOR(&peaks),
               ARG_VALUE(args)));
    TRY(LAUNCH(ctx, scale, GRID1((n + 15) / 16, LOCAL), COST(3.0 * (double)n, 8.0 * (double)n), ARG_TENSOR(mel), ARG_TENSOR(&peaks),
               ARG_VALUE(args)));
fail:
    arena_release(arena, mark);
    return st;
}
