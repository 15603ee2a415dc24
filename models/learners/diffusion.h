/* diffusion.h - a UNet that learns to take noise away (Ho et al. 2020, "Denoising diffusion probabilistic models"): images, or latents
 * of an autoencoder, by themselves, with labels or with captions.
 *
 * learner_unet.c the kinds and their steps; learner_unet_sample.c samples; learner_unet_files.c settings, configurations and the folders of
 * a pipeline. */
#ifndef CLIO_MODELS_LEARNERS_DIFFUSION_H
#define CLIO_MODELS_LEARNERS_DIFFUSION_H

#include "captions.h"
#include "../samplers/sampler.h"
#include "../networks/unet.h"
#include "../networks/autoencoder_kl.h"

/* ---- learner_unet_files.c ---- */

struct unet_learner {
    struct unet net;
    struct json_file config, scheduler; /* unet/config.json and scheduler/scheduler_config.json, made or read */
    bool loaded;                        /* the weights are those of `init` */
    bool attends;                       /* somewhere */
    struct captions captions;
    struct vae vae;
    char *vae_folder;  /* NULL: pixels are what is denoised */
    int height, width; /* of what is denoised; its channels are the network's */
    float *alphas;     /* [train_steps]: what is left of an image's variance, alphas_cumprod */
    int train_steps;
    bool velocity;
    double snr_gamma; /* of Min-SNR weighting; 0: off */
    double drop;      /* probability that a condition is left out */
    struct unet_prompt prompt;
    struct tensor states, clean, levels, weights, loss; /* of the batch at hand */
    struct tensor shift;                                /* f32 [1]: the VAE's shift_factor, without memory where it is 0 */
    struct arena vae_arena;                             /* scratch of the VAE encoder */
};

extern const struct learner_setting unet_settings[];
/* Everything but the weights of a fresh network, from settings, `init` or the folder that l is read from. */
clio_status unet_learner_open(clio_context *ctx, struct learner *l, struct unet_learner *u);
void unet_learner_free(clio_context *ctx, struct unet_learner *u);
/* f32 [count, height, width, channels] of what is denoised, without memory. */
struct tensor unet_learner_tensor(const struct unet_learner *u, int count);
/* What `count` samples attend to from here on: their texts (NULL: an empty one), or nothing. */
clio_status unet_learner_attend(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, const char *const *texts);
/* As struct learner_type has it. */
clio_status unet_learner_sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *pictures);
/* The files of a diffusers folder, beside the network's weights. */
clio_status unet_learner_describe(clio_context *ctx, struct learner *l, const char *path);

#endif
