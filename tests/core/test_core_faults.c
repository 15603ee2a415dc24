/* test_core_faults.c - drivers that do not answer, answer with texts without an end, or list nothing; and macros whose arguments do
 * something. */
#include "../support/failing_cl.h"
#include "../support/test_own.h"

static int set_up_calls(void **state)
{
    fail_nothing();
    unsetenv("CLIO_DEVICE");
    return set_up(state);
}

static int tear_down_calls(void **state)
{
    fail_nothing();
    return tear_down(state);
}

/* ---- MIN, MAX, ROUND_UP ---- */

static void test_evaluated_once(void **state)
{
    int i = 0, n = 7;
    size_t big = (size_t)1 << 40;
    (void)state;
    assert_int_equal(MAX(i++, -5), 0);
    assert_int_equal(i, 1);
    assert_int_equal(MAX(9, i++), 9);
    assert_int_equal(i, 2);
    assert_int_equal(MIN(i++, 9), 2);
    assert_int_equal(i, 3);
    assert_int_equal(ROUND_UP(i++, n++), 7);
    assert_true(i == 4 && n == 8);
    /* in the common type of both */
    assert_true(MAX(big, 1) == big && MIN(1, big) == 1 && ROUND_UP(big + 1, 16) == big + 16);
    assert_true(MIN(-1, 1) == -1 && MAX(-1L, -2) == -1 && MIN(3u, 4) == 3);
    assert_true(sizeof MAX(1, big) == sizeof big && sizeof MAX(1.0f, 2) == sizeof(float) && sizeof MIN(1.0f, 2.0) == sizeof(double));
    assert_true(MAX(0.5, 1) > 0.9 && MAX(0.5, 1) < 1.1 && MIN(0.25f, 1) < 0.3f);
    assert_int_equal(ROUND_UP(0, 8), 0);
    assert_int_equal(ROUND_UP(8, 8), 8);
    assert_int_equal(ROUND_UP(9, 8), 16);
}

/* ---- devices ---- */

/* The device that is opened otherwise; its problem, or NULL. */
static const char *problem_of_first(void)
{
    const clio_device_info *devices;
    const char *problem = NULL;
    size_t count;
    OK(clio_device_list(ctx, &devices, &count));
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        if (!devices[i].problem)
            return NULL;
        problem = strstr(devices[i].problem, "does not answer") ? devices[i].problem : problem;
    }
    assert_non_null(problem);
    return problem;
}

/* A device that does not tell what clio needs to know cannot be used, and the sentence says which query failed. */
static void test_no_answer(void **state)
{
    static const struct {
        cl_device_info what;
        const char *name;
    } queries[] = {{CL_DEVICE_MAX_WORK_GROUP_SIZE, "CL_DEVICE_MAX_WORK_GROUP_SIZE"},
                   {CL_DEVICE_MAX_WORK_ITEM_SIZES, "CL_DEVICE_MAX_WORK_ITEM_SIZES"},
                   {CL_DEVICE_MAX_COMPUTE_UNITS, "CL_DEVICE_MAX_COMPUTE_UNITS"},
                   {CL_DEVICE_LOCAL_MEM_SIZE, "CL_DEVICE_LOCAL_MEM_SIZE"},
                   {CL_DEVICE_GLOBAL_MEM_SIZE, "CL_DEVICE_GLOBAL_MEM_SIZE"},
                   {CL_DEVICE_MAX_MEM_ALLOC_SIZE, "CL_DEVICE_MAX_MEM_ALLOC_SIZE"},
                   {CL_DEVICE_MEM_BASE_ADDR_ALIGN, "CL_DEVICE_MEM_BASE_ADDR_ALIGN"},
                   {CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, "CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT"},
                   {CL_DEVICE_TYPE, "CL_DEVICE_TYPE"},
                   {CL_DEVICE_NAME, "CL_DEVICE_NAME"},
                   {CL_DRIVER_VERSION, "CL_DRIVER_VERSION"},
                   {CL_DEVICE_VERSION, "CL_DEVICE_VERSION"},
                   {CL_DEVICE_EXTENSIONS, "CL_DEVICE_EXTENSIONS"},
                   {CL_DEVICE_AVAILABLE, "CL_DEVICE_AVAILABLE"},
                   {CL_DEVICE_COMPILER_AVAILABLE, "CL_DEVICE_COMPILER_AVAILABLE"}};
    char want[128];
    (void)state;
    for (size_t i = 0; i < COUNT(queries); i++) {
        clio_destroy(ctx);
        ctx = clio_create();
        failing.query = queries[i].what;
        snprintf(want, sizeof want, "its driver does not answer %s", queries[i].name);
        const char *problem = problem_of_first();
        if (!problem || !strstr(problem, want))
            fail_msg("expected \"%s\", got: %s", want, problem ? problem : "no problem");
        FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_DEVICE, want);
    }
    for (int at = 1; at <= 2; at++) { /* names of platforms are parts of the keys of caches */
        clio_destroy(ctx);
        ctx = clio_create();
        fail_call("clGetPlatformInfo", at, 1000, CL_INVALID_PLATFORM);
        const char *problem = problem_of_first();
        assert_true(problem && strstr(problem, "does not answer the platform's name"));
    }
    fail_nothing();
    clio_destroy(ctx);
    ctx = clio_create();
    failing.query = CL_DEVICE_HOST_UNIFIED_MEMORY; /* which OpenCL 3 does not have any more */
    assert_null(problem_of_first());
}

/* Texts of any length, not ended by a zero. */
static void test_texts_without_an_end(void **state)
{
    static const size_t lengths[] = {1, 127, 128, 129, 1023, 1024, 1025, 70000};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        clio_destroy(ctx);
        ctx = clio_create();
        failing.text_length = lengths[i];
        OK(clio_device_open(ctx, NULL));
        size_t want = MIN(lengths[i], sizeof ctx->device.name - 1);
        assert_int_equal(strlen(ctx->device.name), want);
        assert_int_equal(strlen(ctx->device.driver), want);
        assert_int_equal(strlen(ctx->device.version), want);
        assert_int_equal(strlen(ctx->device.platform_name), want);
        assert_int_equal(strspn(ctx->device.name, "x"), want);
        assert_false(ctx->device.has_fp16);
    }
}

/* No platform is an empty list, as often as it is asked for, until there is one; a failure is not. */
static void test_nothing_listed(void **state)
{
    const clio_device_info *devices;
    size_t count = 7;
    (void)state;
    fail_call("clGetPlatformIDs", 1, 3, -1001);
    for (int i = 0; i < 2; i++) {
        OK(clio_device_list(ctx, &devices, &count));
        assert_int_equal(count, 0);
        assert_non_null(devices);
    }
    FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_DEVICE, "there is no OpenCL platform here: install");
    OK(clio_device_list(ctx, &devices, &count));
    assert_true(count > 0);
    clio_destroy(ctx);
    ctx = clio_create();
    fail_call("clGetPlatformIDs", 1, 1, CL_OUT_OF_HOST_MEMORY);
    FAILS(clio_device_list(ctx, &devices, &count), CLIO_ERROR_MEMORY, "CL_OUT_OF_HOST_MEMORY from clGetPlatformIDs");
    OK(clio_device_list(ctx, &devices, &count));
    assert_true(count > 0);
}

/* ---- programs ---- */

/* A lack of memory is no fault of the source; and neither is kept. */
static void test_build_fails(void **state)
{
    struct kernel *k;
    (void)state;
    reopen_with(cache);
    fail_call("clBuildProgram", 1, 1, CL_OUT_OF_HOST_MEMORY);
    FAILS(kernel_get(ctx, "mel", "mel_power", "", &k), CLIO_ERROR_MEMORY, "CL_OUT_OF_HOST_MEMORY from clBuildProgram");
    fail_call("clBuildProgram", 1, 1, CL_BUILD_PROGRAM_FAILURE);
    FAILS(kernel_get(ctx, "mel", "mel_power", "", &k), CLIO_ERROR_BUILD, "could not compile cl/mel.cl (CL_BUILD_PROGRAM_FAILURE)");
    OK(kernel_get(ctx, "mel", "mel_power", "", &k));
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up_calls, tear_down_calls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_evaluated_once), EACH(test_no_answer), EACH(test_texts_without_an_end), EACH(test_nothing_listed), EACH(test_build_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
