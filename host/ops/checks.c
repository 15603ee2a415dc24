/* checks.c - see checks.h. The operations are run through their own functions; what they choose is settled by the arguments and by
 * parameter rows that are appended for the time of the check. Shapes: odd, and one more than a tile where that is small. */
#include "checks_private.h"
#include "tape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-4 /* of the greatest number: f32 sums of any order stay far below, half arithmetic does not */
#define CANARIES 64
#define CANARY 0x7fc0beefu /* a NaN: what is not written is seen as well */

/* ---- room ---- */

void room_free(clio_context *ctx, struct room *r)
{
    arena_free(ctx, &r->arena);
    for (int i = 0; i < r->tensor_count; i++)
        tensor_free(ctx, &r->tensors[i]);
    for (int i = 0; i < r->array_count; i++)
        free(r->arrays[i]);
}

float *room_floats(struct room *r, size_t count, enum dtype dtype)
{
    uint32_t s = 2463534242u + 7919u * (uint32_t)r->array_count;
    float *x = malloc((count + 1) * sizeof *x);
    for (size_t i = 0; x && i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
        x[i] = dtype_nearest(dtype, x[i]);
        if (dtype == DTYPE_Q8) /* with a greatest number in each row of 16 and more */
            x[i] = i % 16 ? rintf(127 * x[i]) / 128 : 127 / 128.0f;
    }
    return r->arrays[r->array_count++] = x;
}

clio_status room_place(clio_context *ctx, struct room *r, struct tensor **out, struct tensor shape, const void *data)
{
    clio_status st = CLIO_OK;
    struct tensor *t = *out = &r->tensors[r->tensor_count++];
    size_t bytes = tensor_count(&shape) * dtype_size(shape.dtype), words = (bytes + 3) / 4 + CANARIES;
    uint32_t *canaries = NULL;
    *t = shape;
    TRY(mem_alloc(ctx, &canaries, words, 4));
    for (size_t i = 0; i < words; i++)
        canaries[i] = CANARY;
    TRY(pool_get(ctx, &t->mem, words * 4, "the check of a kernel"));
    CL_TRY(ctx, clEnqueueWriteBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, canaries, 0, NULL, NULL));
    if (data)
        TRY(tensor_write(ctx, t, 0, tensor_count(t), data));
fail:
    free(canaries);
    return st;
}

clio_status room_fetch(clio_context *ctx, struct room *r, const struct tensor *t, float **out)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t), words = count * dtype_size(t->dtype) / 4 + CANARIES;
    uint32_t *x = NULL;
    TRY(mem_alloc(ctx, &x, words, 4));
    r->arrays[r->array_count++] = x;
    CL_TRY(ctx, clEnqueueReadBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, x, 0, NULL, NULL));
    for (size_t i = count; i < words; i++)
        if (x[i] != CANARY)
            snprintf(r->wrong, sizeof r->wrong, "writes past the end of its result");
    *out = (float *)x;
fail:
    return st;
}

void room_compare(struct room *r, const float *x, const float *want, size_t count)
{
    double greatest = 1e-3, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double e = isfinite(x[i]) ? fabs((double)x[i] - (double)want[i]) : INFINITY;
        greatest = fmax(greatest, fabs((double)want[i]));
        worst = fmax(worst, e);
    }
    if (isinf(worst))
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (with what is no number)");
    else if (worst > (r->tolerance > 0 ? r->tolerance : TOLERANCE) * greatest)
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (error %.2g of %.2g)", worst, greatest);
}

/* ---- all of them ---- */

static const struct {
    const char *family; /* what the path begins with */
    clio_status (*run)(clio_context *, const struct check *, struct room *);
} families[] = {
    {"gemm.", check_product}, {"conv.", check_conv},     {"attention.", check_attention},   {"norm.", check_norm},
    {"softmax.", check_rows}, {"logits.", check_logits}, {"transposed.", check_transposed}, {"weights.", check_weights},
};

/* A kernel that is refused when it is launched leaves a queue that still works; otherwise the device is gone. */
static bool is_alive(clio_context *ctx)
{
    bool alive = clFinish(ctx->queue) == CL_SUCCESS;
    ctx->is_lost = ctx->is_lost && !alive;
    return alive;
}

/* "cannot run (CL_INVALID_WORK_GROUP_SIZE)", of the sentence that the failed call left */
static void describe_failure(clio_context *ctx, clio_status st, char reason[200])
{
    const char *code = strstr(ctx->status.sentence, "CL_");
    int length = code ? (int)strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") : 0;
    if (st == CLIO_ERROR_BUILD || !code)
        snprintf(reason, 200, "%.190s", st == CLIO_ERROR_BUILD ? "does not compile" : ctx->status.sentence);
    else
        snprintf(reason, 200, "cannot run (%.*s)", length, code);
}

/* Run the check; *reason stays empty when the path answers rightly. Other failures than the path's own are failures of the caller. */
static clio_status perform(clio_context *ctx, const struct check *c, char reason[200])
{
    clio_status st = CLIO_OK;
    clio_status (*run)(clio_context *, const struct check *, struct room *) = NULL;
    struct status_text before = ctx->status;
    size_t rows = ctx->params.count;
    bool planning = ctx->planning, profile = ctx->profile;
    struct tape *tape = tape_pause(ctx);
    struct room room = {0};
    *reason = 0;
    ctx->planning = ctx->profile = false;
    ctx->verdicts.trusting = true;
    for (size_t i = 0; i < COUNT(c->force); i++)
        if (c->force[i].key)
            TRY(params_add(ctx, "any", c->force[i].key, c->force[i].value));
    for (size_t i = 0; i < COUNT(families); i++)
        if (strncmp(c->path, families[i].family, strlen(families[i].family)) == 0)
            run = families[i].run;
    if (!run)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "there is no check of %s", c->path);
    st = run(ctx, c, &room);
    /* launch() calls the device lost where it lacks resources for a kernel: that is no want of memory. */
    bool refused = st == CLIO_ERROR_DEVICE || (st == CLIO_ERROR_MEMORY && ctx->is_lost);
    if (st == CLIO_ERROR_BUILD || st == CLIO_ERROR_UNSUPPORTED || (refused && is_alive(ctx))) {
        describe_failure(ctx, st, reason);
        ctx->status = before;
        st = CLIO_OK;
    } else if (!st)
        snprintf(reason, 200, "%s", room.wrong);
fail:
    room_free(ctx, &room);
    ctx->params.count = rows;
    ctx->verdicts.trusting = false;
    ctx->planning = planning;
    ctx->profile = profile;
    tape_resume(ctx, tape);
    return st;
}

clio_status check_path(clio_context *ctx, const struct check *c, bool *works)
{
    clio_status st = CLIO_OK;
    const struct verdict *v;
    char reason[200];
    *works = true;
    if (ctx->verdicts.trusting)
        return CLIO_OK;
    v = verdict_find(ctx, c->path, c->variant);
    if (!v) {
        TRY(perform(ctx, c, reason));
        TRY(verdict_add(ctx, c->path, c->variant, reason));
        *works = !*reason;
    } else
        *works = !*v->reason;
fail:
    return st;
}

clio_status check_none_left(clio_context *ctx, const char *what)
{
    const char *disabled = getenv("CLIO_DISABLE");
    return clio_fail(ctx, CLIO_ERROR_DEVICE, __FILE__, __LINE__,
                     "nothing that %s is usable on %s (clio_device_selftests says why): %supdate its driver, or choose another device",
                     what, ctx->device.name, disabled && *disabled ? "unset CLIO_DISABLE, " : "");
}
