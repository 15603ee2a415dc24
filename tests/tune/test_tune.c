/* test_tune.c - the tuner: its gate, plans, search, result and time limit. */
#include "test_tune.h"

#include "../../host/core/clock.h"

#include <time.h>

/* ---- comparing, and the gate ---- */

static void test_compare(void **unused)
{
    float want[4] = {1, -2, 0, 0.5f}, right[4] = {1.00001f, -2, 0.00001f, 0.5f}, off[4] = {1, -2, 0.001f, 0.5f}, zero[4] = {0};
    float nan[4] = {1, -2, NAN, 0.5f}, infinite[4] = {1, -2, 0, INFINITY};
    char why[128];
    (void)unused;
    assert_true(tune_compare(right, want, 4, why) && !*why);
    assert_false(tune_compare(off, want, 4, why));
    assert_non_null(strstr(why, "element 2 is 0.001 instead of 0"));
    assert_false(tune_compare(zero, want, 4, why));
    assert_string_equal(why, "all zeros");
    assert_false(tune_compare(zero, zero, 4, why)); /* an answer of nothing proves nothing */
    assert_false(tune_compare(nan, want, 4, why));
    assert_string_equal(why, "element 2 is not finite");
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
        write_text(name, changed.data);
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
    if (which == TUNE_ATTENTION) { /* over pairs of bfloat16, whatever the device is given */
        OK(s.ctx, params_add(s.ctx, "any", "attention.family", "row"));
        OK(s.ctx, params_add(s.ctx, "any", "attention.storage", "bf16"));
    } else
        s.ctx->device.architecture = ""; /* f32: the device's own dot products are not written in OpenCL C */
    if (tune_verify(&s, NULL, which, &right, why))
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
    assert_non_null(strstr(why, "writes past the end of its output"));
    /* nothing written at all */
    doctor("norm.cl", "out += (size_t)row * n;", "return;");
    assert_false(passes(TUNE_NORM, why));
    assert_non_null(strstr(why, "row 0 was not written"));
    unsetenv("CLIO_CL_DIR");
}

static void test_gate_of_pairs(void **unused)
{
    char why[128];
    (void)unused;
    if (!passes(TUNE_ATTENTION, why))
        fail_msg("the kernels as they are: %s", why);
    doctor("attention_bf16.cl", "limit + i + 1", "limit + i"); /* one key too few for each query */
    assert_false(passes(TUNE_ATTENTION, why));
    assert_non_null(strstr(why, " instead of "));
    unsetenv("CLIO_CL_DIR");
}

/* A product without anything behind it is all zeros when nothing is summed. */
static void test_zeros(void **unused)
{
    static const struct tune_case plain = {0, TUNE_MANY, TUNE_OP_GEMM, 33, 65, 127, 0, MATRIX_MANY, TUNE_PLAIN, 1, 0};
    struct tune_bench b;
    bool right;
    char why[128];
    (void)unused;
    doctor("common.clh", "((a) * (b) + (c))", "(c)");
    clio_context *ctx = open_context();
    ctx->selftests.bypassed = true;
    OK(ctx, params_add(ctx, "any", "gemm.many.family", ctx->device.simd_width > 1 ? "panel" : "rows"));
    OK(ctx, params_add(ctx, "any", "gemm.many.storage", "f32"));
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
        assert_true(plan.case_count <= TUNE_CASES && plan.workload_count <= TUNE_WORKLOADS && plan.step_count > 0);
        for (size_t i = 0; i < plan.case_count; i++)
            assert_true(plan.cases[i].work < (int)plan.workload_count && plan.cases[i].decides && plan.cases[i].m > 0 &&
                        plan.cases[i].n > 0);
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
        if (tune_verify(&s, NULL, p ? TUNE_SOFTMAX : TUNE_EVERYTHING & ~TUNE_ATTENTION, &right, why) || !right)
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
    assert_int_equal(r->workload_count, 2);
    assert_float_equal(r->workloads[0].before, 3e-3, 1e-6);
    assert_float_equal(r->workloads[0].after, 1.5e-3, 1e-6);
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

/* ---- the result ---- */

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
        assert_true(r->complete && r->written && r->workload_count == 0);
        char *text = slurp(path);
        assert_non_null(strstr(text, "# no parameters were confirmed to be faster"));
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
    assert_non_null(strstr(text, "tune again to go on"));
    free(text);
    assert_true(file_exists(state));

    plan.time_limit = 600; /* goes on; what it writes is complete */
    OK(ctx, tune_with(ctx, &plan, path, &r));
    assert_true(r->complete && r->written && is_changed(r));
    clio_tune_free(r);
    plan.seconds = forever; /* which a search that is not does not replace */
    plan.time_limit = 0.5;
    double start = clock_seconds();
    OK(ctx, tune_with(ctx, &plan, path, &r));
    assert_true(clock_seconds() - start < 60);
    assert_true(!r->complete && !r->written);
    clio_tune_free(r);
    text = slurp(path);
    assert_non_null(strstr(text, "\nany logits.local 8\n"));
    free(text);
    clio_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_compare), EACH(test_gate),        EACH(test_gate_of_pairs),   EACH(test_zeros),
        EACH(test_plans),   EACH(test_rules),       EACH(test_search),          EACH(test_wrong_is_out),
        EACH(test_gain),    EACH(test_never_worse), EACH(test_useless_company), EACH(test_time_limit),
    };
    unsetenv("CLIO_PARAMS");
    unsetenv("CLIO_CL_DIR");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
