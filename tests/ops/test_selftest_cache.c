/* test_selftest_cache.c - the verdicts of the first-use checks: kept for the next process, forgotten when a driver or a source changes,
 * outweighed by the user, and shown. */
#include "test_selftest.h"

static void test_kept_for_the_next_process(void **state)
{
    char path[512];
    struct stat before, after;
    struct matrix m;
    (void)state;
    reopen();
    everything();
    char *text = kept(path);
    assert_int_equal(stat(path, &before), 0);
    reopen();
    expect_right("gemm.panel"); /* before anything was used */
    param("gemm.many.family", "panel");
    OK(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"));
    matrix_free(ctx, &m);
    assert_int_equal(ctx->programs.count, 0); /* neither checked nor compiled */
    everything();
    char *again = kept(path);
    assert_string_equal(text, again);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    free(text);
    free(again);
}

/* What is no fault of the path is no verdict on it. */
static void test_cancelled(void **state)
{
    struct matrix m;
    char path[512];
    (void)state;
    reopen();
    param("gemm.many.family", "panel");
    clio_cancel(ctx);
    FAILS(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"), CLIO_ERROR_CANCELLED, "cancelled");
    assert_null(problem_of("gemm.panel"));
    assert_int_equal(result_files(path), 0);
    ctx->cancelled = 0;
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
    expect_right("gemm.panel");
}

static void test_nothing_left(void **state)
{
    struct matrix m;
    struct attention_cache held;
    (void)state;
    setenv("CLIO_DISABLE", "gemm.panel,gemm.tile, gemm.rows, attention.row attention.group", 1);
    reopen();
    FAILS(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"), CLIO_ERROR_DEVICE, "no kernel for matrix multiplication works on");
    assert_non_null(strstr(clio_error(ctx), "unset CLIO_DISABLE"));
    FAILS(attention_cache_new(ctx, NULL, &held, 1, 1, 16, 32, MATRIX_MANY, "a test"), CLIO_ERROR_DEVICE,
          "no kernel for attention works on");
}

static void test_disabled_by_hand(void **state)
{
    char path[512];
    (void)state;
    setenv("CLIO_DISABLE", "gemm.panel,attention.row", 1);
    reopen();
    expect_off("gemm.panel", "disabled by CLIO_DISABLE"); /* at once */
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_ROWS);
    attend("row");
    expect_right("attention.group");
    char *text = kept(path);
    assert_null(strstr(text, "gemm.panel")); /* a wish is no verdict */
    assert_null(strstr(text, "CLIO_DISABLE"));
    free(text);
    unsetenv("CLIO_DISABLE");
    reopen();
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
    expect_right("gemm.panel");
    setenv("CLIO_DISABLE", "gemm.panel", 1); /* outweighs what is kept */
    reopen();
    expect_off("gemm.panel", "disabled by CLIO_DISABLE");
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_ROWS);
    const char *wrong[] = {"gemm.panl", "gemm", "gemm.panel,nonsense", "a name that is longer than any other one here"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        setenv("CLIO_DISABLE", wrong[i], 1);
        FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_ARGUMENT, "is not a kernel family; the families are ");
    }
    setenv("CLIO_DISABLE", "", 1);
    reopen();
}

static void test_forgotten_with_the_driver(void **state)
{
    char path[512];
    (void)state;
    reopen();
    multiply("panel", MATRIX_MANY);
    char *text = kept(path);
    reopen();
    snprintf(ctx->device.driver, sizeof ctx->device.driver, "another");
    assert_null(selftest_result_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=8"));
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    assert_int_equal(result_files(path), 2);
    doctor(NULL, "", ""); /* the same kernels from a folder are the same kernels */
    reopen();
    expect_right("gemm.panel");
    doctor("mel.cl", "0", "");
    reopen();
    assert_null(problem_of("gemm.panel"));
    free(text);
}

static void test_broken_files(void **state)
{
    char path[512], *broken[6];
    (void)state;
    reopen();
    multiply("panel", MATRIX_MANY);
    norm("row");
    char *text = kept(path), *head = strstr(text, "gemm.panel"), *line = strchr(head, '\n') + 1;
    assert_non_null(head);
    for (size_t i = 0; i < COUNT(broken); i++)
        assert_non_null(broken[i] = calloc(1, strlen(text) + 200));
    sprintf(broken[0], "%.*s", 20, text);                     /* cut in its head */
    sprintf(broken[1], "%.*s", (int)(line - text) - 4, text); /* cut in a line: "gemm.panel [...]" */
    sprintf(broken[2], "x%s", text);                          /* of another kind */
    sprintf(broken[3], "%.*sno sense\n\n[] ok\ngemm.panel [*] failed: all\n", (int)(head - text), text); /* nonsense */
    sprintf(broken[4], "%.*sgemm.panel [-DW_F16=0 -DPANEL -DMR=8] perhaps\n", (int)(head - text), text);
    sprintf(broken[5], "%.*sgemm.secret [-DW_F16=0 -DPANEL -DMR=8] ok\n", (int)(head - text), text);
    for (size_t i = 0; i < COUNT(broken); i++) {
        write_text(path, broken[i]);
        reopen();
        if (problem_of("gemm.panel"))
            fail_msg("broken file %zu was believed", i);
        assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
        assert_string_equal(clio_error(ctx), "");
        reopen();
        expect_right("gemm.panel");
        free(broken[i]);
    }
    free(text);
}

static void test_two_processes(void **state)
{
    char path[512];
    (void)state;
    reopen();
    multiply("panel", MATRIX_MANY);
    clio_context *first = ctx;
    ctx = NULL;
    reopen();
    norm("row");
    clio_context *second = ctx;
    ctx = first;
    attend("row"); /* this one read the file before the other wrote to it */
    char *text = kept(path);
    assert_non_null(strstr(text, "\ngemm.panel "));
    assert_non_null(strstr(text, "\nnorm.row "));
    assert_non_null(strstr(text, "\nattention.row "));
    free(text);
    clio_destroy(second);
}

static void test_without_a_cache(void **state)
{
    char path[512], blocked[100];
    (void)state;
    snprintf(blocked, sizeof blocked, "%s/file", folder);
    write_text(blocked, "in the way\n");
    setenv("CLIO_CACHE_DIR", blocked, 1);
    for (int i = 0; i < 2; i++) {
        reopen();
        assert_null(problem_of("gemm.panel"));
        assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
        expect_right("gemm.panel");
        assert_string_equal(clio_error(ctx), "");
    }
    setenv("CLIO_CACHE_DIR", cache, 1);
    clio_destroy(ctx);
    ctx = clio_create();
    OK(clio_set_cache(ctx, NULL, 0));
    OK(clio_device_open(ctx, NULL));
    param("gemm.many.storage", "f32");
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    assert_int_equal(result_files(path), 0);
}

static void test_shown_by_the_command(void **state)
{
    char command[512], text[1 << 16];
    (void)state;
    reopen();
    multiply("panel", MATRIX_MANY);
    setenv("CLIO_DISABLE", "gemm.tile", 1);
    for (int json = 0; json < 2; json++) {
        snprintf(command, sizeof command, "%s/clio devices %s", CLIO_BUILD_DIR, json ? "--json" : "");
        FILE *f = popen(command, "r");
        assert_non_null(f);
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        assert_int_equal(pclose(f), 0);
        if (!strstr(text, json ? "\"path\": \"gemm.panel\"" : "self-tests gemm.panel; off: gemm.tile (disabled by CLIO_DISABLE)"))
            fail_msg("%s printed: %s", command, text);
    }
    const clio_selftest *list;
    size_t count;
    unsetenv("CLIO_DISABLE");
    FAILS(clio_device_selftests(ctx, 999, &list, &count), CLIO_ERROR_ARGUMENT, "index is 999");
    FAILS(clio_device_selftests(ctx, -1, &list, &count), CLIO_ERROR_ARGUMENT, "index is -1");
    clio_destroy(ctx);
    ctx = clio_create(); /* none is open: read from the cache */
    const clio_device_info *devices;
    OK(clio_device_list(ctx, &devices, &count));
    for (size_t i = 0; i < count; i++)
        if (devices[i].chosen) {
            OK(clio_device_selftests(ctx, devices[i].index, &list, &count));
            assert_true(count > 0);
            assert_string_equal(list[0].path, "gemm.panel");
            assert_null(list[0].problem);
            break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_kept_for_the_next_process), EACH(test_cancelled),    EACH(test_nothing_left),  EACH(test_disabled_by_hand),
        EACH(test_forgotten_with_the_driver), EACH(test_broken_files), EACH(test_two_processes), EACH(test_without_a_cache),
        EACH(test_shown_by_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
