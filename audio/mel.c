/* mel.c - log-mel spectrogram: STFT, mel filterbank, logarithm.
 *
 * Source: openai/whisper, audio.py (log_mel_spectrogram); transformers, feature_extraction_whisper.py and audio_utils.py (mel_filter_bank
 * with norm and mel_scale "slaney"). Hann window, n_fft 400, hop_length 160, power spectrum.
 *
 * The STFT is a matmul of the overlapping frames with a matrix of windowed cosines and sines: 1 GFLOP for 30 s, faster than the seconds
 * that clFFT takes to make a plan, and without copying frames. clFFT is used on devices where it is measured to be faster (row mel.stft);
 * if it fails its self-test, the matmul is used. */
#include "mel.h"

#include <math.h>
#include <stdlib.h>

#define PI 3.14159265358979323846

static double hz_to_mel(double f)
{
    return f >= 1000 ? 15 + log(f / 1000) * (27 / log(6.4)) : f * 3 / 200;
}

static double mel_to_hz(double m)
{
    return m >= 15 ? 1000 * exp((m - 15) * log(6.4) / 27) : m * 200 / 3;
}

void mel_filters(float *filters, int bands)
{
    double top = hz_to_mel(MEL_RATE / 2.0), step = top / (bands + 1);
    for (int band = 0; band < bands; band++) {
        double low = mel_to_hz(band * step), center = mel_to_hz((band + 1) * step), high = mel_to_hz((band + 2) * step);
        for (int bin = 0; bin < MEL_BINS; bin++) {
            double f = (double)bin * MEL_RATE / MEL_FFT;
            double up = (f - low) / (center - low), down = (high - f) / (high - center);
            filters[band * MEL_BINS + bin] = (float)(fmax(0, fmin(up, down)) * 2 / (high - low));
        }
    }
}

static double hann(int j)
{
    return 0.5 - 0.5 * cos(2 * PI * j / MEL_FFT);
}

static clio_status make_dft(clio_context *ctx, struct mel *mel)
{
    clio_status st = CLIO_OK;
    float *rows = NULL;
    TRY(mem_alloc(ctx, &rows, (size_t)2 * MEL_BINS * MEL_FFT, sizeof *rows));
    for (int bin = 0; bin < MEL_BINS; bin++)
        for (int j = 0; j < MEL_FFT; j++) {
            double angle = 2 * PI * (bin * j % MEL_FFT) / MEL_FFT;
            rows[(2 * bin) * MEL_FFT + j] = (float)(hann(j) * cos(angle));
            rows[(2 * bin + 1) * MEL_FFT + j] = (float)(hann(j) * -sin(angle));
        }
    TRY(matrix_new(ctx, &mel->dft, 2 * MEL_BINS, MEL_FFT, MATRIX_EXACT, "the Fourier transform"));
    TRY(matrix_fill_floats(ctx, &mel->dft, 0, 2 * MEL_BINS, rows));
fail:
    free(rows);
    return st;
}

clio_status mel_open(clio_context *ctx, struct mel *mel, int bands)
{
    clio_status st = CLIO_OK;
    float *filters = NULL, window[MEL_FFT];
    *mel = (struct mel){.bands = bands, .by_clfft = params_is(ctx, "mel.stft", "clfft")};
    for (int j = 0; j < MEL_FFT; j++)
        window[j] = (float)hann(j);
    mel->window = tensor_shape(DTYPE_F32, 1, MEL_FFT, 0, 0, 0);
    TRY(tensor_new(ctx, &mel->window, "the window"));
    TRY(tensor_write(ctx, &mel->window, 0, MEL_FFT, window));
    TRY(mem_alloc(ctx, &filters, (size_t)bands * MEL_BINS, sizeof *filters));
    mel_filters(filters, bands);
    TRY(matrix_new(ctx, &mel->filters, bands, MEL_BINS, MATRIX_EXACT, "the mel filters"));
    TRY(matrix_fill_floats(ctx, &mel->filters, 0, bands, filters));
    TRY(make_dft(ctx, mel));
fail:
    free(filters);
    if (st)
        mel_close(ctx, mel);
    return st;
}

void mel_close(clio_context *ctx, struct mel *mel)
{
    tensor_free(ctx, &mel->window);
    matrix_free(ctx, &mel->filters);
    matrix_free(ctx, &mel->dft);
}

static clio_status spectrum_by_clfft(clio_context *ctx, struct arena *arena, struct mel *mel, const struct tensor *spectrum,
                                     const struct tensor *samples)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor frames = tensor_shape(DTYPE_F32, 2, spectrum->dim[0], MEL_FFT, 0, 0);
    TRY(tensor_take(ctx, arena, &frames));
    TRY(op_frames_fwd(ctx, &frames, samples, &mel->window, MEL_HOP));
    TRY(op_rfft_fwd(ctx, spectrum, &frames));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status mel_forward(clio_context *ctx, struct arena *arena, struct mel *mel, const struct tensor *out, const struct tensor *samples)
{
    clio_status st = CLIO_OK;
    int frames = out->dim[0];
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue overlap = {.lda = MEL_HOP};
    struct tensor spectrum = tensor_shape(DTYPE_F32, 3, frames, MEL_BINS, 2, 0), power = tensor_shape(DTYPE_F32, 2, frames, MEL_BINS, 0, 0);
    TRY(op_check(ctx, "log mel", "out", out, DTYPE_F32, 2, -1, mel->bands, 0, 0));
    TRY(tensor_take(ctx, arena, &spectrum));
    TRY(tensor_take(ctx, arena, &power));
    if (mel->by_clfft) {
        st = spectrum_by_clfft(ctx, arena, mel, &spectrum, samples);
        mel->by_clfft = st != CLIO_ERROR_UNSUPPORTED;
        if (mel->by_clfft)
            TRY(st);
    }
    if (!mel->by_clfft || ctx->planning) /* planned as well: clFFT may fail later */
        TRY(op_gemm_fwd(ctx, &spectrum, samples, &mel->dft, frames, &overlap));
    TRY(op_power_fwd(ctx, &power, &spectrum));
    TRY(op_gemm_fwd(ctx, out, &power, &mel->filters, frames, NULL));
    TRY(op_log_mel_fwd(ctx, arena, out));
fail:
    arena_release(arena, mark);
    return st;
}

void mel_reflect(float *samples, size_t before, size_t count)
{
    for (size_t i = 1; i <= before; i++)
        samples[before - i] = i < count ? samples[before + i] : 0.0f;
}
