/* device_select.c - choose one of the listed devices, by a selector or as the first in rank, and say why it was chosen. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTALL "install the driver of your GPU, or pocl-opencl-icd to run on the CPU; clio_device_hints names the packages"

const char *device_type_name(const struct device *d)
{
    return d->is_gpu ? "gpu" : d->is_accelerator ? "accelerator" : "cpu";
}

static bool in_platform(const struct device *d, const char *part, size_t length)
{
    return device_text_has(d->platform_name, part, length) || device_text_has(d->platform_version, part, length);
}

static bool matches(const struct device *d, const char *selector)
{
    const char *part[3] = {selector, "", ""};
    size_t length[3] = {0}, n = strlen(selector);
    const char *colon = strchr(selector, ':');
    if (!colon)
        return in_platform(d, selector, n) || device_text_has(device_type_name(d), selector, n) || device_text_has(d->name, selector, n);
    length[0] = (size_t)(colon - selector);
    part[1] = colon + 1;
    colon = strchr(part[1], ':');
    length[1] = colon ? (size_t)(colon - part[1]) : strlen(part[1]);
    part[2] = colon ? colon + 1 : "";
    length[2] = strlen(part[2]);
    return in_platform(d, part[0], length[0]) && device_text_has(device_type_name(d), part[1], length[1]) &&
           device_text_has(d->name, part[2], length[2]);
}

static size_t count_usable(const struct device *list, size_t count)
{
    size_t usable = 0;
    while (usable < count && !list[usable].problem[0])
        usable++;
    return usable;
}

clio_status device_select(clio_context *ctx, const struct device *list, size_t count, const char *selector, const char *variable,
                          size_t *chosen)
{
    clio_status st = CLIO_OK;
    bool is_index = *selector && selector[strspn(selector, "0123456789")] == 0;
    unsigned long index = is_index ? strtoul(selector, NULL, 10) : 0;
    size_t usable = count_usable(list, count);
    if (!usable && !count)
        FAIL(ctx, CLIO_ERROR_DEVICE, "there is no OpenCL platform here: " INSTALL);
    if (!usable)
        FAIL(ctx, CLIO_ERROR_DEVICE, "no OpenCL device can be used (%s: %s): " INSTALL, list[0].platform_name, list[0].problem);
    if (is_index) {
        if (index >= usable)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s is %lu: there is no such device, the last one is %zu", variable ? variable : "selector",
                 index, usable - 1);
        *chosen = index;
        return CLIO_OK;
    }
    for (size_t i = 0; i < usable; i++)
        if (matches(&list[i], selector)) {
            *chosen = i;
            return CLIO_OK;
        }
    FAIL(ctx, CLIO_ERROR_ARGUMENT,
         "no device matches \"%s\"%s%s (platform:type:name): clio_device_list lists what is here, the first is %s on %s", selector,
         variable ? " of " : "", variable ? variable : "", list[0].name, list[0].platform_name);
fail:
    return st;
}

/* How many usable devices are like this one: GPUs, accelerators or CPUs, with real drivers. *equal: of those, how many have its memory. */
static size_t count_alike(const struct device *list, size_t usable, const struct device *d, size_t *equal)
{
    size_t alike = 0;
    *equal = 0;
    for (size_t i = 0; i < usable; i++)
        if (strcmp(device_type_name(&list[i]), device_type_name(d)) == 0 && !list[i].is_clover && !device_is_for_tests(&list[i])) {
            alike++;
            *equal += list[i].global_memory == d->global_memory;
        }
    return alike;
}

void device_reason(const struct device *list, size_t count, size_t chosen, const char *selector, const char *variable, char text[320])
{
    const struct device *d = &list[chosen];
    size_t equal, usable = count_usable(list, count), alike = count_alike(list, usable, d, &equal);
    const char *above = d->is_gpu ? "" : d->is_accelerator ? "no GPU can be used; " : "no GPU or accelerator can be used; ";
    if (*selector)
        snprintf(text, 320, "%s \"%.200s\" selects it", variable ? variable : "selector", selector);
    else if (usable == 1)
        snprintf(text, 320, "the only device that can be used");
    else if (alike < 2)
        snprintf(text, 320, "%sthe only %s%s", above, d->is_gpu ? "GPU" : device_type_name(d), d->is_gpu ? ", and GPUs come first" : "");
    else if (d->is_gpu && equal < 2)
        snprintf(text, 320, "of %zu GPUs the one with the most memory", alike);
    else
        snprintf(text, 320, "%sthe first of %zu %s devices by platform", above, alike, device_type_name(d));
}
