/* learner.h - a model as the loop of training (train.h) and `clio sample` know it: one that learns from batches and can be asked for
 * images.
 *
 * A kind of model is a row of learner_types. Its settings are those of its config.json, which the checkpoint keeps; everything else about a
 * run (data, steps, optimizer) is train.h's. All randomness of step n is op_random_fwd(seed, n * LEARNER_STREAMS + which): a run that is
 * continued draws what an uncut one would have drawn. */
#ifndef CLIO_MODELS_LEARNERS_LEARNER_H
#define CLIO_MODELS_LEARNERS_LEARNER_H

#include "../../host/core/json.h"
#include "../nn/optim.h"

#define LEARNER_STREAMS 16
#define LEARNER_PARTS 2
#define LEARNER_LOSSES 6

/* What data the model is made for; a config.json says it as image_size, channels, classes. */
struct learner_shape {
    int height, width, channels, classes;
};
extern const struct learner_shape learner_shape_of_sounds; /* for kinds that hear */

/* A batch on the device. */
struct learner_batch {
    int count, global_count;     /* here, and over all processes: losses are means over global_count */
    int first;                   /* which of global_count the first one here is: noise belongs to a sample, whoever learns from it */
    struct tensor images;        /* f32 [count, H, W, C], 0 to 1 or -1 to 1 as the kind asks */
    const int32_t *labels;       /* [count] on the host, or NULL; learner_write_labels uploads them */
    const char *const *captions; /* or NULL */
    const float *audio;          /* of who hears, instead of images: f32 [count][samples] on the host */
    size_t samples;
    const int32_t *lengths; /* [count] of them: samples of each sound before the silence */
};

struct learner;
struct learner_type {
    const char *name;                       /* "model_type" of config.json, and what the command calls it: "vae", "dcgan" */
    const char *summary;                    /* one line for the command's help */
    const struct learner_setting *settings; /* ends with a NULL name */
    const char *const *parts;               /* of parameters, each with an optimizer: {"generator", "discriminator", NULL}; some may stay
                                             * without parameters, as settings say: they do not learn */
    const char *const *losses;              /* names of what step gives: {"d_loss", "g_loss", NULL} */
    const char *const *metrics;             /* names of what measure gives: {"elbo", NULL} */
    bool higher_is_better;                  /* the best is what has the greatest of measures[0]; otherwise the least */
    bool unit_range;                        /* images from 0 to 1; otherwise from -1 to 1 */
    bool needs_labels, has_latents, reconstructs;
    bool takes_captions; /* in the place of labels, where the setting text_encoder says through which encoder */
    bool takes_audio;    /* it learns from sounds: there are no images, and its shape says nothing */
    /* Build the networks for l->config and l->shape, their weights undefined; fill in l->parameters and what the optimizers begin with
     * (l->options). */
    clio_status (*open)(clio_context *ctx, struct learner *l);
    void (*close)(clio_context *ctx, struct learner *l);
    /* Weights to begin with, from a seed. */
    clio_status (*init)(clio_context *ctx, struct learner *l, uint64_t seed);
    /* One step on a batch: forward, backward, optimizer. losses: means over the batch, in the order of their names. */
    clio_status (*step)(clio_context *ctx, struct learner *l, const struct learner_batch *batch, double *losses);
    /* The same without learning, networks as they are when they are used (batch norm with running statistics): sums over the batch, to be
     * divided by the number of samples. NULL: there is nothing to measure. */
    clio_status (*evaluate)(clio_context *ctx, struct learner *l, const struct learner_batch *batch, uint64_t stream, double *sums);
    /* Images f32 [count, H, W, C] from latents f32 [count, latent] (host) and labels (host, NULL without; learner_labels). NULL: it makes
     * no images. */
    clio_status (*sample)(clio_context *ctx, struct learner *l, int count, const float *latents, const int *labels, float *pictures);
    /* Latents (means) of images: NULL where there is no encoder. Who learned captions refuses. */
    clio_status (*encode)(clio_context *ctx, struct learner *l, int count, const float *pictures, const int *labels, float *latents);
    /* Where a model has the layout that other programs know: for its parts the folder of a checkpoint that their weights lie in, and the
     * file's name without its ending (NULL: model); and what writes the files of that layout. A part without a folder of its own lies in
     * the first one's file, which is model.safetensors beside config.json if that has none either. */
    struct learner_weight_file {
        const char *folder, *stem;
    } weight_files[LEARNER_PARTS];
    clio_status (*save_config)(clio_context *ctx, struct learner *l, const char *path);
};

struct learner {
    const struct learner_type *kind;
    struct learner_shape shape;
    json_t *config;   /* an object with every setting of the kind, checked */
    void *state;      /* the kind's networks */
    const char *from; /* while it is opened: the folder that its weights will be read from, NULL for a fresh one */
    int latent;       /* width of a latent, 0 without */
    struct parameters parameters[LEARNER_PARTS];
    struct optimizer_options options[LEARNER_PARTS]; /* what the kind begins with; --set changes them before learner_train */
    struct optimizer optimizers[LEARNER_PARTS];
    uint64_t seed;
    int64_t step;                     /* which one comes next; the loop counts */
    int accumulate, micro_batch;      /* batches whose gradients make one step (1), and which of them this is */
    bool trains;                      /* optimizers are open */
    struct tape tapes[LEARNER_PARTS]; /* opened by learner_train */
    struct tensor one;                /* f32 [1]: loss_scale / accumulate, what backward begins with */
    /* Set before learner_train. With `half` products read weights rounded to half. loss_scale 0: with `half`, one is sought, which is
     * halved whenever gradients overflow (that step changes nothing) and doubled after many that did not; otherwise it is 1. */
    bool fp16;
    double loss_scale;
    bool dynamic_loss_scale;      /* it is sought */
    int64_t steps_since_overflow; /* steps since it changed */
};

/* A model with these settings learns captions in the place of labels. */
bool learner_needs_captions(const struct learner_type *kind, const json_t *settings);
/* The networks of a model type without weights. After a failure the model is to be closed. from: the folder that the weights will be read
 * from; NULL: a new model. */
clio_status learner_open(clio_context *ctx, struct learner *l, const struct learner_type *kind, struct learner_shape shape,
                         const json_t *settings, const char *from);
/* A fresh one for this shape; settings: an object of changed settings (unknown names and bad values are refused with a sentence), or NULL.
 */
clio_status learner_new(clio_context *ctx, struct learner *l, const struct learner_type *kind, struct learner_shape shape,
                        const json_t *settings, uint64_t seed);
void learner_close(clio_context *ctx, struct learner *l);
/* Open optimizers with l->options as they are now, and tapes; each step will be made of `accumulate` batches. */
clio_status learner_train(clio_context *ctx, struct learner *l, int accumulate);
/* Another loss scale, from the next step on. */
clio_status learner_set_loss_scale(clio_context *ctx, struct learner *l, double scale);
/* For kinds: watch the parameters of a part on a tape (adding to the gradients of the step's earlier batches); and go backward from a loss
 * f32 [1]: after the last batch of the step, the part's optimizer makes its step, unless the loss is not finite. */
clio_status learner_watch(clio_context *ctx, struct learner *l, struct tape *tape, int part);
clio_status learner_backward(clio_context *ctx, struct learner *l, struct tape *tape, int part, const struct tensor *loss);
/* The same for all parts, which the tape watches, from one loss. */
clio_status learner_backward_all(clio_context *ctx, struct learner *l, struct tape *tape, const struct tensor *loss);
/* Exchange weights and their averages, where there are any: before something is drawn or measured, and again after. */
clio_status learner_swap_ema(clio_context *ctx, const struct learner *l);

/* ---- for the steps of model types ---- */

/* t gets memory of this shape, f32, unless it has as much; what it held is lost. */
clio_status learner_tensor(clio_context *ctx, struct tensor *t, int rows, int columns);
/* labels [count] to the device, i32 [count]; t gets its memory here. */
clio_status learner_write_labels(clio_context *ctx, struct tensor *t, const int32_t *labels, int count);
/* Memory for a loss, f32 [1]; 0 where a process has no sample of the batch. */
clio_status learner_scalar(clio_context *ctx, struct tensor *t, const struct learner_batch *batch);
/* Number `which` of the streams of the batch at hand. */
uint64_t learner_stream(const struct learner *l, int which);
/* noise f32 [count, width] in the arena: rows of what all processes draw together. */
clio_status learner_noise(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                          uint64_t stream, int width, struct tensor *noise);
/* Losses, each f32 [1]; waits. */
clio_status learner_read(clio_context *ctx, const struct tensor *const *losses, int count, double *out);

static inline int learner_pixels(const struct learner *l)
{
    return l->shape.height * l->shape.width * l->shape.channels;
}

#endif
