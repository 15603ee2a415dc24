/* generate_json.c - the option tables as JSON; see generate.h. */
#include "generate.h"
#include "options.h"
#include "print_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *json_words(const char *text)
{
    json_t *list = json_must(json_array());
    for (const char *word = text; *word; word += strspn(word, " ")) {
        size_t n = strcspn(word, " ");
        json_list_add(list, json_stringn(word, n));
        word += n;
    }
    return list;
}

static json_t *json_values(const struct option_row *row)
{
    json_t *list = json_must(json_array());
    size_t length;
    for (size_t i = 0; option_value(row, i, &length); i++)
        json_list_add(list, json_stringn(option_value(row, i, &length), length));
    return list;
}

static const char *type_name(enum option_type type)
{
    static const char *const names[] = {"switch", "integer", "integer", "number", "number", "number",
                                        "text",   "choice",  "file",    "folder", "model"};
    return names[type];
}

static json_t *json_option(const struct option_row *row, const struct settings *initial, const char *group)
{
    bool number = row->type > OPTION_SWITCH && row->type < OPTION_TEXT;
    char *preset = option_default(row, initial);
    size_t length;
    json_t *object =
        json_pack("{s:o, s:s?, s:s, s:o, s:o, s:o, s:s?, s:b, s:s, s:s}", "names", json_words(row->names), "argument", row->argument,
                  "type", type_name(row->type), "minimum", number && isfinite(row->low) ? json_real(row->low) : json_null(), "maximum",
                  number && row->type != OPTION_SEED && isfinite(row->high) ? json_real(row->high) : json_null(), "choices",
                  option_value(row, 0, &length) ? json_values(row) : json_null(), "default", preset, "repeats", (int)row->repeats, "group",
                  group, "help", row->help);
    free(preset);
    return object;
}

static void add_options(json_t *list, const struct option_row *row, const struct settings *initial)
{
    const char *group = "";
    for (; row->names; row++) {
        group = row->group ? row->group : group;
        json_list_add(list, json_option(row, initial, group));
    }
}

int generate_json(const struct command *const *commands)
{
    json_t *root = json_must(json_array());
    for (; *commands; commands++) {
        struct settings initial = options_initial(*commands);
        json_t *list = json_must(json_array());
        add_options(list, (*commands)->options, &initial);
        add_options(list, common_options, &initial);
        json_list_add(root, json_pack("{s:s, s:s, s:o}", "name", (*commands)->name, "summary", (*commands)->summary, "options", list));
    }
    json_print(root, JSON_EXACT);
    return EXIT_DONE;
}
