/* learner_unet.h - a UNet that learns to take noise away (Ho et al. 2020, "Denoising diffusion probabilistic models"): pictures, or latents
 * of an autoencoder, by themselves, with labels or with captions.
 *
 * learner_unet.c the kinds and their steps; learner_unet_sample.c samples; learner_unet_files.c settings, configurations and the folders of
 * a pipeline; learner_captions.c captions to the states of a text encoder, which may learn as well. */
#ifndef CLIO_MODELS_LEARNER_UNET_H
#define CLIO_MODELS_LEARNER_UNET_H

#include "clip_text.h"
#include "clip_tokenizer.h"
#include "learner_folders.h"
#include "sampler.h"
#include "unet.h"
#include "vae.h"

/* ---- learner_captions.c ---- */

/* What an encoder that does not learn has said of a caption. */
struct known_caption {
    char *text;
    float *states; /* [positions, width] */
    struct known_caption *next;
};
struct captions {
    char *encoder, *tokenizer; /* folders; NULL: there are no captions */
    bool learns;
    struct json_file config; /* of who learns: text_encoder/config.json */
    struct clip_text net;
    struct clip_tokenizer words;
    struct known_caption *known[1024]; /* chains, by a hash of the text */
    size_t room;                       /* bytes left for more of them */
};
/* Both folders, which become the captions' own. learned: the list for the encoder's parameters; NULL: it does not learn. */
clio_status captions_open(clio_context *ctx, struct captions *c, char *encoder, char *tokenizer, struct parameters *learned);
void captions_close(clio_context *ctx, struct captions *c);
/* states f32 [count, positions, width], with memory: of texts, each cut to what the encoder takes. NULL is an empty one. Who learns is
 * recorded by the tape, if there is one, whose arena it must be; otherwise the arena is not used. */
clio_status captions_encode(clio_context *ctx, struct arena *arena, struct captions *c, const struct tensor *states,
                            const char *const *texts);
/* The folders text_encoder, but for weights that learned, and tokenizer in the folder of a pipeline. */
clio_status captions_describe(clio_context *ctx, const struct captions *c, const char *path);

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
    float *alphas;     /* [train_steps]: what is left of a picture's variance, alphas_cumprod */
    int train_steps;
    bool velocity, min_snr;
    double drop; /* probability that a condition is left out */
    struct unet_prompt prompt;
    struct tensor states, clean, levels, weights, loss; /* of the batch at hand */
    struct arena vae_arena;
};

extern const struct learner_setting unet_settings[];
/* Everything but the weights of a fresh network, from settings, `init` or the folder that l is read from. */
clio_status unet_learner_open(clio_context *ctx, struct learner *l, struct unet_learner *u);
void unet_learner_free(clio_context *ctx, struct unet_learner *u);
/* f32 [count, height, width, channels] of what is denoised, without memory. */
struct tensor unet_learner_tensor(const struct unet_learner *u, int count);
/* What `count` samples attend to from here on: their texts (NULL: an empty one), or nothing. */
clio_status unet_learner_attend(clio_context *ctx, struct arena *arena, struct unet_learner *u, int count, const char *const *texts);
/* As struct learner_kind has it. */
clio_status unet_learner_sample(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *pictures);
/* The files of a diffusers folder, beside the network's weights. */
clio_status unet_learner_describe(clio_context *ctx, struct learner *l, const char *path);
/* Text `index` of the setting `prompts`, counted on from the first after the last, in fresh memory. */
clio_status unet_learner_prompt(clio_context *ctx, const struct learner *l, int index, char **text);

#endif
