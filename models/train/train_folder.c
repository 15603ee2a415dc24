/* train_folder.c - the output folder of a run: whether it holds one already, its lock, its logs. */
#include "train_run.h"
#include "../../host/core/file_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Refuse data in folders that the run writes images to: its plots and samples would become training images. */
static clio_status check_apart(clio_context *ctx, const char *data, const char *out)
{
    clio_status st = CLIO_OK;
    static const char *const written[] = {"", "samples", "checkpoints"};
    char *real_data = NULL, *real = NULL, *path = NULL;
    bool exists;
    TRY(file_check_exists(ctx, data, &exists));
    if (exists) /* else the dataset says so */
        TRY(file_real_path(ctx, &real_data, data));
    for (size_t i = 0; real_data && i < COUNT(written); i++) {
        free(path);
        free(real);
        path = real = NULL;
        TRY(file_join(ctx, &path, out, written[i]));
        TRY(file_check_exists(ctx, path, &exists));
        if (!exists)
            continue;
        TRY(file_real_path(ctx, &real, path));
        size_t n = strlen(real);
        if (!strncmp(real_data, real, n) && (!real_data[n] || (*written[i] && real_data[n] == '/')))
            FAIL(ctx, CLIO_ERROR_ARGUMENT,
                 "params.data %s is a folder that the run writes to: its plots and samples would become training images; choose another "
                 "folder for params.out, which is %s",
                 data, out);
    }
fail:
    free(real_data);
    free(real);
    free(path);
    return st;
}

clio_status train_folder_check(struct train_run *r)
{
    clio_status st = CLIO_OK;
    char *losses = NULL;
    bool exists = false, old = false;
    TRY(check_apart(r->ctx, r->params->data, r->params->out));
    if (!train_is_first(r) || r->params->resume)
        return CLIO_OK;
    TRY(checkpoint_exists(r->ctx, r->params->out, &exists));
    TRY(file_join(r->ctx, &losses, r->params->out, "losses.csv")); /* of older versions */
    TRY(file_check_exists(r->ctx, losses, &old));
    if (exists || old)
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
    bool exists;
    if (!train_is_first(r))
        return CLIO_OK;
    TRY(file_check_exists(r->ctx, r->params->out, &exists));
    TRY(file_make_folder(r->ctx, r->params->out));
    r->made_out = !exists;
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

/* Say that lines of an earlier log could not be read. */
static void report_old(struct train_run *r, const struct csv_log *log)
{
    char text[1200];
    bool one = log->unread == 1;
    if (!log->old)
        return;
    snprintf(text, sizeof text,
             "warning: %zu line%s of %s cannot be read, the first is line %zu: the file goes on without %s, and the old one is now %s",
             log->unread, one ? "" : "s", log->path, log->first_unread, one ? "it" : "them", log->old);
    train_report_warning(r, text);
}

clio_status train_logs_open(struct train_run *r)
{
    clio_status st = CLIO_OK;
    int64_t keep = r->resumes ? r->state.step : -1;
    name_columns(r);
    if (!train_is_first(r))
        return CLIO_OK;
    TRY(csv_log_open(r->ctx, &r->train_log, r->params->out, "train.csv", r->columns, keep));
    report_old(r, &r->train_log);
    if (r->validation)
        TRY(csv_log_open(r->ctx, &r->eval_log, r->params->out, "eval.csv", r->plan.type->metrics, keep));
    report_old(r, &r->eval_log);
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
