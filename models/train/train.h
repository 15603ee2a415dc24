/* train.h - a run of training: data, steps, measures, files; continued where it was cut.
 *
 * OUT/checkpoints/step-N/         config.json and model.safetensors, as inference reads them; training.safetensors (state of the
 *                                 optimizers), training.json (where the run is). Written under another name, synced, renamed when whole
 * OUT/last, OUT/best              links to two of them
 * OUT/losses.csv, measures.csv    a row for each step, and for each look at the validation data
 * OUT/losses.png, measures.png    the same as plots, OUT/samples/step-N.png what the model draws: made as it goes
 *
 * A run is determined by its settings, the data and the device: order of samples, augmentation and noise follow from (seed, epoch, step)
 * alone. So continuing at a checkpoint gives, on the same device, the bits of a run that was never cut. */
#ifndef CLIO_MODELS_TRAIN_TRAIN_H
#define CLIO_MODELS_TRAIN_TRAIN_H

#include "../data/dataset.h"
#include "../learners/settings.h"

#include <clio.h>

/* Settings of a run, beside those of the model (learner.h). */
extern const struct learner_setting train_settings[];
/* Settings of an optimizer; "generator.rate" means that part's alone. */
extern const struct learner_setting optimizer_settings[];

struct train_plan {
    const struct learner_type *kind;
    json_t *model; /* settings of the model alone, as given */
    json_t *all;   /* everything, as given: kept in training.json */
    int64_t max_steps, save_steps, sample_every_steps, eval_steps;
    double epochs;
    int batch_size, image_size, channels, save_total_limit, num_samples, early_stopping_patience, accumulate;
    bool fp16;         /* see struct learner */
    double loss_scale; /* the same */
    uint64_t seed;
    struct dataset_options data;
    struct augment augment;
    double validation_split; /* below 0: as the model needs */
};
/* Take settings apart; an unknown name or a bad value is refused with a sentence that lists what there is. */
clio_status train_plan_read(clio_context *ctx, struct train_plan *plan, const struct learner_type *kind, const json_t *settings);
/* The optimizer of part `part` from what the kind begins with and what the settings change. steps: of the whole run. */
clio_status train_plan_optimizer(clio_context *ctx, const struct train_plan *plan, int part, int64_t steps, struct optimizer_options *o);
/* Refuses settings of the optimizer of a part without parameters. */
clio_status train_plan_idle(clio_context *ctx, const struct train_plan *plan, int part);
void train_plan_free(struct train_plan *plan);

/* Where a run is: training.json. */
struct train_state {
    int64_t step;        /* steps made */
    size_t epoch, batch; /* where the loader goes on */
    double best;         /* the best measure so far; meaningless while best_step is -1 */
    int64_t best_step;
    int evals_without_gain; /* looks since then */
};
/* Write OUT/checkpoints/step-N with everything, link OUT/last to it (and OUT/best, if best_step is this step), and remove checkpoints
 * beyond the newest `keep`. After a failure there is nothing new. */
clio_status checkpoint_write(clio_context *ctx, struct learner *l, const struct train_plan *plan, const struct train_state *state,
                             const char *out);
/* The settings of the last checkpoint in `out`; *settings NULL: there is none. */
clio_status checkpoint_settings(clio_context *ctx, const char *out, json_t **settings, const struct learner_type **kind);
/* Fill an opened learner, ready to train, from it. */
clio_status checkpoint_read(clio_context *ctx, struct learner *l, struct train_state *state, const char *out);
/* The folder a model is in: `path` itself if it has a config.json, or its `best`, or its `last`; fresh memory. */
clio_status checkpoint_folder(clio_context *ctx, const char *path, char **folder);

#endif
