/* device_json.c - see device_json.h. */
#include "device_json.h"
#include "command.h"
#include "print_json.h"
#include "say.h"
#include "selftests.h"

json_t *device_json(clio_context *ctx, const clio_device_info *d)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"platform", d->platform}, {"name", d->name},       {"type", d->type},
                 {"driver", d->driver},     {"version", d->version}, {"architecture", d->architecture}};
    json_t *out = json_must(json_object());
    for (size_t i = 0; i < COUNT(texts); i++)
        json_add(out, texts[i].key, json_name(texts[i].text && *texts[i].text ? texts[i].text : NULL));
    json_add(out, "compute_units", json_integer(d->compute_units));
    json_add(out, "global_memory_bytes", json_integer((json_int_t)d->global_memory));
    json_add(out, "selftests", selftests_json(ctx, d->index));
    return out;
}
