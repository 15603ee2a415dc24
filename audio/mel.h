/* mel.h - log-mel spectrograms as Whisper's feature extractor makes them, for one window of sound at a time. */
#ifndef CLIO_MEL_H
#define CLIO_MEL_H

#include "../host/ops/ops.h"

#define MEL_RATE 16000
#define MEL_FFT 400
#define MEL_HOP 160
#define MEL_BINS (MEL_FFT / 2 + 1)

struct mel {
    int bands;
    bool by_clfft;         /* otherwise a product with the DFT's matrix */
    struct matrix dft;     /* [2 * MEL_BINS, MEL_FFT]: windowed cosine and minus sine, in turn */
    struct matrix filters; /* [bands, MEL_BINS] */
    struct tensor window;  /* f32 [MEL_FFT] */
};
/* bands: 80 or 128 in Whisper; any number from 1 to MEL_BINS. */
clio_status mel_open(clio_context *ctx, struct mel *mel, int bands);
void mel_close(clio_context *ctx, struct mel *mel);
/* samples f32 [frames * MEL_HOP + MEL_FFT - MEL_HOP or more] on the device, of which frame f is centred at f * MEL_HOP + MEL_FFT / 2; out
 * f32 [frames, bands], normalised over this window. */
clio_status mel_forward(clio_context *ctx, struct arena *arena, struct mel *mel, const struct tensor *out, const struct tensor *samples);
/* The filter bank, f32 [bands, MEL_BINS]: triangles of equal area on Slaney's mel scale, 0 to 8000 Hz. */
void mel_filters(float *filters, int bands);
/* A recording is mirrored at its beginning and its end, as torch.stft(center=True) does: fill the `before` samples in front of position 0.
 */
void mel_reflect(float *samples, size_t before, size_t count);

#endif
