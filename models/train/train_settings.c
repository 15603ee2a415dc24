/* train_settings.c - settings of a training run and of its optimizers; those of the model are in its learner. All come as one JSON object,
 * from a file or from the command line. */
#include "train.h"
#include "../../host/core/require.h"
#include "../../host/core/text.h"
#include "../learners/types.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MANY 1e15

const struct learner_setting train_settings[] = {
    {"epochs", 'f', 0, 1e6, 10, NULL, "passes over the training data"},
    {"max_steps", 'i', 0, 1e12, 0, NULL, "optimizer steps in total; 0: as many as `epochs` has"},
    {"batch_size", 'i', 1, 65536, 64, NULL, "samples in a batch, over all processes"},
    {"gradient_accumulation_steps", 'i', 1, 4096, 1, NULL, "batches whose gradients are added up before an optimizer step"},
    {"mixed_precision", 's', 0, 0, 0, "no|fp16",
     "fp16: matmuls and convolutions read fp16 copies of the weights; the optimizer keeps fp32"},
    {"loss_scale", 'f', 0, MANY, 0, NULL, "loss scale; 0: dynamic with mixed_precision=fp16 (as GradScaler), otherwise 1"},
    {"seed", 'i', 0, MANY, 0, NULL, "random seed of weights, shuffling, noise and augmentation"},
    {"image_size", 'i', 0, 4096, 0, NULL, "width and height that images are resized to; 0: their own size"},
    {"channels", 'i', 0, 3, 0, NULL, "1: grayscale, 3: RGB; 0: as the data has them"},
    {"resize_mode", 's', 0, 0, 0, "crop|stretch|pad", "how images with another aspect ratio are resized"},
    {"validation_split", 'f', -1, 0.9, -1, NULL,
     "fraction of the data held out for validation, where it has no split of its own; -1: 0.1 if the model has a validation metric"},
    {"caption_column", 't', 0, 0, 0, NULL,
     "column of metadata.csv or metadata.jsonl with the captions; default: text, caption, transcription, sentence or prompt"},
    {"allow_empty_captions", 'b', 0, 1, 0, NULL, "train samples without a caption on the empty text instead of stopping"},
    {"skip_corrupt", 'b', 0, 1, 0, NULL, "skip files that cannot be read and samples without caption or label instead of stopping"},
    {"save_steps", 'i', 0, 1e12, 0, NULL, "steps between checkpoints; 0: one per epoch"},
    {"save_total_limit", 'i', 1, 1e6, 2, NULL, "newest checkpoints to keep, besides the best one"},
    {"sample_every_steps", 'i', -1, 1e12, 0, NULL, "steps between image grids of samples; 0: one per epoch; -1: none"},
    {"num_samples", 'i', 1, 1024, 64, NULL, "images in a grid of samples"},
    {"eval_steps", 'i', 0, 1e12, 0, NULL, "steps between evaluations on the validation data; 0: one per epoch"},
    {"early_stopping_patience", 'i', 0, 1e6, 0, NULL, "stop after this many evaluations without improvement; 0: never"},
    {"random_flip", 'f', 0, 1, 0, NULL, "probability of a horizontal flip"},
    {"random_resized_crop", 'f', 0, 4, 0, NULL, "enlarge by up to this fraction, then crop at a random position"},
    {"random_crop_padding", 'i', 0, 1024, 0, NULL, "pad each side with this many black pixels, then crop at a random position"},
    {"brightness", 'f', 0, 10, 0, NULL, "color jitter: largest relative change of brightness"},
    {"contrast", 'f', 0, 10, 0, NULL, "color jitter: largest relative change of contrast"},
    {"saturation", 'f', 0, 10, 0, NULL, "color jitter: largest relative change of saturation"},
    {"gaussian_noise", 'f', 0, 10, 0, NULL, "standard deviation of Gaussian noise added to pixels in the range 0 to 1"},
    {0},
};

const struct learner_setting optimizer_settings[] = {
    {"optimizer", 's', 0, 0, 0, "adam|adamw|sgd|rmsprop", "optimizer"},
    {"learning_rate", 'f', 0, 1e6, 1e-3, NULL, "peak learning rate"},
    {"beta1", 'f', 0, 0.9999999, 0.9, NULL, "Adam: decay of the first moment"},
    {"beta2", 'f', 0, 0.9999999, 0.999, NULL, "Adam: decay of the second moment; RMSprop: its smoothing constant alpha"},
    {"eps", 'f', 0, 1, 1e-8, NULL, "Adam and RMSprop: added to the denominator"},
    {"momentum", 'f', 0, 0.9999999, 0, NULL, "SGD and RMSprop: momentum"},
    {"nesterov", 'b', 0, 1, 0, NULL, "SGD: Nesterov momentum"},
    {"weight_decay", 'f', 0, 1e6, 0, NULL, "weight decay: decoupled with adamw, otherwise an L2 penalty"},
    {"max_grad_norm", 'f', 0, 1e12, 0, NULL, "gradient clipping by global norm; 0: off"},
    {"ema_decay", 'f', 0, 0.9999999, 0, NULL, "decay of the exponential moving average of weights, which is what gets saved; 0: off"},
    {"lr_scheduler", 's', 0, 0, 0, "constant|cosine|step", "learning rate schedule after the warm-up"},
    {"lr_warmup_steps", 'i', 0, 1e12, 0, NULL, "steps of linear warm-up"},
    {"lr_scheduler_steps", 'i', 0, 1e12, 0, NULL, "cosine: step at which the schedule ends; step: steps between decays; 0: all steps"},
    {"lr_end_factor", 'f', 0, 1, 0, NULL, "cosine: final learning rate as a fraction of the peak"},
    {"lr_gamma", 'f', 0, 1, 0.1, NULL, "step: factor of each decay"},
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

/* ---- the plan ---- */

/* The setting `key` names, with or without the part of the model in front: "discriminator.learning_rate". */
static const struct learner_setting *find_optimizer(const struct learner_type *type, const char *key)
{
    const char *dot = strchr(key, '.');
    if (!dot)
        return learner_setting_find(optimizer_settings, key);
    for (int i = 0; type->parts[i]; i++)
        if (strlen(type->parts[i]) == (size_t)(dot - key) && strncmp(type->parts[i], key, (size_t)(dot - key)) == 0)
            return learner_setting_find(optimizer_settings, dot + 1);
    return NULL;
}

static clio_status fail_unknown(clio_context *ctx, const struct learner_type *type, const char *key)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    const char *dot = strchr(key, '.'), *nearest;
    size_t length;
    TRY(learner_setting_names(ctx, &names, type->settings));
    TRY(learner_setting_names(ctx, &names, train_settings));
    TRY(learner_setting_names(ctx, &names, optimizer_settings));
    nearest = text_nearest(dot ? dot + 1 : key, names.data, &length);
    FAIL(ctx, CLIO_ERROR_ARGUMENT, "%.60s is not a setting of %s or of training%s%.*s%s clio_train_setting lists them", key, type->name,
         nearest ? "; did you mean " : "", (int)length, nearest ? nearest : "", nearest ? "?" : ":");
fail:
    bytes_free(&names);
    return st;
}

static clio_status check_settings(clio_context *ctx, struct train_plan *plan)
{
    clio_status st = CLIO_OK;
    const char *key;
    json_t *value;
    json_object_foreach(plan->all, key, value)
    {
        const struct learner_setting *s = learner_setting_find(train_settings, key),
                                     *model = learner_setting_find(plan->type->settings, key);
        s = s ? s : model ? model : find_optimizer(plan->type, key);
        if (!s)
            TRY(fail_unknown(ctx, plan->type, key));
        TRY(learner_setting_check(ctx, s, value));
        if (model)
            TRY(json_put(ctx, plan->model, key, json_incref(value)));
    }
fail:
    return st;
}

clio_status train_plan_read(clio_context *ctx, struct train_plan *plan, const struct learner_type *type, const json_t *settings)
{
    clio_status st = CLIO_OK;
    *plan = (struct train_plan){.type = type};
    TRY(json_made(ctx, &plan->model, json_object()));
    TRY(settings ? json_copied(ctx, &plan->all, settings) : json_made(ctx, &plan->all, json_object()));
    TRY(check_settings(ctx, plan));
    const json_t *a = plan->all;
    plan->max_steps = (int64_t)number(a, "max_steps");
    plan->epochs = number(a, "epochs");
    plan->batch_size = (int)number(a, "batch_size");
    plan->accumulate = (int)number(a, "gradient_accumulation_steps");
    plan->fp16 = number(a, "mixed_precision") > 0;
    plan->loss_scale = number(a, "loss_scale");
    plan->seed = (uint64_t)number(a, "seed");
    plan->image_size = (int)number(a, "image_size");
    plan->channels = (int)number(a, "channels");
    plan->validation_split = number(a, "validation_split");
    plan->save_steps = (int64_t)number(a, "save_steps");
    plan->sample_every_steps = (int64_t)number(a, "sample_every_steps");
    plan->eval_steps = (int64_t)number(a, "eval_steps");
    plan->save_total_limit = (int)number(a, "save_total_limit");
    plan->num_samples = (int)number(a, "num_samples");
    plan->early_stopping_patience = (int)number(a, "early_stopping_patience");
    plan->data = dataset_defaults();
    plan->data.width = plan->data.height = plan->image_size;
    plan->data.channels = plan->channels;
    plan->data.resize_mode = (enum dataset_resize_mode)number(a, "resize_mode");
    plan->data.skip_corrupt = number(a, "skip_corrupt") > 0;
    plan->data.caption = json_string_value(json_object_get(a, "caption_column"));
    plan->data.allow_empty_captions = number(a, "allow_empty_captions") > 0;
    plan->data.seconds_max = type->takes_audio ? LEARNER_SECONDS : 0;
    plan->data.need_labels = type->needs_labels && !learner_needs_captions(type, plan->model);
    plan->data.takes_captions = type->takes_captions;
    TRY(learner_takes_captions(ctx, type, plan->model, NULL, &plan->data.need_captions));
    plan->data.seed = plan->seed;
    plan->data.validation_split = plan->validation_split >= 0 ? plan->validation_split : type->evaluate ? 0.1 : 0;
    plan->augment = (struct augment){.random_resized_crop = (float)number(a, "random_resized_crop"),
                                     .random_crop_padding = (int)number(a, "random_crop_padding"),
                                     .random_flip = (float)number(a, "random_flip"),
                                     .brightness = (float)number(a, "brightness"),
                                     .contrast = (float)number(a, "contrast"),
                                     .saturation = (float)number(a, "saturation"),
                                     .gaussian_noise = (float)number(a, "gaussian_noise")};
    if (plan->validation_split < 0 && plan->validation_split > -1)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "the setting validation_split must be a number from 0 to 0.9, or -1: 0.1 if the model has a validation metric");
    if (plan->channels == 2)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting channels must be 1 (grayscale), 3 (RGB) or 0 (as the data)");
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

/* ---- settings given later ---- */

/* Remove what a setting of `newer` replaces under another name. */
static void remove_replaced(json_t *settings, const json_t *newer, const char *name)
{
    const char *key;
    json_t *value;
    void *next;
    size_t n = strlen(name);
    if (!strcmp(name, "epochs") && !json_object_get(newer, "max_steps"))
        json_object_del(settings, "max_steps");
    json_object_foreach_safe(settings, next, key, value)
    {
        size_t m = strlen(key);
        if (m > n && key[m - n - 1] == '.' && !strcmp(key + m - n, name) && !json_object_get(newer, key))
            json_object_del(settings, key);
    }
}

clio_status train_settings_update(clio_context *ctx, json_t *settings, const json_t *newer)
{
    clio_status st = CLIO_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)mem_const_cast(newer), key, value)
    {
        remove_replaced(settings, newer, key);
        TRY(json_put(ctx, settings, key, json_incref(value)));
    }
fail:
    return st;
}

/* ---- optimizers ---- */

/* The setting of this part of the model, or that of all parts. */
static const json_t *optimizer_value(const struct train_plan *plan, int part, const char *name)
{
    char key[80];
    const json_t *own;
    snprintf(key, sizeof key, "%s.%s", plan->type->parts[part], name);
    own = json_object_get(plan->all, key);
    return own ? own : json_object_get(plan->all, name);
}

/* Numbers of struct optimizer_options by the names of their settings. */
static const struct optimizer_number {
    const char *name;
    size_t at;
} optimizer_numbers[] = {{"learning_rate", offsetof(struct optimizer_options, rate)},
                         {"beta1", offsetof(struct optimizer_options, beta1)},
                         {"beta2", offsetof(struct optimizer_options, beta2)},
                         {"eps", offsetof(struct optimizer_options, eps)},
                         {"momentum", offsetof(struct optimizer_options, momentum)},
                         {"weight_decay", offsetof(struct optimizer_options, weight_decay)},
                         {"max_grad_norm", offsetof(struct optimizer_options, max_grad_norm)},
                         {"ema_decay", offsetof(struct optimizer_options, ema_decay)},
                         {"lr_end_factor", offsetof(struct optimizer_options, end_factor)},
                         {"lr_gamma", offsetof(struct optimizer_options, gamma)}};
static const int rules[] = {OPTIM_ADAM, OPTIM_ADAMW, OPTIM_SGD, OPTIM_RMSPROP}; /* in the order of the words above */
static const enum schedule schedules[] = {SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_STEP};

static double *optimizer_number(struct optimizer_options *o, const struct optimizer_number *n)
{
    return (double *)(void *)((char *)o + n->at);
}

/* Index of the word that a setting of type 's' has. */
static int word_index(const char *setting, const json_t *value)
{
    return learner_choice_index(learner_setting_find(optimizer_settings, setting)->words, json_string_value(value));
}

clio_status train_plan_optimizer(clio_context *ctx, const struct train_plan *plan, int part, int64_t steps, struct optimizer_options *o)
{
    clio_status st = CLIO_OK;
    const json_t *value;
    for (size_t i = 0; i < COUNT(optimizer_numbers); i++)
        if ((value = optimizer_value(plan, part, optimizer_numbers[i].name)))
            *optimizer_number(o, &optimizer_numbers[i]) = json_number_value(value);
    if ((value = optimizer_value(plan, part, "optimizer")))
        o->rule = rules[word_index("optimizer", value)];
    if ((value = optimizer_value(plan, part, "lr_scheduler")))
        o->schedule = schedules[word_index("lr_scheduler", value)];
    if ((value = optimizer_value(plan, part, "nesterov")))
        o->nesterov = json_is_true(value);
    if ((value = optimizer_value(plan, part, "lr_warmup_steps")))
        o->warmup = (int64_t)json_number_value(value);
    value = optimizer_value(plan, part, "lr_scheduler_steps");
    o->steps = value && json_number_value(value) > 0 ? (int64_t)json_number_value(value) : steps;
    if (o->nesterov && o->rule == OPTIM_SGD && o->momentum <= 0)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "nesterov needs momentum: set momentum too, such as 0.9");
fail:
    return st;
}

void train_optimizer_text(struct optimizer_options o, const char *name, char *text, size_t size)
{
    const struct learner_setting *s = learner_setting_find(optimizer_settings, name);
    const char *word = s->words;
    for (size_t i = 0; i < COUNT(optimizer_numbers); i++)
        if (!strcmp(optimizer_numbers[i].name, name))
            snprintf(text, size, "%g", *optimizer_number(&o, &optimizer_numbers[i]));
    if (s->type == 'i')
        snprintf(text, size, "0");
    if (s->type == 'b')
        snprintf(text, size, "%s", o.nesterov ? "true" : "false");
    for (int i = 0; word && !strcmp(name, "optimizer") && rules[i] != o.rule; i++)
        word = strchr(word, '|') + 1;
    if (word)
        snprintf(text, size, "%.*s", (int)strcspn(word, "|"), word);
}

void train_plan_optimizer_word(const struct train_plan *plan, int part, const char *name, char *text, size_t size)
{
    const char *given = json_string_value(optimizer_value(plan, part, name));
    if (given)
        snprintf(text, size, "%s", given);
    else if (learner_setting_find(optimizer_settings, name))
        train_optimizer_text(learner_optimizer_defaults(plan->type, part), name, text, size);
    else
        *text = '\0';
}

clio_status train_plan_check_frozen(clio_context *ctx, const struct train_plan *plan, int part)
{
    clio_status st = CLIO_OK;
    const char *key, *name = plan->type->parts[part];
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
