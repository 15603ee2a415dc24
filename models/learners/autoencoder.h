/* autoencoder.h - autoencoder of images: dense or convolutional. */
#ifndef CLIO_MODELS_LEARNERS_AUTOENCODER_H
#define CLIO_MODELS_LEARNERS_AUTOENCODER_H

#include "conv_pyramid.h"

struct autoencoder {
    struct sequential encoder, decoder;
    struct tensor loss;
};
struct autoencoder_plan {
    const char *prefix; /* of tensor names: prefix + "encoder." and "decoder." */
    bool dense;
    int width, hidden, code; /* channels at the full resolution; units of the hidden layer; dimension of the code */
    int act_image, act_code; /* last activation of the decoder and of the encoder */
};
clio_status autoencoder_open(clio_context *ctx, struct learner *l, struct autoencoder *net, const struct autoencoder_plan *plan,
                             struct parameters *parameters);
clio_status autoencoder_init(clio_context *ctx, const struct autoencoder *net, uint64_t seed);
void autoencoder_free(clio_context *ctx, struct autoencoder *net);
/* One training step of part `part` with the mean squared error. */
clio_status autoencoder_step(clio_context *ctx, struct learner *l, struct autoencoder *net, int part, const struct learner_batch *batch);

#endif
