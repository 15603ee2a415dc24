/* fft.h - real discrete Fourier transforms of many frames through clFFT. */
#ifndef CLIO_CORE_FFT_H
#define CLIO_CORE_FFT_H

#include "tensor.h"

/* out[frame][k] = sum_j in[frame][j] exp(-2 pi i j k / n), k = 0..n/2; complex pairs, f32.
 * in: f32 [frames, n]; out: f32 [frames, n/2+1, 2]. The plan is made once per (n, frames) and kept by the context.
 * CLIO_ERROR_UNSUPPORTED if clFFT fails on this device. Its results are tested by op_rfft_fwd (host/ops). */
clio_status fft_real(clio_context *ctx, const struct tensor *out, const struct tensor *in);
void fft_close(clio_context *ctx);

#endif
