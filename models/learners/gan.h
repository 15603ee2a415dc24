/* gan.h - generative adversarial networks: dense, DCGAN, conditional. */
#ifndef CLIO_MODELS_LEARNERS_GAN_H
#define CLIO_MODELS_LEARNERS_GAN_H

#include "condition.h"
#include "conv_pyramid.h"
#include "../nn/spectral_norm.h"

enum gan_loss { GAN_BCE, GAN_LEAST_SQUARES, GAN_HINGE, GAN_WASSERSTEIN, GAN_JSD };
struct gan {
    struct sequential generator, discriminator;
    struct label_input labels;
    enum gan_loss loss;
    struct spectral *spectral; /* or NULL */
    struct tensor fake, losses[2];
};
/* Layers of a generator, by the setting ngf, or hidden_size and num_hidden_layers. */
clio_status gan_generator_rows(clio_context *ctx, const struct learner *l, bool dense, struct layer_rows *rows);
/* A training step with the noise z f32 [count, latent]; NULL: random. */
clio_status gan_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *z, double *losses);

#endif
