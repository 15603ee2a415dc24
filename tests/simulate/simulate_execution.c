/* simulate_execution.c - buffers and launches of a simulated device: what is beyond its limits fails as drivers let it fail. */
#include "simulate_private.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_ullong taken; /* bytes of all buffers */

/* Launches of each device of the platform below, and the one that is lost. */
enum { DEVICES = 8 };
static pthread_mutex_t launch_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    cl_device_id device;
    long count;
} launches[DEVICES];
static cl_device_id lost;

/* ---- buffers ---- */

static void CL_CALLBACK give_back(cl_mem m, void *bytes)
{
    (void)m;
    atomic_fetch_sub(&taken, (uintptr_t)bytes);
}

static cl_int refusal(size_t bytes)
{
    return bytes > simulated.allocation                     ? CL_INVALID_BUFFER_SIZE
           : atomic_load(&taken) + bytes > simulated.memory ? CL_MEM_OBJECT_ALLOCATION_FAILURE
                                                            : CL_SUCCESS;
}

static cl_mem CL_API_CALL create_buffer(cl_context c, cl_mem_flags flags, size_t bytes, void *host, cl_int *error)
{
    cl_int cle = refusal(bytes);
    if (cle) {
        if (error)
            *error = cle;
        return NULL;
    }
    cl_mem m = simulate_below->clCreateBuffer(c, flags, bytes, host, error);
    if (m && simulate_below->clSetMemObjectDestructorCallback(m, give_back, (void *)(uintptr_t)bytes) == CL_SUCCESS)
        atomic_fetch_add(&taken, bytes);
    return m;
}

static cl_mem CL_API_CALL create_sub_buffer(cl_mem m, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *error)
{
    const cl_buffer_region *region = info;
    if (!simulated.alignment || !region || region->origin % simulated.alignment == 0)
        return simulate_below->clCreateSubBuffer(m, flags, type, info, error);
    if (error)
        *error = CL_MISALIGNED_SUB_BUFFER_OFFSET;
    return NULL;
}

static cl_mem CL_API_CALL create_image(cl_context c, cl_mem_flags flags, const cl_image_format *format, const cl_image_desc *shape,
                                       void *host, cl_int *error)
{
    if (simulated.has_images)
        return simulate_below->clCreateImage(c, flags, format, shape, host, error);
    if (error)
        *error = CL_INVALID_OPERATION;
    return NULL;
}

/* ---- launches ---- */

static cl_ulong local_memory_of(cl_kernel k)
{
    cl_ulong bytes = 0;
    cl_device_id device = NULL;
    cl_context context = NULL;
    if (simulate_below->clGetKernelInfo(k, CL_KERNEL_CONTEXT, sizeof context, &context, NULL) == CL_SUCCESS &&
        simulate_below->clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof device, &device, NULL) == CL_SUCCESS)
        simulate_below->clGetKernelWorkGroupInfo(k, device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    return bytes;
}

/* ---- launches ---- */

static cl_device_id device_of(cl_command_queue q)
{
    cl_device_id device = NULL;
    simulate_below->clGetCommandQueueInfo(q, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    return device;
}

/* Whether the device of this queue is lost; launch: this is one more. Only the first device that makes so many launches is lost. */
static bool is_lost(cl_command_queue q, bool launch)
{
    if (!simulated.lost_after)
        return false;
    cl_device_id device = device_of(q);
    pthread_mutex_lock(&launch_lock);
    for (int i = 0; launch && i < DEVICES; i++)
        if (!launches[i].device || launches[i].device == device) {
            launches[i].device = device;
            if (++launches[i].count > simulated.lost_after && !lost)
                lost = device;
            break;
        }
    bool is = lost == device;
    pthread_mutex_unlock(&launch_lock);
    return is;
}

/* What a driver says to a launch of this shape; CL_SUCCESS: nothing. */
static cl_int launch_refusal(cl_kernel k, cl_uint dims, const size_t *global, const size_t *local)
{
    size_t items = 1;
    for (cl_uint i = 0; local && i < dims && i < 3; i++) {
        if (local[i] > simulated.item_sizes[i])
            return CL_INVALID_WORK_ITEM_SIZE;
        if (global && simulated.version < 20 && global[i] % local[i] != 0)
            return CL_INVALID_WORK_GROUP_SIZE;
        items *= local[i];
    }
    if (items > simulated.work_group || (local && items > simulate_kernel_limit(k)))
        return CL_INVALID_WORK_GROUP_SIZE;
    return local_memory_of(k) > simulated.local_memory ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
}

static cl_int CL_API_CALL enqueue_kernel(cl_command_queue q, cl_kernel k, cl_uint dims, const size_t *first, const size_t *global,
                                         const size_t *local, cl_uint n, const cl_event *wait, cl_event *event)
{
    cl_int cle = is_lost(q, true) ? CL_DEVICE_NOT_AVAILABLE : launch_refusal(k, dims, global, local);
    return cle ? cle : simulate_below->clEnqueueNDRangeKernel(q, k, dims, first, global, local, n, wait, event);
}

static cl_int CL_API_CALL finish(cl_command_queue q)
{
    cl_int cle = simulate_below->clFinish(q);
    return is_lost(q, false) ? CL_DEVICE_NOT_AVAILABLE : cle;
}

static cl_int CL_API_CALL read_buffer(cl_command_queue q, cl_mem m, cl_bool blocks, size_t at, size_t size, void *to, cl_uint n,
                                      const cl_event *wait, cl_event *event)
{
    return is_lost(q, false) ? CL_DEVICE_NOT_AVAILABLE : simulate_below->clEnqueueReadBuffer(q, m, blocks, at, size, to, n, wait, event);
}

void simulate_execution(cl_icd_dispatch *table)
{
    table->clCreateBuffer = create_buffer;
    table->clCreateSubBuffer = create_sub_buffer;
    table->clCreateImage = create_image;
    table->clEnqueueNDRangeKernel = enqueue_kernel;
    table->clFinish = finish;
    table->clEnqueueReadBuffer = read_buffer;
}
