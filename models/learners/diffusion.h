/* diffusion.h - train a UNet as a diffusion model (Ho et al. 2020, "Denoising diffusion probabilistic models"), on images or on latents of
 * an autoencoder, unconditional or conditional on labels or captions.
 *
 * diffusion.c training and evaluation; diffusion_sample.c sampling; diffusion_config.c settings, configurations, folders of a pipeline. */
#ifndef CLIO_MODELS_LEARNERS_DIFFUSION_H
#define CLIO_MODELS_LEARNERS_DIFFUSION_H

#include "captions.h"
#include "../samplers/sampler.h"
#include "../networks/unet.h"
#include "../networks/autoencoder_kl.h"

struct unet_learner {
    struct unet net;
    struct json_file config, scheduler; /* unet/config.json and scheduler/scheduler_config.json, new or loaded */
    bool loaded;                        /* the weights are those of `pretrained` */
    bool has_attention;                 /* cross-attention in any block */
    struct captions captions;
    struct vae vae;
    char *vae_folder;  /* NULL: diffusion of pixels */
    int height, width; /* of the network's input: pixels or latents */
    float *alphas;     /* [train_steps]: alphas_cumprod of the scheduler */
    int train_steps;
    bool velocity;
    double snr_gamma; /* of Min-SNR weighting; 0: off */
    double drop;      /* conditioning_dropout */
    struct unet_prompt prompt;
    struct tensor states, clean, levels, weights, loss; /* of the current batch */
    struct tensor shift;                                /* f32 [1]: the VAE's shift_factor, without memory where it is 0 */
    struct arena vae_arena;                             /* scratch of the VAE encoder */
};

extern const struct learner_setting unet_settings[];
/* Open everything but the weights of a new network, from settings, `pretrained` or the folder that l is loaded from. */
clio_status unet_learner_open(clio_context *ctx, struct learner *l, struct unet_learner *u);
void unet_learner_free(clio_context *ctx, struct unet_learner *u);
/* f32 [count, height, width, channels] of the network's input, without memory. */
struct tensor unet_learner_tensor(const struct unet_learner *u, int count);
/* Set the cross-attention context of `count` samples: their texts (NULL: an empty one); zeros without a text encoder. */
clio_status unet_learner_set_context(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, const char *const *texts);
/* As struct learner_type has it. */
clio_status unet_learner_sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images);
/* Write the files of a diffusers folder, beside the network's weights. */
clio_status unet_learner_save_config(clio_context *ctx, struct learner *l, const char *path);

#endif
