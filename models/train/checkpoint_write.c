/* checkpoint_write.c - write a checkpoint; see checkpoint.h. */
#include "checkpoint.h"
#include "../../host/core/file_tree.h"
#include "../../host/core/safetensors_write.h"
#include "../learners/pretrained.h"
#include "../loaders/model_folder.h"
#include "train.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void train_split_free(struct train_split *split)
{
    free(split->data);
    *split = (struct train_split){.fraction = -1};
}

/* *out = dir/name; frees the old *out. */
static clio_status join(clio_context *ctx, char **out, const char *dir, const char *name)
{
    free(*out);
    *out = NULL;
    return file_join(ctx, out, dir, name);
}

/* ---- the files ---- */

/* Names of the parts that are trained. */
static clio_status put_trained(clio_context *ctx, json_t *json, const struct learner *l)
{
    clio_status st = CLIO_OK;
    TRY(json_put(ctx, json, "trained", json_array()));
    for (int i = 0; l->type->parts[i]; i++)
        if (l->parameters[i].count)
            TRY(json_append(ctx, json_object_get(json, "trained"), json_string(l->type->parts[i])));
fail:
    return st;
}

static clio_status write_state(clio_context *ctx, const struct learner *l, const struct train_plan *plan, const struct train_state *s,
                               const struct train_split *split, const char *folder)
{
    clio_status st = CLIO_OK;
    char names[24];
    json_t *json = NULL, *sums = NULL;
    snprintf(names, sizeof names, "%016" PRIx64, split->names);
    TRY(checkpoint_checksums(ctx, folder, &sums));
    TRY(json_made(ctx, &json,
                  json_pack("{s:i,s:s,s:I,s:I,s:I,s:f,s:I,s:i,s:[I,I],s:[I,I],s:[f,I],s:{s:s?,s:I,s:f,s:s},s:O,s:O}", "format",
                            CHECKPOINT_FORMAT, "model", plan->type->name, "step", (json_int_t)s->step, "epoch", (json_int_t)s->epoch,
                            "samples", (json_int_t)s->samples, "best", s->best, "best_step", (json_int_t)s->best_step,
                            "evals_without_improvement", s->evals_without_improvement, "optimizer_steps", (json_int_t)l->optimizers[0].step,
                            (json_int_t)l->optimizers[1].step, "optimizer_begun", (json_int_t)l->optimizers[0].begun,
                            (json_int_t)l->optimizers[1].begun, "loss_scale", l->loss_scale, (json_int_t)l->steps_since_overflow, "split",
                            "data", split->data, "seed", (json_int_t)split->seed, "fraction", split->fraction, "names", names, "settings",
                            plan->all, "checksums", sums)));
    TRY(put_trained(ctx, json, l));
    TRY(folder_put_json(ctx, json, folder, "", "training.json"));
fail:
    json_decref(json);
    json_decref(sums);
    return st;
}

/* What resuming needs besides the weights for inference: optimizer states, and the weights where those are moving averages. */
static clio_status write_training(clio_context *ctx, const struct learner *l, const char *folder)
{
    clio_status st = CLIO_OK;
    struct safetensors_writer out = {0};
    char *path = NULL, start[40];
    TRY(safetensors_writer_open(ctx, &out));
    for (int i = 0; l->type->parts[i]; i++) {
        snprintf(start, sizeof start, "%s.", l->type->parts[i]);
        TRY(optimizer_write(ctx, &l->optimizers[i], start, &out));
        if (parameters_have_ema(&l->parameters[i]))
            TRY(parameters_write(ctx, &l->parameters[i], PART_VALUE, start, &out));
    }
    TRY(join(ctx, &path, folder, "training.safetensors"));
    TRY(safetensors_writer_save(ctx, &out, path));
fail:
    safetensors_writer_close(&out);
    free(path);
    return st;
}

/* ---- the folder of checkpoints ---- */

static int compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The step that the link out/best points to; -1: none. */
static int64_t linked_best(clio_context *ctx, const char *out)
{
    char *link = NULL, target[CHECKPOINT_NAME_SIZE + 32];
    int64_t step = -1;
    if (join(ctx, &link, out, "best") == CLIO_OK) {
        ssize_t n = readlink(link, target, sizeof target - 1);
        target[MAX(n, 0)] = '\0';
        const char *slash = strrchr(target, '/');
        step = n > 0 ? checkpoint_step(slash ? slash + 1 : target) : -1;
    }
    free(link);
    return step;
}

/* Remove partial checkpoints of a killed run, and all up to step `now` but the newest `keep` and the best. */
static clio_status remove_old(clio_context *ctx, const char *out, const char *checkpoints, int keep, int64_t now, int64_t best)
{
    clio_status st = CLIO_OK;
    struct file_names names = {0};
    int64_t *steps = NULL, linked = linked_best(ctx, out);
    size_t count = 0;
    char *path = NULL, name[CHECKPOINT_NAME_SIZE];
    TRY(file_names_read(ctx, &names, checkpoints, NULL));
    TRY(mem_alloc(ctx, &steps, names.count, sizeof *steps));
    for (size_t i = 0; i < names.count; i++) {
        int64_t step = checkpoint_step(names.list[i]);
        if (step >= 0 && step <= now)
            steps[count++] = step;
        if (strncmp(names.list[i], ".partial-", 9) == 0) {
            TRY(join(ctx, &path, checkpoints, names.list[i]));
            TRY(file_delete_folder(ctx, path));
        }
    }
    if (count)
        qsort(steps, count, sizeof *steps, compare_steps);
    for (size_t i = (size_t)keep; i < count; i++) {
        checkpoint_name(name, steps[i]);
        if (steps[i] != best && steps[i] != linked) {
            TRY(join(ctx, &path, checkpoints, name));
            TRY(file_delete_folder(ctx, path));
        }
    }
fail:
    file_names_free(&names);
    free(steps);
    free(path);
    return st;
}

clio_status checkpoint_link(clio_context *ctx, const struct train_state *state, const char *out)
{
    clio_status st = CLIO_OK;
    char step[CHECKPOINT_NAME_SIZE], to[80];
    checkpoint_name(step, state->step);
    snprintf(to, sizeof to, "checkpoints/%s", step);
    TRY(file_set_link(ctx, out, "last", to));
    if (state->best_step == state->step)
        TRY(file_set_link(ctx, out, "best", to));
fail:
    return st;
}

clio_status checkpoint_write(clio_context *ctx, struct learner *l, const struct train_plan *plan, const struct train_state *state,
                             const struct train_split *split, const char *out)
{
    clio_status st = CLIO_OK;
    char *checkpoints = NULL, *partial = NULL, *whole = NULL, step[CHECKPOINT_NAME_SIZE], name[64];
    TRY(join(ctx, &checkpoints, out, "checkpoints"));
    checkpoint_name(step, state->step);
    snprintf(name, sizeof name, ".partial-%s", step);
    TRY(join(ctx, &partial, checkpoints, name));
    TRY(file_delete_folder(ctx, partial));
    TRY(file_make_folder(ctx, partial));
    TRY(learner_save(ctx, l, partial));
    TRY(write_training(ctx, l, partial));
    TRY(write_state(ctx, l, plan, state, split, partial));
    TRY(file_sync_folder(ctx, partial));
    TRY(join(ctx, &whole, checkpoints, step));
    TRY(file_delete_folder(ctx, whole)); /* a damaged one, behind the one that was resumed from */
    TRY(file_rename(ctx, partial, whole));
    TRY(file_sync_folder(ctx, checkpoints));
    TRY(checkpoint_link(ctx, state, out));
    TRY(remove_old(ctx, out, checkpoints, plan->save_total_limit, state->step, state->best_step));
fail:
    if (st && partial) {
        struct status_text first = ctx->status;
        (void)file_delete_folder(ctx, partial);
        ctx->status = first;
    }
    free(whole);
    free(partial);
    free(checkpoints);
    return st;
}
