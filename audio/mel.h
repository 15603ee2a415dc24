/* mel.h - log-mel spectrogram of one window, as WhisperFeatureExtractor. */
#ifndef CLIO_MEL_H
#define CLIO_MEL_H

#include "../host/ops/ops.h"

#define MEL_RATE 16000 /* sample rate */
#define MEL_FFT 400    /* n_fft */
#define MEL_HOP 160    /* hop_length */
#define MEL_BINS (MEL_FFT / 2 + 1)

struct mel {
    int bands;
    bool by_clfft;         /* otherwise by matmul with the DFT matrix */
    struct matrix dft;     /* [2 * MEL_BINS, MEL_FFT]: windowed cosine and minus sine, interleaved */
    struct matrix filters; /* [bands, MEL_BINS]: mel filterbank */
    struct tensor window;  /* f32 [MEL_FFT]: Hann window */
};
/* bands: n_mels, 80 or 128 for Whisper; 1 to MEL_BINS. */
clio_status mel_open(clio_context *ctx, struct mel *mel, int bands);
void mel_close(clio_context *ctx, struct mel *mel);
/* samples: f32 [frames * MEL_HOP + MEL_FFT - MEL_HOP or more] on the device; frame f is centered at sample f * MEL_HOP + MEL_FFT / 2. out:
 * f32 [frames, bands], normalized over the window as in Whisper. */
clio_status mel_forward(clio_context *ctx, struct arena *arena, struct mel *mel, const struct tensor *out, const struct tensor *samples);
/* The mel filterbank, f32 [bands, MEL_BINS]: triangles of equal area on Slaney's mel scale, 0 to 8000 Hz (librosa.filters.mel). */
void mel_filters(float *filters, int bands);
/* Reflect padding, as torch.stft(center=True): fill the `before` samples in front of samples[before], of which `count` follow. */
void mel_reflect(float *samples, size_t before, size_t count);

#endif
