/* settings.c - settings as tables: looked up, listed, checked; see learner.h. */
#include "learner.h"

#include <math.h>
#include <string.h>

const struct learner_setting *learner_setting_find(const struct learner_setting *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

int learner_word_index(const char *words, const char *word)
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
    if (s->type == 's' && (!json_is_string(value) || learner_word_index(s->words, json_string_value(value)) < 0))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be one of %s", s->name, s->words);
    if (s->type == 'b' && !json_is_boolean(value))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be true or false", s->name);
    if (s->type == 't' && !json_is_string(value) && !json_is_integer(value))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be a text", s->name);
    if (s->type == 'i' || s->type == 'f') {
        double x = json_number_value(value);
        if (!json_is_number(value) || !(x >= s->least && x <= s->most) || (s->type == 'i' && !json_is_integer(value)))
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "the setting %s must be a %s from %g to %g", s->name, s->type == 'i' ? "whole number" : "number",
                 s->least, s->most);
    }
fail:
    return st;
}
