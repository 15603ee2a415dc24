/* fft.c - clFFT behind one call: batched real transforms, unnormalised, as torch.fft.rfft gives them.
 *
 * clFFT keeps one global state per process: it is set up by the first context that transforms, and torn down with the last, because a
 * teardown takes the plans of all. A length is compared with a plain DFT on the host before it is trusted on a
 * device and driver (core/selftest_results.h): the library is unmaintained and has answered wrongly on some drivers. */
#include "fft.h"
#include "context.h"

#include <clFFT.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PLANS_AT_MOST 4

struct fft_plan {
    int n, frames;
    clfftPlanHandle handle;
};
struct fft {
    struct fft_plan plans[PLANS_AT_MOST];
    int count;
    bool refused; /* failed: not asked again by this context */
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

static clio_status fft_failed(clio_context *ctx, const char *call, int code)
{
    struct fft *fft = ctx->fft;
    fft->refused = true;
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

/* One frame beside a plain DFT in double: the worst difference as a share of the frame's sum. */
static clio_status compare_frame(clio_context *ctx, const struct tensor *out, const float *x, size_t n, size_t frame, double *error)
{
    clio_status st = CLIO_OK;
    size_t bins = n / 2 + 1;
    float *y = NULL;
    double sum = 0, worst = 0;
    TRY(mem_alloc(ctx, &y, 2 * bins, sizeof *y));
    TRY(tensor_read(ctx, out, frame * 2 * bins, 2 * bins, y));
    for (size_t j = 0; j < n; j++)
        sum += fabs((double)x[j]);
    for (size_t k = 0; k < bins; k++) {
        double re = 0, im = 0;
        for (size_t j = 0; j < n; j++) {
            double angle = -2 * 3.14159265358979323846 * (double)(j * k % n) / (double)n;
            re += (double)x[j] * cos(angle);
            im += (double)x[j] * sin(angle);
        }
        double e = hypot(re - (double)y[2 * k], im - (double)y[2 * k + 1]);
        worst = isnan(e) ? INFINITY : fmax(worst, e);
    }
    *error = worst / sum;
fail:
    free(y);
    return st;
}

/* The first and the last frame of a transform of noise; *reason stays empty when they are right. */
static clio_status check_plan(clio_context *ctx, const struct fft_plan *plan, char reason[96])
{
    clio_status st = CLIO_OK;
    size_t n = (size_t)plan->n, count = n * (size_t)plan->frames, frames[] = {0, (size_t)plan->frames - 1};
    struct tensor in = tensor_shape(DTYPE_F32, 2, plan->frames, plan->n, 0, 0);
    struct tensor out = tensor_shape(DTYPE_F32, 3, plan->frames, plan->n / 2 + 1, 2, 0);
    float *x = NULL;
    uint32_t s = 2463534242u;
    *reason = 0;
    TRY(mem_alloc(ctx, &x, count, sizeof *x));
    for (size_t i = 0; i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
    }
    TRY(tensor_new(ctx, &in, "the check of clFFT"));
    TRY(tensor_new(ctx, &out, "the check of clFFT"));
    TRY(tensor_write(ctx, &in, 0, count, x));
    TRY(tensor_zero(ctx, &out));
    TRY(run_plan(ctx, plan, &out, &in));
    for (size_t i = 0; i < COUNT(frames); i++) {
        double error;
        TRY(compare_frame(ctx, &out, x + frames[i] * n, n, frames[i], &error));
        if (error > 1e-5)
            snprintf(reason, 96, "answers wrongly (error %.2g)", error);
    }
fail:
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    free(x);
    return st;
}

static const struct fft_plan *find_plan(const struct fft *fft, int n, int frames)
{
    for (int i = 0; i < fft->count; i++)
        if (fft->plans[i].n == n && fft->plans[i].frames == frames)
            return &fft->plans[i];
    return NULL;
}

/* A plan for a length that is known, or here found, to be transformed rightly. */
static clio_status add_plan(clio_context *ctx, struct fft *fft, int n, int frames, const struct fft_plan **out)
{
    clio_status st = CLIO_OK;
    struct fft_plan *plan = &fft->plans[fft->count];
    char variant[32], reason[96] = "";
    snprintf(variant, sizeof variant, "n=%d", n);
    const struct verdict *known = verdict_find(ctx, "clfft", variant);
    if (known && *known->reason)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "clFFT is switched off on %s: %s", ctx->device.name, known->reason);
    if (fft->count == PLANS_AT_MOST)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "more than %d lengths of Fourier transform at once", PLANS_AT_MOST);
    *plan = (struct fft_plan){.n = n, .frames = frames};
    st = make_plan(ctx, plan);
    if (st == CLIO_ERROR_UNSUPPORTED && !known)
        (void)verdict_add(ctx, "clfft", variant, "cannot plan this length");
    TRY(st);
    fft->count++;
    if (!known) {
        TRY(check_plan(ctx, plan, reason));
        TRY(verdict_add(ctx, "clfft", variant, reason));
    }
    if (*reason) {
        fft->refused = true;
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "clFFT %s on %s", reason, ctx->device.name);
    }
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
        fft->is_set_up = library_open();
        if (!fft->is_set_up)
            return fft_failed(ctx, "clfftSetup", 0);
    }
    if (fft->refused)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "clFFT does not work on %s", ctx->device.name);
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
    for (int i = 0; i < fft->count; i++)
        clfftDestroyPlan(&fft->plans[i].handle);
    if (fft->is_set_up)
        library_close();
    free(fft);
    ctx->fft = NULL;
}
