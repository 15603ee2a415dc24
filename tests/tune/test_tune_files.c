/* test_tune_files.c - the tuner: its journal, going on after it was stopped or killed, the file that it writes and the device reads, and
 * the public functions. What a process may die of is tried in processes of their own: this program, called with `child`. */
#include "test_tune.h"

#include <sys/wait.h>
#include <unistd.h>

static const char *self;

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
    assert_non_null(strstr(text, "1 ended the process"));
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
    write_text(state, "");
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    assert_int_equal(s.count, 0);
    tune_state_close(&s);
    FAILS(ctx, tune_state_open(ctx, &s, "/nowhere/x.state", "one"), CLIO_ERROR_FILE, "/nowhere/x.state");
    clio_destroy(ctx);
}

/* What is no journal is left as it is, whatever its name; so is what a link names. */
static void test_other_files(void **unused)
{
    static const char *const contents[] = {"precious\n", "clio tune", "clio tune state 2\nx\n", "", "clio tune state 1\n"};
    struct tune_state s;
    char target[160], *text;
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    snprintf(target, sizeof target, "%s/target", folder);
    for (size_t i = 0; i < COUNT(contents); i++) {
        bool journal = strncmp(contents[i], "clio tune state 1\n", strlen(contents[i])) == 0 || !strcmp(contents[i], "clio tune state 1\n");
        write_text(state, contents[i]);
        clio_status st = tune_state_open(ctx, &s, state, "one");
        if (journal) { /* of a process that was killed while it began */
            OK(ctx, st);
            tune_state_close(&s);
            continue;
        }
        FAILS(ctx, st, CLIO_ERROR_FILE, "is no journal of the tuner, which would overwrite it: move it elsewhere, or name another file");
        assert_non_null(strstr(clio_error(ctx), state));
        text = slurp(state);
        assert_string_equal(text, contents[i]);
        free(text);
    }
    /* a link, to a file, to a journal and to nothing */
    for (int i = 0; i < 3; i++) {
        unlink(state);
        unlink(target);
        if (i < 2)
            write_text(target, i ? "clio tune state 1\none\n" : "precious\n");
        assert_int_equal(symlink("target", state), 0);
        FAILS(ctx, tune_state_open(ctx, &s, state, "one"), CLIO_ERROR_FILE, "is a link, and the tuner would overwrite what it names");
        assert_int_equal(file_exists(target), i < 2);
        text = i < 2 ? slurp(target) : strdup("");
        assert_string_equal(text, i == 0 ? "precious\n" : i == 1 ? "clio tune state 1\none\n" : "");
        free(text);
    }
    unlink(state);
    assert_int_equal(mkfifo(state, 0600), 0); /* nobody writes to it: it is not waited for */
    FAILS(ctx, tune_state_open(ctx, &s, state, "one"), CLIO_ERROR_FILE, "is no regular file");
    clio_destroy(ctx);
}

/* Through the public function: neither the file of that name nor the result. */
static void test_other_file_is_kept(void **unused)
{
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    (void)unused;
    clio_context *ctx = open_context();
    write_text(state, "precious\n");
    FAILS(ctx, tune_with(ctx, &plan, path, &r), CLIO_ERROR_FILE, "is no journal of the tuner");
    assert_int_equal(calls, 0);
    assert_false(file_exists(path));
    char *text = slurp(state);
    assert_string_equal(text, "precious\n");
    free(text);
    clio_destroy(ctx);
}

/* Nor is a file of the result's name that holds something else; an empty one and a result of another device are replaced. */
static void test_other_result_is_kept(void **unused)
{
    static const char *const others[] = {"precious\n", "#", "# clio tuned parameters", "# clio tuned parameters 11\n"};
    struct tune_plan plan = small_plan(by_local);
    clio_tune_result *r;
    char *text;
    (void)unused;
    clio_context *ctx = open_context();
    for (size_t i = 0; i < COUNT(others); i++) {
        write_text(path, others[i]);
        FAILS(ctx, tune_with(ctx, &plan, path, &r), CLIO_ERROR_FILE, "is not a file of tuned parameters, and would be overwritten");
        assert_non_null(strstr(clio_error(ctx), path));
        assert_int_equal(calls, 0);
        assert_false(file_exists(state));
        text = slurp(path);
        assert_string_equal(text, others[i]);
        free(text);
    }
    for (int i = 0; i < 2; i++) {
        write_text(path, i ? "# clio tuned parameters 1\n# device: another\n" : "");
        OK(ctx, tune_with(ctx, &plan, path, &r));
        assert_int_equal(r->written, 1);
        clio_tune_free(r);
        text = slurp(path);
        assert_null(strstr(text, "another\n"));
        free(text);
    }
    clio_destroy(ctx);
}

/* A call that failed says nothing about a candidate: the next process tries it again. In this one it stays failed. */
static void test_failed_again(void **unused)
{
    struct tune_state s;
    struct tune_result r = {.outcome = TUNE_FAILED};
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    OK(ctx, tune_state_begin(ctx, &s, "a: x=1"));
    OK(ctx, tune_state_end(ctx, &s, "a: x=1", &r, "CL_OUT_OF_RESOURCES"));
    assert_int_equal(tune_state_find(&s, "a: x=1")->result.outcome, TUNE_FAILED);
    r.outcome = TUNE_SLOW;
    OK(ctx, tune_state_begin(ctx, &s, "a: x=2"));
    OK(ctx, tune_state_end(ctx, &s, "a: x=2", &r, ""));
    tune_state_close(&s);
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    assert_int_equal(tune_state_find(&s, "a: x=1")->result.outcome, TUNE_UNTRIED);
    assert_int_equal(tune_state_find(&s, "a: x=2")->result.outcome, TUNE_SLOW);
    tune_state_close(&s);
    clio_destroy(ctx);
}

/* A journal that another process deleted, or replaced, is not deleted in its place. */
static void test_replaced(void **unused)
{
    struct tune_state s;
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    OK(ctx, tune_state_open(ctx, &s, state, "one"));
    unlink(state);
    write_text(state, "another\n");
    OK(ctx, tune_state_finish(ctx, &s, "one"));
    char *text = slurp(state);
    assert_string_equal(text, "another\n");
    free(text);
    tune_state_close(&s);
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
    write_text(mine, "any logits.local 4\n");
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
    write_text(name, text);
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
                  {"any logits.local 0", "logits.local must be a number from 1 to 65536, not 0"},
                  {"any logits.local -8", "must be a number from 1 to 65536, not -8"},
                  {"any logits.local 99999999999", "must be a number from 1 to 65536, not 99999999999"},
                  {"any logits.local many", "must be a number from 1 to 65536, not many"},
                  {"any logits.local 8.5", "must be a number"},
                  {"any norm.family 3", "norm.family must be one of: row group; not 3"},
                  {"any norm.family rows", "norm.family must be one of"}, /* no part of a word, nor more than one */
                  {"any norm.family ro", "norm.family must be one of"},
                  {"any no.such.key 8", "no.such.key is a parameter that this clio does not have"},
                  {"any attention.row.keys 12", ", line "},
                  {"any attention.row.keys 12", "attention.row.keys must be a multiple of 32 from 32 to 1024, not 12"},
                  {"any attention.row.keys 0", "must be a multiple of 32"},
                  {"gpu attention.row.keys 12\ncpu attention.row.keys 12", "must be a multiple of 32"}, /* of whatever device */
                  {"any attention.row.queries 16\nany attention.row.keys 512", "attention.row.queries: "},
                  {"any attention.row.queries 16\nany attention.row.keys 512", " cannot run these values together"},
                  {"any logits.local 65536", "logits.local: "},
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
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_ARGUMENT, "params.purpose is \"speed\": it must be whisper or all");
    p = (clio_tune_params){.time_limit = -1};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_ARGUMENT, "params.time_limit is -1");
    p = (clio_tune_params){.path = "-"};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_ARGUMENT, "params.path is -");
    p = (clio_tune_params){.path = "/nowhere/x"};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_FILE, "/nowhere");
    p = (clio_tune_params){.path = folder};
    FAILS(ctx, clio_tune(ctx, &p, &r), CLIO_ERROR_FILE, "is a folder");
    OK(ctx, params_add(ctx, "any", "logits.local", "4"));
    OK(ctx, clio_tune_list(ctx, NULL, &r));
    const clio_tune_row *row = row_of(r, "logits.local");
    assert_string_equal(row->chosen, "4");
    assert_true(strcmp(row->shipped, "4") != 0 && strstr(row->values, "64") && r->row_count > 4 && r->workload_count == 0);
    clio_tune_free(r);
    clio_tune_free(NULL);
    clio_destroy(ctx);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "child"))
        return child(argc, argv);
    const struct CMUnitTest tests[] = {
        EACH(test_cancel),
        EACH(test_crash_marker),
        EACH(test_killed),
        EACH(test_journal),
        EACH(test_one_at_a_time),
        EACH(test_other_files),
        EACH(test_other_file_is_kept),
        EACH(test_other_result_is_kept),
        EACH(test_failed_again),
        EACH(test_replaced),
        EACH(test_found),
        EACH(test_not_for_this),
        EACH(test_public),
    };
    self = argv[0];
    unsetenv("CLIO_PARAMS");
    unsetenv("CLIO_CL_DIR");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
