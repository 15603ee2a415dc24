/* context.c - progress, cancellation and preconditions: what every layer asks of a context. The public functions:
 * host/ops/context_public.c. */
#include "context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARNINGS_AT_MOST 64

void clio_cancel(clio_context *ctx)
{
    if (!ctx)
        return;
    ctx->cancelled = 1;
    selftest_trial_cancel(&ctx->trial);
}

clio_status context_progress(clio_context *ctx, const char *what, double done, double total)
{
    clio_status st = CLIO_OK;
    if (ctx->cancelled || (ctx->progress && ctx->progress(ctx->progress_user, what, done, total)))
        FAIL(ctx, CLIO_ERROR_CANCELLED, "cancelled while %s", what);
fail:
    return st;
}

clio_status context_need_device(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    if (!ctx->is_open)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "no device is open: call clio_device_open first");
fail:
    return st;
}

void context_warn(clio_context *ctx, const char *format, ...)
{
    char text[1024];
    size_t count = ctx->warning_count;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (size_t i = 0; i < count; i++)
        if (strcmp(ctx->warnings[i], text) == 0)
            return;
    char **grown = count < WARNINGS_AT_MOST ? realloc(ctx->warnings, (count + 1) * sizeof *grown) : NULL;
    if (!grown)
        return;
    ctx->warnings = grown;
    if ((grown[count] = malloc(strlen(text) + 1))) {
        strcpy(grown[count], text);
        ctx->warning_count++;
    }
}

const char *clio_warning(const clio_context *ctx, size_t i)
{
    return ctx && i < ctx->warning_count ? ctx->warnings[i] : NULL;
}
