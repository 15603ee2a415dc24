/* test_selftest_faults.c - the first-use checks when calls fail or the process ends: only what a kernel computed is kept, a failed call is
 * tried again, and a kernel that ended a process is left alone by the next one. */
#include "../support/failing_cl.h"
#include "test_selftest.h"

#include <signal.h>
#include <sys/wait.h>

#include "../../host/core/private_folder.h"

#define VARIANT "-DW_F16=0 -DPANEL -DMR=8"

static char self[512];

static int set_up_calls(void **state)
{
    fail_nothing();
    return set_up_kernels(state);
}

static int tear_down_calls(void **state)
{
    fail_nothing();
    return tear_down_kernels(state);
}

static const char *notice_with(const char *part)
{
    for (size_t i = 0; i < ctx->notice_count; i++)
        if (strstr(ctx->notices[i], part))
            return ctx->notices[i];
    return NULL;
}

/* How many files of the cache have this in their name. */
static int files_with(const char *part)
{
    DIR *d = opendir(cache);
    int count = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        count += strstr(e->d_name, part) != NULL;
    if (d)
        closedir(d);
    return count;
}

/* Every call of a self-test fails once, in turn: the kernels are the same as ever, and nothing is kept but that they are right. */
static void test_one_failure(void **state)
{
    static const struct {
        const char *call;
        cl_int code;
    } cases[] = {{"clEnqueueReadBuffer", CL_INVALID_COMMAND_QUEUE},
                 {"clBuildProgram", CL_BUILD_PROGRAM_FAILURE},
                 {"clEnqueueNDRangeKernel", CL_INVALID_WORK_GROUP_SIZE}};
    char path[512];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int at = 1; at < 4; at++) {
            clio_destroy(ctx);
            ctx = NULL;
            remove_folder(NULL);
            assert_int_equal(mkdir(folder, 0700), 0);
            reopen();
            param("gemm.many.family", "panel");
            struct matrix m;
            fail_call(cases[i].call, at, 1, cases[i].code);
            clio_status st = matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test");
            bool came = failing.seen >= at;
            fail_nothing();
            if (!came)
                break;
            if (st)
                fail_msg("%s %d: %s", cases[i].call, at, clio_error(ctx));
            assert_int_equal(m.layout, MATRIX_PANELS);
            matrix_free(ctx, &m);
            expect_right("gemm.panel");
            char *text = kept(path);
            assert_non_null(strstr(text, "\ngemm.panel [" VARIANT "] ok\n"));
            assert_null(strstr(text, "failed"));
            assert_int_equal(files_with("trial"), 0);
            assert_int_equal(ctx->notice_count, 0);
            free(text);
        }
}

/* Calls that fail again: the next family computes, the user is told, and the next process starts without prejudice. */
static void test_failures_are_not_kept(void **state)
{
    char path[512];
    (void)state;
    reopen();
    multiply("tile", MATRIX_MANY); /* so that the others are known */
    fail_call("clBuildProgram", 1, 2, CL_BUILD_PROGRAM_FAILURE);
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS); /* row by row */
    assert_int_equal(failing.seen >= 2, 1);
    fail_nothing();
    expect_off("gemm.panel", "does not compile");
    const char *notice = notice_with("kernels of the family gemm.panel are off in this run");
    assert_true(notice && strstr(notice, "(does not compile); the next run tests them again"));
    char *text = kept(path);
    assert_null(strstr(text, VARIANT));
    assert_null(strstr(text, "failed"));
    free(text);
    reopen();
    assert_null(notice_with("gemm.panel"));
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    text = kept(path);
    assert_non_null(strstr(text, "\ngemm.panel [" VARIANT "] ok\n"));
    free(text);
}

/* A wrong result is what a self-test is for: it is kept. */
static void test_wrong_results_are_kept(void **state)
{
    char path[512];
    (void)state;
    doctor_panel("(x) + 0.01f", 0);
    reopen();
    multiply("panel", MATRIX_MANY);
    char *text = kept(path);
    assert_non_null(strstr(text, "\ngemm.panel [" VARIANT "] failed: wrong result"));
    free(text);
    assert_null(notice_with("gemm.panel")); /* clio devices shows it */
}

/* The results of a device with other limits, or of another format, are other results. */
static void test_limits(void **state)
{
    char path[512], text[200], other[200];
    (void)state;
    reopen();
    multiply("panel", MATRIX_MANY);
    assert_int_equal(result_files(path), 1);
    reopen();
    device_limits(&ctx->device, text);
    failing.work_group_size = 64;
    reopen();
    device_limits(&ctx->device, other);
    assert_int_equal(ctx->device.max_work_group, 64);
    assert_string_not_equal(text, other);
    assert_null(problem_of("gemm.panel"));
    multiply("panel", MATRIX_MANY);
    assert_int_equal(result_files(path), 2);
    struct device changed[6];
    for (size_t i = 0; i < COUNT(changed); i++)
        changed[i] = ctx->device;
    changed[0].max_item_sizes[0]++;
    changed[1].local_memory++;
    changed[2].address_alignment++;
    changed[3].simd_width++;
    changed[4].has_fp16 = !changed[4].has_fp16;
    changed[5].global_memory++; /* drivers that report what is free */
    for (size_t i = 0; i < COUNT(changed); i++) {
        device_limits(&changed[i], text);
        assert_int_equal(strcmp(text, other) == 0, i == 5);
    }
}

/* ---- processes that end ---- */

static void die(void)
{
    raise(SIGKILL);
}

/* The user stops the call, in a way that a driver that hangs does not notice. */
static void stop_and_die(void)
{
    clio_cancel(ctx);
    raise(SIGKILL);
}

static void hang_and_die(void)
{
    atomic_store(&ctx->trial.started, atomic_load(&ctx->trial.started) - SELFTEST_ENDLESS);
    stop_and_die();
}

/* Run the self-test of gemm.panel in a process that ends during its first launch, so or so. */
static int child(const char *how)
{
    struct matrix m;
    reopen();
    param("gemm.many.family", "panel");
    fail_call("clEnqueueNDRangeKernel", 1, 1, CL_SUCCESS);
    failing.instead = strcmp(how, "die") == 0 ? die : strcmp(how, "stop") == 0 ? stop_and_die : hang_and_die;
    return matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test") ? 3 : 2;
}

static void run_child(const char *how)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "--child", how, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_died(void **state)
{
    char path[512];
    (void)state;
    run_child("die");
    assert_int_equal(files_with(".trial."), 1);
    for (int i = 0; i < 2; i++) { /* the next process, and the one after it */
        reopen();
        assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
        expect_off("gemm.panel", "a process ended during this self-test");
        const struct selftest_result *r = selftest_result_find(ctx, "gemm.panel", VARIANT);
        assert_true(r && r->outcome == SELFTEST_DIED);
        assert_int_equal(files_with(".trial."), 0);
        char *text = kept(path);
        assert_non_null(strstr(text, "\ngemm.panel [" VARIANT "] died\n"));
        free(text);
        const char *notice = notice_with("kernels of the family gemm.panel are off, since a process ended during their self-test; delete ");
        assert_true(notice && strstr(notice, path));
    }
    assert_int_equal(remove(path), 0); /* as the sentence says */
    reopen();
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    assert_int_equal(ctx->notice_count, 0);
}

/* clio devices shows it before the device is opened, and leaves the mark to who can write the result. */
static void test_died_and_shown(void **state)
{
    const clio_device_info *devices;
    const clio_selftest *list;
    size_t count, n;
    int off = 0;
    (void)state;
    run_child("die");
    OK(clio_device_list(ctx, &devices, &count));
    for (size_t i = 0; i < count; i++)
        if (devices[i].index >= 0) {
            OK(clio_device_selftests(ctx, devices[i].index, &list, &n));
            for (size_t k = 0; k < n; k++)
                off += list[k].problem && strstr(list[k].problem, "a process ended") != NULL;
        }
    assert_int_equal(off, 1);
    assert_int_equal(files_with(".trial."), 1);
}

/* Whom the user stopped is no proof; but who hangs is. */
static void test_stopped(void **state)
{
    (void)state;
    run_child("stop");
    assert_int_equal(files_with(".trial."), 0);
    reopen();
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    clio_destroy(ctx);
    ctx = NULL;
    remove_folder(NULL);
    assert_int_equal(mkdir(folder, 0700), 0);
    run_child("hang");
    assert_int_equal(files_with(".trial."), 1);
    reopen();
    multiply("panel", MATRIX_MANY);
    expect_off("gemm.panel", "a process ended");
}

/* The mark of a process that still runs is not taken for one that ended. */
static void test_still_running(void **state)
{
    struct selftest_trial other = {.file = -1};
    char *path;
    (void)state;
    reopen();
    OK(private_folder_make(ctx, cache));
    OK(selftest_results_path(ctx, &path));
    selftest_trial_begin(&other, path, "gemm.panel", VARIANT);
    assert_true(other.file >= 0);
    assert_int_equal(files_with(".trial."), 1);
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    assert_int_equal(files_with(".trial."), 1);
    selftest_trial_end(&other);
    assert_int_equal(files_with(".trial."), 0);
    free(path);
}

/* With nothing left, the sentence names the file to delete. */
static void test_nothing_left(void **state)
{
    struct matrix m;
    char path[512], text[4096] = "", *head;
    static const char *const variants[] = {VARIANT, "-DW_F16=0 -DPANEL -DMR=1"};
    (void)state;
    reopen();
    norm("row");
    head = kept(path);
    for (size_t i = 0; i < COUNT(variants); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sgemm.panel [%s] failed: wrong result (error 1 of 1)\n", i ? "" : head,
                 variants[i]);
    write_text(path, text);
    free(head);
    setenv("CLIO_DISABLE", "gemm.tile,gemm.rows,gemm.clblast", 1);
    reopen();
    param("gemm.many.family", "panel");
    FAILS(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"), CLIO_ERROR_DEVICE, "no kernel for matrix multiplication works on");
    assert_non_null(strstr(clio_error(ctx), path));
    assert_non_null(strstr(clio_error(ctx), " to repeat the self-tests"));
}

#undef EACH
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up_calls, tear_down_calls)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EACH(test_one_failure),
        EACH(test_failures_are_not_kept),
        EACH(test_wrong_results_are_kept),
        EACH(test_limits),
        EACH(test_died),
        EACH(test_died_and_shown),
        EACH(test_stopped),
        EACH(test_still_running),
        EACH(test_nothing_left),
    };
    snprintf(self, sizeof self, "%s", argv[0]);
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return child(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
