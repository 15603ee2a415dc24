/* device_json.h - a device as JSON, in clio devices and in reports of clio bench. */
#ifndef CLIO_CLI_DEVICE_JSON_H
#define CLIO_CLI_DEVICE_JSON_H

#include <clio.h>
#include <jansson.h>

/* {"platform", "name", "type", "driver", "version", "architecture", "compute_units", "global_memory_bytes", "selftests"}; null for what is
 * not known. */
json_t *device_json(clio_context *ctx, const clio_device_info *d);

#endif
