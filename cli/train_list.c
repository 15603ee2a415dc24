/* train_list.c - see train_list.h. Both forms are made from clio_train_model, clio_train_setting and clio_train_run_setting. The JSON is
 * described in clio-train(1): {"models": [{name, help}], "settings": [{name, type, minimum, maximum, choices, default, help, models}]}. */
#include "train_list.h"
#include "layout.h"
#include "print_json.h"
#include "say.h"
#include "terminal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN 32

/* ---- text ---- */

/* The settings of a model, or those of every run with the defaults that they have for it. */
typedef clio_status (*setting_fn)(clio_context *ctx, const char *model, size_t n, clio_setting *out);

static void print_settings(clio_context *ctx, setting_fn get, const char *model, int width)
{
    clio_setting s;
    for (size_t i = 0; get(ctx, model, i, &s) == CLIO_OK && s.name; i++) {
        const char *preset = *s.value ? s.value : "none";
        char *text = must_print("%s (%s; default %s)", s.summary, s.range, preset);
        layout_entry(stdout, s.name, text, COLUMN, width);
        free(text);
    }
}

static void print_models(int width)
{
    const char *name, *summary;
    clio_train_model(0, &name, &summary);
    for (size_t i = 0; name; clio_train_model(++i, &name, &summary))
        layout_entry(stdout, name, summary, COLUMN / 2, width);
    print_out("\nclio train --list MODEL lists the settings of a model.\n");
}

/* ---- JSON ---- */

static json_t *json_choices(const char *choices)
{
    json_t *list = json_must(json_array());
    for (const char *word = choices; word; word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL)
        json_list_add(list, json_stringn(word, strcspn(word, "|")));
    return list;
}

static json_t *json_default(const clio_setting *s)
{
    double number = strtod(s->value, NULL);
    if (!*s->value)
        return json_null();
    switch (s->type) {
    case CLIO_SETTING_INTEGER:
        return json_integer((json_int_t)number);
    case CLIO_SETTING_NUMBER:
        return json_real(number);
    case CLIO_SETTING_BOOLEAN:
        return json_boolean(!strcmp(s->value, "true"));
    default:
        return json_string(s->value);
    }
}

static json_t *json_bound(const clio_setting *s, double bound)
{
    if (s->type == CLIO_SETTING_INTEGER)
        return json_integer((json_int_t)bound);
    return s->type == CLIO_SETTING_NUMBER ? json_real(bound) : json_null();
}

static json_t *json_setting(const clio_setting *s)
{
    static const char *const types[] = {"integer", "number", "boolean", "choice", "text"};
    char *help = layout_plain(s->summary);
    json_t *row = json_must(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "name", s->name, "type", types[s->type], "minimum",
                                      json_bound(s, s->minimum), "maximum", json_bound(s, s->maximum), "choices",
                                      s->choices ? json_choices(s->choices) : json_null(), "default", json_default(s), "help", help));
    free(help);
    return row;
}

/* Add a setting of `model`; one that another model has with the same type, range, default and help is one entry. */
static void add_setting(json_t *settings, json_t *row, const char *model)
{
    size_t i;
    json_t *entry;
    json_array_foreach(settings, i, entry)
    {
        json_add(row, "models", json_incref(json_object_get(entry, "models")));
        if (json_equal(row, entry)) {
            json_list_add(json_object_get(entry, "models"), json_string(model));
            json_decref(row);
            return;
        }
    }
    json_add(row, "models", json_pack("[s]", model));
    json_list_add(settings, row);
}

static void print_json(clio_context *ctx, const char *only)
{
    json_t *models = json_must(json_array()), *settings = json_must(json_array());
    const char *name, *summary;
    clio_setting s;
    clio_train_model(0, &name, &summary);
    for (size_t i = 0; name; clio_train_model(++i, &name, &summary)) {
        if (only && strcmp(name, only) != 0)
            continue;
        json_list_add(models, json_pack("{s:s, s:s}", "name", name, "help", summary));
        for (size_t k = 0; clio_train_setting(ctx, name, k, &s) == CLIO_OK && s.name; k++)
            add_setting(settings, json_setting(&s), name);
        for (size_t k = 0; clio_train_run_setting(ctx, name, k, &s) == CLIO_OK && s.name; k++)
            add_setting(settings, json_setting(&s), name);
    }
    json_print(json_pack("{s:o, s:o}", "models", models, "settings", settings), JSON_EXACT);
}

int train_list(struct session *s, const char *model)
{
    int width = layout_width();
    clio_setting probe;
    clio_status st = model ? clio_train_setting(s->ctx, model, 0, &probe) : CLIO_OK;
    if (st)
        return session_failed(s, st);
    if (s->set->json) {
        print_json(s->ctx, model);
    } else if (model) {
        print_out("Settings of %s:\n", model);
        print_settings(s->ctx, clio_train_setting, model, width);
        print_out("\nSettings of the run and the optimizer:\n");
        print_settings(s->ctx, clio_train_run_setting, model, width);
    } else {
        print_models(width);
    }
    session_flush(s);
    return EXIT_DONE;
}
