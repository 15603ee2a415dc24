/* simulate_newer_calls.c - a device of OpenCL 1.2 has no calls of 2.0 to 3.0: each returns CL_INVALID_OPERATION, or no object. */
#include "simulate_private.h"

/* X(name, parameters) */
#define CALLS_WITH_CODE(X)                                                                                                                 \
    X(clGetPipeInfo, (cl_mem m, cl_pipe_info what, size_t size, void *out, size_t *used))                                                  \
    X(clSetKernelArgSVMPointer, (cl_kernel k, cl_uint i, const void *value))                                                               \
    X(clSetKernelExecInfo, (cl_kernel k, cl_kernel_exec_info what, size_t size, const void *value))                                        \
    X(clGetKernelSubGroupInfo,                                                                                                             \
      (cl_kernel k, cl_device_id d, cl_kernel_sub_group_info what, size_t given, const void *in, size_t size, void *out, size_t *used))    \
    X(clGetDeviceAndHostTimer, (cl_device_id d, cl_ulong * of_device, cl_ulong * of_host))                                                 \
    X(clGetHostTimer, (cl_device_id d, cl_ulong * of_host))                                                                                \
    X(clSetDefaultDeviceCommandQueue, (cl_context c, cl_device_id d, cl_command_queue q))                                                  \
    X(clEnqueueSVMMap,                                                                                                                     \
      (cl_command_queue q, cl_bool blocks, cl_map_flags flags, void *p, size_t size, cl_uint n, const cl_event *wait, cl_event *event))    \
    X(clEnqueueSVMUnmap, (cl_command_queue q, void *p, cl_uint n, const cl_event *wait, cl_event *event))

/* X(type, name, parameters): the last one is `error` */
#define CALLS_WITH_OBJECT(X)                                                                                                               \
    X(cl_command_queue, clCreateCommandQueueWithProperties,                                                                                \
      (cl_context c, cl_device_id d, const cl_queue_properties *list, cl_int *error))                                                      \
    X(cl_mem, clCreatePipe,                                                                                                                \
      (cl_context c, cl_mem_flags flags, cl_uint size, cl_uint count, const cl_pipe_properties *list, cl_int *error))                      \
    X(cl_sampler, clCreateSamplerWithProperties, (cl_context c, const cl_sampler_properties *list, cl_int *error))                         \
    X(cl_program, clCreateProgramWithIL, (cl_context c, const void *code, size_t size, cl_int *error))                                     \
    X(cl_kernel, clCloneKernel, (cl_kernel k, cl_int * error))                                                                             \
    X(cl_mem, clCreateBufferWithProperties,                                                                                                \
      (cl_context c, const cl_mem_properties *list, cl_mem_flags flags, size_t size, void *host, cl_int *error))

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#define DEFINE_WITH_CODE(name, parameters)                                                                                                 \
    static cl_int CL_API_CALL refuse_##name parameters                                                                                     \
    {                                                                                                                                      \
        return CL_INVALID_OPERATION;                                                                                                       \
    }
CALLS_WITH_CODE(DEFINE_WITH_CODE)

#define DEFINE_WITH_OBJECT(type, name, parameters)                                                                                         \
    static type CL_API_CALL refuse_##name parameters                                                                                       \
    {                                                                                                                                      \
        if (error)                                                                                                                         \
            *error = CL_INVALID_OPERATION;                                                                                                 \
        return NULL;                                                                                                                       \
    }
CALLS_WITH_OBJECT(DEFINE_WITH_OBJECT)

static void *CL_API_CALL refuse_clSVMAlloc(cl_context c, cl_svm_mem_flags flags, size_t size, cl_uint alignment)
{
    return NULL;
}

void simulate_newer_calls(cl_icd_dispatch *table)
{
#define SET_WITH_CODE(name, parameters) table->name = refuse_##name;
#define SET_WITH_OBJECT(type, name, parameters) table->name = refuse_##name;
    CALLS_WITH_CODE(SET_WITH_CODE)
    CALLS_WITH_OBJECT(SET_WITH_OBJECT)
    table->clSVMAlloc = refuse_clSVMAlloc;
}
