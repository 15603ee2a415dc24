/* learner.h - a trainable model: what one training step, one evaluation batch and one sample are. The training loop (models/train), `clio
 * sample` and `clio eval` know models through this interface alone.
 *
 * A model type is an entry of learner_types (types.h). Its settings are stored in config.json, which is part of every checkpoint; data,
 * number of steps and optimizers belong to the training loop. All randomness of step n is op_random_fwd(seed, n * LEARNER_STREAMS +
 * stream), so that a resumed run draws the same numbers as an uninterrupted one. */
#ifndef CLIO_MODELS_LEARNERS_LEARNER_H
#define CLIO_MODELS_LEARNERS_LEARNER_H

#include "../../host/core/json.h"
#include "../nn/optim.h"

#define LEARNER_STREAMS 16
#define LEARNER_PARTS 2
#define LEARNER_LOSSES 6

/* Shape of the data; config.json stores it as image_size, channels and classes. */
struct learner_shape {
    int height, width, channels, classes;
};
extern const struct learner_shape learner_audio_shape; /* for models with takes_audio */
#define LEARNER_SECONDS 30                             /* longest audio of a sample */

/* A batch. */
struct learner_batch {
    int count, global_count;     /* samples in this process, and in all of them: losses are means over `weight` */
    int first;                   /* number of the first sample here among global_count: noise depends on it, not on the process */
    double weight;               /* of the batch in all processes, see weigh; 0: global_count */
    struct tensor images;        /* f32 [count, H, W, C] on the device, 0 to 1 with unit_range, otherwise -1 to 1 */
    const int32_t *labels;       /* [count] on the host, or NULL; learner_write_labels uploads them */
    const char *const *captions; /* [count], or NULL */
    const float *audio;          /* with takes_audio, instead of images: f32 [count][samples] on the host */
    size_t samples;
    const int32_t *lengths; /* [count]: samples of each recording before its padding */
};

struct learner;
struct learner_type {
    const char *name;                       /* "vae": model_type of config.json, and argument of clio train */
    const char *summary;                    /* one line for clio train --list */
    const struct learner_setting *settings; /* ends with a NULL name */
    const char *const *parts;               /* parts with an optimizer each, such as {"generator", "discriminator", NULL}; a part without
                                             * parameters (as settings may choose) is not trained */
    const char *const *losses;              /* names of the losses that step returns, {"d_loss", "g_loss", NULL} */
    const char *const *metrics;             /* names of the metrics that evaluate returns, {"negative_elbo", NULL} */
    bool higher_is_better;                  /* the best checkpoint has the highest metrics[0]; otherwise the lowest */
    bool unit_range;                        /* images from 0 to 1; otherwise from -1 to 1 */
    bool needs_labels, has_latents, reconstructs;
    bool takes_captions;       /* captions instead of labels, where the setting text_encoder is set */
    bool takes_audio;          /* trains on audio: no images, and the shape is learner_audio_shape */
    struct learner_optimizer { /* default optimizer of each part; rate 0: optimizer_defaults */
        int rule;
        double rate, beta1, weight_decay, max_grad_norm; /* beta1 0: 0.9 */
    } optimizers[LEARNER_PARTS];
    /* Build the networks for l->config and l->shape, weights uninitialized; list l->parameters. */
    clio_status (*open)(clio_context *ctx, struct learner *l);
    void (*close)(clio_context *ctx, struct learner *l);
    /* Initialize the weights from a seed. */
    clio_status (*init)(clio_context *ctx, struct learner *l, uint64_t seed);
    /* *weight: what the samples of this process count for in means of losses and metrics, such as their tokens. NULL: their number. The
     * mean of a step is over all that its batches and processes have, not a mean of their means. */
    clio_status (*weigh)(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *weight);
    /* Forward, backward and optimizer step on a batch. losses: this process's part of the means over the batch, in the order of their
     * names. */
    clio_status (*step)(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *losses);
    /* Metrics of a batch in evaluation mode (batch norm with running statistics), summed over its samples, or over what weigh counts: the
     * caller divides by the weight of all batches. NULL: no metrics. */
    clio_status (*evaluate)(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *totals);
    /* Images f32 [count, H, W, C] from latents f32 [count, latent] and labels (learner_labels; NULL without), all on the host. NULL: cannot
     * generate. */
    clio_status (*sample)(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *images);
    /* Latents (means) of images. NULL: no encoder. Refused by models trained on captions. */
    clio_status (*encode)(clio_context *ctx, struct learner *l, int count, const float *images, const int *labels, float *latents);
    /* Layout of a checkpoint that other programs read: for each part the folder of its weights, and the file's name without its ending
     * (NULL: model). Parts without a folder share the file of the first one, model.safetensors beside config.json unless that has a folder.
     * save_config writes the other files of that layout. */
    struct learner_weight_file {
        const char *folder, *stem;
    } weight_files[LEARNER_PARTS];
    clio_status (*save_config)(clio_context *ctx, struct learner *l, const char *path);
};

struct learner {
    const struct learner_type *type;
    struct learner_shape shape;
    char **class_names; /* [shape.classes]; NULL: not known */
    bool *class_unseen; /* [shape.classes]: trained without a sample of it; NULL without class_names */
    json_t *config;     /* an object with every setting of the type, checked */
    void *state;        /* the type's networks */
    const char *from;   /* during open: the folder that its weights will be read from, or NULL for a new model */
    int latent;         /* size of a latent, 0 without */
    struct parameters parameters[LEARNER_PARTS];
    struct optimizer_options options[LEARNER_PARTS]; /* the type's defaults; may be changed before learner_train */
    struct optimizer optimizers[LEARNER_PARTS];
    uint64_t seed;
    int64_t step;                     /* the next step; counted by the training loop */
    int accumulate, micro_batch;      /* gradient accumulation: batches per optimizer step, and number of this one */
    bool trains;                      /* optimizers are open */
    struct tape tapes[LEARNER_PARTS]; /* opened by learner_train */
    double first_weight, step_weight; /* weight of the first batch of this optimizer step, and of all so far (learner_set_weight) */
    struct tensor one; /* f32 [1]: the gradient that backward starts from, loss_scale / accumulate times the batch's weight as a
                        * fraction of that of the step's first batch */
    float one_value;   /* the same on the host */
    /* Set before learner_train. fp16: matmuls read fp16 copies of the weights. loss_scale 0: dynamic with fp16, which is halved when
     * gradients overflow (that step is skipped) and doubled after many steps without; otherwise 1. */
    bool fp16;
    double loss_scale;
    bool dynamic_loss_scale;
    int64_t steps_since_overflow; /* or since the scale was doubled */
};

/* The optimizer of a part unless settings say otherwise. */
struct optimizer_options learner_optimizer_defaults(const struct learner_type *type, int part);
/* Whether a model with these settings is conditioned on captions instead of labels. */
bool learner_needs_captions(const struct learner_type *type, const json_t *settings);
/* Whether such a model is trained on captions, be it besides labels: audio with its text, or images with a text encoder from the settings,
 * from the checkpoint `from` (NULL: none) or from the folder `pretrained`. */
clio_status learner_takes_captions(clio_context *ctx, const struct learner_type *type, const json_t *settings, const char *from, bool *out);
/* Networks of a model type, weights uninitialized. After a failure call learner_close. from: the folder that the weights will be read from;
 * NULL: a new model. */
clio_status learner_open(clio_context *ctx, struct learner *l, const struct learner_type *type, struct learner_shape shape,
                         const json_t *settings, const char *from);
/* A new model with initialized weights. settings: an object with the settings that differ from their defaults, or NULL; unknown names and
 * invalid values are an error. */
clio_status learner_new(clio_context *ctx, struct learner *l, const struct learner_type *type, struct learner_shape shape,
                        const json_t *settings, uint64_t seed);
void learner_close(clio_context *ctx, struct learner *l);
/* Names of its classes [shape.classes], which are copied. */
clio_status learner_set_class_names(clio_context *ctx, struct learner *l, const char *const *names);
/* Which of its classes [shape.classes] have no sample; one that had some in `before`, the config.json of a run that is resumed, is not
 * among them. before: or NULL. */
clio_status learner_set_class_unseen(clio_context *ctx, struct learner *l, const bool *unseen, const struct json_file *before);
/* Open optimizers with l->options, and tapes. accumulate: batches per optimizer step. */
clio_status learner_train(clio_context *ctx, struct learner *l, int accumulate);
/* Set the loss scale from the next step on. */
clio_status learner_set_loss_scale(clio_context *ctx, struct learner *l, double scale);
/* The weight of the batch in this process, see struct learner_type. */
clio_status learner_weigh(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *weight);
/* Before each batch of an optimizer step, after micro_batch was set: the batch's weight over all processes. The optimizer divides by the
 * sum. */
clio_status learner_set_weight(clio_context *ctx, struct learner *l, double weight);
/* Add the metrics of `count` samples, of which the first has number `position` in its split, to totals, and what they weigh to *weight.
 * pixels: f32 [count, H, W, C] on the host, which are written to batch->images; NULL with audio. evaluation.c */
clio_status learner_evaluate(clio_context *ctx, struct learner *l, const struct learner_batch *batch, const float *pixels, size_t position,
                             double *totals, double *weight);
/* Exchange weights and their exponential moving averages, where there are any: before sampling or evaluation, and again after. */
clio_status learner_swap_ema(clio_context *ctx, const struct learner *l);

/* ---- for the steps of model types ---- */

/* Track the parameters of a part on a tape; gradients of earlier batches of the same optimizer step are kept. */
clio_status learner_watch(clio_context *ctx, struct learner *l, struct tape *tape, int part);
/* Backward from a loss f32 [1]. After the last batch of an optimizer step the part's optimizer runs, unless the loss is not finite. */
clio_status learner_backward(clio_context *ctx, struct learner *l, struct tape *tape, int part, const struct tensor *loss);
/* The same for all parts, tracked on one tape. */
clio_status learner_backward_all(clio_context *ctx, struct learner *l, struct tape *tape, const struct tensor *loss);
/* Set l->latent, the numbers of an image's latents [height, width, channels]. */
clio_status learner_set_latent(clio_context *ctx, struct learner *l, int height, int width, int channels);
/* Give t memory f32 [rows, columns], unless it has that size; its content is lost. what: for the message when there is none. */
clio_status learner_tensor(clio_context *ctx, struct tensor *t, int rows, int columns, const char *what);
/* Upload labels as t i32 [count], which gets its memory here. */
clio_status learner_write_labels(clio_context *ctx, struct tensor *t, const int32_t *labels, int count);
/* Give t memory f32 [1], for a loss; 0 where the batch has no sample in this process. */
clio_status learner_scalar(clio_context *ctx, struct tensor *t, const struct learner_batch *batch);
/* The random stream `which` of the current batch. */
uint64_t learner_stream(const struct learner *l, int which);
/* Gaussian noise f32 [count, width] in the arena: this process's rows of the noise for the whole batch. */
clio_status learner_noise(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                          uint64_t stream, int width, struct tensor *noise);
/* Read losses, each f32 [1]. */
clio_status learner_read(clio_context *ctx, const struct tensor *const *losses, int count, double *out);

static inline int learner_pixels(const struct learner *l)
{
    return l->shape.height * l->shape.width * l->shape.channels;
}

#endif
