/* cmd_devices.c - clio devices: all OpenCL platforms and devices, the default one, and why others cannot be used. */
#include "device_json.h"
#include "options.h"
#include "print_json.h"
#include "say.h"
#include "selftests.h"
#include "terminal.h"
#include "session.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void print_size(uint64_t bytes)
{
    if (bytes >= (uint64_t)1 << 30)
        print_out("%.1f GiB", (double)bytes / 0x1p30);
    else if (bytes >= (uint64_t)1 << 20)
        print_out("%.0f MiB", (double)bytes / 0x1p20);
    else
        print_out("%.0f KiB", (double)bytes / 0x1p10);
}

static void print_device(clio_context *ctx, const clio_device_info *d, bool chosen)
{
    if (d->problem) {
        print_out("-  %s%s%s: not usable\n", d->name && *d->name ? d->name : "", d->name && *d->name ? ", " : "", d->platform);
        print_out("     problem    %s\n\n", d->problem);
        return;
    }
    print_out("%d  %s%s\n", d->index, d->name, chosen ? "  <- default" : "");
    print_out("     platform   %s\n", d->platform);
    print_out("     type       %s%s%s, %d compute units\n", d->type, d->architecture ? " " : "", d->architecture ? d->architecture : "",
              d->compute_units);
    print_out("     memory     ");
    print_size(d->global_memory);
    print_out(", largest buffer ");
    print_size(d->max_allocation);
    print_out(", local ");
    print_size(d->local_memory);
    print_out("\n     driver     %s, %s\n", d->driver, d->version);
    print_out("     features   fp16 %s, sub-groups %s\n", d->has_fp16 ? "yes" : "no", d->has_subgroups ? "yes" : "no");
    print_out("     self-tests ");
    selftests_print(ctx, d->index, stdout);
    print_out("\n\n");
}

static json_t *json_device(clio_context *ctx, const clio_device_info *d, bool chosen)
{
    json_t *row = device_json(ctx, d);
    json_add(row, "index", json_integer(d->index));
    json_add(row, "problem", json_name(d->problem && *d->problem ? d->problem : NULL));
    json_add(row, "max_allocation_bytes", json_integer((json_int_t)d->max_allocation));
    json_add(row, "local_memory_bytes", json_integer((json_int_t)d->local_memory));
    json_add(row, "fp16", json_boolean(d->has_fp16));
    json_add(row, "subgroups", json_boolean(d->has_subgroups));
    json_add(row, "compiler", json_boolean(d->has_compiler));
    json_add(row, "chosen", json_boolean(chosen));
    return row;
}

static void print_json(clio_context *ctx, const clio_device_info *list, size_t count, int chosen)
{
    json_t *root = json_must(json_array());
    for (size_t i = 0; i < count; i++)
        json_list_add(root, json_device(ctx, &list[i], list[i].index >= 0 && list[i].index == chosen));
    json_print(root, JSON_MEASURED);
}

/* The index of the device that these settings select; -1 when there is none. Only a selector needs the device to be opened. */
static clio_status find_chosen(clio_context *ctx, const struct settings *set, const clio_device_info *list, size_t count, int *chosen)
{
    const char *variable = getenv("CLIO_DEVICE");
    *chosen = -1;
    if ((set->device && *set->device) || (variable && *variable)) {
        clio_status st = clio_device_open(ctx, set->device);
        if (!st)
            *chosen = clio_device(ctx)->index;
        return st;
    }
    for (size_t i = 0; i < count; i++)
        if (list[i].chosen)
            *chosen = list[i].index;
    return CLIO_OK;
}

static int run_devices(const struct command *self, struct settings *set)
{
    const clio_device_info *list = NULL;
    size_t count = 0;
    int chosen = -1;
    if (set->files.count)
        return say_usage(self, "unexpected argument %s", set->files.items[0]);
    struct session s = {.needs_output = true};
    if (!session_context(&s, set))
        return session_close(&s, EXIT_FAILED);
    clio_status st = clio_device_list(s.ctx, &list, &count);
    clio_status opened = st ? st : find_chosen(s.ctx, set, list, count, &chosen);
    if (!st && set->json)
        print_json(s.ctx, list, count, chosen);
    for (size_t i = 0; !st && !set->json && i < count; i++)
        print_device(s.ctx, &list[i], list[i].index >= 0 && list[i].index == chosen);
    session_flush(&s);
    int code = opened ? session_failed(&s, opened) : EXIT_DONE;
    if (!code && chosen < 0) {
        say_error("no usable OpenCL device: install the OpenCL driver of your GPU, or pocl-opencl-icd to use the CPU");
        code = EXIT_FAILED;
    }
    return session_close(&s, code);
}

static const struct option_row options[] = {OPTIONS_END};

static const struct section sections[] = {
    {"SELF-TESTS",
     "Fast code paths are compared with a C reference when they are first used on a device with its driver. `self-tests` lists those that "
     "passed, and those that failed and are off, with the reason. Another path takes the place of one that failed. `CLIO_DISABLE`, see "
     "clio(1), turns paths off by hand.\n\n"
     "The results are kept in the cache, one file `selftests-*.txt` for each device and driver; deleting it repeats the self-tests. A path "
     "whose test ended the process is off from then on. If a call of the driver fails during a test, the path is off in that run only, "
     "which says so.",
     NULL},
    {"JSON",
     "With `--json` standard output has an array with one object per device: `index`, `platform`, `name`, `type`, `driver`, `version`, "
     "`problem`, `architecture`, `compute_units`, `global_memory_bytes`, `max_allocation_bytes`, `local_memory_bytes`, `fp16`, "
     "`subgroups`, "
     "`compiler`, `chosen` and `selftests`, an array of objects with `path`, `variant` and `problem`.",
     NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio devices", "list all devices"},
    {"clio devices -d gpu", "show which device -d gpu selects"},
    {NULL, NULL},
};

const struct command command_devices = {
    .name = "devices",
    .summary = "list OpenCL devices and their self-tests",
    .synopsis = "[--json] [-d DEVICE]",
    .description =
        "Lists all OpenCL platforms and devices, the best first, marks the one that clio uses, and says why a platform or device "
        "cannot be used. With -d or $CLIO_DEVICE the mark is on the device that it selects.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_NONE,
    .run = run_devices,
};
