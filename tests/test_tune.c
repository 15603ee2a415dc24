/* test_tune.c - the tuner: its gate, journal, search and proof, and the file that it writes and the device reads.
 *
 * Times are made up by a clock that looks at the parameters, so that nothing depends on what else the machine does; the kernels run all the
 * same, at small shapes. What a process may die of is tried in processes of their own: this program, called with `child`. */
#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include "test.h"

#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../host/core/file.h"
#include "../host/tune/tune.h"

static const char *self;
static char folder[64], path[128], state[136];

static int remove_entry(const char *name, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(name);
}

static int set_up(void **unused)
{
    (void)unused;
    snprintf(folder, sizeof folder, "/tmp/clio-tune-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/found.params", folder);
    snprintf(state, sizeof state, "%s.state", path);
    setenv("CLIO_TUNED_DIR", folder, 1);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static clio_context *open_context(void)
{
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    if (clio_device_open(ctx, NULL))
        fail_msg("%s", clio_error(ctx));
    return ctx;
}

static void check(clio_context *ctx, clio_status got, clio_status want, const char *part, int line)
{
    if (got == want && (!got || strstr(clio_error(ctx), part)))
        return;
    fail_msg("line %d: expected %s with \"%s\", got %s: %s; %s", line, clio_status_name(want), part, clio_status_name(got),
             got ? clio_error(ctx) : "", got ? clio_error_detail(ctx) : "");
}
#define OK(ctx, call) check((ctx), (call), CLIO_OK, "", __LINE__)
#define FAILS(ctx, call, code, part) check((ctx), (call), (code), (part), __LINE__)

static char *slurp(const char *name)
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

static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_true(fwrite(text, 1, strlen(text), f) == strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* ---- a plan with a made-up clock: logits.local decides the first work, the norm is there to be spoilt ---- */

#define BOTH (TUNE_CPU | TUNE_GPU)
static const struct tune_step steps[] = {
    {"local", BOTH, TUNE_LOGITS, NULL, NULL, NULL, {{"logits.local", "2 4 8 32"}}},
    {"items", BOTH, TUNE_NORM, "norm.family", "group", NULL, {{"norm.items", "2 4"}, {"softmax.items", "2 4"}}},
};
static const struct tune_case cases[] = {
    {-1, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 1501, 0, 0, 0, TUNE_PLAIN, 0}, {-1, TUNE_NORM, TUNE_OP_NORM, 2, 33, 0, 0, 0, TUNE_PLAIN, 0},
    {0, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 2003, 0, 0, 0, TUNE_PLAIN, 1},  {0, TUNE_LOGITS, TUNE_OP_LOGITS, 1, 1007, 0, 0, 0, TUNE_PLAIN, 2},
    {1, TUNE_NORM, TUNE_OP_NORM, 2, 37, 0, 0, 0, TUNE_PLAIN, 1},
};
static const struct tune_work works[] = {{"choosing", 1}, {"levelling", 1}};

static int calls, calls_of[64]; /* of the clock; while logits.local was this */
static int kill_at_local, kill_at_call;

/* 2 is slow beyond patience, 4 a little faster than what is shipped, 8 the fastest, 32 in between. */
static double by_local(clio_context *ctx, const struct tune_case *c)
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

static struct tune_plan small_plan(double (*seconds)(clio_context *, const struct tune_case *))
{
    calls = 0;
    memset(calls_of, 0, sizeof calls_of);
    return (struct tune_plan){.purpose = "test",
                              .steps = steps,
                              .step_count = COUNT(steps),
                              .cases = cases,
                              .case_count = COUNT(cases),
                              .works = works,
                              .work_count = COUNT(works),
                              .time_limit = 600,
                              .seconds = seconds};
}

static const clio_tune_row *row_of(const clio_tune_result *r, const char *key)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (!strcmp(r->rows[i].key, key))
            return &r->rows[i];
    fail_msg("there is no row %s", key);
    return NULL;
}

static bool is_changed(const clio_tune_result *r)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].shipped, r->rows[i].chosen) != 0)
            return true;
    return false;
}

/* ---- comparing, and the gate ---- */

static void test_compare(void **unused)
{
    float want[4] = {1, -2, 0, 0.5f}, right[4] = {1.00001f, -2, 0.00001f, 0.5f}, off[4] = {1, -2, 0.001f, 0.5f}, zero[4] = {0};
    float nan[4] = {1, -2, NAN, 0.5f}, infinite[4] = {1, -2, 0, INFINITY};
    char why[128];
    (void)unused;
    assert_true(tune_compare(right, want, 4, why) && !*why);
    assert_false(tune_compare(off, want, 4, why));
    assert_non_null(strstr(why, "number 2 is 0.001 instead of 0"));
    assert_false(tune_compare(zero, want, 4, why));
    assert_string_equal(why, "all zeros");
    assert_false(tune_compare(zero, zero, 4, why)); /* an answer of nothing proves nothing */
    assert_false(tune_compare(nan, want, 4, why));
    assert_string_equal(why, "number 2 is not finite");
    assert_false(tune_compare(infinite, want, 4, why));
}

/* Copies of the kernels in a folder, with `from` in one of them replaced by `to`. */
static void doctor(const char *file, const char *from, const char *to)
{
    char name[160];
    bool done = false;
    snprintf(name, sizeof name, "%s/cl", folder);
    mkdir(name, 0777);
    for (size_t i = 0; i < embedded_file_count; i++) {
        const char *text = (const char *)embedded_files[i].data, *at;
        struct bytes changed = {0};
        assert_ok(bytes_add(NULL, &changed, "", 0));
        for (; !strcmp(embedded_files[i].name, file) && (at = strstr(text, from)); text = at + strlen(from)) {
            assert_ok(bytes_add(NULL, &changed, text, (size_t)(at - text)));
            assert_ok(bytes_add(NULL, &changed, to, strlen(to)));
            done = true;
        }
        assert_ok(bytes_add(NULL, &changed, text, strlen(text)));
        snprintf(name, sizeof name, "%s/cl/%s", folder, embedded_files[i].name);
        put(name, changed.data);
        bytes_free(&changed);
    }
    if (!done)
        fail_msg("%s has no %s to replace", file, from);
    snprintf(name, sizeof name, "%s/cl", folder);
    setenv("CLIO_CL_DIR", name, 1);
}

/* Does the gate let the shipped parameters through, for these cases of Whisper's plan? */
static bool passes(int which, char why[128])
{
    struct tune_plan plan;
    struct tune_search s;
    bool right = false;
    clio_context *ctx = open_context();
    assert_true(tune_plan_for("whisper", &plan));
    OK(ctx, tune_search_open(&s, ctx, &plan));
    if (tune_gate(&s, NULL, which, &right, why))
        fail_msg("%s; %s", clio_error(s.ctx), clio_error_detail(s.ctx));
    tune_search_close(&s);
    clio_destroy(ctx);
    return right;
}

static void test_gate(void **unused)
{
    char why[128];
    (void)unused;
    if (!passes(TUNE_MANY | TUNE_FEW | TUNE_NORM, why))
        fail_msg("the kernels as they are: %s", why);
    /* one in a hundred: what sums of lower precision do */
    doctor("common.clh", "((a) * (b) + (c))", "((a) * (b) * 0.99f + (c))");
    assert_false(passes(TUNE_MANY, why));
    assert_true(strstr(why, ": row ") && strstr(why, " instead of ")); /* which shape depends on the family */
    assert_false(passes(TUNE_FEW, why));
    /* sums of nothing: what is left is the bias */
    doctor("common.clh", "((a) * (b) + (c))", "(c)");
    assert_false(passes(TUNE_MANY, why));
    /* all rows one further, and the last number behind the end */
    doctor("norm.cl", "out += (size_t)row * n;", "out += (size_t)row * n + 1;");
    assert_false(passes(TUNE_NORM, why));
    assert_non_null(strstr(why, "wrote behind its output"));
    /* nothing written at all */
    doctor("norm.cl", "out += (size_t)row * n;", "return;");
    assert_false(passes(TUNE_NORM, why));
    assert_non_null(strstr(why, "row 0 was not written"));
    unsetenv("CLIO_CL_DIR");
}

/* A product without anything behind it is all zeros when nothing is summed. */
static void test_zeros(void **unused)
{
    static const struct tune_case plain = {0, TUNE_MANY, TUNE_OP_GEMM, 33, 65, 127, 0, MATRIX_MANY, TUNE_PLAIN, 1};
    struct tune_bench b;
    bool right;
    char why[128];
    (void)unused;
    doctor("common.clh", "((a) * (b) + (c))", "(c)");
    clio_context *ctx = open_context();
    ctx->verdicts.trusting = true;
    OK(ctx, params_add(ctx, "any", "gemm.many.family", ctx->device.simd_width > 1 ? "panel" : "rows"));
    OK(ctx, tune_bench_open(ctx, &b, &plain));
    OK(ctx, tune_bench_check(ctx, &b, &right, why));
    tune_bench_close(ctx, &b);
    assert_false(right);
    assert_string_equal(why, "row 0: all zeros");
    clio_destroy(ctx);
    unsetenv("CLIO_CL_DIR");
}

/* The real plans: within their bounds, each step decided by something that is checked at odd shapes too, and the shipped kernels pass. */
static void test_plans(void **unused)
{
    static const char *const purposes[] = {"whisper", "all"};
    char why[128];
    (void)unused;
    for (size_t p = 0; p < COUNT(purposes); p++) {
        struct tune_plan plan;
        struct tune_search s;
        bool right, valid;
        clio_context *ctx = open_context();
        assert_true(tune_plan_for(purposes[p], &plan));
        assert_true(plan.case_count <= TUNE_CASES && plan.work_count <= TUNE_WORKS && plan.step_count > 0);
        for (size_t i = 0; i < plan.case_count; i++)
            assert_true(plan.cases[i].work < (int)plan.work_count && plan.cases[i].decides && plan.cases[i].m > 0 && plan.cases[i].n > 0);
        OK(ctx, tune_search_open(&s, ctx, &plan));
        assert_true(s.key_count > 4 && s.key_count < TUNE_KEYS);
        for (size_t i = 0; i < plan.step_count; i++) { /* what is measured is checked at odd shapes, too */
            int odd = 0;
            for (size_t k = 0; k < plan.case_count; k++)
                odd |= plan.cases[k].work < 0 ? plan.cases[k].decides : 0;
            assert_int_equal(plan.steps[i].cases & ~odd, 0);
        }
        OK(ctx, tune_is_valid(&s, &s.best, &valid));
        assert_true(valid); /* of what is shipped */
        if (tune_gate(&s, NULL, p ? TUNE_SOFTMAX : TUNE_EVERYTHING & ~TUNE_ATTENTION, &right, why) || !right)
            fail_msg("%s: %s %s", purposes[p], why, clio_error(s.ctx));
        tune_search_close(&s);
        clio_destroy(ctx);
    }
    assert_false(tune_plan_for("speed", &(struct tune_plan){0}));
}

/* A tile that the device cannot run is not tried. */
static void test_rules(void **unused)
{
    struct tune_plan plan;
    bool (*fits)(clio_context *) = NULL;
    (void)unused;
    clio_context *ctx = open_context();
    assert_true(tune_plan_for("whisper", &plan));
    for (size_t i = 0; i < plan.step_count; i++)
        if (!strcmp(plan.steps[i].parameters[0].key, "gemm.tile.step"))
            fits = plan.steps[i].valid;
    assert_non_null(fits);
    ctx->device.max_work_group = 256;
    ctx->device.max_item_sizes[0] = ctx->device.max_item_sizes[1] = 256;
    ctx->device.local_memory = 32 << 10;
    static const struct {
        const char *key, *value;
        bool fits;
    } rows[] = {{"gemm.tile.gx", "16", true},    {"gemm.tile.gx", "32", false}, {"gemm.tile.gy", "8", true},
                {"gemm.tile.tn", "8", true},     {"gemm.tile.tm", "16", false}, {"gemm.tile.tm", "8", true},
                {"gemm.tile.step", "32", false}, {"gemm.tile.step", "16", true}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        OK(ctx, params_add(ctx, "any", rows[i].key, rows[i].value));
        if (fits(ctx) != rows[i].fits)
            fail_msg("row %zu, %s %s: expected %d", i, rows[i].key, rows[i].value, rows[i].fits);
    }
    clio_destroy(ctx);
}

/* ---- the search ---- */

static void test_search(void **unused)
{
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    (void)unused;
    clio_context *ctx = open_context();
    OK(ctx, tune_with(ctx, &plan, path, &r));
    const clio_tune_row *row = row_of(r, "logits.local");
    assert_string_equal(row->chosen, "8");
    assert_string_equal(row->values, "2 4 8 32");
    assert_string_equal(row_of(r, "norm.items")->chosen, row_of(r, "norm.items")->shipped); /* nothing there is faster */
    assert_float_equal(row->gain, 2, 0.01);
    assert_true(r->complete && r->written && r->slow == 1 && r->wrong == 0 && r->failed == 0 && r->crashed == 0);
    assert_int_equal(r->work_count, 2);
    assert_float_equal(r->works[0].before, 3e-3, 1e-6);
    assert_float_equal(r->works[0].after, 1.5e-3, 1e-6);
    assert_true(calls_of[2] <= 2); /* given up at its first case */
    assert_false(file_exists(state));
    clio_tune_free(r);

    /* the file, as CLIO_PARAMS */
    assert_false(params_is(ctx, "logits.local", "8"));
    setenv("CLIO_PARAMS", path, 1);
    OK(ctx, clio_device_open(ctx, NULL));
    unsetenv("CLIO_PARAMS");
    assert_true(params_is(ctx, "logits.local", "8"));
    clio_destroy(ctx);
}

/* logits.local 8 is the fastest, and wrong. */
static void test_wrong_is_out(void **unused)
{
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    (void)unused;
    doctor("logits.cl", "#define CHUNK 1024",
           "#define CHUNK 1024\n#if LOCAL == 8\n#define exp(x) 0.9f\n#endif\n#if LOCAL == 4\n#error no\n#endif\n");
    clio_context *ctx = open_context();
    OK(ctx, tune_with(ctx, &plan, path, &r));
    unsetenv("CLIO_CL_DIR");
    assert_string_equal(row_of(r, "logits.local")->chosen, "32");
    assert_true(r->wrong == 1 && r->failed == 1 && calls_of[8] == 0 && calls_of[4] == 0);
    clio_tune_free(r);
    clio_destroy(ctx);
}

/* ---- the proof ---- */

static void test_gain(void **unused)
{
    double ratios[TUNE_PAIRS];
    (void)unused;
    for (size_t i = 0; i < TUNE_PAIRS; i++)
        ratios[i] = 0.9 + 0.01 * (double)i / TUNE_PAIRS;
    assert_true(tune_is_gain(ratios, TUNE_PAIRS));
    assert_false(tune_is_gain(ratios, TUNE_PAIRS - 1)); /* too few */
    ratios[3] = 1.5;
    assert_true(tune_is_gain(ratios, TUNE_PAIRS)); /* one may be disturbed */
    ratios[5] = 1.01;
    assert_false(tune_is_gain(ratios, TUNE_PAIRS)); /* two are chance */
    for (size_t i = 0; i < TUNE_PAIRS; i++)
        ratios[i] = 0.99;
    assert_false(tune_is_gain(ratios, TUNE_PAIRS)); /* not worth a row */
    for (size_t i = 0; i < TUNE_PAIRS; i++)
        ratios[i] = i % 2 ? 0.5 : 1.1;
    assert_false(tune_is_gain(ratios, TUNE_PAIRS));
}

/* The search is lied to: what seems faster there is not, in pairs. */
static double lucky(clio_context *ctx, const struct tune_case *c)
{
    int local = params_int(ctx, "logits.local", 0);
    (void)c;
    calls++;
    return local == 8 && calls_of[8]++ < 4 ? 0.5e-3 : 1e-3;
}

/* 8 makes its own calls faster, and everything else slower. */
static double spoiling(clio_context *ctx, const struct tune_case *c)
{
    bool eight = params_is(ctx, "logits.local", "8");
    return c->op == TUNE_OP_NORM ? (eight ? 9e-3 : 1e-3) : eight ? 0.5e-3 : 1e-3;
}

/* norm.items is a gain; softmax.items, which is tried with it, is none. */
static double half_useful(clio_context *ctx, const struct tune_case *c)
{
    return c->op == TUNE_OP_NORM && params_is(ctx, "norm.items", "4") ? 0.5e-3 : 1e-3;
}

static void test_never_worse(void **unused)
{
    double (*const clocks[])(clio_context *, const struct tune_case *) = {lucky, spoiling};
    (void)unused;
    for (size_t i = 0; i < COUNT(clocks); i++) {
        struct tune_plan plan = small_plan(clocks[i]);
        clio_tune_result *r;
        clio_context *ctx = open_context();
        OK(ctx, tune_with(ctx, &plan, path, &r));
        if (is_changed(r))
            fail_msg("clock %zu: logits.local %s was kept", i, row_of(r, "logits.local")->chosen);
        assert_true(r->complete && r->written && r->work_count == 0);
        char *text = slurp(path);
        assert_non_null(strstr(text, "# nothing proved faster"));
        assert_null(strstr(text, "\nany "));
        free(text);
        clio_tune_free(r);
        clio_destroy(ctx);
    }
}

/* Of parameters that were found together, those that give nothing are left out. */
static void test_useless_company(void **unused)
{
    struct tune_plan plan = small_plan(half_useful);
    clio_tune_result *r;
    (void)unused;
    clio_context *ctx = open_context();
    OK(ctx, tune_with(ctx, &plan, path, &r));
    assert_string_equal(row_of(r, "norm.items")->chosen, "4");
    assert_string_equal(row_of(r, "softmax.items")->chosen, row_of(r, "softmax.items")->shipped);
    clio_tune_free(r);
    clio_destroy(ctx);
}

/* ---- time ---- */

static double forever(clio_context *ctx, const struct tune_case *c)
{
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    return by_local(ctx, c);
}

static void test_time_limit(void **unused)
{
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    (void)unused;
    clio_context *ctx = open_context();
    plan.time_limit = 1e-6;
    OK(ctx, tune_with(ctx, &plan, path, &r));
    assert_true(!r->complete && r->written && !is_changed(r) && calls == 0);
    clio_tune_free(r);
    char *text = slurp(path);
    assert_non_null(strstr(text, "run clio tune again to go on"));
    free(text);
    assert_true(file_exists(state));

    plan.time_limit = 600; /* goes on; what it writes is complete */
    OK(ctx, tune_with(ctx, &plan, path, &r));
    assert_true(r->complete && r->written && is_changed(r));
    clio_tune_free(r);
    plan.seconds = forever; /* which a search that is not does not replace */
    plan.time_limit = 0.5;
    double start = tune_now();
    OK(ctx, tune_with(ctx, &plan, path, &r));
    assert_true(tune_now() - start < 60);
    assert_true(!r->complete && !r->written);
    clio_tune_free(r);
    text = slurp(path);
    assert_non_null(strstr(text, "\nany logits.local 8\n"));
    free(text);
    clio_destroy(ctx);
}

/* ---- stopping, dying, going on ---- */

static int stop_after;

static int stop(void *user, const char *what, double done, double total)
{
    (void)user;
    assert_true(what && *what && done >= 0 && total >= done);
    return stop_after-- == 0;
}

/* Stopped by the user at any place, it goes on, loses nothing, and measures nothing twice that was measured to its end. */
static void test_cancel(void **unused)
{
    clio_tune_result *r = NULL;
    int runs = 0;
    (void)unused;
    clio_context *ctx = open_context();
    for (clio_status st = CLIO_ERROR_CANCELLED; st; runs++) {
        struct tune_plan plan = small_plan(by_local);
        clio_set_progress(ctx, stop, NULL);
        stop_after = 4 + 9 * runs;
        st = tune_with(ctx, &plan, path, &r);
        if (st) {
            FAILS(ctx, st, CLIO_ERROR_CANCELLED, "cancelled while");
            assert_null(r);
            assert_false(file_exists(path));
            char *text = slurp(state), *last = text + strlen(text) - 1;
            while (last > text && last[-1] != '\n')
                last--;
            assert_true(strncmp(last, "try ", 4) != 0);
            free(text);
        }
        assert_true(runs < 60);
    }
    assert_true(runs > 2);
    assert_string_equal(row_of(r, "logits.local")->chosen, "8");
    assert_true(r->crashed == 0 && r->complete);
    assert_true(calls_of[2] == 0 && calls_of[4] == 0); /* the last run knew them */
    clio_tune_free(r);
    clio_destroy(ctx);
}

/* This program as a process of its own: tunes in `folder` and exits with 0 and the choice on standard output. */
static int child(int argc, char **argv)
{
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    clio_context *ctx = clio_create();
    if (argc < 6 || !ctx)
        return 9;
    kill_at_local = atoi(argv[3]);
    kill_at_call = atoi(argv[4]);
    if (clio_device_open(ctx, NULL) || tune_with(ctx, &plan, argv[2], &r)) {
        fprintf(stderr, "%s\n", clio_error(ctx));
        clio_destroy(ctx);
        return 8;
    }
    FILE *out = fopen(argv[5], "w");
    if (!out)
        return 7;
    fprintf(out, "%s %zu %d\n", row_of(r, "logits.local")->chosen, r->crashed, r->complete);
    fclose(out);
    clio_tune_free(r);
    clio_destroy(ctx);
    return 0;
}

/* Runs it; -9 when it was killed, otherwise its exit code, and what it wrote in `said`. */
static int run_child(int at_local, int at_call, char said[64])
{
    char local[16], call[16], answer[144];
    int status;
    snprintf(local, sizeof local, "%d", at_local);
    snprintf(call, sizeof call, "%d", at_call);
    snprintf(answer, sizeof answer, "%s/answer", folder);
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "child", path, local, call, answer, (char *)NULL);
        _exit(6);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return -WTERMSIG(status);
    *said = 0;
    if (WEXITSTATUS(status) == 0) {
        char *text = slurp(answer);
        snprintf(said, 64, "%s", text);
        free(text);
    }
    return WEXITSTATUS(status);
}

/* What a process died of is skipped, from the next run on and for good. */
static void test_crash_marker(void **unused)
{
    char said[64];
    (void)unused;
    assert_int_equal(run_child(8, 0, said), -SIGKILL);
    char *text = slurp(state);
    assert_true(strlen(text) > 30 && !strcmp(text + strlen(text) - strlen("try local: logits.local=8\n"), "try local: logits.local=8\n"));
    free(text);
    assert_false(file_exists(path));
    assert_int_equal(run_child(8, 0, said), 0);
    assert_string_equal(said, "32 1 1\n");
    text = slurp(path);
    assert_non_null(strstr(text, "\nany logits.local 32\n"));
    assert_non_null(strstr(text, "and 1 ended the process"));
    free(text);
    text = slurp(state); /* the marker outlives the search */
    assert_non_null(strstr(text, "\ntry local: logits.local=8\n"));
    assert_null(strstr(text, "right"));
    free(text);
    assert_int_equal(run_child(8, 0, said), 0);
    assert_string_equal(said, "32 1 1\n");
}

/* Killed again and again, each time a little later in its work: it comes to an end, and what it then has is whole and no worse. */
static void test_killed(void **unused)
{
    char said[64];
    int kills = 0;
    (void)unused;
    while (run_child(0, 3 + 6 * kills, said) == -SIGKILL) {
        assert_true(++kills < 30);
        if (file_exists(path)) { /* appears when whole */
            char *text = slurp(path);
            assert_non_null(strstr(text, "# search: complete\n"));
            free(text);
        }
    }
    assert_true(kills >= 3);
    assert_true(!strcmp(said + strlen(said) - 2, "1\n")); /* complete */
    double chosen = atof(said);
    assert_true(chosen > 0 && (int)chosen != 2); /* the shipped value or a faster one, never the one that is slow beyond patience */
    clio_context *ctx = open_context();
    setenv("CLIO_PARAMS", path, 1);
    OK(ctx, clio_device_open(ctx, NULL));
    unsetenv("CLIO_PARAMS");
    assert_int_equal(params_int(ctx, "logits.local", 0), (int)chosen);
    clio_destroy(ctx);
}

/* ---- the journal ---- */

static void test_journal(void **unused)
{
    struct tune_state s;
    struct tune_result r = {.outcome = TUNE_RIGHT};
    char said[64];
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    for (size_t i = 0; i < TUNE_CASES; i++)
        r.seconds[i] = -1;
    r.seconds[3] = 0.125;
    r.seconds[TUNE_CASES - 1] = 2e-6;
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    OK(ctx, tune_state_begin(ctx, &s, "a: x=1"));
    OK(ctx, tune_state_end(ctx, &s, "a: x=1", &r, ""));
    OK(ctx, tune_state_begin(ctx, &s, "a: x=2"));
    r.outcome = TUNE_WRONG;
    OK(ctx, tune_state_end(ctx, &s, "a: x=2", &r, "of two\nlines"));
    OK(ctx, tune_state_begin(ctx, &s, "a: x=3"));
    OK(ctx, tune_state_drop(ctx, &s, "a: x=3"));
    OK(ctx, tune_state_begin(ctx, &s, "a: x=4"));
    assert_int_not_equal(run_child(0, 0, said), 0); /* path.state is in use */
    tune_state_close(&s);

    FILE *f = fopen(state, "ab"); /* a line that was cut, behind one that means nothing */
    assert_non_null(f);
    fputs("\n|\nnonsense\nright | \nright b: y=1 | 1:\nright c: z=1 | 1:0.5 99999999:3 nan x\ntry d: u", f);
    fclose(f);
    for (int again = 0; again < 2; again++) {
        OK(ctx, tune_state_open(ctx, &s, state, "one"));
        const struct tune_entry *e = tune_state_find(&s, "a: x=1");
        assert_true(e && e->result.outcome == TUNE_RIGHT && e->tries == 0);
        assert_true(fabs(e->result.seconds[3] - 0.125) < 1e-9 && fabs(e->result.seconds[TUNE_CASES - 1] - 2e-6) < 1e-12);
        assert_true(e->result.seconds[0] < 0);
        e = tune_state_find(&s, "a: x=2");
        assert_true(e && e->result.outcome == TUNE_WRONG);
        e = tune_state_find(&s, "a: x=3");
        assert_true(e && e->result.outcome == TUNE_UNTRIED && e->tries == 0);
        e = tune_state_find(&s, "a: x=4");
        assert_true(e && e->result.outcome == TUNE_DIED && e->tries == 1);
        e = tune_state_find(&s, "c: z=1");
        assert_true(e && e->result.seconds[1] > 0.4);
        assert_null(tune_state_find(&s, "d: u"));
        tune_state_close(&s);
    }
    OK(ctx, tune_state_open(ctx, &s, state, "another")); /* of another device, driver or version: nothing of it holds */
    assert_null(tune_state_find(&s, "a: x=1"));
    tune_state_close(&s);
    put(state, "");
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    assert_int_equal(s.count, 0);
    tune_state_close(&s);
    FAILS(ctx, tune_state_open(ctx, &s, "/nowhere/x.state", "one"), CLIO_ERROR_FILE, "/nowhere/x.state");
    clio_destroy(ctx);
}

static void test_one_at_a_time(void **unused)
{
    struct tune_state s;
    char said[64], *text;
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    assert_int_equal(run_child(0, 0, said), 8);
    text = slurp(state);
    assert_string_equal(text, "clio tune state 1\none\n"); /* and left alone */
    free(text);
    tune_state_close(&s);
    assert_int_equal(run_child(0, 0, said), 0);
    clio_destroy(ctx);
}

/* ---- the file that the device finds ---- */

/* Tune into the place that is looked at without being named; its path. */
static char *tune_default(clio_context *ctx)
{
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    OK(ctx, tune_with(ctx, &plan, NULL, &r));
    char *name = strdup(r->path);
    assert_non_null(name);
    clio_tune_free(r);
    return name;
}

static void test_found(void **unused)
{
    const char *problem;
    (void)unused;
    clio_context *ctx = open_context();
    assert_null(clio_tuned_file(ctx, &problem));
    assert_null(problem);
    char *name = tune_default(ctx), *text = slurp(name);
    assert_int_equal(strncmp(name, folder, strlen(folder)), 0);
    assert_null(strpbrk(name + strlen(folder) + 1, "/ ()\\"));
    assert_non_null(strstr(text, clio_device(ctx)->driver));
    assert_non_null(strstr(text, "# choosing: 3 ms shipped, 1.5 ms tuned\n"));
    assert_null(clio_tuned_file(ctx, NULL)); /* from the next opening on */
    OK(ctx, clio_device_open(ctx, NULL));
    assert_string_equal(clio_tuned_file(ctx, &problem), name);
    assert_null(problem);
    assert_true(params_is(ctx, "logits.local", "8"));
    char mine[160];
    snprintf(mine, sizeof mine, "%s/mine", folder);
    put(mine, "any logits.local 4\n");
    setenv("CLIO_PARAMS", mine, 1); /* the user's own rows come last */
    OK(ctx, clio_device_open(ctx, NULL));
    unsetenv("CLIO_PARAMS");
    assert_true(params_is(ctx, "logits.local", "4"));
    free(text);
    free(name);
    clio_destroy(ctx);
}

/* The device opens whatever lies there, with the shipped parameters, and why is known. */
static void unused_file(clio_context *ctx, const char *name, const char *text, const char *why)
{
    const char *problem;
    put(name, text);
    OK(ctx, clio_device_open(ctx, NULL));
    assert_null(clio_tuned_file(ctx, &problem));
    if (!problem || !strstr(problem, why))
        fail_msg("expected \"%s\", got: %s", why, problem ? problem : "nothing");
    assert_false(params_is(ctx, "logits.local", "8"));
    assert_false(params_is(ctx, "norm.items", "2"));
}

static void test_not_for_this(void **unused)
{
    static const struct {
        const char *line, *why;
    } broken[] = {{"tpu logits.local 8", "expected `KIND key value`, KIND one of any, cpu, gpu, gcn, "},
                  {"any logits.local", "expected"},
                  {"any logits.local 0", "out of range"},
                  {"any logits.local -8", "not a number"},
                  {"any logits.local 99999999999", "out of range"},
                  {"any logits.local many", "not a number"},
                  {"any norm.family 3", "a number where a word is expected"},
                  {"any no.such.key 8", "this clio does not have"},
                  {"\x01\xff\xfe", "expected"}};
    (void)unused;
    clio_context *ctx = open_context();
    char *name = tune_default(ctx), *text = slurp(name), *changed = calloc(1, 70000), *at;
    assert_non_null(changed);
    for (int part = 0; part < 3; part++) { /* device, platform, driver: one more character each */
        static const char *const heads[] = {"# device: ", "# platform: ", "# driver: "};
        at = strstr(text, heads[part]) + strlen(heads[part]);
        snprintf(changed, 70000, "%.*sX%s", (int)(at - text), text, at);
        unused_file(ctx, name, changed, "for another device or driver");
    }
    unused_file(ctx, name, "any logits.local 8\n", "for another device or driver"); /* without any head */
    for (size_t i = 0; i < COUNT(broken); i++) {
        snprintf(changed, 70000, "%sany norm.items 2\n%s\n", text, broken[i].line);
        unused_file(ctx, name, changed, broken[i].why);
    }
    unused_file(ctx, name, "", "is empty");
    unlink(name);
    assert_int_equal(mkdir(name, 0777), 0);
    OK(ctx, clio_device_open(ctx, NULL));
    assert_null(clio_tuned_file(ctx, NULL));
    rmdir(name);
    free(changed);
    free(text);
    free(name);
    clio_destroy(ctx);
}

/* ---- the public functions ---- */

static void test_public(void **unused)
{
    clio_tune_result *r = (clio_tune_result *)(void *)folder;
    clio_tune_params p = {.purpose = "speed"};
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    FAILS(ctx, clio_tune(ctx, NULL, &r), CLIO_ERROR_ARGUMENT, "no device is open");
    assert_null(r);
    FAILS(ctx, clio_tune_list(ctx, NULL, &r), CLIO_ERROR_ARGUMENT, "no device is open");
    OK(ctx, clio_device_open(ctx, NULL));
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_ARGUMENT, "it is whisper or all");
    p = (clio_tune_params){.time_limit = -1};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_ARGUMENT, "time limit");
    p = (clio_tune_params){.path = "-"};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_ARGUMENT, "standard output");
    p = (clio_tune_params){.path = "/nowhere/x"};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_FILE, "/nowhere");
    p = (clio_tune_params){.path = folder};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_FILE, "is a folder");
    OK(ctx, params_add(ctx, "any", "logits.local", "4"));
    OK(ctx, clio_tune_list(ctx, NULL, &r));
    const clio_tune_row *row = row_of(r, "logits.local");
    assert_string_equal(row->chosen, "4");
    assert_true(strcmp(row->shipped, "4") != 0 && strstr(row->values, "64") && r->row_count > 4 && r->work_count == 0);
    clio_tune_free(r);
    clio_tune_free(NULL);
    clio_destroy(ctx);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "child"))
        return child(argc, argv);
    const struct CMUnitTest tests[] = {
        EACH(test_compare),       EACH(test_gate),         EACH(test_zeros),        EACH(test_plans),       EACH(test_rules),
        EACH(test_search),        EACH(test_wrong_is_out), EACH(test_gain),         EACH(test_never_worse), EACH(test_useless_company),
        EACH(test_time_limit),    EACH(test_cancel),       EACH(test_crash_marker), EACH(test_killed),      EACH(test_journal),
        EACH(test_one_at_a_time), EACH(test_found),        EACH(test_not_for_this), EACH(test_public),
    };
    self = argv[0];
    unsetenv("CLIO_PARAMS");
    unsetenv("CLIO_CL_DIR");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
