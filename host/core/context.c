/* context.c - progress, notices, cancellation and preconditions: what every layer asks of a context. The public functions:
 * host/ops/context_public.c. */
#include "context.h"

#include <stdarg.h>
#include <stdio.h>

void clio_cancel(clio_context *ctx)
{
    if (ctx)
        ctx->cancelled = 1;
}

clio_status context_progress(clio_context *ctx, const char *what, double done, double total)
{
    clio_status st = CLIO_OK;
    if (ctx->cancelled || (ctx->progress && ctx->progress(ctx->progress_user, what, done, total)))
        FAIL(ctx, CLIO_ERROR_CANCELLED, "cancelled while %s", what);
fail:
    return st;
}

void context_notice(clio_context *ctx, const char *format, ...)
{
    char text[sizeof ctx->status.sentence];
    va_list list;
    if (!ctx->notice)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    ctx->notice(ctx->notice_user, text);
}

clio_status context_need_device(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    if (!ctx->is_open)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "no device is open: call clio_device_open first");
fail:
    return st;
}
