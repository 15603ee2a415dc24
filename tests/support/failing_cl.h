/* failing_cl.h - OpenCL functions that fail when a test wants it. Included by one file of a test program, whose definitions then stand
 * before those of the OpenCL library; they pass on what is not to fail. */
#ifndef CLIO_TEST_FAILING_CL_H
#define CLIO_TEST_FAILING_CL_H

#include "test.h"

#include <dlfcn.h>

static struct {
    const char *call; /* the function that fails, or NULL */
    int at, count;    /* the first call that fails, from 1 on, and how many do */
    cl_int code;
    int seen;               /* calls of it so far */
    void (*instead)(void);  /* called where a call would fail, which then does not */
    cl_device_info query;   /* clGetDeviceInfo fails for this */
    size_t text_length;     /* all texts of platforms and devices have this length and no zero at the end; 0: as they are */
    size_t work_group_size; /* what the device answers; 0: as it is */
} failing;

static inline void fail_call(const char *call, int at, int count, cl_int code)
{
    memset(&failing, 0, sizeof failing);
    failing.call = call;
    failing.at = at;
    failing.count = count;
    failing.code = code;
}

static inline void fail_nothing(void)
{
    memset(&failing, 0, sizeof failing);
}

static cl_int strike(const char *call)
{
    if (!failing.call || strcmp(call, failing.call) != 0 || ++failing.seen < failing.at || failing.seen >= failing.at + failing.count)
        return CL_SUCCESS;
    if (!failing.instead)
        return failing.code;
    failing.instead();
    return CL_SUCCESS;
}

/* The function of the OpenCL library, as the pointer at `out`. */
static void find_real(const char *name, void *out)
{
    static void *library;
    if (!library)
        library = dlopen("libOpenCL.so.1", RTLD_NOW);
    void *f = library ? dlsym(library, name) : NULL;
    if (!f)
        abort();
    memcpy(out, &f, sizeof f);
}

#define PASS_ON(name, parameters, arguments)                                                                                               \
    cl_int name parameters                                                                                                                 \
    {                                                                                                                                      \
        static cl_int(*real) parameters;                                                                                                   \
        cl_int code = strike(#name);                                                                                                       \
        if (!real)                                                                                                                         \
            find_real(#name, &real);                                                                                                       \
        return code ? code : real arguments;                                                                                               \
    }

PASS_ON(clGetPlatformIDs, (cl_uint n, cl_platform_id *ids, cl_uint *found), (n, ids, found))
PASS_ON(clBuildProgram,
        (cl_program program, cl_uint n, const cl_device_id *devices, const char *options, void (*notify)(cl_program, void *), void *user),
        (program, n, devices, options, notify, user))
PASS_ON(clEnqueueReadBuffer,
        (cl_command_queue queue, cl_mem mem, cl_bool wait, size_t offset, size_t size, void *data, cl_uint n, const cl_event *events,
         cl_event *event),
        (queue, mem, wait, offset, size, data, n, events, event))
PASS_ON(clEnqueueNDRangeKernel,
        (cl_command_queue queue, cl_kernel kernel, cl_uint dims, const size_t *offset, const size_t *global, const size_t *local, cl_uint n,
         const cl_event *events, cl_event *event),
        (queue, kernel, dims, offset, global, local, n, events, event))

/* A text of the length asked for, without a zero. */
static cl_int long_text(size_t size, void *value, size_t *needed)
{
    if (needed)
        *needed = failing.text_length;
    if (value && size < failing.text_length)
        return CL_INVALID_VALUE;
    if (value)
        memset(value, 'x', failing.text_length);
    return CL_SUCCESS;
}

cl_int clGetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t size, void *value, size_t *needed)
{
    static cl_int (*real)(cl_platform_id, cl_platform_info, size_t, void *, size_t *);
    if (!real)
        find_real("clGetPlatformInfo", &real);
    cl_int code = strike("clGetPlatformInfo");
    return code ? code : failing.text_length ? long_text(size, value, needed) : real(id, what, size, value, needed);
}

cl_int clGetDeviceInfo(cl_device_id id, cl_device_info what, size_t size, void *value, size_t *needed)
{
    static cl_int (*real)(cl_device_id, cl_device_info, size_t, void *, size_t *);
    bool text = what == CL_DEVICE_NAME || what == CL_DRIVER_VERSION || what == CL_DEVICE_VERSION || what == CL_DEVICE_EXTENSIONS;
    cl_int code = strike("clGetDeviceInfo");
    if (!real)
        find_real("clGetDeviceInfo", &real);
    if (code || what == failing.query)
        return code ? code : CL_INVALID_VALUE;
    if (failing.text_length && text)
        return long_text(size, value, needed);
    code = real(id, what, size, value, needed);
    if (!code && what == CL_DEVICE_MAX_WORK_GROUP_SIZE && failing.work_group_size && value)
        memcpy(value, &failing.work_group_size, sizeof failing.work_group_size);
    return code;
}

#endif
