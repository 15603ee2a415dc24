/* checkpoint.h - the checkpoints of a training run.
 *
 * OUT/checkpoints/step-N holds config.json and the weights, as inference reads them; training.safetensors (optimizer state; with EMA the
 * weights too, as the others are their averages) and training.json (settings, position of the run, validation split, checksums of the other
 * files). It is written under a temporary name, synced and renamed: whatever stops the program, every step-N is complete. OUT/last and
 * OUT/best are links to two of them. Only a folder named exactly step-N, N with at least 8 digits, is a checkpoint. */
#ifndef CLIO_MODELS_TRAIN_CHECKPOINT_H
#define CLIO_MODELS_TRAIN_CHECKPOINT_H

#include "../../host/core/json.h"
#include "../learners/learner.h"

/* The position of a run. Samples and epochs, not batches: a run may be resumed with another batch size. */
struct train_state {
    int64_t step;          /* completed steps */
    size_t epoch, samples; /* completed epochs, and samples of the next one that were used */
    double best;           /* best metric so far; undefined while best_step is -1 */
    int64_t best_step;
    int evals_without_improvement;
};
/* The validation split of a run: it is the same in all its resumed parts, and in clio eval on the same data. */
struct train_split {
    char *data;      /* absolute path of the dataset; NULL: unknown */
    uint64_t seed;   /* as in struct dataset_options */
    double fraction; /* the same; below 0: unknown */
    uint64_t names;  /* hash of the names of the validation samples; 0: unknown */
};
void train_split_free(struct train_split *split);

/* ---- write ---- */

struct train_plan;
/* Write OUT/checkpoints/step-N, link OUT/last to it (and OUT/best, if best_step is this step), and remove checkpoints older than the newest
 * save_total_limit, but for the best one. After a failure nothing new is left. */
clio_status checkpoint_write(clio_context *ctx, struct learner *l, const struct train_plan *plan, const struct train_state *state,
                             const struct train_split *split, const char *out);

/* Link OUT/last, and OUT/best if it is the best, to the checkpoint of this step: of the one that is resumed from, too, as a run may have
 * been killed before it did. */
clio_status checkpoint_link(clio_context *ctx, const struct train_state *state, const char *out);

/* ---- read ---- */

struct checkpoint {
    char *folder;          /* NULL: there is none */
    struct json_file file; /* training.json */
    json_t *settings;
    const struct learner_type *type;
    struct json_file config;  /* config.json */
    const char **class_names; /* [classes], of config.json; NULL: none, or written by an earlier version */
    int classes;
    struct train_state state;
    struct train_split split;
    struct bytes damaged; /* one sentence about newer ones that are damaged, or empty */
};
/* The newest checkpoint of `out` that is intact. Zero-initialise; release with checkpoint_close. An error if there are checkpoints and none
 * is intact. */
clio_status checkpoint_find(clio_context *ctx, const char *out, struct checkpoint *c);
/* Load it into a learner for which learner_train was called. notes: sentences about what begins anew, each ending with a newline. */
clio_status checkpoint_load(clio_context *ctx, const struct checkpoint *c, struct learner *l, struct bytes *notes);
void checkpoint_close(struct checkpoint *c);
/* Whether a failure means that a file is damaged or missing, so that another checkpoint may do. */
static inline bool checkpoint_is_damage(clio_status st)
{
    return st == CLIO_ERROR_FORMAT || st == CLIO_ERROR_FILE;
}
/* Whether `out` has a checkpoint, intact or not. */
clio_status checkpoint_exists(clio_context *ctx, const char *out, bool *exists);

/* ---- as a trained model, checkpoint_model.c ---- */

/* The validation split in a training.json; its fraction is below 0 where that is unknown. */
clio_status checkpoint_read_split(clio_context *ctx, const struct json_file *file, struct train_split *split);
/* The folder of a trained model: `path` if it has a config.json, else its `best`, else its `last`; fresh memory. */
clio_status checkpoint_folder(clio_context *ctx, const char *path, char **folder);
/* An error if a file of a trained model differs from its checksum in training.json, which lies in `folder`, or one above for a folder of a
 * checkpoint (RUN/best/whisper). Folders that training did not write are not checked, nor is the optimizer's state. */
clio_status checkpoint_check_model(clio_context *ctx, const char *folder);
/* The validation split of the run that wrote the checkpoint `folder`; its fraction is below 0 where that is unknown. */
clio_status checkpoint_split(clio_context *ctx, const char *folder, struct train_split *split);

/* ---- names and checksums, checkpoint_names.c ---- */

#define CHECKPOINT_FORMAT 2 /* of training.json; files without "format" have the setting names of an older version */
#define CHECKPOINT_NAME_SIZE 40

/* "step-00000012" */
void checkpoint_name(char name[CHECKPOINT_NAME_SIZE], int64_t step);
/* The step in such a name; -1: another name. */
int64_t checkpoint_step(const char *name);
/* Sizes and CRC-32 of all files in `folder` and the folders in it, but for training.json and links: {"model.safetensors": [size, crc]}. */
clio_status checkpoint_checksums(clio_context *ctx, const char *folder, json_t **sums);
/* An error that names the first file that is missing or differs from its checksum. */
clio_status checkpoint_verify(clio_context *ctx, const char *folder, const json_t *sums);

#endif
