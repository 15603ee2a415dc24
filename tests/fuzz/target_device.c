/* target_device.c - a device for fuzz targets that create networks: OpenCL functions that stand before those of the library. Buffers have a
 * size and no contents (they read as zeros), kernels do nothing, so that an input costs what its reader does and no driver's time. */
#include "fuzz.h"

#include "../../host/core/context.h"

#include <stdatomic.h>

/* What stands for every OpenCL object. */
struct object {
    atomic_int users;
    size_t bytes;
};

void fuzz_open_device(void)
{
    struct device *d = &fuzz_ctx->device;
    if (fuzz_ctx->is_open)
        return;
    setenv("CLIO_CACHE_DIR", folder, 1);
    setenv("CLIO_TUNED_DIR", folder, 1);
    *d = (struct device){.architecture = "", .has_compiler = true, .is_cpu = true, .compute_units = 1, .simd_width = 8};
    snprintf(d->platform_name, sizeof d->platform_name, "platform");
    snprintf(d->platform_version, sizeof d->platform_version, "OpenCL 1.2");
    snprintf(d->name, sizeof d->name, "device");
    snprintf(d->driver, sizeof d->driver, "1.0");
    snprintf(d->version, sizeof d->version, "OpenCL 1.2");
    d->max_work_group = d->max_item_sizes[0] = d->max_item_sizes[1] = d->max_item_sizes[2] = 1024;
    d->global_memory = d->memory_limit = (uint64_t)8 << 30;
    d->max_allocation = (uint64_t)2 << 30;
    d->local_memory = 32768;
    d->address_alignment = 128;
    fuzz_ctx->is_open = true;            /* without a queue: it is not used */
    fuzz_ctx->selftests.bypassed = true; /* kernels that do nothing would not pass */
    assert_int_equal(params_open(fuzz_ctx), CLIO_OK);
}

static void *make(size_t bytes, cl_int *error)
{
    struct object *o = malloc(sizeof *o);
    assert_non_null(o);
    atomic_init(&o->users, 1);
    o->bytes = bytes;
    if (error)
        *error = CL_SUCCESS;
    return o;
}

static cl_int release(void *object)
{
    struct object *o = object;
    if (o && atomic_fetch_sub(&o->users, 1) == 1)
        free(o);
    return CL_SUCCESS;
}

/* ---- buffers ---- */

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *error)
{
    (void)context, (void)flags, (void)host;
    return make(size, error);
}

cl_mem clCreateSubBuffer(cl_mem mem, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *error)
{
    (void)mem, (void)flags, (void)type;
    return make(((const cl_buffer_region *)info)->size, error);
}

cl_int clReleaseMemObject(cl_mem mem)
{
    return release(mem);
}

cl_int clGetMemObjectInfo(cl_mem mem, cl_mem_info what, size_t size, void *value, size_t *used)
{
    (void)used;
    assert_true(what == CL_MEM_SIZE && size == sizeof(size_t));
    memcpy(value, &((const struct object *)(const void *)mem)->bytes, size);
    return CL_SUCCESS;
}

static cl_int check(cl_mem mem, size_t at, size_t size)
{
    const struct object *o = (const void *)mem;
    assert_true(o && at <= o->bytes && size <= o->bytes - at);
    return CL_SUCCESS;
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem mem, cl_bool waits, size_t at, size_t size, const void *data, cl_uint n,
                            const cl_event *events, cl_event *event)
{
    unsigned char sum = 0;
    (void)queue, (void)waits, (void)n, (void)events, (void)event;
    for (size_t i = 0; i < size; i += 64)
        sum ^= ((const unsigned char *)data)[i];
    (void)sum;
    return check(mem, at, size);
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem mem, cl_bool waits, size_t at, size_t size, void *data, cl_uint n,
                           const cl_event *events, cl_event *event)
{
    (void)queue, (void)waits, (void)n, (void)events, (void)event;
    memset(data, 0, size);
    return check(mem, at, size);
}

cl_int clEnqueueFillBuffer(cl_command_queue queue, cl_mem mem, const void *pattern, size_t length, size_t at, size_t size, cl_uint n,
                           const cl_event *events, cl_event *event)
{
    (void)queue, (void)pattern, (void)length, (void)n, (void)events, (void)event;
    return check(mem, at, size);
}

cl_int clEnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_at, size_t to_at, size_t size, cl_uint n,
                           const cl_event *events, cl_event *event)
{
    (void)queue, (void)n, (void)events, (void)event;
    return check(from, from_at, size) | check(to, to_at, size);
}

/* ---- kernels ---- */

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **text, const size_t *lengths, cl_int *error)
{
    (void)context, (void)count, (void)text, (void)lengths;
    return make(0, error);
}

cl_int clBuildProgram(cl_program program, cl_uint n, const cl_device_id *devices, const char *options,
                      void (*done)(cl_program program, void *user), void *user)
{
    (void)program, (void)n, (void)devices, (void)options, (void)done, (void)user;
    return CL_SUCCESS;
}

cl_int clGetProgramInfo(cl_program program, cl_program_info what, size_t size, void *value, size_t *used)
{
    (void)program, (void)what, (void)size, (void)value, (void)used;
    return CL_INVALID_VALUE; /* nothing to be cached */
}

cl_int clReleaseProgram(cl_program program)
{
    return release(program);
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *error)
{
    (void)program, (void)name;
    return make(0, error);
}

cl_int clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value)
{
    (void)kernel, (void)index, (void)size, (void)value;
    return CL_SUCCESS;
}

cl_int clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what, size_t size, void *value,
                                size_t *used)
{
    (void)kernel, (void)device, (void)what, (void)size, (void)value, (void)used;
    return CL_INVALID_VALUE; /* the limit of the device */
}

cl_int clReleaseKernel(cl_kernel kernel)
{
    return release(kernel);
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dims, const size_t *offset, const size_t *global,
                              const size_t *local, cl_uint n, const cl_event *events, cl_event *event)
{
    (void)queue, (void)kernel, (void)dims, (void)offset, (void)global, (void)local, (void)n, (void)events;
    if (event)
        *event = make(0, NULL);
    return CL_SUCCESS;
}

cl_int clFinish(cl_command_queue queue)
{
    (void)queue;
    return CL_SUCCESS;
}

cl_int clWaitForEvents(cl_uint n, const cl_event *events)
{
    (void)n, (void)events;
    return CL_SUCCESS;
}

cl_int clGetEventInfo(cl_event event, cl_event_info what, size_t size, void *value, size_t *used)
{
    const cl_int complete = CL_COMPLETE;
    (void)event, (void)used;
    assert_true(what == CL_EVENT_COMMAND_EXECUTION_STATUS && size == sizeof complete);
    memcpy(value, &complete, sizeof complete);
    return CL_SUCCESS;
}

cl_int clGetEventProfilingInfo(cl_event event, cl_profiling_info what, size_t size, void *value, size_t *used)
{
    (void)event, (void)what, (void)used;
    memset(value, 0, size);
    return CL_SUCCESS;
}

cl_int clReleaseEvent(cl_event event)
{
    return release(event);
}
