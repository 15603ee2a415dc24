/* completion.c - see completion.h. */
#include "completion.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>

/* "list word" in place of list, which is freed; a word that is in the list already is not added again. */
static char *append(char *list, const char *word, const char *suffix)
{
    char *whole = must_print(" %s%s ", word, suffix), *padded = must_print(" %s ", list), *joined = NULL;
    if (!strstr(padded, whole))
        joined = must_print("%s%s%s%s", list, *list ? " " : "", word, suffix);
    free(whole);
    free(padded);
    if (joined)
        free(list);
    return joined ? joined : list;
}

static char *languages(void)
{
    char *list = must_print("auto");
    const char *code, *name;
    clio_language(0, &code, &name);
    for (size_t i = 0; code; clio_language(++i, &code, &name))
        list = append(list, code, "");
    return list;
}

char *completion_train_models(void)
{
    char *list = must_print("%s", "");
    const char *name, *summary;
    clio_train_model(0, &name, &summary);
    for (size_t i = 0; name; clio_train_model(++i, &name, &summary))
        list = append(list, name, "");
    return list;
}

static char *append_settings(char *list, clio_context *ctx, const char *model)
{
    clio_setting s;
    for (size_t i = 0; clio_train_setting(ctx, model, i, &s) == CLIO_OK && s.name; i++)
        list = append(list, s.name, "=");
    return list;
}

static char *setting_names(void)
{
    clio_context *ctx = clio_create();
    char *list = must_print("%s", "");
    const char *name, *summary;
    clio_train_model(0, &name, &summary);
    for (size_t i = 0; ctx && name; clio_train_model(++i, &name, &summary))
        list = append_settings(list, ctx, name);
    if (ctx)
        list = append_settings(list, ctx, NULL);
    clio_destroy(ctx);
    return list;
}

char *completion_words(const struct option_row *row)
{
    size_t length;
    char *list;
    if (!row->argument)
        return NULL;
    if (row->field == FIELD(params.language))
        return languages();
    if (row->field == FIELD(device))
        return must_print("cpu gpu");
    if (row->field == FIELD(assignments))
        return setting_names();
    if (!option_value(row, 0, &length))
        return NULL;
    list = must_print("%s", "");
    for (size_t i = 0; option_value(row, i, &length); i++) {
        char *word = must_print("%.*s", (int)length, option_value(row, i, &length));
        list = append(list, word, "");
        free(word);
    }
    return list;
}

bool completion_takes_path(const struct option_row *row)
{
    return row->type == OPTION_FILE || row->type == OPTION_FOLDER || row->type == OPTION_MODEL;
}
