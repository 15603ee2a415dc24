/* autoencoder.h - autoencoder of images: dense or convolutional. */
#ifndef CLIO_MODELS_LEARNERS_AUTOENCODER_H
#define CLIO_MODELS_LEARNERS_AUTOENCODER_H

#include "conv_pyramid.h"

struct autoencoder {
    struct sequential encoder, decoder;
    struct tensor loss;
};
struct autoencoder_plan {
    const char *prefix; /* of keys: prefix + "encoder." and "decoder." */
    bool dense;
    int width, hidden, code;   /* channels of the largest images; numbers of the hidden layer; numbers between */
    int act_picture, act_code; /* the last activation of either side */
};
clio_status autoencoder_open(clio_context *ctx, struct learner *l, struct autoencoder *net, const struct autoencoder_plan *plan,
                             struct parameters *parameters);
clio_status autoencoder_init(clio_context *ctx, const struct autoencoder *net, uint64_t seed);
void autoencoder_free(clio_context *ctx, struct autoencoder *net);
/* One step of part `part`: mean squared error of all numbers. */
clio_status autoencoder_step(clio_context *ctx, struct learner *l, struct autoencoder *net, int part, const struct learner_batch *batch);

#endif
