/* device_hints.h - what a user should know about the devices of a machine: GPUs that OpenCL does not show and why, slow drivers, and what
 * to install or set, by vendor and distribution. */
#ifndef CLIO_CORE_DEVICE_HINTS_H
#define CLIO_CORE_DEVICE_HINTS_H

#include "device.h"
#include "machine.h"

#define DEVICE_HINTS_AT_MOST 16

struct device_hints {
    clio_device_hint rows[DEVICE_HINTS_AT_MOST]; /* the texts are those below */
    char texts[DEVICE_HINTS_AT_MOST][640];
    size_t count;
};

/* Fill in the hints for a list of device_enumerate, of which list[used] is used; SIZE_MAX: none. */
void device_hints_find(struct device_hints *hints, const struct machine *m, const struct device *list, size_t count, size_t used);

#endif
