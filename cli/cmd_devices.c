/* cmd_devices.c - clio devices: all OpenCL platforms and devices, the default one and why, why others cannot be used, and hints. */
#include "device_json.h"
#include "library_message.h"
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

/* reason: why it is used; NULL: another one is. */
static void print_device(clio_context *ctx, const clio_device_info *d, const char *reason)
{
    if (d->problem) {
        print_out("-  %s%s%s: not usable\n", d->name && *d->name ? d->name : "", d->name && *d->name ? ", " : "", d->platform);
        print_out("     problem    %s\n\n", d->problem);
        return;
    }
    print_out("%d  %s%s\n", d->index, d->name, reason ? "  <- default" : "");
    if (reason)
        print_out("     used       %s\n", reason);
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

/* What the command found. */
struct findings {
    const clio_device_info *list, *chosen; /* chosen: with the reason; NULL: none */
    const clio_device_hint *hints;
    size_t count, hint_count;
};

/* Why this device is used, in the command's terms and fresh memory; NULL: another one is. */
static char *reason_of(const struct findings *f, const clio_device_info *d)
{
    bool chosen = f->chosen && d->index == f->chosen->index;
    return chosen && f->chosen->reason ? library_message(command_devices.name, f->chosen->reason) : NULL;
}

static void print_findings(clio_context *ctx, const struct findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        char *reason = reason_of(f, &f->list[i]);
        print_device(ctx, &f->list[i], reason);
        free(reason);
    }
    for (size_t i = 0; i < f->hint_count; i++)
        print_out("hint: %s\n", f->hints[i].text);
}

static json_t *json_device(clio_context *ctx, const clio_device_info *d, const char *reason)
{
    json_t *row = device_json(ctx, d);
    json_add(row, "index", json_integer(d->index));
    json_add(row, "problem", json_name(d->problem && *d->problem ? d->problem : NULL));
    json_add(row, "max_allocation_bytes", json_integer((json_int_t)d->max_allocation));
    json_add(row, "local_memory_bytes", json_integer((json_int_t)d->local_memory));
    json_add(row, "fp16", json_boolean(d->has_fp16));
    json_add(row, "subgroups", json_boolean(d->has_subgroups));
    json_add(row, "compiler", json_boolean(d->has_compiler));
    json_add(row, "chosen", json_boolean(reason != NULL));
    json_add(row, "reason", json_name(reason));
    return row;
}

static void print_json(clio_context *ctx, const struct findings *f)
{
    json_t *root = json_must(json_object()), *devices = json_must(json_array()), *hints = json_must(json_array());
    for (size_t i = 0; i < f->count; i++) {
        char *reason = reason_of(f, &f->list[i]);
        json_list_add(devices, json_device(ctx, &f->list[i], reason));
        free(reason);
    }
    for (size_t i = 0; i < f->hint_count; i++) {
        json_t *row = json_must(json_object());
        json_add(row, "id", json_name(f->hints[i].id));
        json_add(row, "text", json_name(f->hints[i].text));
        json_list_add(hints, row);
    }
    json_add(root, "devices", devices);
    json_add(root, "hints", hints);
    json_print(root, JSON_MEASURED);
}

/* The device that these settings select. Only a selector needs the device to be opened. */
static clio_status find_chosen(clio_context *ctx, const struct settings *set, struct findings *f)
{
    const char *variable = getenv("CLIO_DEVICE");
    if ((set->device && *set->device) || (variable && *variable)) {
        clio_status st = clio_device_open(ctx, set->device);
        f->chosen = st ? NULL : clio_device(ctx);
        return st;
    }
    for (size_t i = 0; i < f->count; i++)
        if (f->list[i].chosen)
            f->chosen = &f->list[i];
    return CLIO_OK;
}

static int run_devices(const struct command *self, struct settings *set)
{
    struct findings f = {0};
    if (set->files.count)
        return say_usage(self, "unexpected argument %s", set->files.items[0]);
    struct session s = {.needs_output = true};
    if (!session_context(&s, set))
        return session_close(&s, EXIT_FAILED);
    clio_status st = clio_device_list(s.ctx, &f.list, &f.count);
    clio_status opened = st ? st : find_chosen(s.ctx, set, &f);
    if (!opened)
        opened = st = clio_device_hints(s.ctx, &f.hints, &f.hint_count);
    else if (!st)
        (void)clio_device_hints(s.ctx, &f.hints, &f.hint_count); /* whose failure is not what the user has to know */
    if (!st && set->json)
        print_json(s.ctx, &f);
    else if (!st)
        print_findings(s.ctx, &f);
    session_flush(&s);
    int code = opened ? session_failed(&s, opened) : EXIT_DONE;
    if (!code && !f.chosen) {
        say_error("no OpenCL device can be used: the hints name what to install");
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
    {"HINTS",
     "Lines that begin with `hint:` say what keeps a GPU of this machine from being used, or makes the device in use slow, and what to do "
     "about it: an OpenCL driver that is missing (with the command that installs it on this distribution), a kernel driver that is "
     "missing, "
     "no permission for the device file, a variable of the environment that restricts the drivers, drivers that have to be "
     "enabled or are outdated, a CPU that is selected although there is a GPU.\n\n"
     "GPUs without an OpenCL driver are found on the PCI bus, on Linux. The exit code is 1 when no device can be used.",
     NULL},
    {"JSON",
     "With `--json` standard output has an object with two arrays. `devices` has one object per device: `index`, `platform`, `name`, "
     "`type`, `driver`, `version`, `problem`, `architecture`, `compute_units`, `global_memory_bytes`, `max_allocation_bytes`, "
     "`local_memory_bytes`, `fp16`, `subgroups`, `compiler`, `chosen`, `reason` (why it is chosen, or null) and `selftests`, an array of "
     "objects with `path`, `variant` and `problem`. `hints` has objects with `id`, a fixed word for programs, and `text`.",
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
        "Lists all OpenCL platforms and devices, the best first, marks the one that clio uses and says why, and says why a platform or "
        "device cannot be used and what to do about it. With -d or $CLIO_DEVICE the mark is on the device that it selects.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_NONE,
    .run = run_devices,
};
