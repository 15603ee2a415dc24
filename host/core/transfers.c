/* transfers.c - see transfers.h. */
#include "context.h"

#include <stdio.h>
#include <string.h>

static struct transfer *row_of(struct transfers *t, const char *verb, const char *what)
{
    char name[sizeof t->rows->name];
    snprintf(name, sizeof name, "%s %s", verb, what);
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->rows[i].name, name) == 0)
            return &t->rows[i];
    if (t->count == TRANSFER_ROWS)
        return &t->rows[TRANSFER_ROWS - 1];
    struct transfer *row = &t->rows[t->count++];
    *row = (struct transfer){.calls = 0};
    snprintf(row->name, sizeof row->name, "%s", t->count == TRANSFER_ROWS ? "other transfers" : name);
    return row;
}

void transfer_add(clio_context *ctx, const char *verb, const struct tensor *t, size_t bytes, cl_event event)
{
    struct transfer *row = row_of(&ctx->transfers, verb, t->what ? t->what : dtype_name(t->dtype));
    cl_ulong start = 0, end = 0;
    row->calls++;
    row->bytes += bytes;
    if (clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) == CL_SUCCESS &&
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) == CL_SUCCESS)
        row->seconds += (double)(end - start) * 1e-9;
    clReleaseEvent(event);
}
