/* train_folder.c - the output folder of a run: whether it holds one already, its lock, its logs. */
#include "train_run.h"
#include "../../host/core/file_out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

clio_status train_folder_check(struct train_run *r)
{
    clio_status st = CLIO_OK;
    char *losses = NULL;
    bool exists = false;
    enum file_kind kind;
    if (!train_is_first(r) || r->params->resume)
        return CLIO_OK;
    TRY(checkpoint_exists(r->ctx, r->params->out, &exists));
    TRY(file_join(r->ctx, &losses, r->params->out, "losses.csv")); /* of older versions */
    TRY(file_find(r->ctx, losses, &kind));
    if (exists || kind != FILE_ABSENT)
        FAIL(r->ctx, CLIO_ERROR_FILE, "%s already holds a training run (%s): resume it, or choose another output folder", r->params->out,
             exists ? "checkpoints" : "losses.csv");
fail:
    free(losses);
    return st;
}

/* Delete what a run that was killed while it wrote an image has left. */
static void delete_left(const char *folder)
{
    static const char mark[] = ".png" FILE_TEMPORARY;
    struct file_names names = {0};
    if (file_names_read(NULL, &names, folder, NULL))
        return; /* there is none yet */
    for (size_t i = 0; i < names.count; i++) {
        size_t length = strlen(names.list[i]);
        char *path = NULL;
        if (length > sizeof mark - 1 && !strcmp(names.list[i] + length - (sizeof mark - 1), mark) &&
            file_join(NULL, &path, folder, names.list[i]) == CLIO_OK)
            file_delete_left(path);
        free(path);
    }
    file_names_free(&names);
}

clio_status train_folder_open(struct train_run *r)
{
    clio_status st = CLIO_OK;
    char *path = NULL, *samples = NULL;
    enum file_kind kind;
    if (!train_is_first(r))
        return CLIO_OK;
    TRY(file_find(r->ctx, r->params->out, &kind));
    TRY(file_make_folder(r->ctx, r->params->out));
    r->made_out = kind == FILE_ABSENT;
    TRY(file_join(r->ctx, &path, r->params->out, ".lock"));
    TRY(file_lock(r->ctx, &r->lock, path, "training"));
    TRY(train_folder_check(r)); /* another run may have ended meanwhile */
    TRY(file_join(r->ctx, &samples, r->params->out, "samples"));
    delete_left(r->params->out);
    delete_left(samples);
fail:
    free(samples);
    free(path);
    return st;
}

/* train.csv: epoch, losses, learning rate of the first part, norm of all gradients, samples per second. */
static void name_columns(struct train_run *r)
{
    int n = 0;
    r->columns[n++] = "epoch";
    for (const char *const *loss = r->plan.type->losses; *loss; loss++)
        r->columns[n++] = *loss;
    r->columns[n++] = "learning_rate";
    r->columns[n++] = "grad_norm";
    r->columns[n++] = "samples_per_second";
    r->columns[n] = NULL;
}

clio_status train_logs_open(struct train_run *r)
{
    clio_status st = CLIO_OK;
    int64_t keep = r->resumes ? r->state.step : -1;
    name_columns(r);
    if (!train_is_first(r))
        return CLIO_OK;
    TRY(csv_log_open(r->ctx, &r->train_log, r->params->out, "train.csv", r->columns, keep));
    if (r->validation)
        TRY(csv_log_open(r->ctx, &r->eval_log, r->params->out, "eval.csv", r->plan.type->metrics, keep));
fail:
    return st;
}

uint64_t train_validation_names(const struct train_run *r)
{
    uint64_t hash = MEM_HASH_START;
    size_t count = dataset_info(r->data)->count[DATASET_VALIDATION], root = strlen(r->params->data);
    hash = mem_hash(hash, &count, sizeof count);
    for (size_t i = 0; i < count; i++) {
        const char *path = dataset_path(r->data, DATASET_VALIDATION, i);
        if (path)
            hash = mem_hash(hash, path + root, strlen(path + root) + 1);
    }
    return hash ? hash : 1;
}
