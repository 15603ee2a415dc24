/* train_run.h - the state of a training run, shared by the files of models/train. */
#ifndef CLIO_MODELS_TRAIN_TRAIN_RUN_H
#define CLIO_MODELS_TRAIN_TRAIN_RUN_H

#include "../../host/core/file_tree.h"
#include "checkpoint.h"
#include "csv_log.h"
#include "distributed.h"
#include "train.h"

struct train_run {
    clio_context *ctx;
    const clio_train_params *params;
    struct train_plan plan;
    struct dataset *data;
    struct loader *train, *validation; /* validation NULL: no evaluation */
    struct learner_shape shape;
    struct learner learner;
    struct checkpoint before; /* that the run is resumed from; its folder is NULL in a new run */
    struct train_state state;
    struct train_split split;
    bool resumes, warm;
    bool made_out; /* OUT was made by this run */
    struct file_lock lock;
    struct distributed parallel;
    bool stops;           /* a process was interrupted */
    int64_t steps, saved; /* of the whole run; the step of the newest checkpoint, or -1 */
    size_t epoch_batches;
    bool ends_epoch; /* the last step ended an epoch */
    bool log_failed; /* a row could not be written, which was said */
    struct csv_log train_log, eval_log;
    double losses[LEARNER_LOSSES];
    const char *columns[CSV_COLUMNS]; /* of train.csv after step */
    double seconds;                   /* per step, running mean; 0: unknown */
    struct tensor images;             /* of the batch */
};

/* train_open.c: open settings, data, model, optimizers, output folder, in that order. After a failure call train_close, `failed`: remove
 * what was made. */
clio_status train_open(struct train_run *r);
void train_close(struct train_run *r, bool failed);
/* Continue with the samples at the run's position. */
clio_status train_seek(struct train_run *r);
/* Early stopping: whether there were too many evaluations without improvement. */
bool train_stops_early(const struct train_run *r);

/* train_folder.c: the output folder. Refuse one that holds a run, before any work; and make and lock it, when all else is open. */
clio_status train_folder_check(struct train_run *r);
clio_status train_folder_open(struct train_run *r);
/* Open train.csv and eval.csv. */
clio_status train_logs_open(struct train_run *r);
/* Hash of the names of the validation samples. */
uint64_t train_validation_names(const struct train_run *r);

/* setting_needs.c: a notice for each setting that was given and has no effect. */
void train_note_settings(const struct train_run *r);

/* train_status.c: epochs so far, with the fraction of the current one; a warning that something failed which is not needed, with the last
 * failure's sentence; the process that writes files and reports (rank 0); and report the state to params->on_status, with an event or NULL.
 */
double train_epoch(const struct train_run *r);
/* A warning about the last error: "warning: WHAT: SENTENCE". */
void train_warn(struct train_run *r, const char *what);
bool train_is_first(const struct train_run *r);
void train_report(struct train_run *r, const char *event);
void train_report_warning(struct train_run *r, const char *event);

/* Write OUT/train.png, and eval.png with a validation split. */
clio_status train_plot(struct train_run *r);
/* Write OUT/samples/step-N.png: images from the same latents each time, or, without latents, validation images and their reconstructions.
 */
clio_status train_samples(struct train_run *r);
/* Whether the samples of this step were written. */
clio_status train_samples_exist(struct train_run *r, bool *exist);

#endif
