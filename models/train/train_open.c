/* train_open.c - open what a training run needs: settings, data, model, optimizers, output folder. The folder comes last: a start that
 * fails leaves nothing. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "train_run.h"
#include "../image/image.h"
#include "../learners/types.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings ---- */

/* The validation split of the run that is resumed, which another seed does not change. */
static void keep_split(struct train_run *r, const json_t *given)
{
    const struct train_split *before = &r->before.split;
    const json_t *seed = json_object_get(r->before.settings, "seed");
    r->plan.data.seed = before->fraction >= 0 ? before->seed : (uint64_t)json_integer_value(seed);
    if (before->fraction >= 0 && !json_object_get(given, "validation_split"))
        r->plan.data.validation_split = before->fraction;
    r->split.names = before->names;
}

/* *out: the object of settings in `text`, or NULL without a text. */
static clio_status parse_settings(clio_context *ctx, const char *text, json_t **out)
{
    clio_status st = CLIO_OK;
    if (!text)
        return CLIO_OK;
    clio_status read = json_parse(ctx, text, strlen(text), JSON_REJECT_DUPLICATES, "the text of the settings", out);
    if (read == CLIO_ERROR_FORMAT)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the settings are not JSON; write an object such as {\"epochs\": 3}");
    TRY(read);
    if (!json_is_object(*out))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the settings must be a JSON object, such as {\"epochs\": 3}");
fail:
    return st;
}

/* *out: the settings of the call, or an empty object. */
static clio_status given_settings(clio_context *ctx, const clio_train_params *p, json_t **out)
{
    clio_status st = CLIO_OK;
    json_t *overrides = NULL;
    TRY(parse_settings(ctx, p->settings, out));
    TRY(parse_settings(ctx, p->overrides, &overrides));
    if (!*out)
        TRY(json_made(ctx, out, json_object()));
    if (overrides)
        TRY(train_settings_update(ctx, *out, overrides));
fail:
    json_decref(overrides);
    return st;
}

static clio_status open_plan(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const clio_train_params *p = r->params;
    const struct learner_type *type = p->model ? learner_type_find(p->model) : NULL;
    json_t *given = NULL, *all = NULL;
    if (p->model && !type)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "there is no model %s to train: clio_train_model lists them", p->model);
    TRY(given_settings(r->ctx, p, &given));
    if (p->resume)
        TRY(checkpoint_find(r->ctx, p->out, &r->before));
    r->resumes = r->before.folder != NULL;
    if (r->resumes && type && type != r->before.type)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "%s holds a training run of %s, not %s", p->out, r->before.type->name, type->name);
    type = r->resumes ? r->before.type : type;
    if (!type)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "%s",
             p->resume ? "there is no run to resume: name the model to train" : "name the model to train: clio_train_model lists them");
    TRY(r->resumes ? json_copied(r->ctx, &all, r->before.settings) : json_made(r->ctx, &all, json_object()));
    TRY(train_settings_update(r->ctx, all, given));
    TRY(train_plan_read(r->ctx, &r->plan, type, all));
    r->state = r->resumes ? r->before.state : (struct train_state){.best_step = -1};
    if (r->resumes)
        keep_split(r, given);
    if (!r->resumes && !r->plan.max_steps && r->plan.epochs <= 0)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "there is nothing to train: epochs is 0; set epochs or max_steps above 0");
fail:
    json_decref(given);
    json_decref(all);
    return st;
}

/* ---- data ---- */

/* Steps of the whole run: those made, and as many as the rest of the epochs needs. */
static int64_t count_steps(const struct train_run *r)
{
    if (r->plan.max_steps)
        return r->plan.max_steps;
    double made = (double)r->state.epoch * (double)r->epoch_batches + floor((double)r->state.samples / r->plan.batch_size);
    double left = ceil(r->plan.epochs * (double)r->epoch_batches - 1e-6) - made;
    return r->state.step + (int64_t)fmax(ceil(left / r->plan.accumulate), 0);
}

static clio_status open_loaders(struct train_run *r)
{
    clio_status st = CLIO_OK;
    struct loader_options o = loader_defaults();
    o.batch = r->plan.batch_size;
    o.unit_range = r->plan.type->unit_range;
    o.seed = r->plan.seed;
    o.augment = r->plan.augment;
    o.rank = r->parallel.rank;
    o.ranks = r->parallel.ranks;
    if (r->plan.batch_size % o.ranks)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "batch_size %d cannot be divided among %d processes: set it to a multiple of them",
             r->plan.batch_size, o.ranks);
    TRY(loader_open(r->ctx, &r->train, r->data, DATASET_TRAIN, &o));
    r->epoch_batches = loader_batches(r->train);
    if (r->state.samples + (size_t)r->plan.batch_size > dataset_info(r->data)->count[DATASET_TRAIN]) { /* less than a batch is left */
        r->state.epoch++;
        r->state.samples = 0;
    }
    if (r->plan.type->evaluate && dataset_info(r->data)->count[DATASET_VALIDATION] > 0) {
        o.shuffle = o.drop_last = false;
        o.augment = (struct augment){0};
        TRY(loader_open(r->ctx, &r->validation, r->data, DATASET_VALIDATION, &o));
    }
fail:
    return st;
}

/* Remember the validation split; where the validation data differs from that of the run so far, the best checkpoint is chosen anew. */
static clio_status note_split(struct train_run *r)
{
    clio_status st = CLIO_OK;
    uint64_t names = train_validation_names(r), before = r->split.names;
    r->split = (struct train_split){.seed = r->plan.data.seed, .fraction = r->plan.data.validation_split, .names = names};
    TRY(file_real_path(r->ctx, &r->split.data, r->params->data));
    if (!text_is_utf8(r->split.data)) { /* training.json cannot hold it */
        free(r->split.data);
        r->split.data = NULL;
    }
    if (r->validation && before && before != names) {
        r->state.best_step = -1;
        r->state.evals_without_improvement = 0;
        train_report(r, "the validation data is not that of the run so far: the best checkpoint is chosen anew");
    }
fail:
    return st;
}

static clio_status open_data(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info;
    r->plan.data.class_names = r->before.class_names; /* the data may have fewer, and no others */
    r->plan.data.classes = r->before.classes;
    TRY(dataset_open(r->ctx, &r->data, r->params->data, &r->plan.data));
    info = dataset_info(r->data);
    if (info->type == DATASET_SOUNDS && !r->plan.type->takes_audio)
        FAIL(r->ctx, CLIO_ERROR_UNSUPPORTED, "%s holds audio, and %s is trained on images", r->params->data, r->plan.type->name);
    if (info->type != DATASET_SOUNDS && r->plan.type->takes_audio)
        FAIL(r->ctx, CLIO_ERROR_UNSUPPORTED, "%s holds images, and %s is trained on audio", r->params->data, r->plan.type->name);
    r->shape = r->plan.type->takes_audio ? learner_audio_shape
                                         : (struct learner_shape){.height = info->height,
                                                                  .width = info->width,
                                                                  .channels = info->channels,
                                                                  .classes = r->plan.data.need_labels ? info->classes : 0};
    TRY(open_loaders(r));
    r->steps = count_steps(r);
    TRY(note_split(r));
    for (int i = 0; i < info->warning_count; i++)
        train_report(r, info->warnings[i]);
    if (info->skipped) {
        char text[600];
        snprintf(text, sizeof text, "skipped %zu samples; the first: %s", info->skipped, info->first_skipped);
        train_report(r, text);
    }
fail:
    return st;
}

/* ---- model ---- */

static clio_status open_learner(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const struct dataset_info *info = dataset_info(r->data);
    const struct learner_shape *s = &r->shape;
    TRY(learner_new(r->ctx, &r->learner, r->plan.type, *s, r->plan.model, r->plan.seed));
    if (r->learner.shape.classes && info->class_names)
        TRY(learner_set_class_names(r->ctx, &r->learner, info->class_names));
    if (r->learner.shape.classes && info->class_unseen)
        TRY(learner_set_class_unseen(r->ctx, &r->learner, info->class_unseen, r->before.folder ? &r->before.config : NULL));
    for (int i = 0; r->plan.type->parts[i]; i++) {
        if (!r->learner.parameters[i].count)
            TRY(train_plan_check_frozen(r->ctx, &r->plan, i));
        TRY(train_plan_optimizer(r->ctx, &r->plan, i, r->steps, &r->learner.options[i]));
    }
    r->learner.fp16 = r->plan.fp16;
    r->learner.loss_scale = r->plan.loss_scale;
    TRY(learner_train(r->ctx, &r->learner, r->plan.accumulate));
    for (int i = 0; r->parallel.active && r->plan.type->parts[i]; i++) {
        r->learner.optimizers[i].reduce = distributed_reduce;
        r->learner.optimizers[i].reduce_user = &r->parallel;
    }
    r->images = tensor_shape(DTYPE_F32, 4, r->plan.batch_size, s->height, s->width, s->channels);
    TRY(tensor_new(r->ctx, &r->images, "images"));
fail:
    return st;
}

clio_status train_seek(struct train_run *r)
{
    return loader_seek(r->ctx, r->train, r->state.epoch, r->state.samples);
}

bool train_stops_early(const struct train_run *r)
{
    return r->plan.early_stopping_patience > 0 && r->state.evals_without_improvement >= r->plan.early_stopping_patience;
}

static void report_lines(struct train_run *r, char *lines)
{
    for (char *at = lines, *end; at && *at; at = end) {
        end = at + strcspn(at, "\n");
        if (*end)
            *end++ = '\0';
        train_report(r, at);
    }
}

/* What the run begins with, or why a resumed one has nothing to do. */
static void report_start(struct train_run *r)
{
    char text[300], what[80];
    const struct learner_shape *s = &r->shape;
    size_t size = 0;
    for (int i = 0; r->plan.type->parts[i]; i++)
        size += parameters_size(&r->learner.parameters[i]);
    if (r->plan.type->takes_audio)
        snprintf(what, sizeof what, "recordings");
    else
        snprintf(what, sizeof what, "%d x %d x %d images", s->width, s->height, s->channels);
    snprintf(text, sizeof text, "%s: %zu parameters, trained on %zu %s with batch size %d, steps %" PRId64 " to %" PRId64,
             r->plan.type->name, size, dataset_info(r->data)->count[DATASET_TRAIN], what, r->plan.batch_size, r->state.step, r->steps);
    train_report(r, text);
    if (r->resumes && r->state.step >= r->steps) {
        snprintf(text, sizeof text, "nothing is left to train: the run has made %" PRId64 " steps (%.4g epochs); set %s higher",
                 r->state.step, train_epoch(r), r->plan.max_steps ? "max_steps" : "epochs");
        train_report(r, text);
    } else if (r->resumes && train_stops_early(r)) {
        snprintf(text, sizeof text,
                 "nothing is left to train: early stopping ended the run after step %" PRId64
                 ", after %d evaluations without improvement; set early_stopping_patience higher, or to 0",
                 r->state.step, r->state.evals_without_improvement);
        train_report(r, text);
    }
}

void train_close(struct train_run *r, bool failed)
{
    tensor_free(r->ctx, &r->images);
    csv_log_close(&r->train_log);
    csv_log_close(&r->eval_log);
    loader_close(r->validation);
    loader_close(r->train);
    learner_close(r->ctx, &r->learner);
    dataset_close(r->data);
    train_plan_free(&r->plan);
    train_split_free(&r->split);
    checkpoint_close(&r->before);
    file_unlock(&r->lock);
    if (failed && r->made_out)
        file_delete_empty(r->params->out);
}

clio_status train_open(struct train_run *r)
{
    clio_status st = CLIO_OK;
    struct bytes notes = {0};
    TRY(open_plan(r));
    TRY(train_folder_check(r));
    if (r->before.damaged.size)
        train_report_warning(r, r->before.damaged.data);
    TRY(open_data(r));
    TRY(open_learner(r));
    TRY(train_folder_open(r));
    if (r->resumes)
        TRY(checkpoint_load(r->ctx, &r->before, &r->learner, &notes));
    if (r->resumes && train_is_first(r))
        TRY(checkpoint_link(r->ctx, &r->state, r->params->out));
    r->saved = r->resumes ? r->state.step : -1;
    TRY(train_seek(r));
    TRY(train_logs_open(r));
    report_lines(r, notes.data);
    report_start(r);
fail:
    bytes_free(&notes);
    return st;
}
