/* selftests.c - see selftests.h. */
#include "selftests.h"

#include <stdbool.h>
#include <string.h>

static bool is_listed_before(const clio_selftest *list, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!list[k].problem && !strcmp(list[k].path, list[i].path))
            return true;
    return false;
}

void selftests_print(clio_context *ctx, int index, FILE *out)
{
    const clio_selftest *list;
    size_t count, passed = 0, off = 0;
    if (clio_device_selftests(ctx, index, &list, &count)) {
        fputs("unknown", out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!list[i].problem && !is_listed_before(list, i))
            fprintf(out, "%s%s", passed++ ? ", " : "", list[i].path);
    if (!passed)
        fputs("none yet", out);
    for (size_t i = 0; i < count; i++)
        if (list[i].problem)
            fprintf(out, "%s%s%s%s (%s)", off++ ? ", " : "; off: ", list[i].path, *list[i].variant ? " " : "", list[i].variant,
                    list[i].problem);
}

json_t *selftests_json(clio_context *ctx, int index)
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
