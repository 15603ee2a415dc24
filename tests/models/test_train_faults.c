/* test_train_faults.c - a training run whose files go wrong: damaged checkpoints, links, plots and logs that cannot be written, two runs in
 * one folder, starts that fail. Nothing of the user's is lost, and what happened is said. */
#include "test_scripted.h"

#define SETTINGS "{\"batch_size\": 4, \"max_steps\": 4, \"save_steps\": 2, \"validation_split\": 0}"

static void damage(const char *name, long at)
{
    FILE *file = fopen(in_out(name), "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    fputc(0x5a, file);
    fclose(file);
}

static char *text_of(const char *path)
{
    size_t size;
    char *text = read_file(path, &size), *whole = realloc(text, size + 1);
    assert_non_null(whole);
    whole[size] = '\0';
    return whole;
}

/* ---- damaged checkpoints ---- */

static void test_newest_intact_checkpoint(void **state)
{
    (void)state;
    begin_runs(12, "");
    assert_ok(train_type("low", SETTINGS, false));
    expect_steps("2 4");
    assert_ok(file_set_link(test_context(), out_folder, "last", "checkpoints/step-00000002")); /* killed before it was set */
    assert_ok(train_type(NULL, NULL, true));
    expect_link("last", 4);
    assert_ok(train_type(NULL, "{\"max_steps\": 5}", true)); /* what is none does not count */
    assert_int_equal(mkdir(in_out("checkpoints/step-00000040.bak"), 0777), 0);
    assert_int_equal(mkdir(in_out("checkpoints/step-7"), 0777), 0);
    assert_int_equal(mkdir(in_out("checkpoints/step-00000050"), 0777), 0); /* empty */
    damage("checkpoints/step-00000005/model.safetensors", 100);
    assert_ok(train_type(NULL, "{\"max_steps\": 6}", true));
    expect_event("warning: the newest checkpoint cannot be used (");
    expect_event("step-00000050");
    assert_null(strstr(script.events, "step-00000040")); /* the name of no checkpoint */
    expect_event("resuming from ");
    assert_int_equal(script.steps[0], 5); /* after step 4 */
    expect_last_step(6);
    assert_true(exists("checkpoints/step-00000040.bak") && exists("checkpoints/step-7"));
    expect_link("last", 6);
}

/* Each file of a checkpoint has a checksum; a damaged one that the run reaches again is replaced. */
static void test_checksums(void **state)
{
    static const char *const files[] = {"model.safetensors", "training.safetensors", "config.json"};
    (void)state;
    begin_runs(12, "");
    for (size_t i = 0; i < COUNT(files); i++) {
        char name[100];
        snprintf(out_folder, sizeof out_folder, "%s/run%zu", folder, i);
        assert_ok(train_type("low", SETTINGS, false));
        snprintf(name, sizeof name, "checkpoints/step-00000004/%s", files[i]);
        damage(name, 20);
        assert_ok(train_type(NULL, NULL, true));
        expect_event(files[i]);
        assert_int_equal(script.steps[0], 3);
        expect_last_step(4);
        assert_ok(train_type(NULL, NULL, true));
        expect_event("nothing is left");
        assert_null(strstr(script.events, "warning"));
    }
    damage("checkpoints/step-00000002/training.json", 0);
    damage("checkpoints/step-00000004/training.json", 0);
    assert_fails(train_type(NULL, "{\"max_steps\": 9}", true), CLIO_ERROR_FORMAT, "step-00000004/training.json");
    expect_steps("2 4");
}

/* training.json has no checksum of its own: each value that it must have is checked when it is found, not where it is used. */
static void test_values_of_a_checkpoint(void **state)
{
    static const char *const bad[][2] = {{"step", "9223372036854775807"},
                                         {"epoch", "-1"},
                                         {"samples", "1.5"},
                                         {"best", "\"low\""},
                                         {"best_step", "-2"},
                                         {"evals_without_improvement", "4294967296"},
                                         {"trained", "[1]"},
                                         {"trained", "\"net\""},
                                         {"trained", "[]"},
                                         {"optimizer_steps", "[3]"},
                                         {"optimizer_steps", "[3, 0, 0]"},
                                         {"optimizer_steps", "[3, -1]"},
                                         {"optimizer_begun", "[0, 0.5]"},
                                         {"optimizer_begun", "{}"},
                                         {"loss_scale", "[0, 0]"},
                                         {"loss_scale", "[1, -1]"},
                                         {"loss_scale", "1"},
                                         {"split", "1"},
                                         {"split", "{\"fraction\": 0.1}"},
                                         {"split", "{\"fraction\": \"0.1\", \"seed\": 3}"},
                                         {"split", "{\"fraction\": 0.1, \"seed\": 3, \"names\": \"xyz\"}"},
                                         {"split", "{\"fraction\": 0.1, \"seed\": 3, \"data\": 1}"}};
    (void)state;
    begin_runs(12, "");
    assert_ok(train_type("low", "{\"batch_size\": 4, \"max_steps\": 2, \"validation_split\": 0}", false));
    const char *path = in_out("checkpoints/step-00000002/training.json");
    char *before = text_of(path), want[80];
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct checkpoint c = {0};
        json_t *json = json_loads(before, 0, NULL);
        assert_int_equal(json_object_set_new(json, bad[i][0], json_loads(bad[i][1], JSON_DECODE_ANY, NULL)), 0);
        assert_int_equal(json_dump_file(json, in_out("checkpoints/step-00000002/training.json"), 0), 0);
        json_decref(json);
        snprintf(want, sizeof want, "training.json has no valid \"%s\"", bad[i][0]);
        assert_fails(checkpoint_find(test_context(), out_folder, &c), CLIO_ERROR_FORMAT, want);
        checkpoint_close(&c);
    }
    free(before);
}

/* ---- links ---- */

static void test_links_are_not_followed(void **state)
{
    char target[300], file[320];
    (void)state;
    begin_runs(12, "");
    snprintf(target, sizeof target, "%s/mine", folder);
    snprintf(file, sizeof file, "%s/precious", target);
    assert_int_equal(mkdir(target, 0777), 0);
    write_text(file, "all I have");
    assert_ok(train_type("low", SETTINGS, false));
    assert_int_equal(symlink(target, in_out("checkpoints/step-00000001")), 0);
    assert_int_equal(symlink(target, in_out("checkpoints/.partial-step-00000009")), 0);
    assert_int_equal(symlink(target, in_out("checkpoints/.partial-step-00000006")), 0);
    assert_int_equal(symlink(target, in_out("checkpoints/step-00000002/inside")), 0);
    assert_ok(train_type(NULL, "{\"max_steps\": 8, \"save_total_limit\": 1}", true));
    expect_steps("8");
    assert_false(exists("checkpoints/.partial-step-00000009"));
    free(text_of(file));
    /* a link in the place of a log is replaced */
    assert_int_equal(unlink(in_out("train.csv")), 0);
    assert_int_equal(symlink(file, in_out("train.csv")), 0);
    assert_ok(train_type(NULL, "{\"max_steps\": 9}", true));
    char *text = text_of(file);
    assert_string_equal(text, "all I have");
    free(text);
}

/* ---- files that cannot be written ---- */

static void test_plots_are_not_needed(void **state)
{
    (void)state;
    begin_runs(12, "");
    script.stop_at = 3;
    assert_int_equal(mkdir(out_folder, 0777), 0);
    assert_int_equal(mkdir(in_out("train.png"), 0777), 0);
    assert_fails(train_type("low", "{\"batch_size\": 4, \"max_steps\": 8, \"save_steps\": 100, \"validation_split\": 0}", false),
                 CLIO_ERROR_CANCELLED, "stopped after step 3, which is saved");
    expect_event("train.png could not be written: ");
    expect_event("train.png");
    expect_link("last", 3);
    script.stop_at = 0;
    assert_ok(train_type(NULL, NULL, true));
    expect_last_step(8);
    expect_link("last", 8);
}

/* Zero bytes, as a computer that lost its power may leave them, are a line that is lost. */
static void test_csv_zeros(clio_context *ctx, const char *const *names)
{
    struct csv_log log;
    FILE *file = fopen(in_out("zeros.csv"), "wb");
    fwrite("step,a,b\n\0\0\0\n2,3,4\n", 1, 19, file);
    fclose(file);
    assert_ok(csv_log_open(ctx, &log, folder, "zeros.csv", names, 2));
    assert_int_equal(log.count, 1);
    assert_int_equal(log.unread, 1);
    assert_int_equal(log.first_unread, 2);
    csv_log_close(&log);
}

/* Open log.csv, which holds `text`, and expect it to hold `kept`, and log.csv.old (NULL: none) the text. */
static void expect_log(clio_context *ctx, const char *const *names, const char *text, int64_t keep, const char *kept, const char *old)
{
    struct csv_log log;
    char *now;
    write_text(in_out("log.csv"), text);
    assert_ok(csv_log_open(ctx, &log, folder, "log.csv", names, keep));
    assert_int_equal(log.old != NULL, old != NULL);
    if (old)
        assert_string_equal(log.old, in_out(old));
    csv_log_close(&log);
    now = text_of(in_out("log.csv"));
    assert_string_equal(now, kept);
    free(now);
    if (!old)
        return;
    now = text_of(in_out(old));
    assert_string_equal(now, text);
    free(now);
}

/* Lines that are no rows stay in a file of another name. */
static void test_csv_lines(clio_context *ctx, const char *const *names)
{
    expect_log(ctx, names, "step,a,b\n1,1,2\n2,3", 2, "step,a,b\n1,1,2\n", NULL); /* killed */
    expect_log(ctx, names, "step,a,b\n1,1,2\n2,3,4\n3,5,6\n", 2, "step,a,b\n1,1,2\n2,3,4\n", NULL);
    expect_log(ctx, names, "step,a,b\nx,1,2\n", -1, "step,a,b\n", NULL); /* of a start that failed */
    expect_log(ctx, names, "step\ta\tb\n1\t1\t2\n", 2, "step,a,b\n", "log.csv.old");
    expect_log(ctx, names, "step,a,b\n1,1,2\n2,3;4\n3,5,6\n", 3, "step,a,b\n1,1,2\n3,5,6\n", "log.csv.old2");
    expect_log(ctx, names, "id,file\n1,a.png\n", -1, "step,a,b\n", "log.csv.old3"); /* another program's */
}

/* A row that is not written does not end the run; all rows are in the file as soon as it can be written again. */
static void test_log_is_not_needed(void **state)
{
    struct csv_log log;
    static const char *const names[] = {"a", "b", NULL};
    clio_context *ctx = test_context();
    (void)state;
    snprintf(out_folder, sizeof out_folder, "%s", folder);
    assert_ok(csv_log_open(ctx, &log, folder, "log.csv", names, -1));
    assert_ok(csv_log_add(ctx, &log, 1, (double[]){1, 2}));
    fclose(log.out.stream); /* a full disk */
    assert_non_null(log.out.stream = fopen("/dev/full", "w"));
    assert_fails(csv_log_add(ctx, &log, 2, (double[]){3, 4}), CLIO_ERROR_FILE, "log.csv");
    assert_ok(csv_log_add(ctx, &log, 3, (double[]){5, 0.5}));
    assert_ok(csv_log_add(ctx, &log, 4, (double[]){7, 8}));
    csv_log_close(&log);
    char *text = text_of(in_out("log.csv"));
    assert_string_equal(text, "step,a,b\n1,1,2\n2,3,4\n3,5,0.5\n4,7,8\n");
    free(text);
    assert_ok(csv_log_open(ctx, &log, folder, "log.csv", names, 2));
    csv_log_close(&log);
    text = text_of(in_out("log.csv"));
    assert_string_equal(text, "step,a,b\n1,1,2\n2,3,4\n");
    free(text);
    test_csv_lines(ctx, names);
    test_csv_zeros(ctx, names);
    /* one that cannot be read is not taken for an absent one */
    assert_int_equal(mkdir(in_out("folder.csv"), 0777), 0);
    assert_fails(csv_log_open(ctx, &log, folder, "folder.csv", names, 2), CLIO_ERROR_FILE, "folder.csv");
}

/* ---- two runs, failed starts ---- */

static void test_lock(void **state)
{
    struct file_lock lock;
    (void)state;
    begin_runs(12, "");
    assert_ok(train_type("low", SETTINGS, false));
    assert_false(exists(".lock"));
    assert_ok(file_lock(test_context(), &lock, in_out(".lock"), "training"));
    char *before = text_of(in_out("train.csv"));
    assert_fails(train_type(NULL, "{\"max_steps\": 9}", true), CLIO_ERROR_FILE, "another training uses this folder");
    char *after = text_of(in_out("train.csv"));
    assert_string_equal(before, after);
    free(before);
    free(after);
    expect_steps("2 4");
    file_unlock(&lock);
    assert_ok(train_type(NULL, "{\"max_steps\": 9}", true));
}

static void test_failed_starts(void **state)
{
    (void)state;
    begin_runs(12, "");
    assert_fails(train_type("low", "{\"batch_size\": 64}", false), CLIO_ERROR_FORMAT, "fewer than one batch");
    assert_false(exists(""));
    assert_fails(train_type("classifier", "{\"batch_size\": 4}", false), CLIO_ERROR_FORMAT, "label");
    assert_false(exists(""));
    assert_fails(train_type(NULL, NULL, true), CLIO_ERROR_ARGUMENT, "name the model to train");
    assert_false(exists(""));
    script.loss[0] = NAN; /* fails in the first step: there is no checkpoint, and so no run */
    assert_fails(train_type("low", SETTINGS, false), CLIO_ERROR_NOT_FINITE, "step 1");
    assert_false(exists("samples"));
    begin_script();
    assert_ok(train_type("low", SETTINGS, false));
    assert_fails(train_type("low", SETTINGS, false), CLIO_ERROR_FILE, "already holds a training run (checkpoints): resume it");
}

/* ---- what a checkpoint holds ---- */

static size_t size_of(const char *name)
{
    struct stat info;
    assert_int_equal(stat(in_out(name), &info), 0);
    return (size_t)info.st_size;
}

static bool holds(const char *name, const char *tensor)
{
    struct weights w;
    assert_ok(weights_open(test_context(), &w, in_out(name), NULL));
    bool has = weights_find(&w, tensor) != NULL;
    weights_close(&w);
    return has;
}

/* Weights are written once; with EMA there are two kinds of them, each once. What a resumed run newly needs begins anew, and is said. */
static void test_weights_are_written_once(void **state)
{
    const char *training = "last/training.safetensors";
    (void)state;
    begin_runs(12, "");
    assert_ok(train_type("low", SETTINGS, false));
    assert_true(holds("last/model.safetensors", "w") && !holds(training, "net.w") && holds(training, "net.m.w") &&
                holds(training, "net.v.w"));
    assert_ok(train_type(NULL, "{\"max_steps\": 5, \"ema_decay\": 0.5}", true));
    expect_event("the moving average of the weights of net begins at step 4");
    assert_true(holds("last/model.safetensors", "w") && holds(training, "net.w") && !holds(training, "net.average.w"));
    assert_ok(train_type(NULL, "{\"max_steps\": 6}", true));
    assert_null(strstr(script.events, "moving average"));
    assert_ok(train_type(NULL, "{\"max_steps\": 7, \"optimizer\": \"sgd\", \"ema_decay\": 0}", true));
    assert_false(holds(training, "net.m.w"));
    assert_ok(train_type(NULL, "{\"max_steps\": 8, \"optimizer\": \"adam\"}", true));
    expect_event("the state of the optimizer of net begins anew at step 7");
    assert_true(size_of("last/training.json") > 0);
}

/* An optimizer that begins anew at a step makes the steps of a new one; its learning rate is that of the step. */
static void test_optimizer_begins_anew(void **state)
{
    clio_context *ctx = test_context();
    float w[2];
    (void)state;
    begin_script();
    for (int late = 0; late < 2; late++) {
        struct learner l;
        double losses[LEARNER_LOSSES];
        struct learner_shape shape = {4, 4, 1, 0};
        assert_ok(learner_new(ctx, &l, &scripted_low, shape, NULL, 1));
        l.options[0].rate = 0.125;
        assert_ok(learner_train(ctx, &l, 1));
        l.optimizers[0].step = l.optimizers[0].begun = late ? 50 : 0;
        struct learner_batch b = {.count = 1, .global_count = 1, .images = tensor_shape(DTYPE_F32, 4, 1, 4, 4, 1)};
        assert_ok(tensor_new(ctx, &b.images, "test"));
        for (int i = 0; i < 3; i++)
            assert_ok(l.type->step(ctx, &l, &b, losses));
        assert_ok(tensor_read(ctx, &((struct scripted *)l.state)->w, 0, 1, &w[late]));
        tensor_free(ctx, &b.images);
        learner_close(ctx, &l);
    }
    assert_memory_equal(&w[0], &w[1], sizeof *w);
    assert_true(w[0] < 0.7f);
}

/* ---- classes ---- */

static void test_classes(void **state)
{
    clio_evaluate_params params = {.model = out_folder, .data = data_folder};
    clio_metrics *m;
    char command[900], other[300];
    (void)state;
    begin_runs(16, "x");
    assert_ok(train_type("classifier", "{\"batch_size\": 8, \"max_steps\": 1, \"base_channels\": 2, \"validation_split\": 0}", false));
    char *config = text_of(in_out("last/config.json"));
    assert_non_null(strstr(config, "\"class_names\": [\n    \"disc\",\n    \"square\"\n  ]"));
    free(config);
    /* the second class alone: not renumbered; a metric that does not care which images are of another class is the same */
    snprintf(other, sizeof other, "%s/other", folder);
    snprintf(command, sizeof command, "mkdir '%s' && cp -r '%s/square' '%s'", other, data_folder, other);
    assert_int_equal(system(command), 0);
    params.data = other;
    assert_ok(clio_evaluate(test_context(), &params, &m));
    double squares = m->list[0].value, all, discs;
    clio_metrics_free(m);
    snprintf(command, sizeof command, "rm -r '%s'/* && cp -r '%s/disc' '%s'", other, data_folder, other);
    assert_int_equal(system(command), 0);
    assert_ok(clio_evaluate(test_context(), &params, &m));
    discs = m->list[0].value;
    clio_metrics_free(m);
    params.data = data_folder;
    assert_ok(clio_evaluate(test_context(), &params, &m));
    all = m->list[0].value;
    clio_metrics_free(m);
    assert_true(fabs((squares + discs) / 2 - all) < 1e-9);
    /* a class that the model does not have */
    snprintf(command, sizeof command, "mv '%s/square' '%s/hexagon'", data_folder, data_folder);
    assert_int_equal(system(command), 0);
    assert_fails(clio_evaluate(test_context(), &params, &m), CLIO_ERROR_FORMAT, "class hexagon");
    assert_fails(train_type(NULL, "{\"max_steps\": 2}", true), CLIO_ERROR_FORMAT, "class hexagon");
}

static int clean_up(void **state)
{
    test_forget_tapes(state);
    return remove_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_newest_intact_checkpoint, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_checksums, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_values_of_a_checkpoint, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_links_are_not_followed, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_plots_are_not_needed, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_log_is_not_needed, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_lock, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_failed_starts, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_weights_are_written_once, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_optimizer_begins_anew, make_folder, clean_up),
        cmocka_unit_test_setup_teardown(test_classes, make_folder, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
