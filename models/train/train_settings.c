/* train_settings.c - what a run of training can be told: one table for the run, one for its optimizers, and the model's own (learner.h).
 * All come as one JSON object, from a file or from --set key=value. */
#include "train.h"
#include "../../host/core/require.h"
#include "../learners/types.h"

#include <stdio.h>
#include <string.h>

#define MANY 1e15

const struct learner_setting train_settings[] = {
    {"epochs", 'f', 0, 1e6, 10, NULL, "how often the data is gone through"},
    {"steps", 'i', 0, 1e12, 0, NULL, "batches to learn from; 0: as many as the epochs have"},
    {"batch", 'i', 1, 65536, 64, NULL, "images of a step"},
    {"accumulate", 'i', 1, 4096, 1, NULL, "batches whose gradients add up to one step of the optimizer"},
    {"mixed_precision", 's', 0, 0, 0, "no|fp16", "fp16: products read weights rounded to half, which the optimizer keeps whole"},
    {"loss_scale", 'f', 0, MANY, 0, NULL,
     "factor of the loss while gradients are computed; 0: with fp16 as large as does not overflow, else 1"},
    {"seed", 'i', 0, MANY, 0, NULL, "of weights, order, noise and augmentation"},
    {"image_size", 'i', 0, 4096, 0, NULL, "width and height that images are brought to; 0: as they are"},
    {"channels", 'i', 0, 3, 0, NULL, "1: grey, 3: colour; 0: as the data is"},
    {"fit", 's', 0, 0, 0, "crop|stretch|pad", "how images of other proportions come to the size"},
    {"validation", 'f', -1, 0.9, -1, NULL, "part of the data that is only measured; -1: a tenth where the model has a measure"},
    {"skip_bad", 'b', 0, 1, 0, NULL, "pass over files that cannot be read"},
    {"save_every", 'i', 0, 1e12, 0, NULL, "steps between checkpoints; 0: an epoch"},
    {"keep", 'i', 1, 1e6, 2, NULL, "newest checkpoints that stay, beside the best"},
    {"sample_every", 'i', -1, 1e12, 0, NULL, "steps between sheets of samples; 0: an epoch; -1: none"},
    {"samples", 'i', 1, 1024, 64, NULL, "images on a sheet"},
    {"measure_every", 'i', 0, 1e12, 0, NULL, "steps between looks at the validation data; 0: an epoch"},
    {"patience", 'i', 0, 1e6, 0, NULL, "end after so many looks without gain; 0: never"},
    {"flip", 'f', 0, 1, 0, NULL, "probability of mirroring left and right"},
    {"crop", 'f', 0, 4, 0, NULL, "scale up by this fraction, then a random window"},
    {"crop_pad", 'i', 0, 1024, 0, NULL, "black pixels on each side, then a random window"},
    {"brightness", 'f', 0, 10, 0, NULL, "random change by up to this factor"},
    {"contrast", 'f', 0, 10, 0, NULL, "the same for contrast"},
    {"saturation", 'f', 0, 10, 0, NULL, "the same for saturation"},
    {"noise", 'f', 0, 10, 0, NULL, "standard deviation of Gaussian noise on pixels of 0 to 1"},
    {0},
};

const struct learner_setting optimizer_settings[] = {
    {"optimizer", 's', 0, 0, 0, "adam|adamw|sgd|rmsprop", "the rule"},
    {"learning_rate", 'f', 0, 1e6, 1e-3, NULL, "the highest"},
    {"beta1", 'f', 0, 0.9999999, 0.9, NULL, "decay of the mean of gradients"},
    {"beta2", 'f', 0, 0.9999999, 0.999, NULL, "decay of the mean of their squares"},
    {"eps", 'f', 0, 1, 1e-8, NULL, "added to the root of the squares"},
    {"momentum", 'f', 0, 0.9999999, 0, NULL, "of sgd and rmsprop"},
    {"nesterov", 'b', 0, 1, 0, NULL, "momentum that looks ahead"},
    {"weight_decay", 'f', 0, 1e6, 0, NULL, "pull of weights towards 0"},
    {"clip", 'f', 0, 1e12, 0, NULL, "greatest norm of all gradients together; 0: any"},
    {"ema", 'f', 0, 0.9999999, 0, NULL, "decay of the running average of weights, which is what is saved to be used; 0: none"},
    {"schedule", 's', 0, 0, 0, "constant|cosine|step", "how the learning rate goes on"},
    {"warmup", 'i', 0, 1e12, 0, NULL, "steps in which it rises from 0"},
    {"schedule_steps", 'i', 0, 1e12, 0, NULL, "cosine: where it ends; step: how long each stays; 0: all steps"},
    {"rate_end", 'f', 0, 1, 0, NULL, "cosine: part of the rate at the end; step: factor of each"},
    {0},
};

static double number(const json_t *all, const char *name)
{
    const json_t *value = json_object_get(all, name);
    const struct learner_setting *s = learner_setting_find(train_settings, name);
    return json_is_boolean(value)  ? json_is_true(value)
           : json_is_string(value) ? learner_choice_index(s->words, json_string_value(value))
           : value                 ? json_number_value(value)
                                   : s->otherwise;
}

/* ---- all of them ---- */

/* The setting `key` names, with or without the part of the model in front: "discriminator.learning_rate". */
static const struct learner_setting *find_optimizer(const struct learner_type *kind, const char *key)
{
    const char *dot = strchr(key, '.');
    if (!dot)
        return learner_setting_find(optimizer_settings, key);
    for (int i = 0; kind->parts[i]; i++)
        if (strlen(kind->parts[i]) == (size_t)(dot - key) && strncmp(kind->parts[i], key, (size_t)(dot - key)) == 0)
            return learner_setting_find(optimizer_settings, dot + 1);
    return NULL;
}

static clio_status sort_settings(clio_context *ctx, struct train_plan *plan)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    const char *key;
    json_t *value;
    json_object_foreach(plan->all, key, value)
    {
        const struct learner_setting *s = learner_setting_find(train_settings, key),
                                     *model = learner_setting_find(plan->kind->settings, key);
        s = s ? s : model ? model : find_optimizer(plan->kind, key);
        if (!s) {
            TRY(learner_setting_names(ctx, &names, plan->kind->settings));
            TRY(learner_setting_names(ctx, &names, train_settings));
            TRY(learner_setting_names(ctx, &names, optimizer_settings));
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "there is no setting %s for a model %s: there are %s", key, plan->kind->name, names.data);
        }
        TRY(learner_setting_check(ctx, s, value));
        if (model && json_object_set(plan->model, key, value))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    }
fail:
    bytes_free(&names);
    return st;
}

clio_status train_plan_read(clio_context *ctx, struct train_plan *plan, const struct learner_type *kind, const json_t *settings)
{
    clio_status st = CLIO_OK;
    *plan = (struct train_plan){.kind = kind, .model = json_object(), .all = settings ? json_deep_copy(settings) : json_object()};
    if (!plan->model || !plan->all)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(sort_settings(ctx, plan));
    const json_t *a = plan->all;
    plan->steps = (int64_t)number(a, "steps");
    plan->epochs = number(a, "epochs");
    plan->batch = (int)number(a, "batch");
    plan->accumulate = (int)number(a, "accumulate");
    plan->half = number(a, "mixed_precision") > 0;
    plan->loss_scale = number(a, "loss_scale");
    plan->seed = (uint64_t)number(a, "seed");
    plan->image_size = (int)number(a, "image_size");
    plan->channels = (int)number(a, "channels");
    plan->validation = number(a, "validation");
    plan->save_every = (int64_t)number(a, "save_every");
    plan->sample_every = (int64_t)number(a, "sample_every");
    plan->measure_every = (int64_t)number(a, "measure_every");
    plan->keep = (int)number(a, "keep");
    plan->samples = (int)number(a, "samples");
    plan->patience = (int)number(a, "patience");
    plan->data = dataset_defaults();
    plan->data.width = plan->data.height = plan->image_size;
    plan->data.channels = plan->channels;
    plan->data.fit = (enum dataset_fit)number(a, "fit");
    plan->data.skip_bad = number(a, "skip_bad") > 0;
    plan->data.need_captions = learner_needs_captions(kind, plan->model);
    plan->data.need_labels = kind->needs_labels && !plan->data.need_captions;
    plan->data.seed = plan->seed;
    plan->data.validation = plan->validation >= 0 ? plan->validation : kind->measure ? 0.1 : 0;
    plan->augment = (struct augment){.crop_larger = (float)number(a, "crop"),
                                     .crop_pad = (int)number(a, "crop_pad"),
                                     .flip = (float)number(a, "flip"),
                                     .brightness = (float)number(a, "brightness"),
                                     .contrast = (float)number(a, "contrast"),
                                     .saturation = (float)number(a, "saturation"),
                                     .noise = (float)number(a, "noise")};
    if (plan->channels == 2)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting channels must be 1 (grey), 3 (colour) or 0 (as the data is)");
fail:
    if (st)
        train_plan_free(plan);
    return st;
}

void train_plan_free(struct train_plan *plan)
{
    json_decref(plan->model);
    json_decref(plan->all);
    *plan = (struct train_plan){0};
}

/* ---- optimizers ---- */

/* The value for this part of the model: its own, or that of all. */
static const json_t *optimizer_value(const struct train_plan *plan, int part, const char *name)
{
    char key[80];
    const json_t *own;
    snprintf(key, sizeof key, "%s.%s", plan->kind->parts[part], name);
    own = json_object_get(plan->all, key);
    return own ? own : json_object_get(plan->all, name);
}

clio_status train_plan_optimizer(clio_context *ctx, const struct train_plan *plan, int part, int64_t steps, struct optimizer_options *o)
{
    clio_status st = CLIO_OK;
    struct {
        const char *name;
        double *number;
    } const numbers[] = {{"learning_rate", &o->rate}, {"beta1", &o->beta1},
                         {"beta2", &o->beta2},        {"eps", &o->eps},
                         {"momentum", &o->momentum},  {"weight_decay", &o->weight_decay},
                         {"clip", &o->clip},          {"ema", &o->average},
                         {"rate_end", &o->rate_end}};
    static const int rules[] = {OPTIM_ADAM, OPTIM_ADAMW, OPTIM_SGD, OPTIM_RMSPROP}; /* in the order of the words above */
    static const enum schedule schedules[] = {SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_STEP};
    const json_t *value;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if ((value = optimizer_value(plan, part, numbers[i].name)))
            *numbers[i].number = json_number_value(value);
    if ((value = optimizer_value(plan, part, "optimizer")))
        o->rule = rules[learner_choice_index(learner_setting_find(optimizer_settings, "optimizer")->words, json_string_value(value))];
    if ((value = optimizer_value(plan, part, "schedule")))
        o->schedule =
            schedules[learner_choice_index(learner_setting_find(optimizer_settings, "schedule")->words, json_string_value(value))];
    if ((value = optimizer_value(plan, part, "nesterov")))
        o->nesterov = json_is_true(value);
    if ((value = optimizer_value(plan, part, "warmup")))
        o->warmup = (int64_t)json_number_value(value);
    value = optimizer_value(plan, part, "schedule_steps");
    o->steps = value && json_number_value(value) > 0 ? (int64_t)json_number_value(value) : steps;
    if (o->nesterov && o->momentum <= 0)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "nesterov looks ahead along the momentum: set momentum as well, to 0.9 for instance");
fail:
    return st;
}

clio_status train_plan_idle(clio_context *ctx, const struct train_plan *plan, int part)
{
    clio_status st = CLIO_OK;
    const char *key, *name = plan->kind->parts[part];
    json_t *value;
    json_object_foreach(plan->all, key, value)
    {
        if (strncmp(key, name, strlen(name)) == 0 && key[strlen(name)] == '.')
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s is for a part that does not learn: set train_%s to true, or leave that out", key,
                 name);
    }
fail:
    return st;
}

/* ---- what there is, for people ---- */

void clio_train_model(size_t n, const char **name, const char **summary)
{
    size_t i = 0;
    while (learner_types[i] && i < n)
        i++;
    if (name)
        *name = learner_types[i] ? learner_types[i]->name : NULL;
    if (summary)
        *summary = learner_types[i] ? learner_types[i]->summary : NULL;
}

static void describe(const struct learner_setting *s, clio_setting *out)
{
    *out = (clio_setting){.name = s->name, .summary = s->summary};
    if (!s->name)
        return;
    if (s->type == 's') {
        snprintf(out->range, sizeof out->range, "%s", s->words);
        snprintf(out->value, sizeof out->value, "%.*s", (int)strcspn(s->words, "|"), s->words);
    } else if (s->type == 't') {
        snprintf(out->range, sizeof out->range, "text");
        snprintf(out->value, sizeof out->value, "%s", s->words ? s->words : "");
    } else if (s->type == 'b') {
        snprintf(out->range, sizeof out->range, "true|false");
        snprintf(out->value, sizeof out->value, "%s", s->otherwise > 0 ? "true" : "false");
    } else {
        snprintf(out->range, sizeof out->range, "%g to %g", s->least, s->most);
        snprintf(out->value, sizeof out->value, "%g", s->otherwise);
    }
}

static const struct learner_setting *nth(const struct learner_setting *table, size_t n)
{
    while (table->name && n-- > 0)
        table++;
    return table;
}

static size_t length(const struct learner_setting *table)
{
    size_t n = 0;
    while (table[n].name)
        n++;
    return n;
}

clio_status clio_train_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out)
{
    clio_status st = CLIO_OK;
    const struct learner_type *kind = model ? learner_type_find(model) : NULL;
    const struct learner_setting *first = model ? NULL : train_settings, *second = model ? NULL : optimizer_settings;
    if (out)
        *out = (clio_setting){0};
    REQUIRE(ctx, ctx, "ctx");
    TRY(require_that(ctx, CALLER, !model || kind, "model is \"%.60s\", and there is no such model to train: clio_train_model lists them",
                     model ? model : ""));
    REQUIRE(ctx, out, "out");
    if (kind) {
        first = kind->settings;
        second = first + length(first);
    }
    describe(n < length(first) ? nth(first, n) : nth(second, n - length(first)), out);
    if (!model && n >= length(first)) /* optimizers begin as the model likes it */
        out->value[0] = '\0';
fail:
    return st;
}
