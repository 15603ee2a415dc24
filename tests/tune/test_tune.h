/* test_tune.h - what the tests of the tuner share: a folder in which it finds and leaves its files, and a small plan.
 *
 * Times are made up by a clock that looks at the parameters, so that nothing depends on what else the machine does; the kernels run all the
 * same, at small shapes. */
#ifndef CLIO_TEST_TUNE_H
#define CLIO_TEST_TUNE_H

#include "../support/folder.h"
#include "../support/test.h"

#include <math.h>
#include <signal.h>
#include <sys/stat.h>

#include "../../host/core/file.h"
#include "../../host/tune/tune.h"

static char path[128], state[136];

static inline int set_up(void **unused)
{
    if (make_folder(unused))
        return -1;
    snprintf(path, sizeof path, "%s/found.params", folder);
    snprintf(state, sizeof state, "%s.state", path);
    setenv("CLIO_TUNED_DIR", folder, 1);
    return 0;
}

static inline clio_context *open_context(void)
{
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    if (clio_device_open(ctx, NULL))
        fail_msg("%s", clio_error(ctx));
    return ctx;
}

static inline void check(clio_context *ctx, clio_status got, clio_status want, const char *part, int line)
{
    if (got == want && (!got || strstr(clio_error(ctx), part)))
        return;
    fail_msg("line %d: expected %s with \"%s\", got %s: %s; %s", line, clio_status_name(want), part, clio_status_name(got),
             got ? clio_error(ctx) : "", got ? clio_error_detail(ctx) : "");
}
#define OK(ctx, call) check((ctx), (call), CLIO_OK, "", __LINE__)
#define FAILS(ctx, call, code, part) check((ctx), (call), (code), (part), __LINE__)

static inline char *slurp(const char *name)
{
    FILE *f = fopen(name, "rb");
    char *text = calloc(1, 65536);
    assert_non_null(text);
    if (!f)
        fail_msg("%s is not there", name);
    assert_true(fread(text, 1, 65535, f) < 65535);
    fclose(f);
    return text;
}

/* ---- a plan with a made-up clock: logits.local decides the first work, the norm is there to be spoilt ---- */

#define BOTH (TUNE_CPU | TUNE_GPU)
static const struct tune_step steps[] = {
    {"local", BOTH, TUNE_LOGITS, NULL, NULL, NULL, {{"logits.local", "2 4 8 32"}}},
    {"items", BOTH, TUNE_NORM, "norm.family", "group", NULL, {{"norm.items", "2 4"}, {"softmax.items", "2 4"}}},
};
static const struct tune_case cases[] = {
    {-1, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 1501, 0, 0, 0, TUNE_PLAIN, 0, 0},
    {-1, TUNE_NORM, TUNE_OP_NORM, 2, 33, 0, 0, 0, TUNE_PLAIN, 0, 0},
    {0, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 2003, 0, 0, 0, TUNE_PLAIN, 1, 0},
    {0, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 1007, 0, 0, 0, TUNE_PLAIN, 2, 0},
    {1, TUNE_NORM, TUNE_OP_NORM, 2, 37, 0, 0, 0, TUNE_PLAIN, 1, 0},
};
static const struct tune_workload works[] = {{"choosing", 1}, {"levelling", 1}};

static int calls, calls_of[64]; /* of the clock; while logits.local was this */
static int kill_at_local, kill_at_call;

/* 2 is slow beyond patience, 4 a little faster than what is shipped, 8 the fastest, 32 in between. */
static inline double by_local(clio_context *ctx, const struct tune_case *c)
{
    int local = params_int(ctx, "logits.local", 0);
    calls++;
    calls_of[local & 63]++;
    if (local == kill_at_local || calls == kill_at_call)
        raise(SIGKILL);
    if (c->op == TUNE_OP_NORM)
        return 1e-3;
    return local == 2 ? 9e-3 : local == 4 ? 0.9e-3 : local == 8 ? 0.5e-3 : local == 32 ? 0.7e-3 : 1e-3;
}

static inline struct tune_plan small_plan(double (*seconds)(clio_context *, const struct tune_case *))
{
    calls = 0;
    memset(calls_of, 0, sizeof calls_of);
    struct tune_plan plan = {.purpose = "test",
                             .step_count = COUNT(steps),
                             .cases = cases,
                             .case_count = COUNT(cases),
                             .workloads = works,
                             .workload_count = COUNT(works),
                             .time_limit = 600,
                             .seconds = seconds};
    memcpy(plan.steps, steps, sizeof steps);
    return plan;
}

static inline const clio_tune_row *row_of(const clio_tune_result *r, const char *key)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (!strcmp(r->rows[i].key, key))
            return &r->rows[i];
    fail_msg("there is no row %s", key);
    return NULL;
}

static inline bool is_changed(const clio_tune_result *r)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].shipped, r->rows[i].chosen) != 0)
            return true;
    return false;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, remove_folder)

#endif
