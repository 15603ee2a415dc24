/* test_core_program.c - sources and their includes, build errors, launches, the profile with its transfers, cancelling. */
#include "../support/test_own.h"

#include "../../host/ops/ops.h"

/* ---- sources and builds ---- */

static void test_source(void **state)
{
    char *source;
    (void)state;
    OK(program_source(ctx, "logits", &source));
    assert_non_null(strstr(source, "#line 1 \"cl/logits.cl\"\n"));
    const char *args = strstr(source, "#line 1 \"cl/args.clh\"\n");
    assert_non_null(args);
    assert_null(strstr(args + 1, "#line 1 \"cl/args.clh\"\n")); /* once */
    assert_null(strstr(source, "#include"));
    free(source);
    FAILS(program_source(ctx, "nothing", &source), CLIO_ERROR_INTERNAL, "there is no kernel file cl/nothing.cl");
    assert_null(source);
}

static void test_broken_source(void **state)
{
    struct kernel *k;
    (void)state;
    reopen_with(cache);
    setenv("CLIO_CL_DIR", folder, 1);
    put_text("broken.cl", "#include \"part.clh\"\n\n__kernel void broken(__global float *x)\n{\n    x[0] = NONSENSE;\n}\n");
    put_text("part.clh", "/* a part */\n");
    clio_status status = kernel_get(ctx, "broken", "broken", "-DUNUSED=1", &k);
    FAILS(status, CLIO_ERROR_BUILD,
          "could not compile cl/broken.cl (CL_BUILD_PROGRAM_FAILURE): update its driver, or choose another device");
    assert_non_null(strstr(clio_error(ctx), ctx->device.name));
    assert_null(k);
    const char *detail = clio_error_detail(ctx);
    assert_true(strstr(detail, "-DUNUSED=1") && strstr(detail, "NONSENSE"));
    assert_non_null(strstr(detail, "cl/broken.cl:5")); /* the line as it is in the file, in spite of the include */
    put_text("broken.cl", "__kernel void broken(__global float *x)\n{\n    x[0] = 1.0f;\n}\n");
    OK(kernel_get(ctx, "broken", "broken", "", &k)); /* mended: nothing is remembered */
    FAILS(kernel_get(ctx, "broken", "missing", "", &k), CLIO_ERROR_DEVICE, "CL_INVALID_KERNEL_NAME");
    FAILS(kernel_get(ctx, "absent", "absent", "", &k), CLIO_ERROR_FILE, "/absent.cl");
    unsetenv("CLIO_CL_DIR");
}

/* Includes in a chain and in a ring end; a long chain is refused. */
static void test_includes(void **state)
{
    char *source, name[16], text[64];
    (void)state;
    setenv("CLIO_CL_DIR", folder, 1);
    put_text("ring.cl", "#include \"ring.clh\"\nint last;\n");
    put_text("ring.clh", "#include \"ring.cl\"\nint first;\n");
    clio_status status = program_source(ctx, "ring", &source);
    OK(status);
    assert_string_equal(
        source,
        "#line 1 \"cl/ring.cl\"\n#line 1 \"cl/ring.clh\"\n#line 2 \"cl/ring.clh\"\nint first;\n#line 2 \"cl/ring.cl\"\nint last;\n");
    free(source);
    put_text("0.cl", "#include \"1.clh\"\n");
    for (int i = 1; i < 12; i++) {
        snprintf(name, sizeof name, "%d.clh", i);
        snprintf(text, sizeof text, "#include \"%d.clh\"\n", i + 1);
        put_text(name, text);
    }
    FAILS(program_source(ctx, "0", &source), CLIO_ERROR_INTERNAL, "includes more than 8 files");
    unsetenv("CLIO_CL_DIR");
}

/* ---- launches ---- */

static void test_profile(void **state)
{
    enum { CALLS = 600 }; /* more than wait to be collected */
    const clio_profile_row *rows;
    struct tensor in = tensor_shape(DTYPE_F32, 3, 1, 4, 2, 0), out = tensor_shape(DTYPE_F32, 2, 1, 4, 0, 0);
    size_t count;
    (void)state;
    FAILS(clio_profile(ctx, &rows, &count), CLIO_ERROR_ARGUMENT, "no device is open");
    for (int profile = 0; profile < 2; profile++) {
        clio_destroy(ctx);
        ctx = clio_create();
        clio_set_profile(ctx, profile);
        OK(clio_device_open(ctx, NULL));
        OK(tensor_new(ctx, &in, "a spectrum"));
        OK(tensor_new(ctx, &out, "its power"));
        for (int i = 0; i < CALLS; i++)
            OK(op_power_fwd(ctx, &out, &in));
        struct arena arena = {0};
        ctx->planning = true;
        OK(op_log_mel_fwd(ctx, &arena, &out)); /* a plan costs nothing */
        ctx->planning = false;
        arena_free(ctx, &arena);
        OK(clio_profile(ctx, &rows, &count));
        assert_int_equal(count, profile);
        if (profile) {
            assert_string_equal(rows[0].kernel, "mel_power");
            assert_int_equal(rows[0].calls, CALLS);
            assert_true(rows[0].seconds > 0 && rows[0].seconds < 60);
            assert_true(rows[0].gflops > 0.99 * CALLS * 12e-9 && rows[0].gflops < 1.01 * CALLS * 12e-9);
            assert_true(rows[0].gbytes > 0.99 * CALLS * 48e-9 && rows[0].gbytes < 1.01 * CALLS * 48e-9);
            OK(clio_profile(ctx, &rows, &count)); /* counted once */
            assert_int_equal(count, 0);
        }
        tensor_free(ctx, &in);
        tensor_free(ctx, &out);
    }
}

/* Copies between host and device have rows of their own, by direction and by what the tensor holds; rows beyond the table share the last.
 */
static void test_transfers(void **state)
{
    static char names[TRANSFER_ROWS + 2][16];
    struct tensor named = tensor_shape(DTYPE_F32, 1, 4, 0, 0, 0), unnamed = tensor_shape(DTYPE_F32, 1, 4, 0, 0, 0), view;
    const clio_profile_row *rows;
    const float data[4] = {1, 2, 3, 4};
    float back[4];
    size_t count, other = 0;
    (void)state;
    clio_destroy(ctx);
    ctx = clio_create();
    clio_set_profile(ctx, 1);
    OK(clio_device_open(ctx, NULL));
    OK(tensor_new(ctx, &named, "loss"));
    OK(tensor_new(ctx, &unnamed, "test"));
    unnamed.what = NULL;
    OK(tensor_write(ctx, &unnamed, 0, 4, data));
    OK(tensor_write(ctx, &named, 0, 4, data));
    view = tensor_reshape(&named, 2, 2, 2, 0, 0);
    for (int i = 0; i < 3; i++)
        OK(tensor_read(ctx, &view, 0, 2, back));
    ctx->planning = true;
    OK(tensor_read(ctx, &view, 0, 2, back)); /* a plan copies nothing */
    ctx->planning = false;
    OK(clio_profile(ctx, &rows, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        bool is_read = strcmp(rows[i].kernel, "read loss") == 0;
        assert_true(is_read || strcmp(rows[i].kernel, "write loss") == 0 || strcmp(rows[i].kernel, "write f32") == 0);
        assert_int_equal(rows[i].calls, is_read ? 3 : 1);
        assert_true(rows[i].seconds >= 0 && rows[i].gbytes > 0.99 * (is_read ? 24e-9 : 16e-9) &&
                    rows[i].gbytes < (is_read ? 25e-9 : 17e-9));
    }
    OK(clio_profile(ctx, &rows, &count)); /* counted once */
    assert_int_equal(count, 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(names[i], sizeof names[i], "tensor %zu", i);
        named.what = names[i];
        OK(tensor_write(ctx, &named, 0, 4, data));
    }
    OK(clio_profile(ctx, &rows, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].kernel, "other transfers") == 0)
            other = rows[i].calls;
    assert_int_equal(count + other - 1, COUNT(names));
    assert_true(other > 1);
    tensor_free(ctx, &named);
    tensor_free(ctx, &unnamed);
}

static int stop(void *user, const char *what, double done, double total)
{
    int *calls = user;
    assert_true(what && *what && total >= 0 && done >= 0);
    return ++*calls >= 2;
}

static void test_cancel(void **state)
{
    struct tensor in = tensor_shape(DTYPE_F32, 3, 1, 3, 2, 0), out = tensor_shape(DTYPE_F32, 2, 1, 3, 0, 0);
    struct kernel *k;
    int calls = 0;
    (void)state;
    reopen_with(cache);
    OK(tensor_new(ctx, &in, "a spectrum"));
    OK(tensor_new(ctx, &out, "its power"));
    OK(op_power_fwd(ctx, &out, &in));
    clio_cancel(ctx);
    FAILS(op_power_fwd(ctx, &out, &in), CLIO_ERROR_CANCELLED, "cancelled");
    FAILS(kernel_get(ctx, "pack", "pack", "", &k), CLIO_ERROR_CANCELLED, "cancelled while building kernels");
    ctx->cancelled = 0;
    OK(op_power_fwd(ctx, &out, &in));
    clio_set_progress(ctx, stop, &calls);
    OK(kernel_get(ctx, "pack", "pack", "", &k));
    FAILS(kernel_get(ctx, "pack", "pack", "-DPANELS=1", &k), CLIO_ERROR_CANCELLED, "cancelled while building kernels");
    assert_int_equal(calls, 2);
    assert_null(k);
    clio_set_progress(ctx, NULL, NULL);
    OK(kernel_get(ctx, "pack", "pack", "-DPANELS=1", &k));
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
}

static void test_notices(void **state)
{
    (void)state;
    context_notice(ctx, "%d tensors were left out", 3);
    context_notice(ctx, "epsilon was assumed");
    assert_string_equal(notices, "3 tensors were left out\nepsilon was assumed\n");
    clio_set_notice(ctx, NULL, NULL);
    context_notice(ctx, "nobody listens");
    assert_null(strstr(notices, "nobody"));
    clio_set_notice(NULL, keep_notice, NULL);
}

static void test_wrong_launches(void **state)
{
    float one = 1;
    struct kernel *k;
    (void)state;
    reopen_with(cache);
    OK(kernel_get(ctx, "mel", "mel_power", "", &k));
    FAILS(LAUNCH(ctx, k, GRID1(64, 64), COST(0, 0), ARG_LOCAL(4), ARG_VALUE(one), ARG_VALUE(one), ARG_VALUE(one)), CLIO_ERROR_DEVICE,
          "failed in clSetKernelArg");
    assert_non_null(strstr(clio_error_detail(ctx), "kernel mel_power, argument 0 of 4 bytes"));
    OK(LAUNCH(ctx, k, GRID1(0, 64), COST(0, 0), ARG_VALUE(one))); /* nothing to do: not even looked at */
    ctx->is_lost = true;
    FAILS(LAUNCH(ctx, k, GRID1(64, 64), COST(0, 0), ARG_VALUE(one)), CLIO_ERROR_DEVICE,
          "was lost during an earlier call: close this context");
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_source),    EACH(test_broken_source), EACH(test_includes),       EACH(test_profile),
        EACH(test_transfers), EACH(test_cancel),        EACH(test_wrong_launches), EACH(test_notices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
