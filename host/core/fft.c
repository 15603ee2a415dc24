/* fft.c - clFFT behind one call: batched real transforms, unnormalised, as torch.fft.rfft gives them.
 *
 * clFFT keeps one global state per process: it is set up by the first context that transforms, and torn down with the last, because a
 * teardown takes the plans of all. A plan is compared once with a plain DFT on the host before it is
 * trusted: the library is unmaintained and has answered wrongly on some drivers. */
#include "fft.h"
#include "context.h"

#include <clFFT.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#define PLANS_AT_MOST 4

struct fft_plan {
    int n, frames;
    clfftPlanHandle handle;
};
struct fft {
    struct fft_plan plans[PLANS_AT_MOST];
    int count;
    bool refused; /* failed its check: not asked again */
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
    if ((cs = clfftSetPlanPrecision(plan->handle, CLFFT_SINGLE)) || (cs = clfftSetLayout(plan->handle, CLFFT_REAL, CLFFT_HERMITIAN_INTERLEAVED)) ||
        (cs = clfftSetResultLocation(plan->handle, CLFFT_OUTOFPLACE)) || (cs = clfftSetPlanBatchSize(plan->handle, (size_t)plan->frames)) ||
        (cs = clfftSetPlanInStride(plan->handle, CLFFT_1D, step_in)) || (cs = clfftSetPlanOutStride(plan->handle, CLFFT_1D, step_out)) ||
        (cs = clfftSetPlanDistance(plan->handle, length, length / 2 + 1)) || (cs = clfftBakePlan(plan->handle, 1, &ctx->queue, NULL, NULL))) {
        clfftDestroyPlan(&plan->handle);
        return fft_failed(ctx, "clfftBakePlan", (int)cs);
    }
    return st;
}

static clio_status run_plan(clio_context *ctx, const struct fft_plan *plan, const struct tensor *out, const struct tensor *in)
{
    cl_mem source = in->mem, target = out->mem;
    clfftStatus cs =
        clfftEnqueueTransform(plan->handle, CLFFT_FORWARD, 1, &ctx->queue, 0, NULL, NULL, &source, &target, NULL);
    return cs == CLFFT_SUCCESS ? CLIO_OK : fft_failed(ctx, "clfftEnqueueTransform", (int)cs);
}

/* The last frame of this very call, beside a plain DFT in double. */
static clio_status check_plan(clio_context *ctx, const struct fft_plan *plan, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    size_t n = (size_t)plan->n, bins = n / 2 + 1, last = (size_t)plan->frames - 1;
    float *x = NULL, *y = NULL;
    double greatest = 1e-6, worst = 0;
    TRY(mem_alloc(ctx, &x, n, sizeof *x));
    TRY(mem_alloc(ctx, &y, 2 * bins, sizeof *y));
    TRY(tensor_read(ctx, in, last * n, n, x));
    TRY(tensor_read(ctx, out, last * 2 * bins, 2 * bins, y));
    for (size_t j = 0; j < n; j++)
        greatest += fabs((double)x[j]);
    for (size_t k = 0; k < bins; k++) {
        double re = 0, im = 0;
        for (size_t j = 0; j < n; j++) {
            double angle = -2 * 3.14159265358979323846 * (double)(j * k % n) / (double)n;
            re += (double)x[j] * cos(angle);
            im += (double)x[j] * sin(angle);
        }
        worst = fmax(worst, fmax(fabs(re - (double)y[2 * k]), fabs(im - (double)y[2 * k + 1])));
    }
    if (!(worst <= 1e-5 * greatest)) /* also when NaN */
        st = fft_failed(ctx, "comparison with a plain DFT", (int)(1e6 * worst / greatest));
fail:
    free(x);
    free(y);
    return st;
}

clio_status fft_real(clio_context *ctx, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    struct fft *fft = ctx->fft;
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
    for (int i = 0; i < fft->count; i++)
        if (fft->plans[i].n == in->dim[1] && fft->plans[i].frames == in->dim[0])
            return run_plan(ctx, &fft->plans[i], out, in);
    if (fft->count == PLANS_AT_MOST)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "more than %d lengths of Fourier transform at once", PLANS_AT_MOST);
    struct fft_plan *plan = &fft->plans[fft->count];
    plan->n = in->dim[1];
    plan->frames = in->dim[0];
    TRY(make_plan(ctx, plan));
    fft->count++;
    TRY(run_plan(ctx, plan, out, in));
    TRY(check_plan(ctx, plan, out, in));
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
