/* settings.c - see settings.h. */
#include "settings.h"
#include "../loaders/model_folder.h"

#include <string.h>
#include <stdlib.h>

const struct learner_setting *learner_setting_find(const struct learner_setting *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

int learner_choice_index(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (int i = 0; words; i++) {
        const char *end = strchr(words, '|');
        size_t n = end ? (size_t)(end - words) : strlen(words);
        if (n == length && strncmp(words, word, n) == 0)
            return i;
        words = end ? end + 1 : NULL;
    }
    return -1;
}

clio_status learner_setting_names(clio_context *ctx, struct bytes *text, const struct learner_setting *table)
{
    clio_status st = CLIO_OK;
    for (; table && table->name; table++)
        TRY(bytes_print(ctx, text, "%s%s", text->size ? ", " : "", table->name));
fail:
    return st;
}

clio_status learner_setting_check(clio_context *ctx, const struct learner_setting *s, const json_t *value)
{
    clio_status st = CLIO_OK;
    if (s->type == 's' && (!json_is_string(value) || learner_choice_index(s->words, json_string_value(value)) < 0))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be one of %s", s->name, s->words);
    if (s->type == 'b' && !json_is_boolean(value))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be true or false", s->name);
    if (s->type == 't' && !json_is_string(value) && !json_is_integer(value))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be a string", s->name);
    if (s->type == 'i' || s->type == 'f') {
        double x = json_number_value(value);
        if (!json_is_number(value) || !(x >= s->least && x <= s->most) || (s->type == 'i' && !json_is_integer(value)))
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be %s from %.10g to %.*g", s->name,
                 s->type == 'i' ? "an integer" : "a number", s->least, learner_setting_digits(s->most), s->most);
    }
fail:
    return st;
}

int learner_int(const struct learner *l, const char *name)
{
    return (int)json_integer_value(json_object_get(l->config, name));
}

double learner_number(const struct learner *l, const char *name)
{
    return json_number_value(json_object_get(l->config, name));
}

int learner_choice(const struct learner *l, const char *name)
{
    const struct learner_setting *s = learner_setting_find(l->type->settings, name);
    return MAX(learner_choice_index(s->words, json_string_value(json_object_get(l->config, name))), 0);
}

/* ---- settings that follow diffusers ---- */

clio_status learner_mark_f32(clio_context *ctx, json_t *config)
{
    clio_status st = CLIO_OK;
    static const char *const names[] = {"dtype", "torch_dtype"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (json_object_get(config, names[i]))
            TRY(json_put(ctx, config, names[i], json_string("float32")));
fail:
    return st;
}

const char *learner_text(const struct learner *l, const char *name)
{
    const char *text = json_string_value(json_object_get(l->config, name));
    return text ? text : "";
}

clio_status learner_channels(clio_context *ctx, const struct learner *l, int heads, json_t **list)
{
    clio_status st = CLIO_OK;
    const char *text = learner_text(l, "block_out_channels"), *at = text;
    int groups = learner_int(l, "norm_num_groups");
    *list = json_array();
    for (;;) {
        char *end;
        long n = strtol(at, &end, 10);
        if (end == at || n < 1 || n > 1 << 14 || (*end != ',' && *end) || json_array_size(*list) == LEARNER_BLOCKS)
            FAIL(ctx, CLIO_ERROR_ARGUMENT,
                 "the setting block_out_channels must be up to %d integers separated by commas, such as 64,128,192", LEARNER_BLOCKS);
        if (n % groups || n % heads)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "block_out_channels: %ld is not a multiple of norm_num_groups (%d) and num_attention_heads (%d)",
                 n, groups, heads);
        if (json_array_append_new(*list, json_integer(n)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        if (!*end)
            break;
        at = end + 1;
    }
fail:
    return st;
}

clio_status learner_folder(clio_context *ctx, const struct learner *l, const char *name, char **path)
{
    clio_status st = CLIO_OK;
    *path = NULL;
    TRY(folder_try(ctx, l->from, name, path));
    if (!*path && *learner_text(l, name))
        TRY(mem_string(ctx, path, learner_text(l, name)));
    TRY(folder_try(ctx, learner_text(l, "pretrained"), name, path));
fail:
    return st;
}
