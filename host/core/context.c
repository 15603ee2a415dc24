/* context.c - progress, cancellation and preconditions: what every layer asks of a context. The public functions:
 * host/ops/context_public.c. */
#include "context.h"

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

clio_status context_need_device(clio_context *ctx)
{
    clio_status st = CLIO_OK;
    if (!ctx->is_open)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "no device is open: call clio_device_open first");
fail:
    return st;
}
