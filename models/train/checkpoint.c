/* checkpoint.c - write and read checkpoints; see train.h. A checkpoint is written into a folder with a temporary name, synced to disk, and
 * renamed: whatever stops the program, every step-N is complete. */
#include "../learners/pretrained.h"
#include "../../host/core/safetensors_write.h"
#include "train.h"
#include "../learners/types.h"
#include "../loaders/model_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT 2 /* of training.json; files without "format" have the setting names of an older version */
#define STEP_NAME "step-%08" PRId64

/* *out = dir/name; frees the old *out. */
static clio_status join(clio_context *ctx, char **out, const char *dir, const char *name)
{
    free(*out);
    *out = NULL;
    return file_join(ctx, out, dir, name);
}

/* Sync the entries of a folder to disk, where the file system can. */
static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Sync a folder and its subfolders. */
static void sync_folders(clio_context *ctx, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char *name = NULL;
    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && join(ctx, &name, path, entry->d_name) == CLIO_OK)
            sync_folder(name);
    free(name);
    if (dir)
        closedir(dir);
    sync_folder(path);
}

/* Remove a folder and its content; links, not their targets. */
static void remove_folder(clio_context *ctx, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char *name = NULL;
    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && join(ctx, &name, path, entry->d_name) == CLIO_OK &&
            unlink(name) && errno != ENOENT)
            remove_folder(ctx, name);
    free(name);
    if (dir)
        closedir(dir);
    rmdir(path);
}

/* Replace the link out/name atomically. */
static clio_status set_link(clio_context *ctx, const char *out, const char *name, const char *to)
{
    clio_status st = CLIO_OK;
    char *link = NULL, *fresh = NULL, text[64];
    snprintf(text, sizeof text, ".%s.new", name);
    TRY(join(ctx, &link, out, name));
    TRY(join(ctx, &fresh, out, text));
    unlink(fresh);
    if (symlink(to, fresh) || rename(fresh, link))
        FAIL(ctx, CLIO_ERROR_FILE, "cannot make the link %s: %s", link, strerror(errno));
fail:
    free(fresh);
    free(link);
    return st;
}

/* ---- writing ---- */

static clio_status write_state(clio_context *ctx, const struct learner *l, const struct train_plan *plan, const struct train_state *s,
                               const char *folder)
{
    clio_status st = CLIO_OK;
    json_t *json = json_pack("{s:i,s:s,s:I,s:I,s:I,s:f,s:I,s:i,s:[I,I],s:[f,I],s:O}", "format", FORMAT, "model", plan->type->name, "step",
                             (json_int_t)s->step, "epoch", (json_int_t)s->epoch, "batch", (json_int_t)s->batch, "best", s->best,
                             "best_step", (json_int_t)s->best_step, "evals_without_improvement", s->evals_without_improvement,
                             "optimizer_steps", (json_int_t)l->optimizers[0].step, (json_int_t)l->optimizers[1].step, "loss_scale",
                             l->loss_scale, (json_int_t)l->steps_since_overflow, "settings", plan->all);
    if (!json)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(folder_put_json(ctx, json, folder, "", "training.json"));
fail:
    json_decref(json);
    return st;
}

/* What resuming needs besides model.safetensors: optimizer states, and the weights, as that file may hold their moving averages. */
static clio_status write_training(clio_context *ctx, const struct learner *l, const char *folder)
{
    clio_status st = CLIO_OK;
    struct safetensors_writer out = {0};
    char *path = NULL, start[40];
    TRY(safetensors_writer_open(ctx, &out));
    for (int i = 0; l->type->parts[i]; i++) {
        snprintf(start, sizeof start, "%s.", l->type->parts[i]);
        TRY(optimizer_write(ctx, &l->optimizers[i], start, &out));
        TRY(parameters_write(ctx, &l->parameters[i], PART_VALUE, start, &out));
    }
    TRY(join(ctx, &path, folder, "training.safetensors"));
    TRY(safetensors_writer_save(ctx, &out, path));
fail:
    safetensors_writer_close(&out);
    free(path);
    return st;
}

static int compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Remove partial checkpoints of a killed run, and all but the newest `keep` and the best. A failure is ignored: it only costs disk space.
 */
static void remove_old(clio_context *ctx, const char *checkpoints, int keep, int64_t best)
{
    DIR *dir = opendir(checkpoints);
    struct dirent *entry;
    int64_t steps[512], step;
    size_t count = 0;
    char *path = NULL, name[40];
    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, ".partial-", 9) == 0 && join(ctx, &path, checkpoints, entry->d_name) == CLIO_OK)
            remove_folder(ctx, path);
        else if (count < COUNT(steps) && sscanf(entry->d_name, "step-%" SCNd64, &step) == 1)
            steps[count++] = step;
    if (dir)
        closedir(dir);
    qsort(steps, count, sizeof *steps, compare_steps);
    for (size_t i = (size_t)keep; i < count; i++) {
        snprintf(name, sizeof name, STEP_NAME, steps[i]);
        if (steps[i] != best && join(ctx, &path, checkpoints, name) == CLIO_OK)
            remove_folder(ctx, path);
    }
    free(path);
}

clio_status checkpoint_write(clio_context *ctx, struct learner *l, const struct train_plan *plan, const struct train_state *state,
                             const char *out)
{
    clio_status st = CLIO_OK;
    char *checkpoints = NULL, *partial = NULL, *whole = NULL, name[64], to[80];
    TRY(join(ctx, &checkpoints, out, "checkpoints"));
    snprintf(name, sizeof name, ".partial-" STEP_NAME, state->step);
    TRY(join(ctx, &partial, checkpoints, name));
    remove_folder(ctx, partial);
    TRY(file_make_folder(ctx, partial));
    TRY(learner_save(ctx, l, partial));
    TRY(write_training(ctx, l, partial));
    TRY(write_state(ctx, l, plan, state, partial));
    sync_folders(ctx, partial);
    snprintf(name, sizeof name, STEP_NAME, state->step);
    TRY(join(ctx, &whole, checkpoints, name));
    if (file_exists(whole))
        FAIL(ctx, CLIO_ERROR_FILE, "%s exists and belongs to another run: choose another output folder", whole);
    if (rename(partial, whole))
        FAIL(ctx, CLIO_ERROR_FILE, "cannot rename %s to %s: %s", partial, whole, strerror(errno));
    sync_folder(checkpoints);
    snprintf(to, sizeof to, "checkpoints/%s", name);
    TRY(set_link(ctx, out, "last", to));
    if (state->best_step == state->step)
        TRY(set_link(ctx, out, "best", to));
    sync_folder(out);
    remove_old(ctx, checkpoints, plan->save_total_limit, state->best_step);
fail:
    if (st && partial)
        remove_folder(ctx, partial);
    free(whole);
    free(partial);
    free(checkpoints);
    return st;
}

/* ---- reading ---- */

/* The newest checkpoint, even if the run was stopped before it set the link; fresh memory, or NULL. */
static clio_status find_last(clio_context *ctx, const char *out, char **folder)
{
    clio_status st = CLIO_OK;
    char *checkpoints = NULL, name[40];
    DIR *dir;
    struct dirent *entry;
    int64_t step, last = -1;
    *folder = NULL;
    TRY(join(ctx, &checkpoints, out, "checkpoints"));
    dir = opendir(checkpoints);
    while (dir && (entry = readdir(dir)))
        if (sscanf(entry->d_name, "step-%" SCNd64, &step) == 1)
            last = MAX(last, step);
    if (dir)
        closedir(dir);
    if (last >= 0) {
        snprintf(name, sizeof name, STEP_NAME, last);
        TRY(file_join(ctx, folder, checkpoints, name));
    }
fail:
    free(checkpoints);
    return st;
}

clio_status checkpoint_settings(clio_context *ctx, const char *out, json_t **settings, const struct learner_type **type)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    char *folder = NULL;
    const char *name;
    *settings = NULL;
    TRY(find_last(ctx, out, &folder));
    if (folder) {
        TRY(json_open(ctx, &file, folder, "training.json"));
        if (json_integer_value(json_object_get(file.root, "format")) != FORMAT)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
                 "%s was written by another version of clio, whose training settings have other names: start a new run in another folder",
                 file.path);
        TRY(json_text(ctx, &file, "model", NULL, &name));
        if (!(*type = learner_type_find(name)))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: there is no model %s in this version", file.path, name);
        *settings = json_deep_copy(json_object_get(file.root, "settings"));
        if (!json_is_object(*settings))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no settings", file.path);
    }
fail:
    json_close(&file);
    free(folder);
    return st;
}

static clio_status read_state(clio_context *ctx, struct learner *l, const char *folder, struct train_state *s)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    const json_t *made, *scale;
    TRY(json_open(ctx, &file, folder, "training.json"));
    const struct {
        const char *key;
        int64_t least;
    } needed[] = {{"step", 0}, {"epoch", 0}, {"batch", 0}, {"best_step", -1}, {"evals_without_improvement", 0}};
    for (size_t i = 0; i < COUNT(needed); i++) {
        const json_t *value = json_object_get(file.root, needed[i].key);
        if (!json_is_integer(value) || json_integer_value(value) < needed[i].least)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"%s\"", file.path, needed[i].key);
    }
    *s =
        (struct train_state){.step = json_integer_value(json_object_get(file.root, "step")),
                             .epoch = (size_t)json_integer_value(json_object_get(file.root, "epoch")),
                             .batch = (size_t)json_integer_value(json_object_get(file.root, "batch")),
                             .best = json_number_value(json_object_get(file.root, "best")),
                             .best_step = json_integer_value(json_object_get(file.root, "best_step")),
                             .evals_without_improvement = (int)json_integer_value(json_object_get(file.root, "evals_without_improvement"))};
    made = json_object_get(file.root, "optimizer_steps");
    scale = json_object_get(file.root, "loss_scale");
    for (size_t i = 0; i < LEARNER_PARTS; i++)
        l->optimizers[i].step = json_integer_value(json_array_get(made, i));
    if (l->dynamic_loss_scale && json_number_value(json_array_get(scale, 0)) >= 1) {
        TRY(learner_set_loss_scale(ctx, l, json_number_value(json_array_get(scale, 0))));
        l->steps_since_overflow = json_integer_value(json_array_get(scale, 1));
    }
fail:
    json_close(&file);
    return st;
}

/* A part is trained in the whole run or not at all: otherwise its trained weights would be lost silently. */
static clio_status check_part(clio_context *ctx, const struct learner *l, int part, const char *start, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    bool trains = l->parameters[part].count > 0, trained = false;
    for (size_t i = 0; i < weights->count; i++)
        trained = trained || strncmp(weights->list[i].name, start, strlen(start)) == 0;
    if (trained != trains)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s is of a run that %s %s, and the settings %s it: resume with the settings of that run",
             weights->path, trained ? "trains" : "does not train", l->type->parts[part], trains ? "train" : "do not train");
fail:
    return st;
}

clio_status checkpoint_read(clio_context *ctx, struct learner *l, struct train_state *state, const char *out)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    char *folder = NULL, *path = NULL, start[40];
    TRY(find_last(ctx, out, &folder));
    if (!folder)
        FAIL(ctx, CLIO_ERROR_FILE, "%s holds no checkpoint to resume from: start a new run", out);
    TRY(read_state(ctx, l, folder, state));
    TRY(join(ctx, &path, folder, "training.safetensors"));
    TRY(weights_open(ctx, &weights, path, "training"));
    for (int i = 0; l->type->parts[i]; i++) {
        snprintf(start, sizeof start, "%s.", l->type->parts[i]);
        TRY(check_part(ctx, l, i, start, &weights));
        TRY(parameters_read(ctx, &l->parameters[i], PART_VALUE, start, &weights));
        TRY(optimizer_read(ctx, &l->optimizers[i], start, &weights));
    }
    l->step = state->step;
fail:
    weights_close(&weights);
    free(path);
    free(folder);
    return st;
}

clio_status checkpoint_folder(clio_context *ctx, const char *path, char **folder)
{
    clio_status st = CLIO_OK;
    static const char *const below[] = {"config.json", "best/config.json", "last/config.json"};
    char *config = NULL;
    *folder = NULL;
    for (size_t i = 0; i < COUNT(below) && !*folder; i++) {
        TRY(join(ctx, &config, path, below[i]));
        if (file_exists(config)) {
            *strrchr(config, '/') = '\0';
            *folder = config;
            config = NULL;
        }
    }
    if (!*folder)
        FAIL(ctx, CLIO_ERROR_FILE, "%s holds no trained model: it has neither config.json nor best/ nor last/", path);
fail:
    free(config);
    return st;
}
