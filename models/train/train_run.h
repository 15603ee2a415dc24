/* train_run.h - a run of training while it runs: between the files of models/train. */
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
    struct loader *train, *validation; /* validation NULL: nothing is measured */
    struct learner_shape shape;
    struct learner learner;
    struct train_state state;
    bool resumes, warm;
    struct distributed parallel;
    bool stops;           /* one of the processes was asked to */
    int64_t steps, saved; /* of the whole run; the step of the newest checkpoint, or -1 */
    size_t epoch_batches;
    struct csv_log train_log, eval_log;
    double losses[LEARNER_LOSSES];
    const char *columns[TABLE_COLUMNS]; /* of train.csv after step */
    double seconds;                     /* a step, lately; 0: not known yet */
    struct tensor images;               /* of the batch */
};

/* train_open.c: data, output folder, settings, model, optimizers. After a failure the run is to be closed. */
clio_status train_open(struct train_run *r);
void train_close(struct train_run *r);

/* train_status.c: the process that writes files and reports (rank 0); and report the state to params->on_status, with an event or NULL. */
bool train_is_first(const struct train_run *r);
void train_report(struct train_run *r, const char *event);

/* OUT/losses.png, and measures.png where there are some. */
clio_status train_plot(struct train_run *r);
/* OUT/samples/step-N.png: what the model draws from the same latents each time, or, where it has none, images and what comes back. */
clio_status train_samples(struct train_run *r);

#endif
