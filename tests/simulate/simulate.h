/* simulate.h - simulated devices: a layer of the OpenCL loader (OPENCL_LAYERS) that makes the device below look like another one.
 *
 *     SIMULATE=tests/simulate/devices/NAME.json OPENCL_LAYERS=/absolute/libsimulate.so clio ...
 *
 * The description is data (tests/simulate/devices/README.md). What the simulated device says, it keeps to: work-groups, local memory,
 * buffers and queues beyond what it reports are refused with the error code that a driver gives; calls, queries and options of a newer
 * OpenCL version, too. What a kernel computes is computed by the device below. */
#ifndef CLIO_SIMULATE_H
#define CLIO_SIMULATE_H

#include "../support/opencl_layer.h"

#include <stdbool.h>
#include <stdint.h>

#define ANSWERS_AT_MOST 64
#define LIMITS_AT_MOST 16

/* What a query returns. */
struct answer {
    bool of_platform;
    cl_uint what;
    size_t bytes;
    void *data;
};
/* CL_KERNEL_WORK_GROUP_SIZE of one kernel, or of all ("*"): register pressure. */
struct kernel_limit {
    char *name;
    size_t work_group;
};

struct simulated_device {
    struct answer answers[ANSWERS_AT_MOST];
    int answer_count;
    struct kernel_limit limits[LIMITS_AT_MOST];
    int limit_count;
    /* The compiler refuses this program ("cl/gemm.cl", or one variant "cl/gemm.cl -DTILE"), or crashes on it; NULL: none. */
    char *rejected, *crashes;
    double build_seconds; /* added to each compilation from source */
    bool has_timer;       /* times of events are cut to multiples of timer_ns, 0: they are all 0 */
    uint64_t timer_ns;
    long lost_after; /* launches after which the device is lost; 0: never */
    /* From the answers; 0, or the largest value: not described. */
    int version, c_version; /* 12, 20, 30 */
    size_t work_group, item_sizes[3];
    uint64_t allocation, memory, local_memory, queue_properties, alignment;
    bool has_images;
};

/* Read a description; false: why not is in `problem`. Memory is kept until the process ends. */
bool simulated_device_read(struct simulated_device *d, const char *path, char problem[512]);
/* The answer to a query, or NULL: it is not described. */
const struct answer *simulated_answer(const struct simulated_device *d, bool of_platform, cl_uint what);

#endif
