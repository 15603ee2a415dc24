/* selftest.c - see selftest.h. Self-tests call the operations' own functions; the arguments, and parameter rows appended for the duration
 * of the test, make them choose the variant under test. Shapes: odd, and one more than a tile where that is small. */
#include "families.h"
#include "selftest_private.h"
#include "tape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-4 /* of the largest value: f32 sums in any order stay far below, fp16 arithmetic does not */
#define GUARD_WORDS 64
#define GUARD 0x7fc0beefu /* a NaN: an element that the kernel does not write is found as well */

/* ---- workspace ---- */

void workspace_free(clio_context *ctx, struct workspace *ws)
{
    arena_free(ctx, &ws->arena);
    for (int i = 0; i < ws->tensor_count; i++)
        tensor_free(ctx, &ws->tensors[i]);
    for (int i = 0; i < ws->array_count; i++)
        free(ws->arrays[i]);
}

float *workspace_floats(struct workspace *ws, size_t count, enum dtype dtype)
{
    uint32_t s = 2463534242u + 7919u * (uint32_t)ws->array_count;
    float *x = malloc((count + 1) * sizeof *x);
    for (size_t i = 0; x && i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
        x[i] = dtype_nearest(dtype, x[i]);
        if (dtype == DTYPE_Q8) /* the largest value of each block is known */
            x[i] = i % 16 ? rintf(127 * x[i]) / 128 : 127 / 128.0f;
    }
    return ws->arrays[ws->array_count++] = x;
}

clio_status workspace_place(clio_context *ctx, struct workspace *ws, struct tensor **out, struct tensor shape, const void *data)
{
    clio_status st = CLIO_OK;
    struct tensor *t = *out = &ws->tensors[ws->tensor_count++];
    size_t bytes = tensor_count(&shape) * dtype_size(shape.dtype), words = (bytes + 3) / 4 + GUARD_WORDS;
    uint32_t *guards = NULL;
    *t = shape;
    TRY(mem_alloc(ctx, &guards, words, 4));
    for (size_t i = 0; i < words; i++)
        guards[i] = GUARD;
    TRY(pool_get(ctx, &t->mem, words * 4, "a kernel self-test"));
    CL_TRY(ctx, clEnqueueWriteBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, guards, 0, NULL, NULL));
    if (data)
        TRY(tensor_write(ctx, t, 0, tensor_count(t), data));
fail:
    free(guards);
    return st;
}

clio_status workspace_fetch(clio_context *ctx, struct workspace *ws, const struct tensor *t, float **out)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t), words = count * dtype_size(t->dtype) / 4 + GUARD_WORDS;
    uint32_t *x = NULL;
    TRY(mem_alloc(ctx, &x, words, 4));
    ws->arrays[ws->array_count++] = x;
    CL_TRY(ctx, clEnqueueReadBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, x, 0, NULL, NULL));
    for (size_t i = count; i < words; i++)
        if (x[i] != GUARD)
            snprintf(ws->wrong, sizeof ws->wrong, "writes past the end of its output");
    *out = (float *)x;
fail:
    return st;
}

void workspace_compare(struct workspace *ws, const float *x, const float *want, size_t count)
{
    double greatest = 1e-3, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double e = isfinite(x[i]) ? fabs((double)x[i] - (double)want[i]) : INFINITY;
        greatest = fmax(greatest, fabs((double)want[i]));
        worst = fmax(worst, e);
    }
    if (isinf(worst))
        snprintf(ws->wrong, sizeof ws->wrong, "wrong result (not a number)");
    else if (worst > (ws->tolerance > 0 ? ws->tolerance : TOLERANCE) * greatest)
        snprintf(ws->wrong, sizeof ws->wrong, "wrong result (error %.2g of %.2g)", worst, greatest);
}

/* ---- running one ---- */

/* After a refused launch the queue still works, unless the device is lost. */
static bool is_alive(clio_context *ctx)
{
    bool alive = clFinish(ctx->queue) == CL_SUCCESS;
    ctx->is_lost = ctx->is_lost && !alive;
    return alive;
}

/* "cannot run (CL_INVALID_WORK_GROUP_SIZE)": from the message that the failed call left */
static void describe_failure(clio_context *ctx, clio_status st, char reason[200])
{
    const char *code = strstr(ctx->status.sentence, "CL_");
    int length = code ? (int)strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") : 0;
    if (st == CLIO_ERROR_BUILD || !code)
        snprintf(reason, 200, "%.190s", st == CLIO_ERROR_BUILD ? "does not compile" : ctx->status.sentence);
    else
        snprintf(reason, 200, "cannot run (%.*s)", length, code);
}

/* Run the self-test; *reason stays empty if the variant passes. Failures that are not the variant's own are returned. */
static clio_status perform(clio_context *ctx, const struct selftest *test, char reason[200])
{
    clio_status st = CLIO_OK;
    const struct kernel_family *family = kernel_family_find(test->family);
    struct status_text before = ctx->status;
    size_t rows = ctx->params.count;
    bool planning = ctx->planning, profile = ctx->profile;
    struct tape *tape = tape_pause(ctx);
    struct workspace ws = {0};
    *reason = 0;
    ctx->planning = ctx->profile = false;
    ctx->selftests.bypassed = true;
    for (size_t i = 0; i < COUNT(test->params); i++)
        if (test->params[i].key)
            TRY(params_add(ctx, "any", test->params[i].key, test->params[i].value));
    if (!family)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s is not a kernel family", test->family);
    st = family->selftest(ctx, test, &ws);
    /* launch() reports a lost device if it lacks resources for a kernel: here that is a fault of the kernel, not a lack of memory. */
    bool refused = st == CLIO_ERROR_DEVICE || (st == CLIO_ERROR_MEMORY && ctx->is_lost);
    if (st == CLIO_ERROR_BUILD || st == CLIO_ERROR_UNSUPPORTED || (refused && is_alive(ctx))) {
        describe_failure(ctx, st, reason);
        ctx->status = before;
        st = CLIO_OK;
    } else if (!st)
        snprintf(reason, 200, "%s", ws.wrong);
fail:
    workspace_free(ctx, &ws);
    ctx->params.count = rows;
    ctx->selftests.bypassed = false;
    ctx->planning = planning;
    ctx->profile = profile;
    tape_resume(ctx, tape);
    return st;
}

clio_status selftest_passes(clio_context *ctx, const struct selftest *test, bool *passes)
{
    clio_status st = CLIO_OK;
    const struct selftest_result *known;
    char reason[200];
    *passes = true;
    if (ctx->selftests.bypassed)
        return CLIO_OK;
    known = selftest_result_find(ctx, test->family, test->variant);
    if (!known) {
        TRY(perform(ctx, test, reason));
        TRY(selftest_result_add(ctx, test->family, test->variant, reason));
        *passes = !*reason;
    } else
        *passes = !*known->reason;
fail:
    return st;
}
