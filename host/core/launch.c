/* launch.c - enqueue kernels, and collect their times for the profile. Without the profile, no events are created. */
#include "context.h"

#include <stdio.h>
#include <stdlib.h>

#define PENDING_AT_MOST 256

static clio_status set_arguments(clio_context *ctx, struct kernel *k, const struct arg *args, size_t count)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < count; i++) {
        cl_int cle = clSetKernelArg(k->id, (cl_uint)i, args[i].size, args[i].value);
        if (cle != CL_SUCCESS) {
            st = clio_fail_cl(ctx, cle, __FILE__, __LINE__, "clSetKernelArg");
            clio_fail_add(ctx, "kernel %s, argument %zu of %zu bytes", k->name, i, args[i].size);
            goto fail;
        }
    }
fail:
    return st;
}

static bool is_lost_code(cl_int cle)
{
    return cle == CL_DEVICE_NOT_AVAILABLE || cle == CL_INVALID_COMMAND_QUEUE || cle == CL_INVALID_CONTEXT || cle == CL_OUT_OF_RESOURCES;
}

clio_status launch(clio_context *ctx, struct kernel *k, struct grid grid, struct cost cost, const struct arg *args, size_t count)
{
    clio_status st = CLIO_OK;
    struct launches *l = &ctx->launches;
    cl_event event = NULL;
    if (ctx->planning)
        return CLIO_OK;
    if (ctx->cancelled && !ctx->whole_steps)
        FAIL(ctx, CLIO_ERROR_CANCELLED, "cancelled");
    if (ctx->is_lost)
        FAIL(ctx, CLIO_ERROR_DEVICE, "%s was lost during an earlier call: close this context and open the device again", ctx->device.name);
    for (int i = 0; i < grid.dims; i++) {
        if (grid.global[i] == 0) /* an empty tensor: nothing to do */
            return CLIO_OK;
        grid.global[i] = ROUND_UP(grid.global[i], grid.local[i]);
    }
    TRY(set_arguments(ctx, k, args, count));
    if (ctx->profile)
        TRY(mem_grow(ctx, &l->pending, l->count, &l->capacity, sizeof *l->pending));
    cl_int cle =
        clEnqueueNDRangeKernel(ctx->queue, k->id, (cl_uint)grid.dims, NULL, grid.global, grid.local, 0, NULL, ctx->profile ? &event : NULL);
    if (cle != CL_SUCCESS) {
        st = clio_fail_cl(ctx, cle, __FILE__, __LINE__, "clEnqueueNDRangeKernel");
        clio_fail_add(ctx, "kernel %s, global %zu %zu %zu, local %zu %zu %zu", k->name, grid.global[0], grid.global[1], grid.global[2],
                      grid.local[0], grid.local[1], grid.local[2]);
        ctx->is_lost = is_lost_code(cle);
        goto fail;
    }
    if (ctx->profile) {
        k->calls++;
        k->flops += cost.flops;
        k->bytes += cost.bytes;
        l->pending[l->count++] = (struct launch_event){event, k};
        if (l->count >= PENDING_AT_MOST)
            TRY(launch_collect(ctx, false));
    }
fail:
    return st;
}

clio_status launch_collect(clio_context *ctx, bool wait)
{
    clio_status st = CLIO_OK;
    struct launches *l = &ctx->launches;
    size_t done = 0;
    if (!ctx->profile)
        return CLIO_OK;
    for (; done < l->count; done++) {
        struct launch_event *e = &l->pending[done];
        cl_int state = CL_QUEUED;
        cl_ulong start = 0, end = 0;
        if (wait)
            CL_TRY(ctx, clWaitForEvents, (1, &e->event));
        CL_TRY(ctx, clGetEventInfo, (e->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL));
        if (state > CL_COMPLETE)
            break;
        if (state == CL_COMPLETE &&
            clGetEventProfilingInfo(e->event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) == CL_SUCCESS &&
            clGetEventProfilingInfo(e->event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) == CL_SUCCESS)
            e->kernel->seconds += (double)(end - start) * 1e-9;
        clReleaseEvent(e->event);
    }
fail: /* also then the events in front are released, and must not be twice */
    for (size_t i = done; i < l->count; i++)
        l->pending[i - done] = l->pending[i];
    l->count -= done;
    return st;
}

clio_status launch_wait(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    if (ctx->planning)
        return CLIO_OK;
    CL_TRY(ctx, clFinish, (ctx->queue));
    TRY(launch_collect(ctx, true));
fail:
    return st;
}
