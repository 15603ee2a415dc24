/* bench.h - the parts of clio_bench above the operations. */
#ifndef CLIO_PIPELINES_BENCH_H
#define CLIO_PIPELINES_BENCH_H

#include "../../host/bench/bench.h"

/* Training steps of small models with random weights, on noise. */
clio_status bench_training(struct bench *b);
/* Whisper's encoder and a decoding step; the UNet and the decoders of Stable Diffusion. Of the model in a folder; path NULL: of Whisper
 * base, and where there is time of Stable Diffusion 1.5, with random weights. */
clio_status bench_networks(struct bench *b, const char *path);

#endif
