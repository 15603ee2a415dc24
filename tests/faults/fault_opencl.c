/* fault_opencl.c - the layer of the OpenCL loader: every call that can fail is counted, whoever makes it (clio, CLBlast, clFFT), and fails
 * when it is due. Releases are passed on. */
#include "fault.h"
#include "../support/opencl_layer.h"

static const cl_icd_dispatch *target;
static cl_icd_dispatch layer;

/* X(name, parameters, arguments): calls that give their code back. */
#define CALLS_WITH_CODE(X)                                                                                                                 \
    X(clGetPlatformIDs, (cl_uint n, cl_platform_id * out, cl_uint * found), (n, out, found))                                               \
    X(clGetPlatformInfo, (cl_platform_id p, cl_platform_info what, size_t size, void *out, size_t *used), (p, what, size, out, used))      \
    X(clGetDeviceIDs, (cl_platform_id p, cl_device_type type, cl_uint n, cl_device_id * out, cl_uint * found), (p, type, n, out, found))   \
    X(clGetDeviceInfo, (cl_device_id d, cl_device_info what, size_t size, void *out, size_t *used), (d, what, size, out, used))            \
    X(clGetContextInfo, (cl_context c, cl_context_info what, size_t size, void *out, size_t *used), (c, what, size, out, used))            \
    X(clGetCommandQueueInfo, (cl_command_queue q, cl_command_queue_info what, size_t size, void *out, size_t *used),                       \
      (q, what, size, out, used))                                                                                                          \
    X(clGetMemObjectInfo, (cl_mem m, cl_mem_info what, size_t size, void *out, size_t *used), (m, what, size, out, used))                  \
    X(clBuildProgram,                                                                                                                      \
      (cl_program p, cl_uint n, const cl_device_id *d, const char *options, void(CL_CALLBACK * done)(cl_program, void *), void *user),     \
      (p, n, d, options, done, user))                                                                                                      \
    X(clGetProgramInfo, (cl_program p, cl_program_info what, size_t size, void *out, size_t *used), (p, what, size, out, used))            \
    X(clGetProgramBuildInfo, (cl_program p, cl_device_id d, cl_program_build_info what, size_t size, void *out, size_t *used),             \
      (p, d, what, size, out, used))                                                                                                       \
    X(clSetKernelArg, (cl_kernel k, cl_uint index, size_t size, const void *value), (k, index, size, value))                               \
    X(clGetKernelInfo, (cl_kernel k, cl_kernel_info what, size_t size, void *out, size_t *used), (k, what, size, out, used))               \
    X(clGetKernelWorkGroupInfo, (cl_kernel k, cl_device_id d, cl_kernel_work_group_info what, size_t size, void *out, size_t *used),       \
      (k, d, what, size, out, used))                                                                                                       \
    X(clEnqueueNDRangeKernel,                                                                                                              \
      (cl_command_queue q, cl_kernel k, cl_uint dims, const size_t *first, const size_t *global, const size_t *local, cl_uint n,           \
       const cl_event *wait, cl_event *event),                                                                                             \
      (q, k, dims, first, global, local, n, wait, event))                                                                                  \
    X(clEnqueueReadBuffer,                                                                                                                 \
      (cl_command_queue q, cl_mem m, cl_bool blocks, size_t at, size_t size, void *to, cl_uint n, const cl_event *wait, cl_event *event),  \
      (q, m, blocks, at, size, to, n, wait, event))                                                                                        \
    X(clEnqueueWriteBuffer,                                                                                                                \
      (cl_command_queue q, cl_mem m, cl_bool blocks, size_t at, size_t size, const void *from, cl_uint n, const cl_event *wait,            \
       cl_event *event),                                                                                                                   \
      (q, m, blocks, at, size, from, n, wait, event))                                                                                      \
    X(clEnqueueCopyBuffer,                                                                                                                 \
      (cl_command_queue q, cl_mem from, cl_mem to, size_t a, size_t b, size_t size, cl_uint n, const cl_event *wait, cl_event *event),     \
      (q, from, to, a, b, size, n, wait, event))                                                                                           \
    X(clEnqueueFillBuffer,                                                                                                                 \
      (cl_command_queue q, cl_mem m, const void *pattern, size_t length, size_t at, size_t size, cl_uint n, const cl_event *wait,          \
       cl_event *event),                                                                                                                   \
      (q, m, pattern, length, at, size, n, wait, event))                                                                                   \
    X(clEnqueueUnmapMemObject, (cl_command_queue q, cl_mem m, void *p, cl_uint n, const cl_event *wait, cl_event *event),                  \
      (q, m, p, n, wait, event))                                                                                                           \
    X(clFinish, (cl_command_queue q), (q))                                                                                                 \
    X(clFlush, (cl_command_queue q), (q))                                                                                                  \
    X(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))                                                                   \
    X(clGetEventInfo, (cl_event e, cl_event_info what, size_t size, void *out, size_t *used), (e, what, size, out, used))                  \
    X(clGetEventProfilingInfo, (cl_event e, cl_profiling_info what, size_t size, void *out, size_t *used), (e, what, size, out, used))

/* X(type, name, parameters, arguments): calls that give an object back, and their code through `error`. */
#define CALLS_WITH_OBJECT(X)                                                                                                               \
    X(cl_context, clCreateContext,                                                                                                         \
      (const cl_context_properties *p, cl_uint n, const cl_device_id *d,                                                                   \
       void(CL_CALLBACK * notify)(const char *, const void *, size_t, void *), void *user, cl_int *error),                                 \
      (p, n, d, notify, user, error))                                                                                                      \
    X(cl_command_queue, clCreateCommandQueue, (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int * error),               \
      (c, d, p, error))                                                                                                                    \
    X(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags flags, size_t size, void *host, cl_int *error), (c, flags, size, host, error))   \
    X(cl_mem, clCreateSubBuffer, (cl_mem m, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *error),              \
      (m, flags, type, info, error))                                                                                                       \
    X(cl_program, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **text, const size_t *lengths, cl_int *error),           \
      (c, n, text, lengths, error))                                                                                                        \
    X(cl_program, clCreateProgramWithBinary,                                                                                               \
      (cl_context c, cl_uint n, const cl_device_id *d, const size_t *lengths, const unsigned char **binaries, cl_int *status,              \
       cl_int *error),                                                                                                                     \
      (c, n, d, lengths, binaries, status, error))                                                                                         \
    X(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *error), (p, name, error))                                        \
    X(void *, clEnqueueMapBuffer,                                                                                                          \
      (cl_command_queue q, cl_mem m, cl_bool blocks, cl_map_flags flags, size_t at, size_t size, cl_uint n, const cl_event *wait,          \
       cl_event *event, cl_int *error),                                                                                                    \
      (q, m, blocks, flags, at, size, n, wait, event, error))

#define DEFINE_WITH_CODE(name, parameters, arguments)                                                                                      \
    static cl_int CL_API_CALL layer_##name parameters                                                                                      \
    {                                                                                                                                      \
        return fault_due(FAULT_OPENCL, #name) ? fault_code() : target->name arguments;                                                     \
    }
CALLS_WITH_CODE(DEFINE_WITH_CODE)

#define DEFINE_WITH_OBJECT(type, name, parameters, arguments)                                                                              \
    static type CL_API_CALL layer_##name parameters                                                                                        \
    {                                                                                                                                      \
        if (!fault_due(FAULT_OPENCL, #name))                                                                                               \
            return target->name arguments;                                                                                                 \
        if (error)                                                                                                                         \
            *error = fault_code();                                                                                                         \
        return NULL;                                                                                                                       \
    }
CALLS_WITH_OBJECT(DEFINE_WITH_OBJECT)

LAYER_ENTRY clGetLayerInfo(cl_layer_info what, size_t size, void *out, size_t *used)
{
    return layer_info("clio's fault injection", what, size, out, used);
}

LAYER_ENTRY clInitLayer(cl_uint entries, const cl_icd_dispatch *below, cl_uint *used, const cl_icd_dispatch **out)
{
    if (!layer_begin(entries, below, used, out, &layer, &target))
        return CL_INVALID_VALUE;
#define SET_WITH_CODE(name, parameters, arguments) layer.name = layer_##name;
#define SET_WITH_OBJECT(type, name, parameters, arguments) layer.name = layer_##name;
    CALLS_WITH_CODE(SET_WITH_CODE)
    CALLS_WITH_OBJECT(SET_WITH_OBJECT)
    return CL_SUCCESS;
}
