/* setting_list.c - the public lists of model types and of their settings. */
#include "../../host/core/require.h"
#include "../learners/types.h"
#include "train.h"

#include <stdio.h>
#include <string.h>

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
    out->type = s->type == 'i'   ? CLIO_SETTING_INTEGER
                : s->type == 'f' ? CLIO_SETTING_NUMBER
                : s->type == 'b' ? CLIO_SETTING_BOOLEAN
                : s->type == 's' ? CLIO_SETTING_CHOICE
                                 : CLIO_SETTING_TEXT;
    out->minimum = s->least;
    out->maximum = s->most;
    if (s->type == 's') {
        out->choices = s->words;
        snprintf(out->range, sizeof out->range, "%s", s->words);
        snprintf(out->value, sizeof out->value, "%.*s", (int)strcspn(s->words, "|"), s->words);
    } else if (s->type == 't') {
        snprintf(out->range, sizeof out->range, "text");
        snprintf(out->value, sizeof out->value, "%s", s->words ? s->words : "");
    } else if (s->type == 'b') {
        snprintf(out->range, sizeof out->range, "true|false");
        snprintf(out->value, sizeof out->value, "%s", s->otherwise > 0 ? "true" : "false");
    } else {
        snprintf(out->range, sizeof out->range, "%.10g to %.*g", s->least, learner_setting_digits(s->most), s->most);
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

/* Number n of the table that the model type can have use for, or the end of the table. */
static const struct learner_setting *nth_fitting(const struct learner_setting *table, size_t n, const struct learner_type *type)
{
    for (; table->name; table++)
        if (train_setting_fits(type, table->name) && !n--)
            break;
    return table;
}

clio_status clio_train_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out)
{
    clio_status st = CLIO_OK;
    const struct learner_type *type = model ? learner_type_find(model) : NULL;
    if (out)
        *out = (clio_setting){0};
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_THAT(ctx, CALLER, !model || type, "model is \"%.60s\", and there is no such model to train: clio_train_model lists them",
                 model ? model : "");
    REQUIRE(ctx, out, "out");
    if (type)
        describe(nth(type->settings, n), out);
    else
        describe(n < length(train_settings) ? nth(train_settings, n) : nth(optimizer_settings, n - length(train_settings)), out);
    if (!type && n >= length(train_settings)) /* defaults of optimizers depend on the model */
        out->value[0] = '\0';
fail:
    return st;
}

clio_status clio_train_run_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out)
{
    clio_status st = CLIO_OK;
    const struct learner_type *type;
    size_t fitting = 0;
    if (out)
        *out = (clio_setting){0};
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, model, "model");
    REQUIRE(ctx, out, "out");
    type = learner_type_find(model);
    REQUIRE_THAT(ctx, CALLER, type, "model is \"%.60s\", and there is no such model to train: clio_train_model lists them", model);
    for (size_t i = 0; train_settings[i].name; i++)
        fitting += train_setting_fits(type, train_settings[i].name);
    if (n < fitting) {
        describe(nth_fitting(train_settings, n, type), out);
        return CLIO_OK;
    }
    describe(nth_fitting(optimizer_settings, n - fitting, type), out);
    if (out->name) {
        const struct optimizer_options o = learner_optimizer_defaults(type, 0);
        train_optimizer_text(o, out->name, out->value, sizeof out->value);
    }
fail:
    return st;
}
