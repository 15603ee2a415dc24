/* cmd_devices.c - clio devices: every OpenCL platform and device, which one clio takes, and why others cannot be used. */
#include "checks.h"
#include "options.h"
#include "print_json.h"
#include "session.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void print_size(uint64_t bytes)
{
    if (bytes >= (uint64_t)1 << 30)
        printf("%.1f GiB", (double)bytes / 0x1p30);
    else if (bytes >= (uint64_t)1 << 20)
        printf("%.0f MiB", (double)bytes / 0x1p20);
    else
        printf("%.0f KiB", (double)bytes / 0x1p10);
}

static void print_device(clio_context *ctx, const clio_device_info *d, bool chosen)
{
    if (d->problem) {
        printf("-  %s%s%s: not usable\n", d->name && *d->name ? d->name : "", d->name && *d->name ? ", " : "", d->platform);
        printf("     why       %s\n\n", d->problem);
        return;
    }
    printf("%d  %s%s\n", d->index, d->name, chosen ? "  <- clio takes this one" : "");
    printf("     platform  %s\n", d->platform);
    printf("     type      %s%s%s, %d compute units\n", d->type, d->architecture ? " " : "", d->architecture ? d->architecture : "",
           d->compute_units);
    printf("     memory    ");
    print_size(d->global_memory);
    printf(", largest piece ");
    print_size(d->max_allocation);
    printf(", local ");
    print_size(d->local_memory);
    printf("\n     driver    %s, %s\n", d->driver, d->version);
    printf("     features  fp16 %s, sub-groups %s\n", d->has_fp16 ? "yes" : "no", d->has_subgroups ? "yes" : "no");
    printf("     checked   ");
    checks_print(ctx, d->index, stdout);
    printf("\n\n");
}

static json_t *json_device(clio_context *ctx, const clio_device_info *d, bool chosen)
{
    json_t *row = json_object();
    const struct {
        const char *key, *text;
    } texts[] = {{"platform", d->platform},
                 {"name", d->name},
                 {"type", d->type},
                 {"driver", d->driver},
                 {"version", d->version},
                 {"problem", d->problem},
                 {"architecture", d->architecture}};
    json_object_set_new(row, "index", json_integer(d->index));
    for (size_t i = 0; i < COUNT(texts); i++)
        json_object_set_new(row, texts[i].key, texts[i].text && *texts[i].text ? json_string(texts[i].text) : json_null());
    json_object_set_new(row, "compute_units", json_integer(d->compute_units));
    json_object_set_new(row, "global_memory", json_integer((json_int_t)d->global_memory));
    json_object_set_new(row, "max_allocation", json_integer((json_int_t)d->max_allocation));
    json_object_set_new(row, "local_memory", json_integer((json_int_t)d->local_memory));
    json_object_set_new(row, "fp16", json_boolean(d->has_fp16));
    json_object_set_new(row, "subgroups", json_boolean(d->has_subgroups));
    json_object_set_new(row, "compiler", json_boolean(d->has_compiler));
    json_object_set_new(row, "chosen", json_boolean(chosen));
    json_object_set_new(row, "checks", checks_json(ctx, d->index));
    return row;
}

static void print_json(clio_context *ctx, const clio_device_info *list, size_t count, int chosen)
{
    json_t *root = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(root, json_device(ctx, &list[i], list[i].index >= 0 && list[i].index == chosen));
    json_print(root);
}

/* The index that a run with these settings takes; -1 when there is none. Only a selector needs the device to be opened. */
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
        return say_usage(self, "devices takes no file, and %s was named", set->files.items[0]);
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
        say_error("there is no OpenCL device that clio can use: install the driver of your GPU, or pocl-opencl-icd to run on the CPU");
        code = EXIT_FAILED;
    }
    return session_close(&s, code);
}

static const struct option_row options[] = {{NULL, NULL, OPTION_ON, 0, 0, 0, NULL}};

const struct command command_devices = {
    .name = "devices",
    .synopsis = "[--json] [-d DEVICE]",
    .about = "Lists every OpenCL platform and device, the best first, marks the one that clio takes, and says\n"
             "why a platform or device cannot be used. With -d, or CLIO_DEVICE set, the mark shows what that means.\n"
             "checked: the fast paths that earlier runs found to answer rightly there, and those switched off and why.",
    .options = options,
    .run = run_devices,
};
