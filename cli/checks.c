/* checks.c - see checks.h. */
#include "checks.h"

#include <string.h>

static bool is_named_before(const clio_selftest *list, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!list[k].problem && !strcmp(list[k].path, list[i].path))
            return true;
    return false;
}

void checks_print(clio_context *ctx, int index, FILE *out)
{
    const clio_selftest *list;
    size_t count, named = 0, off = 0;
    if (clio_device_selftests(ctx, index, &list, &count)) {
        fputs("not known", out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!list[i].problem && !is_named_before(list, i))
            fprintf(out, "%s%s", named++ ? ", " : "", list[i].path);
    if (!named)
        fputs("nothing yet", out);
    for (size_t i = 0; i < count; i++)
        if (list[i].problem)
            fprintf(out, "%s%s%s%s (%s)", off++ ? ", " : "; switched off: ", list[i].path, *list[i].variant ? " " : "", list[i].variant,
                    list[i].problem);
}

json_t *checks_json(clio_context *ctx, int index)
{
    const clio_selftest *list;
    size_t count;
    json_t *rows = json_array();
    if (index < 0 || clio_device_selftests(ctx, index, &list, &count))
        return rows;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s?, s:s?}", "path", list[i].path, "variant",
                                              *list[i].variant ? list[i].variant : NULL, "problem", list[i].problem));
    return rows;
}
