/* checkpoint_read.c - find the newest intact checkpoint of a run and resume from it; see checkpoint.h. */
#include "checkpoint.h"
#include "../../host/core/file_tree.h"
#include "../../host/core/weights.h"
#include "../learners/pretrained.h"
#include "../learners/types.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX ((json_int_t)1 << 53) /* steps, epochs, samples: one more is no overflow */

/* ---- training.json ---- */

/* Absent in what earlier versions wrote. */
clio_status checkpoint_read_split(clio_context *ctx, const struct json_file *file, struct train_split *split)
{
    clio_status st = CLIO_OK;
    const json_t *from = json_object_get(file->root, "split"), *data = json_object_get(from, "data");
    const json_t *fraction = json_object_get(from, "fraction"), *seed = json_object_get(from, "seed");
    const json_t *names = json_object_get(from, "names");
    char *end = NULL;
    *split = (struct train_split){.fraction = -1};
    if (!from)
        return CLIO_OK;
    split->names = json_is_string(names) ? strtoull(json_string_value(names), &end, 16) : 0;
    if (!json_is_number(fraction) || !json_is_integer(seed) || (names && (!end || *end)) ||
        (data && !json_is_null(data) && !json_is_string(data)))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"split\"", file->path);
    split->fraction = json_number_value(fraction);
    split->seed = (uint64_t)json_integer_value(seed);
    TRY(mem_string(ctx, &split->data, json_string_value(data)));
    if (!(split->fraction >= 0 && split->fraction < 1))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"fraction\"", file->path);
fail:
    return st;
}

/* Samples of the epoch: earlier versions counted batches. */
static clio_status read_samples(clio_context *ctx, struct checkpoint *c)
{
    clio_status st = CLIO_OK;
    const json_t *samples = json_object_get(c->file.root, "samples"), *batch = json_object_get(c->file.root, "batch");
    const json_t *size = json_object_get(c->settings, "batch_size");
    json_int_t per_batch = size ? json_integer_value(size) : 64, count = -1;
    if (json_is_integer(samples))
        count = json_integer_value(samples);
    else if (json_is_integer(batch) && json_integer_value(batch) >= 0 && per_batch > 0 &&
             json_integer_value(batch) <= INT64_MAX / per_batch)
        count = json_integer_value(batch) * per_batch;
    if (count < 0 || count > COUNT_MAX)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"samples\"", c->file.path);
    c->state.samples = (size_t)count;
fail:
    return st;
}

static bool is_count(const json_t *value, json_int_t least, json_int_t most)
{
    return json_is_integer(value) && json_integer_value(value) >= least && json_integer_value(value) <= most;
}

/* What checkpoint_load reads later: where it is there, it is as checkpoint_write wrote it. */
static clio_status check_lists(clio_context *ctx, const struct checkpoint *c)
{
    static const char *const counts[] = {"optimizer_steps", "optimizer_begun"};
    clio_status st = CLIO_OK;
    const json_t *root = c->file.root, *trained = json_object_get(root, "trained"), *scale = json_object_get(root, "loss_scale");
    for (size_t i = 0; i < COUNT(counts); i++) {
        const json_t *list = json_object_get(root, counts[i]);
        bool good = !list || json_array_size(list) == LEARNER_PARTS;
        for (size_t k = 0; list && good && k < LEARNER_PARTS; k++)
            good = is_count(json_array_get(list, k), 0, COUNT_MAX);
        if (!good)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"%s\"", c->file.path, counts[i]);
    }
    for (size_t i = 0; i < MAX(json_array_size(trained), 1); i++)
        if (trained && !json_is_string(json_array_get(trained, i)))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"trained\"", c->file.path);
    if (scale && !(json_number_value(json_array_get(scale, 0)) > 0 && is_count(json_array_get(scale, 1), 0, COUNT_MAX)))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"loss_scale\"", c->file.path);
fail:
    return st;
}

static clio_status read_state(clio_context *ctx, struct checkpoint *c)
{
    clio_status st = CLIO_OK;
    static const struct {
        const char *key;
        json_int_t least, most;
    } needed[] = {{"step", 0, COUNT_MAX}, {"epoch", 0, COUNT_MAX}, {"best_step", -1, COUNT_MAX}, {"evals_without_improvement", 0, INT_MAX}};
    const json_t *root = c->file.root;
    for (size_t i = 0; i < COUNT(needed); i++)
        if (!is_count(json_object_get(root, needed[i].key), needed[i].least, needed[i].most))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"%s\"", c->file.path, needed[i].key);
    if (!json_is_number(json_object_get(root, "best")))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no valid \"best\"", c->file.path);
    c->state =
        (struct train_state){.step = json_integer_value(json_object_get(root, "step")),
                             .epoch = (size_t)json_integer_value(json_object_get(root, "epoch")),
                             .best = json_number_value(json_object_get(root, "best")),
                             .best_step = json_integer_value(json_object_get(root, "best_step")),
                             .evals_without_improvement = (int)json_integer_value(json_object_get(root, "evals_without_improvement"))};
    TRY(check_lists(ctx, c));
    TRY(read_samples(ctx, c));
    TRY(checkpoint_read_split(ctx, &c->file, &c->split));
fail:
    return st;
}

static clio_status read_class_names(clio_context *ctx, struct checkpoint *c)
{
    clio_status st = CLIO_OK;
    const json_t *names;
    TRY(json_open(ctx, &c->config, c->folder, "config.json"));
    names = json_object_get(c->config.root, "class_names");
    if (!json_array_size(names))
        return CLIO_OK;
    TRY(mem_alloc(ctx, &c->class_names, json_array_size(names), sizeof *c->class_names));
    for (; (size_t)c->classes < json_array_size(names); c->classes++)
        if (!(c->class_names[c->classes] = json_string_value(json_array_get(names, (size_t)c->classes))))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"class_names\" has something else than texts", c->config.path);
fail:
    return st;
}

/* ---- find ---- */

/* Read training.json and verify the other files. */
static clio_status open_checkpoint(clio_context *ctx, const char *folder, struct checkpoint *c)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    char *path = NULL;
    const char *name;
    TRY(mem_string(ctx, &c->folder, folder));
    TRY(json_open(ctx, &c->file, folder, "training.json"));
    if (json_integer_value(json_object_get(c->file.root, "format")) != CHECKPOINT_FORMAT)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s was written by another version of clio, whose training settings have other names: start a new run in another folder",
             c->file.path);
    TRY(json_text(ctx, &c->file, "model", NULL, &name));
    if (!(c->type = learner_type_find(name)))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: there is no model %.60s in this version", c->file.path, name);
    if (!json_is_object(json_object_get(c->file.root, "settings")))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no settings", c->file.path);
    TRY(json_copied(ctx, &c->settings, json_object_get(c->file.root, "settings")));
    TRY(read_state(ctx, c));
    TRY(read_class_names(ctx, c));
    TRY(file_join(ctx, &path, folder, "training.safetensors"));
    TRY(weights_open(ctx, &weights, path, "training"));
    TRY(checkpoint_verify(ctx, folder, json_object_get(c->file.root, "checksums")));
fail:
    weights_close(&weights);
    free(path);
    return st;
}

void checkpoint_close(struct checkpoint *c)
{
    json_close(&c->file);
    json_close(&c->config);
    free(c->class_names);
    json_decref(c->settings);
    free(c->folder);
    train_split_free(&c->split);
    bytes_free(&c->damaged);
    *c = (struct checkpoint){0};
}

static int compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The steps of all checkpoints, intact or not, the newest first. */
static clio_status list_steps(clio_context *ctx, const char *checkpoints, int64_t **steps, size_t *count)
{
    clio_status st = CLIO_OK;
    struct file_names names = {0};
    bool absent;
    *count = 0;
    TRY(file_names_read(ctx, &names, checkpoints, &absent));
    TRY(mem_alloc(ctx, steps, names.count, sizeof **steps));
    for (size_t i = 0; i < names.count; i++)
        if (checkpoint_step(names.list[i]) >= 0)
            (*steps)[(*count)++] = checkpoint_step(names.list[i]);
    if (*count)
        qsort(*steps, *count, sizeof **steps, compare_steps);
fail:
    file_names_free(&names);
    return st;
}

clio_status checkpoint_exists(clio_context *ctx, const char *out, bool *exists)
{
    clio_status st = CLIO_OK;
    char *checkpoints = NULL;
    int64_t *steps = NULL;
    size_t count = 0;
    TRY(file_join(ctx, &checkpoints, out, "checkpoints"));
    TRY(list_steps(ctx, checkpoints, &steps, &count));
fail:
    *exists = count > 0;
    free(checkpoints);
    free(steps);
    return st;
}

clio_status checkpoint_find(clio_context *ctx, const char *out, struct checkpoint *c)
{
    clio_status st = CLIO_OK, first = CLIO_OK;
    struct status_text reason = {0};
    char *checkpoints = NULL, *folder = NULL, name[CHECKPOINT_NAME_SIZE];
    int64_t *steps = NULL;
    size_t count, i = 0;
    TRY(file_join(ctx, &checkpoints, out, "checkpoints"));
    TRY(list_steps(ctx, checkpoints, &steps, &count));
    for (; i < count; i++) {
        free(folder);
        folder = NULL;
        checkpoint_name(name, steps[i]);
        TRY(file_join(ctx, &folder, checkpoints, name));
        st = open_checkpoint(ctx, folder, c);
        if (!checkpoint_is_damage(st))
            break;
        checkpoint_close(c);
        if (!first) {
            first = st;
            reason = ctx->status;
        }
        st = CLIO_OK;
    }
    TRY(st);
    if (first && i == count)
        FAIL(ctx, first, "%s has no intact checkpoint to resume from (the newest: %.700s): start a new run in another folder", out,
             reason.sentence);
    if (first)
        TRY(bytes_print(ctx, &c->damaged, "warning: the newest checkpoint cannot be used (%s); resuming from %s", reason.sentence, folder));
fail:
    free(checkpoints);
    free(folder);
    free(steps);
    return st;
}

/* ---- load ---- */

/* A part is trained in the whole run or not at all: otherwise its trained weights would be lost silently. */
static clio_status check_part(clio_context *ctx, const struct checkpoint *c, const struct learner *l, int part,
                              const struct weights *weights)
{
    clio_status st = CLIO_OK;
    bool trains = l->parameters[part].count > 0, trained = false;
    const char *name = l->type->parts[part];
    const json_t *list = json_object_get(c->file.root, "trained");
    for (size_t i = 0; i < json_array_size(list); i++)
        trained = trained || !strcmp(json_string_value(json_array_get(list, i)), name);
    for (size_t i = 0; !list && i < weights->count; i++) /* earlier versions: it has tensors */
        trained = trained || (!strncmp(weights->list[i].name, name, strlen(name)) && weights->list[i].name[strlen(name)] == '.');
    if (trained != trains)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s is of a run that %s %s, and the settings %s it: resume with the settings of that run",
             weights->path, trained ? "trains" : "does not train", name, trains ? "train" : "do not train");
fail:
    return st;
}

/* The weights, their averages, and the optimizer's state, each of which may begin anew. */
static clio_status load_part(clio_context *ctx, const struct checkpoint *c, struct learner *l, int part, const struct weights *from,
                             struct bytes *notes)
{
    clio_status st = CLIO_OK;
    struct parameters *list = &l->parameters[part];
    struct optimizer *o = &l->optimizers[part];
    char start[40];
    bool complete;
    snprintf(start, sizeof start, "%s.", l->type->parts[part]);
    TRY(check_part(ctx, c, l, part, from));
    if (!list->count)
        return CLIO_OK;
    bool averages = parameters_stored(list, PART_AVERAGE, start, from); /* of earlier versions */
    bool has_values = parameters_stored(list, PART_VALUE, start, from);
    if (has_values)
        TRY(parameters_read(ctx, list, PART_VALUE, start, from));
    else
        TRY(learner_read_part(ctx, l, part, PART_VALUE, c->folder));
    if (parameters_have_ema(list)) {
        bool had_ema = averages || (has_values && json_object_get(c->file.root, "trained"));
        if (averages)
            TRY(parameters_read(ctx, list, PART_AVERAGE, start, from));
        else if (had_ema)
            TRY(learner_read_part(ctx, l, part, PART_AVERAGE, c->folder));
        else
            TRY(parameters_restart_ema(ctx, list));
        if (!had_ema)
            TRY(bytes_print(ctx, notes, "the moving average of the weights of %s begins at step %" PRId64 ": the run had no ema_decay\n",
                            l->type->parts[part], c->state.step));
    }
    TRY(optimizer_read(ctx, o, start, from, &complete));
    if (!complete) {
        o->begun = o->step;
        TRY(bytes_print(ctx, notes, "the state of the optimizer of %s begins anew at step %" PRId64 ": the run had another optimizer\n",
                        l->type->parts[part], c->state.step));
    }
fail:
    return st;
}

clio_status checkpoint_load(clio_context *ctx, const struct checkpoint *c, struct learner *l, struct bytes *notes)
{
    clio_status st = CLIO_OK;
    struct weights weights = {0};
    const json_t *root = c->file.root, *scale = json_object_get(root, "loss_scale");
    char *path = NULL;
    for (size_t i = 0; i < LEARNER_PARTS; i++) {
        l->optimizers[i].step = json_integer_value(json_array_get(json_object_get(root, "optimizer_steps"), i));
        l->optimizers[i].begun = json_integer_value(json_array_get(json_object_get(root, "optimizer_begun"), i));
    }
    if (l->dynamic_loss_scale && json_number_value(json_array_get(scale, 0)) >= 1) {
        TRY(learner_set_loss_scale(ctx, l, json_number_value(json_array_get(scale, 0))));
        l->steps_since_overflow = json_integer_value(json_array_get(scale, 1));
    }
    TRY(file_join(ctx, &path, c->folder, "training.safetensors"));
    TRY(weights_open(ctx, &weights, path, "training"));
    for (int i = 0; l->type->parts[i]; i++)
        TRY(load_part(ctx, c, l, i, &weights, notes));
    l->step = c->state.step;
fail:
    weights_close(&weights);
    free(path);
    return st;
}
