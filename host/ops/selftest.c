/* selftest.c - see selftest.h. Self-tests call the operations' own functions; the arguments, and parameter rows appended for the duration
 * of the test, make them choose the variant under test. Shapes: odd, and one more than a tile where that is small. */
#include "families.h"
#include "selftest_private.h"
#include "tape.h"

#include <stdio.h>
#include <string.h>

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

/* Run the self-test once. Failures that are not the variant's own are returned. */
static clio_status run_once(clio_context *ctx, const struct kernel_family *family, const struct selftest *test,
                            enum selftest_outcome *outcome, char reason[200])
{
    struct status_text before = ctx->status;
    struct workspace ws = {0};
    *outcome = SELFTEST_PASSED;
    *reason = 0;
    clio_status st = family->selftest(ctx, test, &ws);
    /* launch() reports a lost device if it lacks resources for a kernel: here that is a fault of the kernel, not a lack of memory. */
    bool refused = st == CLIO_ERROR_DEVICE || (st == CLIO_ERROR_MEMORY && ctx->is_lost);
    if (st == CLIO_ERROR_BUILD || st == CLIO_ERROR_UNSUPPORTED || (refused && is_alive(ctx))) {
        *outcome = SELFTEST_FAILED;
        describe_failure(ctx, st, reason);
        ctx->status = before;
        st = CLIO_OK;
    } else if (!st && *ws.wrong) {
        *outcome = SELFTEST_WRONG;
        snprintf(reason, 200, "%s", ws.wrong);
    }
    workspace_free(ctx, &ws);
    return st;
}

/* Run the self-test with its parameters. A call that fails may succeed when it is repeated, and says nothing about the variant: it is tried
 * twice. */
static clio_status perform(clio_context *ctx, const struct selftest *test, enum selftest_outcome *outcome, char reason[200])
{
    clio_status st = CLIO_OK;
    const struct kernel_family *family = kernel_family_find(ctx, test->family);
    size_t rows = ctx->params.count;
    bool planning = ctx->planning, profile = ctx->profile;
    struct tape *tape = tape_pause(ctx);
    ctx->planning = ctx->profile = false;
    ctx->selftests.bypassed = true;
    for (size_t i = 0; i < COUNT(test->params); i++)
        if (test->params[i].key)
            TRY(params_add(ctx, "any", test->params[i].key, test->params[i].value));
    if (!family)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s is not a kernel family", test->family);
    selftest_result_begin(ctx, test->family, test->variant);
    *outcome = SELFTEST_FAILED;
    for (int i = 0; !st && *outcome == SELFTEST_FAILED && i < 2; i++)
        st = run_once(ctx, family, test, outcome, reason);
    selftest_trial_end(&ctx->trial);
fail:
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
    enum selftest_outcome outcome;
    char reason[200];
    *passes = true;
    if (ctx->selftests.bypassed)
        return CLIO_OK;
    known = selftest_result_find(ctx, test->family, test->variant);
    if (!known) {
        TRY(perform(ctx, test, &outcome, reason));
        TRY(selftest_result_add(ctx, test->family, test->variant, outcome, reason));
        *passes = outcome == SELFTEST_PASSED;
        if (outcome == SELFTEST_FAILED) /* other kernels compute this than in other runs, and may differ in the last digits */
            context_notice_once(
                ctx,
                "kernels of the family %s are off in this run, since a call failed in their self-test (%s); the next run tests them again",
                test->family, reason);
    } else
        *passes = known->outcome == SELFTEST_PASSED;
fail:
    return st;
}
