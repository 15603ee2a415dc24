/* vae_kl.h - train the autoencoder of Stable Diffusion. */
#ifndef CLIO_MODELS_LEARNERS_VAE_KL_H
#define CLIO_MODELS_LEARNERS_VAE_KL_H

#include "settings.h"
#include "../networks/autoencoder_kl.h"

struct kl_learner {
    struct vae net;
    struct json_file config; /* vae/config.json, new or loaded */
    bool loaded;             /* the weights are those of `pretrained` */
    int loss_function;       /* LOSS_MSE or LOSS_L1 */
    float kl_weight;
    struct tensor loss, terms[2];
};
/* A training step with the noise eps f32 [count, h, w, latent]; NULL: random. */
clio_status kl_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *losses);

#endif
