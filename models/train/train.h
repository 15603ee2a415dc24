/* train.h - a training run: data, steps, evaluation, files, resuming.
 *
 * OUT/checkpoints/step-N/   config.json and model.safetensors, as inference reads them; training.safetensors (optimizer state) and
 *                           training.json (position of the run). Written under a temporary name, synced, then renamed
 * OUT/last, OUT/best        links to two of them
 * OUT/train.csv, eval.csv   a row per step, and a row per evaluation
 * OUT/train.png, eval.png   the same as plots; OUT/samples/step-N.png: generated images
 *
 * Settings, data and device determine a run: the order of samples, augmentation and noise depend on (seed, epoch, step) alone. A run
 * resumed from a checkpoint ends, on the same device, with the bits of an uninterrupted one. */
#ifndef CLIO_MODELS_TRAIN_TRAIN_H
#define CLIO_MODELS_TRAIN_TRAIN_H

#include "../data/dataset.h"
#include "../learners/settings.h"

#include <clio.h>

/* Settings of a run; those of the model are in learner.h. */
extern const struct learner_setting train_settings[];
/* Settings of optimizers; "generator.learning_rate" is for one part of the model. */
extern const struct learner_setting optimizer_settings[];

struct train_plan {
    const struct learner_type *type;
    json_t *model; /* settings of the model, as given */
    json_t *all;   /* all settings, as given; stored in training.json */
    int64_t max_steps, save_steps, sample_every_steps, eval_steps;
    double epochs;
    int batch_size, image_size, channels, save_total_limit, num_samples, early_stopping_patience, accumulate;
    bool fp16;         /* see struct learner */
    double loss_scale; /* the same */
    uint64_t seed;
    struct dataset_options data;
    struct augment augment;
    double validation_split; /* below 0: 0.1 if the model has metrics */
};
/* Read settings; an unknown name or an invalid value is an error that lists the valid ones. */
clio_status train_plan_read(clio_context *ctx, struct train_plan *plan, const struct learner_type *type, const json_t *settings);
/* Options of the optimizer of a part: *o holds the type's defaults, settings override them. steps: of the whole run. */
clio_status train_plan_optimizer(clio_context *ctx, const struct train_plan *plan, int part, int64_t steps, struct optimizer_options *o);
/* An error if there are optimizer settings for a part that is not trained. */
clio_status train_plan_check_frozen(clio_context *ctx, const struct train_plan *plan, int part);
void train_plan_free(struct train_plan *plan);

/* Position of a run, stored in training.json. */
struct train_state {
    int64_t step;        /* completed steps */
    size_t epoch, batch; /* next batch of the data loader */
    double best;         /* best metric so far; undefined while best_step is -1 */
    int64_t best_step;
    int evals_without_improvement;
};
/* Write OUT/checkpoints/step-N, link OUT/last to it (and OUT/best, if best_step is this step), and remove checkpoints older than the newest
 * save_total_limit. After a failure nothing new is left. */
clio_status checkpoint_write(clio_context *ctx, struct learner *l, const struct train_plan *plan, const struct train_state *state,
                             const char *out);
/* The settings of the last checkpoint in `out`; *settings NULL: no checkpoint. */
clio_status checkpoint_settings(clio_context *ctx, const char *out, json_t **settings, const struct learner_type **type);
/* Load it into a learner for which learner_train was called. */
clio_status checkpoint_read(clio_context *ctx, struct learner *l, struct train_state *state, const char *out);
/* The folder of a trained model: `path` if it has a config.json, else its `best`, else its `last`; fresh memory. */
clio_status checkpoint_folder(clio_context *ctx, const char *path, char **folder);

#endif
