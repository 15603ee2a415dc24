/* test_train_runs.c - what the training loop decides: which checkpoint is the best, early stopping, which checkpoints are kept, how many
 * steps a run has, in what order samples come, what a resumed run goes on with, figures of speed. A scripted model gives the losses and
 * metrics (test_scripted.h). */
#include "test_scripted.h"

static const char *const plain = "{\"batch_size\": 4, \"epochs\": 2, \"validation_split\": 0}";

/* ---- best checkpoint, early stopping ---- */

static void set_metrics(const double *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        script.metric[i] = list[i];
}

static void test_early_stopping(void **state)
{
    static const double falls[] = {5, 4, 3, 3.5, 3.25, 1}, rises[] = {1, 2, 3, 2.5, 2.75, 9}, stays[] = {3, 3, 3, 1};
    const char *settings = "{\"batch_size\": 4, \"max_steps\": 20, \"eval_steps\": 1, \"early_stopping_patience\": 2, \"save_steps\": 100, "
                           "\"validation_split\": 0.25}";
    (void)state;
    begin_runs(16, "");
    set_metrics(falls, COUNT(falls));
    assert_ok(train_type("low", settings, false));
    expect_last_step(5);
    expect_link("best", 3);
    expect_link("last", 5);
    expect_event("early stopping after step 5: no improvement in 2 evaluations; the best checkpoint is step 3");
    expect_event("step 3: validation metric 3 on 4 images (best so far)");
    expect_event("step 4: validation metric 3.5 on 4 images (best: 3)");

    assert_ok(train_type(NULL, NULL, true)); /* ends at once, and says why */
    assert_int_equal(script.step_count, 0);
    expect_event("early stopping ended the run after step 5, after 2 evaluations without improvement; set early_stopping_patience higher");
    assert_ok(train_type(NULL, "{\"early_stopping_patience\": 3, \"max_steps\": 6}", true));
    expect_last_step(6);
    expect_link("best", 6);

    snprintf(out_folder, sizeof out_folder, "%s/high", folder);
    set_metrics(rises, COUNT(rises));
    assert_ok(train_type("high", settings, false));
    expect_last_step(5);
    expect_link("best", 3);

    snprintf(out_folder, sizeof out_folder, "%s/stays", folder); /* the same again is no improvement */
    set_metrics(stays, COUNT(stays));
    assert_ok(train_type("low", settings, false));
    expect_last_step(3);
    expect_link("best", 1);

    snprintf(out_folder, sizeof out_folder, "%s/never", folder); /* patience 0 never stops */
    assert_ok(train_type("low", "{\"batch_size\": 4, \"max_steps\": 9, \"eval_steps\": 1, \"validation_split\": 0.25}", false));
    expect_last_step(9);
    expect_link("best", 4);
}

/* An evaluation that is better saves, whatever save_steps is; the best and the newest are kept. */
static void test_kept_checkpoints(void **state)
{
    static const double metrics[] = {5, 1, 4, 3, 4, 4, 4};
    (void)state;
    begin_runs(16, "");
    set_metrics(metrics, COUNT(metrics));
    assert_ok(train_type("low", "{\"batch_size\": 4, \"max_steps\": 6, \"save_steps\": 1, \"eval_steps\": 1, \"validation_split\": 0.25}",
                         false));
    expect_steps("2 5 6");
    snprintf(out_folder, sizeof out_folder, "%s/three", folder);
    assert_ok(train_type(
        "low", "{\"batch_size\": 4, \"max_steps\": 6, \"save_steps\": 2, \"save_total_limit\": 3, \"validation_split\": 0}", false));
    expect_steps("2 4 6");
    snprintf(out_folder, sizeof out_folder, "%s/few", folder);
    assert_ok(train_type("low", "{\"batch_size\": 4, \"max_steps\": 6, \"save_steps\": 4, \"eval_steps\": 3, \"validation_split\": 0.25}",
                         false));
    expect_steps("3 4 6");
    script.metric[7] = 9;
    assert_ok(train_type(NULL, "{\"max_steps\": 8, \"save_total_limit\": 1}", true));
    expect_steps("3 8");
}

/* ---- the number of steps ---- */

static void expect_run(const char *out, const char *settings, int64_t steps)
{
    snprintf(out_folder, sizeof out_folder, "%s/%s", folder, out);
    assert_ok(train_type("low", settings, false));
    expect_last_step(steps);
    assert_int_equal(script.of, steps);
}

static void test_steps(void **state)
{
    (void)state;
    begin_runs(14, "");
    expect_run("a", plain, 6); /* 3 batches of 4: the last 2 samples of an epoch are left out */
    expect_run("b", "{\"batch_size\": 4, \"epochs\": 1.5, \"validation_split\": 0}", 5);
    expect_run("c", "{\"batch_size\": 4, \"epochs\": 2, \"gradient_accumulation_steps\": 4, \"validation_split\": 0}", 2);
    expect_run("d", "{\"batch_size\": 4, \"epochs\": 100, \"max_steps\": 3, \"validation_split\": 0}", 3);
    snprintf(out_folder, sizeof out_folder, "%s/none", folder);
    assert_fails(train_type("low", "{\"epochs\": 0}", false), CLIO_ERROR_ARGUMENT, "nothing to train: epochs is 0");
    assert_false(exists(""));
}

/* Evaluations, checkpoints and samples of 0 steps are at the ends of epochs, also where these are not multiples of steps. */
static void test_ends_of_epochs(void **state)
{
    (void)state;
    begin_runs(20, "");
    assert_ok(train_type("low",
                         "{\"batch_size\": 4, \"epochs\": 4, \"gradient_accumulation_steps\": 2, \"save_total_limit\": 9, "
                         "\"validation_split\": 0.4}",
                         false)); /* 3 batches an epoch, 2 a step: epochs end in steps 2, 3, 5 and 6 */
    expect_last_step(6);
    expect_steps("2 3 5 6");
    expect_event("step 5: validation");
    assert_null(strstr(script.events, "step 4: validation"));
}

/* ---- the order of samples ---- */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool same_set(const uint64_t *a, const uint64_t *b, size_t count)
{
    uint64_t x[64], y[64];
    assert_true(count <= 64);
    memcpy(x, a, count * sizeof *x);
    memcpy(y, b, count * sizeof *y);
    qsort(x, count, sizeof *x, by_value);
    qsort(y, count, sizeof *y, by_value);
    return !memcmp(x, y, count * sizeof *x);
}

static void test_order(void **state)
{
    uint64_t first[24];
    (void)state;
    begin_runs(12, "");
    expect_run("a", plain, 6);
    assert_int_equal(script.used_count, 24);
    memcpy(first, script.used, sizeof first);
    assert_true(same_set(first, first + 12, 12)); /* every sample once an epoch, each time in another order */
    assert_true(memcmp(first, first + 12, 12 * sizeof *first) != 0);
    expect_run("b", plain, 6);
    assert_memory_equal(first, script.used, sizeof first);
    expect_run("c", "{\"batch_size\": 4, \"epochs\": 2, \"validation_split\": 0, \"seed\": 1}", 6);
    assert_true(same_set(first, script.used, 12) && memcmp(first, script.used, sizeof first) != 0);
    expect_run("d", "{\"batch_size\": 2, \"epochs\": 2, \"validation_split\": 0}", 12); /* the order does not depend on the batch size */
    assert_memory_equal(first, script.used, sizeof first);
}

/* ---- resumed runs ---- */

static void test_resumed_with_another_batch_size(void **state)
{
    uint64_t whole[24];
    (void)state;
    begin_runs(12, "");
    expect_run("whole", plain, 6);
    memcpy(whole, script.used, sizeof whole);
    snprintf(out_folder, sizeof out_folder, "%s/run", folder);
    script.stop_at = 4; /* 16 samples: one epoch, and 4 samples of the next */
    assert_fails(train_type("low", plain, false), CLIO_ERROR_CANCELLED, "step 4");
    script.stop_at = 0;
    assert_ok(train_type(NULL, "{\"batch_size\": 2, \"epochs\": 3}", true));
    assert_int_equal(script.used_count, 36 - 16);
    assert_memory_equal(whole + 16, script.used, 8 * sizeof *whole); /* the rest of the second epoch */
    expect_last_step(4 + 4 + 6);
    assert_true(fabs(script.epochs[3] - 2) < 1e-9 && fabs(script.epochs[9] - 3) < 1e-9);
    assert_ok(train_type(NULL, NULL, true));
    assert_int_equal(script.step_count, 0);
    expect_event("nothing is left to train: the run has made 14 steps (3 epochs); set epochs higher");
}

/* max_steps, then epochs: what is given last wins. */
static void test_resumed_with_epochs(void **state)
{
    (void)state;
    begin_runs(12, "");
    assert_ok(train_type("low", "{\"batch_size\": 4, \"max_steps\": 5, \"validation_split\": 0}", false));
    assert_ok(train_type(NULL, "{\"epochs\": 3}", true));
    expect_last_step(9);
    assert_ok(train_type(NULL, "{\"max_steps\": 10}", true));
    expect_last_step(10);
    assert_ok(train_type(NULL, "{\"max_steps\": 10}", true));
    expect_event("set max_steps higher");
}

static bool contains(const uint64_t *list, size_t count, uint64_t one)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == one)
            return true;
    return false;
}

/* A resumed run has the validation samples that it had, also with another seed, and clio_evaluate has the same. */
static void test_validation_split(void **state)
{
    uint64_t held[6];
    clio_evaluate_params params = {.model = out_folder, .data = data_folder};
    clio_metrics *m;
    (void)state;
    begin_runs(24, "");
    assert_ok(train_type("low", "{\"batch_size\": 3, \"epochs\": 1, \"validation_split\": 0.25, \"seed\": 3}", false));
    size_t count = script.checked_count;
    assert_true(count >= 2 && count <= 12);
    memcpy(held, script.checked, MIN(count, 6) * sizeof *held);
    for (size_t i = 0; i < script.used_count; i++)
        assert_false(contains(script.checked, count, script.used[i]));
    assert_ok(train_type(NULL, "{\"epochs\": 2, \"seed\": 4}", true));
    assert_int_equal(script.checked_count, count);
    assert_memory_equal(held, script.checked, MIN(count, 6) * sizeof *held);
    script.checked_count = 0;
    assert_ok(clio_evaluate(test_context(), &params, &m));
    assert_int_equal(script.checked_count, count);
    assert_memory_equal(held, script.checked, MIN(count, 6) * sizeof *held);
    assert_true(fabs(m->list[0].value - 1) < 1e-12 && fabs(m->list[m->count - 1].value - (double)count) < 1e-9);
    clio_metrics_free(m);
    assert_ok(train_type(NULL, "{\"epochs\": 3}", true)); /* the settings have the other seed now */
    assert_int_equal(script.checked_count, count);
    assert_memory_equal(held, script.checked, MIN(count, 6) * sizeof *held);
    assert_ok(train_type(NULL, "{\"epochs\": 4, \"validation_split\": 0.5}", true)); /* other samples: not comparable */
    expect_event("the validation data is not that of the run so far: the best checkpoint is chosen anew");
    assert_true(script.checked_count > count);
    expect_event("(best so far)");
}

/* ---- figures ---- */

/* 8 samples in steps of two batches that take 0.1 seconds each, and a little more: at most 40 samples per second. */
static void test_samples_per_second(void **state)
{
    char row[400];
    double logged = 0, reported = 0;
    FILE *file;
    (void)state;
    begin_runs(12, "");
    script.delay = 0.1;
    assert_ok(
        train_type("low", "{\"batch_size\": 4, \"max_steps\": 4, \"gradient_accumulation_steps\": 2, \"validation_split\": 0}", false));
    assert_non_null(file = fopen(in_out("train.csv"), "r"));
    while (fgets(row, sizeof row, file))
        logged = fmax(logged, strtod(strrchr(row, ',') + 1, NULL));
    fclose(file);
    for (int i = 0; i < 4; i++)
        reported = fmax(reported, script.rates[i]);
    if (!(logged > 20.5 && logged < 40.5 && reported > 20.5 && reported < 40.5))
        fail_msg("%g and %g samples per second", logged, reported);
}

static void test_not_finite(void **state)
{
    (void)state;
    begin_runs(12, "");
    script.loss[2] = NAN;
    assert_fails(train_type("low", plain, false), CLIO_ERROR_NOT_FINITE, "step 3: loss is not a finite number");
    snprintf(out_folder, sizeof out_folder, "%s/metric", folder);
    begin_script();
    script.metric[2] = INFINITY;
    assert_fails(train_type("low", "{\"batch_size\": 3, \"epochs\": 2, \"validation_split\": 0.25}", false), CLIO_ERROR_NOT_FINITE,
                 "step 3: metric is not a finite number");
}

static int clean_up(void **state)
{
    test_forget_tapes(state);
    return remove_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_early_stopping, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_kept_checkpoints, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_steps, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_ends_of_epochs, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_order, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_resumed_with_another_batch_size, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_resumed_with_epochs, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_validation_split, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_samples_per_second, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_not_finite, make_folder, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
