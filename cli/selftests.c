/* selftests.c - see selftests.h. */
#include "selftests.h"
#include "print_json.h"
#include "terminal.h"

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
        print_to(out, "unknown");
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!list[i].problem && !is_listed_before(list, i))
            print_to(out, "%s%s", passed++ ? ", " : "", list[i].path);
    if (!passed)
        print_to(out, "none yet");
    for (size_t i = 0; i < count; i++)
        if (list[i].problem)
            print_to(out, "%s%s%s%s (%s)", off++ ? ", " : "; off: ", list[i].path, *list[i].variant ? " " : "", list[i].variant,
                     list[i].problem);
}

json_t *selftests_json(clio_context *ctx, int index)
{
    const clio_selftest *list;
    size_t count;
    json_t *rows = json_must(json_array());
    if (index < 0 || clio_device_selftests(ctx, index, &list, &count))
        return rows;
    for (size_t i = 0; i < count; i++)
        json_list_add(rows, json_pack("{s:s, s:o, s:o}", "path", list[i].path, "variant",
                                      json_name(*list[i].variant ? list[i].variant : NULL), "problem", json_name(list[i].problem)));
    return rows;
}
