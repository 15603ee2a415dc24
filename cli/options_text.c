/* options_text.c - what --help, the man page and the JSON dump say about a row: its range and its default; see options.h. */
#include "options.h"
#include "say.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct settings options_initial(const struct command *command)
{
    struct settings set = {.params = clio_speech_defaults(), .imagine = clio_imagine_defaults()};
    if (command->defaults)
        command->defaults(&set);
    return set;
}

const char *option_value(const struct option_row *row, size_t n, size_t *length)
{
    const char *text = row->values ? row->values() : NULL;
    *length = 0;
    if (row->choices) {
        size_t i = 0;
        while (row->choices[i] && i < n)
            i++;
        *length = row->choices[i] ? strlen(row->choices[i]) : 0;
        return row->choices[i];
    }
    for (; text && *text && n > 0; n--) {
        text += strcspn(text, ",");
        text += strspn(text, ", ");
    }
    if (!text || !*text)
        return NULL;
    *length = strcspn(text, ",");
    return text;
}

/* "a, b or c" */
static char *join_values(const struct option_row *row)
{
    size_t length, next, size = 1;
    for (size_t i = 0; option_value(row, i, &length); i++)
        size += length + strlen(" or ");
    char *text = must_alloc(size);
    for (size_t i = 0, used = 0;; i++) {
        const char *value = option_value(row, i, &length);
        if (!value)
            return text;
        const char *between = !i ? "" : option_value(row, i + 1, &next) ? ", " : " or ";
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", between, (int)length, value);
    }
}

char *option_range(const struct option_row *row)
{
    size_t length;
    switch (row->type) {
    case OPTION_SWITCH:
    case OPTION_SEED:
        return NULL;
    case OPTION_INTEGER:
    case OPTION_FLOAT:
    case OPTION_DOUBLE:
    case OPTION_MS:
        if (isfinite(row->low) && isfinite(row->high))
            return must_print("%.10g to %.15g", row->low, row->high);
        if (isfinite(row->low))
            return must_print("at least %.10g", row->low);
        return isfinite(row->high) ? must_print("at most %.10g", row->high) : NULL;
    default:
        return option_value(row, 0, &length) ? join_values(row) : NULL;
    }
}

char *option_default(const struct option_row *row, const struct settings *initial)
{
    const void *field = (const char *)initial + row->field;
    if (row->initial)
        return *row->initial ? must_print("%s", row->initial) : NULL;
    if (row->repeats || row->type == OPTION_SWITCH)
        return NULL;
    switch (row->type) {
    case OPTION_INTEGER:
        return must_print("%d", *(const int *)field);
    case OPTION_SEED:
        return must_print("%" PRIu64, *(const uint64_t *)field);
    case OPTION_FLOAT:
        return must_print("%g", (double)*(const float *)field);
    case OPTION_DOUBLE:
        return must_print("%g", *(const double *)field);
    case OPTION_MS:
        return must_print("%g", *(const double *)field * 1000);
    default:
        return *(const char *const *)field ? must_print("%s", *(const char *const *)field) : NULL;
    }
}
