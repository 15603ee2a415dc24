/* train_open.c - open what a training run needs: data, output folder, settings, model, optimizers. */
#include "train_run.h"
#include "../learners/types.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clio_status open_data(struct train_run *r)
{
    clio_status st = CLIO_OK;
    struct loader_options o = loader_defaults();
    const struct dataset_info *info;
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
    if (r->plan.type->evaluate && info->count[DATASET_VALIDATION] > 0) {
        o.shuffle = o.drop_last = false;
        o.augment = (struct augment){0};
        TRY(loader_open(r->ctx, &r->validation, r->data, DATASET_VALIDATION, &o));
    }
    r->steps = r->plan.max_steps ? r->plan.max_steps : (int64_t)ceil(r->plan.epochs * (double)r->epoch_batches / r->plan.accumulate);
    if (info->skipped) {
        char text[600];
        snprintf(text, sizeof text, "skipped %zu files that could not be read; the first: %s", info->skipped, info->first_skipped);
        train_report(r, text);
    }
fail:
    return st;
}

/* Make the output folder; an error if it holds another run. */
static clio_status open_folder(struct train_run *r)
{
    clio_status st = CLIO_OK;
    static const char *const traces[] = {"train.csv", "checkpoints", "losses.csv"}; /* the last: of older versions */
    char *path = NULL;
    if (!train_is_first(r))
        return CLIO_OK;
    TRY(file_make_folder(r->ctx, r->params->out));
    for (size_t i = 0; !r->params->resume && i < COUNT(traces); i++) {
        free(path);
        path = NULL;
        TRY(file_join(r->ctx, &path, r->params->out, traces[i]));
        if (file_exists(path))
            FAIL(r->ctx, CLIO_ERROR_FILE, "%s already holds a training run (%s): resume it, or choose another output folder",
                 r->params->out, traces[i]);
    }
    free(path);
    path = NULL;
    if (r->plan.type->sample) {
        TRY(file_join(r->ctx, &path, r->params->out, "samples"));
        TRY(file_make_folder(r->ctx, path));
    }
fail:
    free(path);
    return st;
}

static clio_status open_plan(struct train_run *r)
{
    clio_status st = CLIO_OK;
    const clio_train_params *p = r->params;
    const struct learner_type *type = p->model ? learner_type_find(p->model) : NULL, *before = NULL;
    json_t *settings = NULL, *earlier = NULL;
    if (p->model && !type)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "there is no model %s to train: clio_train_model lists them", p->model);
    if (p->settings) {
        clio_status read =
            json_parse(r->ctx, p->settings, strlen(p->settings), JSON_REJECT_DUPLICATES, "the text of the settings", &settings);
        if (read == CLIO_ERROR_FORMAT)
            FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "the settings are not JSON; write an object such as {\"epochs\": 3}");
        TRY(read);
    }
    if (settings && !json_is_object(settings))
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "the settings must be a JSON object, such as {\"epochs\": 3}");
    if (p->resume) {
        TRY(checkpoint_settings(r->ctx, p->out, &earlier, &before));
        if (earlier && type && type != before)
            FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "%s holds a training run of %s, not %s", p->out, before->name, type->name);
        type = before ? before : type;
        if (earlier && settings && json_object_update(earlier, settings)) /* such as more epochs */
            FAIL(r->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    }
    if (!type)
        FAIL(r->ctx, CLIO_ERROR_ARGUMENT, "%s",
             p->resume ? "there is no run to resume: name the model to train" : "name the model to train: clio_train_model lists them");
    r->resumes = earlier != NULL;
    TRY(train_plan_read(r->ctx, &r->plan, type, earlier ? earlier : settings));
fail:
    json_decref(earlier);
    json_decref(settings);
    return st;
}

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

static clio_status open_learner(struct train_run *r)
{
    clio_status st = CLIO_OK;
    char text[200], what[80];
    const struct learner_shape *s = &r->shape;
    size_t size = 0;
    TRY(learner_new(r->ctx, &r->learner, r->plan.type, *s, r->plan.model, r->plan.seed));
    for (int i = 0; r->plan.type->parts[i]; i++) {
        if (!r->learner.parameters[i].count)
            TRY(train_plan_check_frozen(r->ctx, &r->plan, i));
        TRY(train_plan_optimizer(r->ctx, &r->plan, i, r->steps, &r->learner.options[i]));
    }
    r->learner.fp16 = r->plan.fp16;
    r->learner.loss_scale = r->plan.loss_scale;
    TRY(learner_train(r->ctx, &r->learner, r->plan.accumulate));
    r->state.best_step = -1;
    if (r->resumes)
        TRY(checkpoint_read(r->ctx, &r->learner, &r->state, r->params->out));
    r->saved = r->resumes ? r->state.step : -1;
    TRY(loader_seek(r->ctx, r->train, r->state.epoch, r->state.batch));
    r->images = tensor_shape(DTYPE_F32, 4, r->plan.batch_size, s->height, s->width, s->channels);
    TRY(tensor_new(r->ctx, &r->images, "images"));
    name_columns(r);
    if (train_is_first(r))
        TRY(csv_log_open(r->ctx, &r->train_log, r->params->out, "train.csv", r->columns, r->resumes ? r->state.step : -1));
    if (train_is_first(r) && r->validation)
        TRY(csv_log_open(r->ctx, &r->eval_log, r->params->out, "eval.csv", r->plan.type->metrics, r->resumes ? r->state.step : -1));
    for (int i = 0; r->plan.type->parts[i]; i++) {
        size += parameters_size(&r->learner.parameters[i]);
        if (r->parallel.active) {
            r->learner.optimizers[i].reduce = distributed_reduce;
            r->learner.optimizers[i].reduce_user = &r->parallel;
        }
    }
    if (r->plan.type->takes_audio)
        snprintf(what, sizeof what, "recordings");
    else
        snprintf(what, sizeof what, "%d x %d x %d images", s->width, s->height, s->channels);
    snprintf(text, sizeof text, "%s: %zu parameters, trained on %zu %s with batch size %d, steps %" PRId64 " to %" PRId64,
             r->plan.type->name, size, dataset_info(r->data)->count[DATASET_TRAIN], what, r->plan.batch_size, r->state.step, r->steps);
    train_report(r, text);
fail:
    return st;
}

void train_close(struct train_run *r)
{
    tensor_free(r->ctx, &r->images);
    csv_log_close(&r->train_log);
    csv_log_close(&r->eval_log);
    loader_close(r->validation);
    loader_close(r->train);
    learner_close(r->ctx, &r->learner);
    dataset_close(r->data);
    train_plan_free(&r->plan);
}

clio_status train_open(struct train_run *r)
{
    clio_status st = CLIO_OK;
    TRY(open_plan(r));
    TRY(open_data(r));
    TRY(open_folder(r));
    TRY(open_learner(r));
fail:
    return st;
}
