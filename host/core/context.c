/* context.c - progress, notices, cancellation and preconditions: what every layer asks of a context. The public functions:
 * host/ops/context_public.c. */
#include "context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTICES_AT_MOST 64

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

void context_notice_once(clio_context *ctx, const char *format, ...)
{
    char text[sizeof ctx->status.sentence];
    size_t count = ctx->notice_count;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (size_t i = 0; i < count; i++)
        if (strcmp(ctx->notices[i], text) == 0)
            return;
    char **grown = count < NOTICES_AT_MOST ? realloc(ctx->notices, (count + 1) * sizeof *grown) : NULL;
    if (grown) {
        ctx->notices = grown;
        size_t size = strlen(text) + 1;
        if ((grown[count] = malloc(size))) {
            memcpy(grown[count], text, size);
            ctx->notice_count++;
        }
    }
    context_notice(ctx, "%s", text);
}
