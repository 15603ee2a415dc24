/* generate.h - run a network over host arrays in chunks: sampling and encoding. */
#ifndef CLIO_MODELS_LEARNERS_GENERATE_H
#define CLIO_MODELS_LEARNERS_GENERATE_H

#include "condition.h"

/* Run `forward` in batches: in f32 [count, in_width] and labels (learner_labels), on the host, to out f32 [count, out_width]. */
typedef clio_status (*learner_forward)(clio_context *ctx, struct arena *arena, struct learner *l, const struct tensor *out,
                                       const struct tensor *in);
clio_status learner_run(clio_context *ctx, struct learner *l, struct label_input *input, int count, const float *in, int in_width,
                        const int *labels, float *out, int out_width, learner_forward forward);

/* Images of `count` latents from the prior, seeded. labels NULL: each in turn. */
clio_status learner_sample(clio_context *ctx, struct learner *l, int count, uint64_t seed, const int *labels, float *images);

#endif
