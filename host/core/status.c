/* status.c - creates all error codes and their messages. */
#include "context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *file_in_project(const char *file)
{
    static const char *const folders[] = {"host/", "audio/", "models/", "cli/", "tests/", "bench/"};
    for (size_t i = 0; i < COUNT(folders); i++) {
        const char *found = strstr(file, folders[i]);
        if (found)
            return found;
    }
    return file;
}

/* The last failure in this thread of a call that had no context: what it was given instead was NULL. */
static _Thread_local struct status_text without_context;

static struct status_text *text_of(clio_context *ctx)
{
    return ctx ? &ctx->status : &without_context;
}

clio_status clio_fail(clio_context *ctx, clio_status code, const char *file, int line, const char *format, ...)
{
    struct status_text *text = text_of(ctx);
    va_list list;
    va_start(list, format);
    vsnprintf(text->sentence, sizeof text->sentence, format, list);
    va_end(list);
    snprintf(text->detail, sizeof text->detail, "%s:%d: %s", file_in_project(file), line, clio_status_name(code));
    if (ctx && ctx->is_open)
        clio_fail_add(ctx, "device %s, driver %s", ctx->device.name, ctx->device.driver);
    return code;
}

static bool is_memory_code(cl_int cle)
{
    return cle == CL_MEM_OBJECT_ALLOCATION_FAILURE || cle == CL_OUT_OF_RESOURCES || cle == CL_OUT_OF_HOST_MEMORY ||
           cle == CL_INVALID_BUFFER_SIZE;
}

clio_status clio_fail_cl(clio_context *ctx, cl_int cle, const char *file, int line, const char *call)
{
    clio_status st = is_memory_code(cle) ? CLIO_ERROR_MEMORY : CLIO_ERROR_DEVICE;
    const char *device = ctx->is_open ? ctx->device.name : "the OpenCL device";
    if (st == CLIO_ERROR_MEMORY)
        clio_fail(ctx, st, file, line,
                  "%s is out of memory or resources (%s from %s): close other programs that use it, or choose another device", device,
                  cl_error_name(cle), call);
    else
        clio_fail(ctx, st, file, line, "%s failed in %s: %s; update its driver, or choose another device", device, call,
                  cl_error_name(cle));
    return st;
}

void clio_fail_add(clio_context *ctx, const char *format, ...)
{
    struct status_text *text = text_of(ctx);
    size_t used = strlen(text->detail);
    va_list list;
    used += (size_t)snprintf(text->detail + used, sizeof text->detail - used, "; ");
    if (used >= sizeof text->detail)
        return;
    va_start(list, format);
    vsnprintf(text->detail + used, sizeof text->detail - used, format, list);
    va_end(list);
}

const char *clio_error(const clio_context *ctx)
{
    return ctx ? ctx->status.sentence : without_context.sentence;
}

const char *clio_error_detail(const clio_context *ctx)
{
    return ctx ? ctx->status.detail : without_context.detail;
}

const char *clio_status_name(clio_status status)
{
    static const char *const names[] = {"ok",           "wrong argument", "file error", "format error",   "unsupported", "memory",
                                        "device error", "build failed",   "cancelled",  "internal error", "not finite"};
    return (size_t)status < COUNT(names) ? names[status] : "unknown status";
}

const char *cl_error_name(cl_int cle)
{
    static const struct {
        cl_int code;
        const char *name;
    } table[] = {
#define NAME(x) {x, #x}
        NAME(CL_SUCCESS),
        NAME(CL_DEVICE_NOT_FOUND),
        NAME(CL_DEVICE_NOT_AVAILABLE),
        NAME(CL_COMPILER_NOT_AVAILABLE),
        NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE),
        NAME(CL_OUT_OF_RESOURCES),
        NAME(CL_OUT_OF_HOST_MEMORY),
        NAME(CL_PROFILING_INFO_NOT_AVAILABLE),
        NAME(CL_MEM_COPY_OVERLAP),
        NAME(CL_BUILD_PROGRAM_FAILURE),
        NAME(CL_MAP_FAILURE),
        NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET),
        NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
        NAME(CL_INVALID_VALUE),
        NAME(CL_INVALID_PLATFORM),
        NAME(CL_INVALID_DEVICE),
        NAME(CL_INVALID_CONTEXT),
        NAME(CL_INVALID_QUEUE_PROPERTIES),
        NAME(CL_INVALID_COMMAND_QUEUE),
        NAME(CL_INVALID_MEM_OBJECT),
        NAME(CL_INVALID_BINARY),
        NAME(CL_INVALID_BUILD_OPTIONS),
        NAME(CL_INVALID_PROGRAM),
        NAME(CL_INVALID_PROGRAM_EXECUTABLE),
        NAME(CL_INVALID_KERNEL_NAME),
        NAME(CL_INVALID_KERNEL),
        NAME(CL_INVALID_ARG_INDEX),
        NAME(CL_INVALID_ARG_VALUE),
        NAME(CL_INVALID_ARG_SIZE),
        NAME(CL_INVALID_KERNEL_ARGS),
        NAME(CL_INVALID_WORK_DIMENSION),
        NAME(CL_INVALID_WORK_GROUP_SIZE),
        NAME(CL_INVALID_WORK_ITEM_SIZE),
        NAME(CL_INVALID_GLOBAL_OFFSET),
        NAME(CL_INVALID_EVENT_WAIT_LIST),
        NAME(CL_INVALID_EVENT),
        NAME(CL_INVALID_OPERATION),
        NAME(CL_INVALID_BUFFER_SIZE),
        NAME(CL_INVALID_GLOBAL_WORK_SIZE),
        NAME(CL_INVALID_PROPERTY),
#undef NAME
        {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        if (table[i].code == cle)
            return table[i].name;
    return "an OpenCL error without a name";
}
