/* vae_kl.h - the autoencoder of Stable Diffusion as a learner; see learner_kl.c. */
#ifndef CLIO_MODELS_LEARNERS_VAE_KL_H
#define CLIO_MODELS_LEARNERS_VAE_KL_H

#include "settings.h"
#include "../networks/autoencoder_kl.h"

struct kl_learner {
    struct vae net;
    struct json_file config; /* vae/config.json, made or read */
    bool loaded;             /* the weights are those of `init` */
    int loss_kind;           /* LOSS_MSE or LOSS_L1 */
    float kl_weight;
    struct tensor loss, terms[2];
};
/* eps f32 [count, h, w, latent] takes the place of what would be drawn; NULL. */
clio_status kl_step(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const struct tensor *eps, double *losses);

#endif
