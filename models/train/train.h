/* train.h - a training run: data, steps, evaluation, files, resuming.
 *
 * OUT/checkpoints/step-N/   see checkpoint.h
 * OUT/last, OUT/best        links to two of them
 * OUT/train.csv, eval.csv   a row per step, and a row per evaluation
 * OUT/train.png, eval.png   the same as plots; OUT/samples/step-N.png: generated images
 *
 * OUT/.lock                 while a process trains in OUT
 *
 * Only a checkpoint makes a run: what a start left that failed before the first one is overwritten by the next.
 *
 * Settings, data and device determine a run: the order of samples, augmentation and noise depend on (seed, epoch, step) alone. A run
 * resumed from a checkpoint ends, on the same device, with the bits of an uninterrupted one. */
#ifndef CLIO_MODELS_TRAIN_TRAIN_H
#define CLIO_MODELS_TRAIN_TRAIN_H

#include "../data/dataset.h"
#include "../learners/settings.h"
#include "checkpoint.h"

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
/* The word of a choice among the optimizer settings, such as "adamw", for a part of the model. */
void train_plan_optimizer_word(const struct train_plan *plan, int part, const char *name, char *text, size_t size);
/* The value that an optimizer setting has in these options, as text. */
void train_optimizer_text(struct optimizer_options o, const char *name, char *text, size_t size);
/* Set `newer` in `settings`, such as those of the run that is resumed. What was given last wins, also over a setting of another name:
 * epochs over max_steps, learning_rate over generator.learning_rate. */
clio_status train_settings_update(clio_context *ctx, json_t *settings, const json_t *newer);
/* An error if there are optimizer settings for a part that is not trained. */
clio_status train_plan_check_frozen(clio_context *ctx, const struct train_plan *plan, int part);
/* Whether a model type can have use for a setting of training. setting_needs.c */
bool train_setting_fits(const struct learner_type *type, const char *setting);
void train_plan_free(struct train_plan *plan);

#endif
