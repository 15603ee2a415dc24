/* vae.h - variational autoencoder and its conditional form. */
#ifndef CLIO_MODELS_LEARNERS_VAE_H
#define CLIO_MODELS_LEARNERS_VAE_H

#include "condition.h"
#include "conv_pyramid.h"

enum { VAE_BCE, VAE_MSE };
struct vae_networks {
    struct sequential encoder, mu, logvar, decoder; /* the decoder gives logits */
    struct label_input labels;
    int reconstruction; /* VAE_BCE: the images are probabilities; VAE_MSE: means of normal distributions of variance 1 */
    float beta;
    struct tensor loss, terms[2];
};
/* eps f32 [count, latent] takes the place of what would be drawn; NULL. */
clio_status vae_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *losses);

#endif
