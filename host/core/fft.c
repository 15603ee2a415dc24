/* fft.c - clFFT behind one call: batched real transforms without normalization, as torch.fft.rfft.
 *
 * clFFT keeps one global state per process. The first context that transforms sets it up and the last one tears it down, because a teardown
 * destroys the plans of all contexts. */
#include "fft.h"
#include "context.h"

#include <clFFT.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLANS_AT_MOST 4

struct fft_plan {
    int n, frames;
    clfftPlanHandle handle;
};
struct fft {
    struct fft_plan plans[PLANS_AT_MOST];
    int count;
    bool is_set_up;
};

static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static int library_users;

static bool library_open(void)
{
    clfftSetupData setup;
    pthread_mutex_lock(&library_lock);
    bool ready = library_users > 0 || (!clfftInitSetupData(&setup) && !clfftSetup(&setup));
    library_users += ready;
    pthread_mutex_unlock(&library_lock);
    return ready;
}

static void library_close(void)
{
    pthread_mutex_lock(&library_lock);
    if (--library_users == 0)
        clfftTeardown();
    pthread_mutex_unlock(&library_lock);
}

/* Give back all that clFFT holds for this context: after a failure its state is not known, and the next transform begins anew. */
static void fft_release(struct fft *fft)
{
    for (int i = 0; i < fft->count; i++)
        clfftDestroyPlan(&fft->plans[i].handle);
    fft->count = 0;
    if (fft->is_set_up)
        library_close();
    fft->is_set_up = false;
}

static clio_status fft_failed(clio_context *ctx, const char *call, int code)
{
    struct fft *fft = ctx->fft;
    clFinish(ctx->queue); /* nothing runs with the plans any more */
    fft_release(fft);
    return clio_fail(ctx, CLIO_ERROR_UNSUPPORTED, __FILE__, __LINE__, "clFFT does not work on %s (%s: %d)", ctx->device.name, call, code);
}

static clio_status make_plan(clio_context *ctx, struct fft_plan *plan)
{
    clio_status st = CLIO_OK;
    size_t length = (size_t)plan->n, step_in[1] = {1}, step_out[1] = {1};
    clfftStatus cs;
    if ((cs = clfftCreateDefaultPlan(&plan->handle, ctx->cl, CLFFT_1D, &length)) != CLFFT_SUCCESS)
        return fft_failed(ctx, "clfftCreateDefaultPlan", (int)cs);
    if ((cs = clfftSetPlanPrecision(plan->handle, CLFFT_SINGLE)) ||
        (cs = clfftSetLayout(plan->handle, CLFFT_REAL, CLFFT_HERMITIAN_INTERLEAVED)) ||
        (cs = clfftSetResultLocation(plan->handle, CLFFT_OUTOFPLACE)) || (cs = clfftSetPlanBatchSize(plan->handle, (size_t)plan->frames)) ||
        (cs = clfftSetPlanInStride(plan->handle, CLFFT_1D, step_in)) || (cs = clfftSetPlanOutStride(plan->handle, CLFFT_1D, step_out)) ||
        (cs = clfftSetPlanDistance(plan->handle, length, length / 2 + 1)) ||
        (cs = clfftBakePlan(plan->handle, 1, &ctx->queue, NULL, NULL))) {
        clfftDestroyPlan(&plan->handle);
        return fft_failed(ctx, "clfftBakePlan", (int)cs);
    }
    return st;
}

static clio_status run_plan(clio_context *ctx, const struct fft_plan *plan, const struct tensor *out, const struct tensor *in)
{
    cl_mem source = in->mem, target = out->mem;
    clfftStatus cs = clfftEnqueueTransform(plan->handle, CLFFT_FORWARD, 1, &ctx->queue, 0, NULL, NULL, &source, &target, NULL);
    return cs == CLFFT_SUCCESS ? CLIO_OK : fft_failed(ctx, "clfftEnqueueTransform", (int)cs);
}

static const struct fft_plan *find_plan(const struct fft *fft, int n, int frames)
{
    for (int i = 0; i < fft->count; i++)
        if (fft->plans[i].n == n && fft->plans[i].frames == frames)
            return &fft->plans[i];
    return NULL;
}

static clio_status add_plan(clio_context *ctx, struct fft *fft, int n, int frames, const struct fft_plan **out)
{
    clio_status st = CLIO_OK;
    struct fft_plan *plan = &fft->plans[fft->count];
    if (fft->count == PLANS_AT_MOST) { /* make place: release the oldest, when nothing runs with it any more */
        TRY(launch_wait(ctx));
        clfftDestroyPlan(&fft->plans[0].handle);
        fft->count--;
        memmove(fft->plans, fft->plans + 1, (size_t)fft->count * sizeof *fft->plans);
        plan = &fft->plans[fft->count];
    }
    *plan = (struct fft_plan){.n = n, .frames = frames};
    TRY(make_plan(ctx, plan));
    fft->count++;
    *out = plan;
fail:
    return st;
}

clio_status fft_real(clio_context *ctx, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    struct fft *fft = ctx->fft;
    const struct fft_plan *plan;
    if (ctx->planning)
        return CLIO_OK;
    if (!fft) {
        TRY(mem_alloc(ctx, &fft, 1, sizeof *fft));
        ctx->fft = fft;
    }
    fft->is_set_up = fft->is_set_up || library_open();
    if (!fft->is_set_up)
        return fft_failed(ctx, "clfftSetup", 0);
    plan = find_plan(fft, in->dim[1], in->dim[0]);
    if (!plan)
        TRY(add_plan(ctx, fft, in->dim[1], in->dim[0], &plan));
    TRY(run_plan(ctx, plan, out, in));
fail:
    return st;
}

void fft_close(clio_context *ctx)
{
    struct fft *fft = ctx->fft;
    if (!fft)
        return;
    fft_release(fft);
    free(fft);
    ctx->fft = NULL;
}
