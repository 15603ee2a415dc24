/* setting_needs.c - what a setting of a run, an optimizer or a model needs to have an effect. One that was given and has none is a notice
 * that says why; one that a model type can never use is not in its list (clio_train_run_setting). */
#include "train_run.h"
#include "../../host/core/context.h"

#include <stdio.h>
#include <string.h>

/* Separated by spaces, all of: the name of a fact below; NAME=a|b, a setting that is one of these words; NAME, a setting that is above 0;
 * !NAME, a setting that is not set. Settings that the model type does not have count as fulfilled. */
static const struct {
    const char *setting, *needs;
} rows[] = {
    {"image_size", "images"},
    {"channels", "images"},
    {"resize_mode", "images"},
    {"random_flip", "images"},
    {"random_resized_crop", "images"},
    {"random_crop_padding", "images"},
    {"brightness", "images"},
    {"contrast", "images"},
    {"saturation", "images color"},
    {"gaussian_noise", "images"},
    {"num_samples", "samples"},
    {"sample_every_steps", "samples"},
    {"validation_split", "undivided"},
    {"eval_steps", "metric validation"},
    {"early_stopping_patience", "metric validation"},
    {"caption_column", "captions metadata"},
    {"allow_empty_captions", "captions"},
    /* optimizers */
    {"beta1", "optimizer=adam|adamw"},
    {"beta2", "optimizer=adam|adamw|rmsprop"},
    {"eps", "optimizer=adam|adamw|rmsprop"},
    {"momentum", "optimizer=sgd|rmsprop"},
    {"nesterov", "optimizer=sgd"},
    {"lr_scheduler_steps", "lr_scheduler=cosine|step"},
    {"lr_end_factor", "lr_scheduler=cosine"},
    {"lr_gamma", "lr_scheduler=step"},
    /* models */
    {"hidden_size", "architecture=dense"},
    {"num_hidden_layers", "architecture=dense"},
    {"ngf", "architecture=conv"},
    {"ndf", "architecture=conv"},
    {"base_channels", "architecture=conv feature_space=autoencoder"},
    {"code_dim", "feature_space=autoencoder"},
    {"tokenizer", "captions"},
    {"validation_prompts", "captions"},
    {"conditioning_dropout", "condition"},
    {"guidance_scale", "condition"},
    {"block_out_channels", "!pretrained"},
    {"layers_per_block", "!pretrained"},
    {"attention_levels", "!pretrained"},
    {"num_attention_heads", "!pretrained"},
    {"norm_num_groups", "!pretrained"},
    {"latent_channels", "!pretrained"},
    {"mid_block_attention", "!pretrained"},
    {"scaling_factor", "!pretrained"},
    {"time_mask_length", "num_time_masks"},
    {"frequency_mask_length", "num_frequency_masks"},
};

static bool may_take_captions(const struct learner_type *type)
{
    return type->takes_audio || learner_setting_find(type->settings, "text_encoder");
}

/* Facts about a run, or, without one, about what a model type may have. */

static bool has_images(const struct learner_type *type, const struct train_run *r)
{
    (void)r;
    return !type->takes_audio;
}

static bool has_samples(const struct learner_type *type, const struct train_run *r)
{
    (void)r;
    return type->sample != NULL;
}

static bool has_color(const struct learner_type *type, const struct train_run *r)
{
    return type->takes_audio || !r || r->shape.channels == 3;
}

static bool has_metric(const struct learner_type *type, const struct train_run *r)
{
    (void)r;
    return type->evaluate != NULL;
}

static bool has_validation(const struct learner_type *type, const struct train_run *r)
{
    (void)type;
    return !r || r->validation;
}

static bool is_undivided(const struct learner_type *type, const struct train_run *r)
{
    (void)type;
    return !r || !dataset_info(r->data)->has_validation;
}

static bool has_captions(const struct learner_type *type, const struct train_run *r)
{
    return r ? r->plan.data.need_captions : may_take_captions(type);
}

static bool has_metadata(const struct learner_type *type, const struct train_run *r)
{
    (void)type;
    return !r || dataset_info(r->data)->has_metadata;
}

static bool has_condition(const struct learner_type *type, const struct train_run *r)
{
    return type->needs_labels || has_captions(type, r);
}

static const struct fact {
    const char *name, *why;
    bool (*holds)(const struct learner_type *type, const struct train_run *r);
} facts[] = {
    {"images", "the model is trained on audio", has_images},
    {"samples", "the model generates no images", has_samples},
    {"color", "the images are grayscale", has_color},
    {"metric", "the model has no validation metric", has_metric},
    {"validation", "there is no validation data (validation_split)", has_validation},
    {"undivided", "the data has a validation split of its own", is_undivided},
    {"captions", "the model is not conditioned on captions", has_captions},
    {"metadata", "the data has no metadata.csv or metadata.jsonl", has_metadata},
    {"condition", "the model is not conditioned on labels or captions", has_condition},
};

static const struct fact *find_fact(const char *need, size_t length)
{
    for (size_t i = 0; i < COUNT(facts); i++)
        if (strlen(facts[i].name) == length && !strncmp(facts[i].name, need, length))
            return &facts[i];
    return NULL;
}

static const char *needs_of(const char *setting)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (!strcmp(rows[i].setting, setting))
            return rows[i].needs;
    return "";
}

bool train_setting_fits(const struct learner_type *type, const char *setting)
{
    size_t length;
    for (const char *need = needs_of(setting); *need; need += length + strspn(need + length, " ")) {
        length = strcspn(need, " ");
        const struct fact *fact = find_fact(need, length);
        if (fact && !fact->holds(type, NULL))
            return false;
    }
    return true;
}

/* ---- settings of a run ---- */

/* Whether the value turns off what the setting is for, or is the default. */
static bool is_plain(const struct learner_setting *s, const json_t *value)
{
    double x = json_number_value(value);
    const char *text = json_string_value(value);
    if (json_is_string(value))
        return !*text || (s->type == 's' && learner_choice_index(s->words, text) == 0);
    if (json_is_number(value))
        return x <= 0 || !(x < s->otherwise || x > s->otherwise);
    return json_is_false(value);
}

/* Whether a need of the form NAME=a|b, NAME or !NAME is fulfilled, for a part of the model; if not, why. */
static bool is_fulfilled(const struct train_run *r, int part, const char *need, char *why, size_t size)
{
    char name[80], text[80];
    bool absent = *need == '!';
    const char *equals = strchr(need, '='), *word;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(need + absent, "="), need + absent);
    const json_t *value = json_object_get(r->learner.config, name);
    if (!value && !learner_setting_find(optimizer_settings, name))
        return true;
    if (!equals && absent && *learner_text(&r->learner, name))
        snprintf(why, size, "the model in %s decides it", name);
    else if (!equals && !absent && json_number_value(value) <= 0)
        snprintf(why, size, "%s is 0", name);
    if (!equals)
        return absent ? !*learner_text(&r->learner, name) : json_number_value(value) > 0;
    train_plan_optimizer_word(&r->plan, part, name, text, sizeof text);
    word = value ? json_string_value(value) : text;
    snprintf(why, size, "%s is %s, and it is for %s", name, word, equals + 1);
    return learner_choice_index(equals + 1, word) >= 0;
}

static bool fulfils(const struct train_run *r, int part, const char *needs, char *why, size_t size)
{
    size_t length;
    for (; *needs; needs += length + strspn(needs + length, " ")) {
        char need[80];
        length = strcspn(needs, " ");
        snprintf(need, sizeof need, "%.*s", (int)length, needs);
        const struct fact *fact = find_fact(need, length);
        if (fact && !fact->holds(r->plan.type, r)) {
            snprintf(why, size, "%s", fact->why);
            return false;
        }
        if (!fact && !is_fulfilled(r, part, need, why, size))
            return false;
    }
    return true;
}

void train_note_settings(const struct train_run *r)
{
    const struct learner_type *type = r->plan.type;
    const char *key;
    json_t *value;
    char why[200];
    json_object_foreach(r->plan.all, key, value)
    {
        const char *dot = strchr(key, '.'), *name = dot ? dot + 1 : key;
        const struct learner_setting *s = learner_setting_find(train_settings, name);
        bool effect = false;
        s = s ? s : learner_setting_find(type->settings, name);
        s = s ? s : learner_setting_find(optimizer_settings, name);
        if (is_plain(s, value))
            continue;
        for (int i = 0; type->parts[i] && !effect; i++)
            if (!dot || !strncmp(type->parts[i], key, (size_t)(dot - key)))
                effect = fulfils(r, i, needs_of(name), why, sizeof why);
        if (!effect)
            context_notice(r->ctx, "the setting %s has no effect: %s", key, why);
    }
}
