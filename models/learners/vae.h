/* vae.h - variational autoencoder and its conditional form. */
#ifndef CLIO_MODELS_LEARNERS_VAE_H
#define CLIO_MODELS_LEARNERS_VAE_H

#include "condition.h"
#include "conv_pyramid.h"

enum { VAE_BCE, VAE_MSE };
struct vae_networks {
    struct sequential encoder, mu, logvar, decoder; /* the decoder returns logits */
    struct label_input labels;
    int reconstruction; /* VAE_BCE: Bernoulli likelihood; VAE_MSE: Gaussian of variance 1 */
    float beta;
    struct tensor loss, terms[2];
};
/* A training step with the noise eps f32 [count, latent]; NULL: random. */
clio_status vae_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *losses);

#endif
