/* simulate_queries.c - platforms, devices and queues of a simulated device, and the loader's entry points of the layer. */
#include "simulate_private.h"

#include <stdio.h>
#include <stdlib.h>

struct simulated_device simulated;
const cl_icd_dispatch *simulate_below;
static cl_icd_dispatch layer;

/* The first queries of OpenCL 2.0, up to those of 3.0. */
#define FIRST_NEW_DEVICE_QUERY 0x104D
#define LAST_NEW_DEVICE_QUERY 0x10FF
#define FIRST_NEW_PLATFORM_QUERY 0x0905
#define LAST_NEW_PLATFORM_QUERY 0x0906
#define FIRST_VENDOR_QUERY 0x4000
#define LAST_VENDOR_QUERY 0x4FFF

/* Queries that the device below answers, and a real device like this one would not. */
static bool is_unknown(bool of_platform, cl_uint what)
{
    if (of_platform)
        return simulated.version < 20 && what >= FIRST_NEW_PLATFORM_QUERY && what <= LAST_NEW_PLATFORM_QUERY;
    return (simulated.version < 20 && what >= FIRST_NEW_DEVICE_QUERY && what <= LAST_NEW_DEVICE_QUERY) ||
           (what >= FIRST_VENDOR_QUERY && what <= LAST_VENDOR_QUERY);
}

static cl_int CL_API_CALL get_platform_info(cl_platform_id p, cl_platform_info what, size_t size, void *out, size_t *used)
{
    const struct answer *a = simulated_answer(&simulated, true, what);
    return a                        ? layer_give(a->data, a->bytes, size, out, used)
           : is_unknown(true, what) ? CL_INVALID_VALUE
                                    : simulate_below->clGetPlatformInfo(p, what, size, out, used);
}

static cl_int CL_API_CALL get_device_info(cl_device_id d, cl_device_info what, size_t size, void *out, size_t *used)
{
    const struct answer *a = simulated_answer(&simulated, false, what);
    return a                         ? layer_give(a->data, a->bytes, size, out, used)
           : is_unknown(false, what) ? CL_INVALID_VALUE
                                     : simulate_below->clGetDeviceInfo(d, what, size, out, used);
}

/* The devices below, if the type that is asked for is the simulated one. */
static cl_int CL_API_CALL get_device_ids(cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id *out, cl_uint *found)
{
    const struct answer *a = simulated_answer(&simulated, false, CL_DEVICE_TYPE);
    if (!a || type == CL_DEVICE_TYPE_ALL)
        return simulate_below->clGetDeviceIDs(p, type, n, out, found);
    cl_device_type own = *(const cl_device_type *)a->data;
    if (!(type & (own | CL_DEVICE_TYPE_DEFAULT)))
        return CL_DEVICE_NOT_FOUND;
    return simulate_below->clGetDeviceIDs(p, CL_DEVICE_TYPE_ALL, n, out, found);
}

static cl_command_queue CL_API_CALL create_queue(cl_context c, cl_device_id d, cl_command_queue_properties properties, cl_int *error)
{
    if (!(properties & ~simulated.queue_properties))
        return simulate_below->clCreateCommandQueue(c, d, properties, error);
    if (error)
        *error = CL_INVALID_QUEUE_PROPERTIES;
    return NULL;
}

/* As clCreateCommandQueue does, from the list of properties that OpenCL 2.0 has. */
static cl_command_queue CL_API_CALL create_queue_of_list(cl_context c, cl_device_id d, const cl_queue_properties *list, cl_int *error)
{
    for (const cl_queue_properties *p = list; p && *p; p += 2)
        if (*p == CL_QUEUE_PROPERTIES && (p[1] & ~simulated.queue_properties)) {
            if (error)
                *error = CL_INVALID_QUEUE_PROPERTIES;
            return NULL;
        }
    return simulate_below->clCreateCommandQueueWithProperties(c, d, list, error);
}

static cl_int CL_API_CALL get_event_profile(cl_event e, cl_profiling_info what, size_t size, void *out, size_t *used)
{
    cl_ulong time = 0;
    cl_int cle = simulate_below->clGetEventProfilingInfo(e, what, sizeof time, &time, NULL);
    if (cle)
        return cle;
    if (simulated.has_timer)
        time = simulated.timer_ns ? time - time % simulated.timer_ns : 0;
    return layer_give(&time, sizeof time, size, out, used);
}

void simulate_queries(cl_icd_dispatch *table)
{
    table->clGetPlatformInfo = get_platform_info;
    table->clGetDeviceInfo = get_device_info;
    table->clGetDeviceIDs = get_device_ids;
    table->clCreateCommandQueue = create_queue;
    table->clCreateCommandQueueWithProperties = create_queue_of_list;
    table->clGetEventProfilingInfo = get_event_profile;
}

/* ---- the loader's entry points ---- */

LAYER_ENTRY clGetLayerInfo(cl_layer_info what, size_t size, void *out, size_t *used)
{
    return layer_info("clio's simulated devices", what, size, out, used);
}

LAYER_ENTRY clInitLayer(cl_uint entries, const cl_icd_dispatch *below, cl_uint *used, const cl_icd_dispatch **out)
{
    const char *path = getenv("SIMULATE");
    char problem[512] = "the environment variable SIMULATE must name the description";
    if (!path || !simulated_device_read(&simulated, path, problem)) {
        fprintf(stderr, "simulated device %s: %s\n", path ? path : "", problem);
        exit(1);
    }
    if (!layer_begin(entries, below, used, out, &layer, &simulate_below))
        return CL_INVALID_VALUE;
    simulate_queries(&layer);
    simulate_programs(&layer);
    simulate_execution(&layer);
    if (simulated.version < 20)
        simulate_newer_calls(&layer);
    return CL_SUCCESS;
}
