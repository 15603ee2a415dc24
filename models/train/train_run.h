/* train_run.h - the state of a training run, shared by the files of models/train. */
#ifndef CLIO_MODELS_TRAIN_TRAIN_RUN_H
#define CLIO_MODELS_TRAIN_TRAIN_RUN_H

#include "distributed.h"
#include "csv_log.h"
#include "train.h"

struct train_run {
    clio_context *ctx;
    const clio_train_params *params;
    struct train_plan plan;
    struct dataset *data;
    struct loader *train, *validation; /* validation NULL: no evaluation */
    struct learner_shape shape;
    struct learner learner;
    struct train_state state;
    bool resumes, warm;
    struct distributed parallel;
    bool stops;           /* a process was interrupted */
    int64_t steps, saved; /* of the whole run; the step of the newest checkpoint, or -1 */
    size_t epoch_batches;
    struct csv_log train_log, eval_log;
    double losses[LEARNER_LOSSES];
    const char *columns[CSV_COLUMNS]; /* of train.csv after step */
    double seconds;                   /* per step, running mean; 0: unknown */
    struct tensor images;             /* of the batch */
};

/* train_open.c: open data, output folder, settings, model, optimizers. After a failure call train_close. */
clio_status train_open(struct train_run *r);
void train_close(struct train_run *r);

/* train_status.c: the process that writes files and reports (rank 0); and report the state to params->on_status, with an event or NULL. */
bool train_is_first(const struct train_run *r);
void train_report(struct train_run *r, const char *event);

/* Write OUT/train.png, and eval.png with a validation split. */
clio_status train_plot(struct train_run *r);
/* Write OUT/samples/step-N.png: images from the same latents each time, or, without latents, validation images and their reconstructions.
 */
clio_status train_samples(struct train_run *r);

#endif
