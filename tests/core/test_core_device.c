/* test_core_device.c - the list of devices, how one is chosen, and the parameter rows that go with its kind. */
#include "../support/test_own.h"

#include <ctype.h>

/* ---- choosing, on devices that need not be here ---- */

static const struct device shelf[] = {
    {.platform_name = "Acme GPUs", .platform_version = "OpenCL 3.0 acme", .name = "Rocket 9", .is_gpu = true},
    {.platform_name = "Acme GPUs", .platform_version = "OpenCL 3.0 acme", .name = "Rocket 5", .is_gpu = true},
    {.platform_name = "Plain CPUs", .platform_version = "OpenCL 1.2 pocl-like", .name = "Threads 4", .is_cpu = true},
    {.platform_name = "Odd Boards", .platform_version = "OpenCL 1.2", .name = "Slab", .is_accelerator = true},
    {.platform_name = "Ruin", .name = "Old 1", .is_gpu = true, .problem = "its driver has no compiler for OpenCL C"},
};

static void test_order(void **state)
{
    static const int ids[9];
#define ID(i) .id = (cl_device_id)mem_const_cast(&ids[i])
    struct device list[] = {
        {ID(0), .name = "unusable GPU", .platform_name = "A", .is_gpu = true, .problem = "x"},
        {ID(1), .name = "llvmpipe", .platform_name = "rusticl", .is_cpu = true},
        {.name = "", .platform_name = "A platform", .problem = "the platform has no device"},
        {ID(2), .name = "CPU", .platform_name = "B", .is_cpu = true, .global_memory = 64},
        {ID(3), .name = "small GPU", .platform_name = "A", .is_gpu = true, .global_memory = 8},
        {ID(4), .name = "Clover GPU", .platform_name = "Clover", .is_gpu = true, .is_clover = true, .global_memory = 32},
        {ID(5), .name = "board", .platform_name = "A", .is_accelerator = true},
        {ID(6), .name = "large GPU", .platform_name = "Z", .is_gpu = true, .global_memory = 16},
        {ID(7), .name = "Oclgrind", .platform_name = "Oclgrind", .is_cpu = true},
        {ID(8), .name = "another CPU", .platform_name = "A", .is_cpu = true, .global_memory = 1},
    };
    static const char *const want[] = {"large GPU", "small GPU", "board",      "another CPU",  "CPU",
                                       "Oclgrind",  "llvmpipe",  "Clover GPU", "unusable GPU", ""};
    (void)state;
    device_order(list, COUNT(list));
    for (size_t i = 0; i < COUNT(list); i++)
        assert_string_equal(list[i].name, want[i]);
    device_order(NULL, 0);
}

static void selects(const char *selector, size_t want)
{
    size_t chosen = SIZE_MAX;
    OK(device_select(ctx, shelf, COUNT(shelf), selector, NULL, &chosen));
    if (chosen != want)
        fail_msg("\"%s\" chose device %zu, expected %zu", selector, chosen, want);
}

static void test_selectors(void **state)
{
    (void)state;
    selects("", 0);
    selects("0", 0);
    selects("3", 3);
    selects("acme:gpu:rocket 5", 1);
    selects("ACME:GPU:ROCKET 5", 1);
    selects("::rocket 5", 1);
    selects("::5", 1);
    selects("acme", 0);
    selects("plain:", 2);
    selects(":cpu", 2);
    selects(":cpu:", 2);
    selects(":acc:", 3);
    selects("pocl:cpu", 2); /* the platform's version names it, too */
    selects("threads", 2);  /* without colons: any part */
    selects("cpu", 2);
    selects("::", 0);
}

static void test_selectors_that_fail(void **state)
{
    size_t chosen;
    (void)state;
    FAILS(device_select(ctx, shelf, COUNT(shelf), "4", NULL, &chosen), CLIO_ERROR_ARGUMENT,
          "selector is 4: there is no such device, the last one is 3");
    FAILS(device_select(ctx, shelf, COUNT(shelf), "99999999999999999999", NULL, &chosen), CLIO_ERROR_ARGUMENT, "there is no such device");
    FAILS(device_select(ctx, shelf, COUNT(shelf), "-1", NULL, &chosen), CLIO_ERROR_ARGUMENT, "no device matches \"-1\"");
    FAILS(device_select(ctx, shelf, COUNT(shelf), "ruin", NULL, &chosen), CLIO_ERROR_ARGUMENT,
          "no device matches \"ruin\" (platform:type:name)");
    FAILS(device_select(ctx, shelf, COUNT(shelf), "acme:cpu", NULL, &chosen), CLIO_ERROR_ARGUMENT, "the first is Rocket 9 on Acme GPUs");
    FAILS(device_select(ctx, shelf, COUNT(shelf), "4", "CLIO_DEVICE", &chosen), CLIO_ERROR_ARGUMENT, "CLIO_DEVICE is 4: there is no such");
    FAILS(device_select(ctx, shelf, COUNT(shelf), "ruin", "CLIO_DEVICE", &chosen), CLIO_ERROR_ARGUMENT,
          "no device matches \"ruin\" of CLIO_DEVICE (platform");
    FAILS(device_select(ctx, shelf, 0, "", NULL, &chosen), CLIO_ERROR_DEVICE, "there is no OpenCL platform here: install");
    FAILS(device_select(ctx, shelf + 4, 1, "", NULL, &chosen), CLIO_ERROR_DEVICE, "(Ruin: its driver has no compiler for OpenCL C)");
}

/* ---- architectures ---- */

static void test_architectures(void **state)
{
    static const struct {
        const char *name, *word;
        struct device_marks marks;
    } cases[] = {
        /* a gfx name says all */
        {"gfx803", "gcn", {0}},
        {"gfx906:sramecc+:xnack-", "gcn", {9, 0, 64, 0, 0}},
        {"gfx90c", "gcn", {0}},
        {"gfx908:sramecc+:xnack-", "cdna", {9, 0, 64, 0, 0}},
        {"gfx90a:sramecc+:xnack-", "cdna", {9, 0, 64, 0, 0}},
        {"gfx942", "cdna", {0}},
        {"gfx950", "cdna", {0}},
        {"gfx1030", "rdna", {10, 3, 32, 0, 0}},
        {"gfx1201", "rdna", {0}},
        {"gfx", "", {0}},
        {"gfx12345", "", {0}},
        {"gfx103", "", {0}}, /* 1.0.3 is none */
        /* queries */
        {"Ellesmere", "gcn", {8, 0, 64, 0, 0}},
        {"a card", "rdna", {11, 0, 32, 0, 0}},
        {"a card", "cdna", {9, 4, 64, 0, 0}},
        {"a card", "gcn", {0, 0, 64, 0, 0}},
        {"a card", "rdna", {0, 0, 32, 0, 0}},
        {"Intel(R) Graphics [0x9a49]", "gen12", {0, 0, 0, 12u << 22, 0}},
        {"Intel(R) UHD Graphics 630", "gen12", {0, 0, 0, 9u << 22, 0}},
        {"Intel(R) Iris(R) Xe MAX Graphics", "gen12", {0, 0, 0, 12u << 22 | 10u << 14, 0}},
        {"Intel(R) Arc(TM) A770 Graphics", "xe", {0, 0, 0, 12u << 22 | 55u << 14 | 8, 0}},
        {"Intel(R) Arc(TM) Graphics", "xe", {0, 0, 0, 12u << 22 | 70u << 14, 0}},
        {"Intel(R) Arc(TM) B580 Graphics", "xe", {0, 0, 0, 20u << 22 | 1u << 14, 0}},
        {"Intel(R) HD Graphics", "", {0, 0, 0, 8u << 22, 0}},
        {"Quadro GV100", "turing", {0, 0, 0, 0, 7}},
        {"NVIDIA GeForce RTX 4090", "ampere", {0, 0, 0, 0, 8}},
        {"NVIDIA H100 PCIe", "hopper", {0, 0, 0, 0, 9}},
        {"NVIDIA B200", "hopper", {0, 0, 0, 0, 10}},
        {"NVIDIA GeForce RTX 5090", "ampere", {0, 0, 0, 0, 12}},
        {"GeForce GTX 1080", "", {0, 0, 0, 0, 6}},
        /* names alone, as Mesa has them */
        {"AMD Radeon RX 6600 (radeonsi, navi23, LLVM 15.0.6, DRM 3.49, 6.1.0)", "rdna", {0}},
        {"AMD Radeon RX 580 Series (radeonsi, polaris10, LLVM 15.0.6)", "gcn", {0}},
        {"AMD Radeon Graphics (radeonsi, renoir, ACO)", "gcn", {0}},
        {"AMD Instinct MI210 (radeonsi, aldebaran)", "cdna", {0}},
        {"Mesa Intel(R) Arc(tm) A770 Graphics (DG2)", "xe", {0}},
        {"Mesa Intel(R) Xe Graphics (TGL GT2)", "gen12", {0}},
        {"Mesa Intel(R) Graphics (ADL-S GT1)", "gen12", {0}},
        {"NVIDIA GeForce RTX 3060 (NVK GA106)", "ampere", {0}},
        {"NVIDIA GeForce RTX 2080 (NVK TU104)", "turing", {0}},
        {"Rocket 9", "", {0}},
        {"", "", {0}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *word = device_architecture(cases[i].name, &cases[i].marks);
        if (strcmp(word, cases[i].word) != 0)
            fail_msg("\"%s\" (case %zu) is \"%s\", expected \"%s\"", cases[i].name, i, word, cases[i].word);
        assert_true(!*word || device_is_architecture(word));
    }
    static const char *const others[] = {"", "gpu", "gc", "gcnx", "gcn, rdna", "RDNA", ","};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(device_is_architecture(others[i]));
}

/* ---- the devices that are here ---- */

static void test_list(void **state)
{
    const clio_device_info *devices;
    size_t count, chosen = 0;
    (void)state;
    OK(clio_device_list(ctx, &devices, &count));
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        const clio_device_info *d = &devices[i];
        assert_true(d->platform && d->name && d->type);
        assert_int_equal(d->index, d->problem ? -1 : (int)i);
        assert_true(i == 0 || d->problem || !devices[i - 1].problem); /* what cannot be used comes last */
        chosen += d->chosen != 0;
        if (!d->problem)
            assert_true(d->compute_units > 0 && d->global_memory >= d->max_allocation && d->local_memory > 0 && d->has_compiler);
    }
    assert_int_equal(chosen, 1);
}

/* Each usable device is found by its full name, in any case; one whose name contains it may come before it. */
static void test_own_names(void **state)
{
    const clio_device_info *devices;
    size_t count, found;
    char selector[512];
    (void)state;
    OK(clio_device_list(ctx, &devices, &count));
    for (size_t i = 0; i < count && !devices[i].problem; i++) {
        snprintf(selector, sizeof selector, "%s:%s:%s", devices[i].platform, devices[i].type, devices[i].name);
        for (char *c = selector; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        if (strchr(devices[i].platform, ':') || strchr(devices[i].name, ':'))
            continue;
        OK(device_select(ctx, ctx->devices, ctx->device_count, selector, NULL, &found));
        assert_true(found <= i && strstr(devices[found].name, devices[i].name) && strstr(devices[found].platform, devices[i].platform));
    }
}

static void test_open(void **state)
{
    const clio_device_info *devices;
    size_t count;
    cl_mem mem;
    (void)state;
    assert_null(clio_device(ctx));
    FAILS(pool_get(ctx, &mem, 64, "x"), CLIO_ERROR_ARGUMENT, "no device is open: call clio_device_open first");
    FAILS(clio_device_open(ctx, "::no such device"), CLIO_ERROR_ARGUMENT, "no device matches \"::no such device\"");
    assert_null(clio_device(ctx));
    OK(clio_device_list(ctx, &devices, &count));
    for (size_t i = 0; i < count; i++)
        if (devices[i].chosen) {
            OK(clio_device_open(ctx, NULL)); /* what the list says it opens */
            assert_int_equal(clio_device(ctx)->index, (int)i);
            assert_true(clio_device(ctx)->chosen);
            OK(pool_get(ctx, &mem, 64, "x"));
            pool_put(ctx, mem);
        }
    OK(clio_device_open(ctx, "0")); /* again: the first is closed */
    assert_int_equal(clio_device(ctx)->index, 0);
    FAILS(clio_device_open(ctx, "99"), CLIO_ERROR_ARGUMENT, "selector is 99");
    assert_null(clio_device(ctx));
}

static void test_environment(void **state)
{
    const clio_device_info *devices;
    size_t count, chosen = 0;
    char *before = getenv("CLIO_DEVICE") ? strdup(getenv("CLIO_DEVICE")) : NULL;
    (void)state;
    setenv("CLIO_DEVICE", "::no such device", 1);
    OK(clio_device_list(ctx, &devices, &count)); /* listing helps to mend it */
    for (size_t i = 0; i < count; i++)
        chosen += devices[i].chosen != 0;
    assert_int_equal(chosen, 0);
    FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_ARGUMENT, "no such device\" of CLIO_DEVICE");
    FAILS(clio_device_open(ctx, ""), CLIO_ERROR_ARGUMENT, "no such device\" of CLIO_DEVICE");
    OK(clio_device_open(ctx, "0")); /* an argument wins */
    setenv("CLIO_DEVICE", "0", 1);
    OK(clio_device_open(ctx, NULL));
    assert_int_equal(clio_device(ctx)->index, 0);
    if (before)
        setenv("CLIO_DEVICE", before, 1);
    else
        unsetenv("CLIO_DEVICE");
    free(before);
}

static void test_capabilities(void **state)
{
    (void)state;
    OK(clio_device_open(ctx, NULL));
    const struct device *d = &ctx->device;
    assert_int_equal(d->is_gpu + d->is_cpu + d->is_accelerator, 1);
    assert_true(!*d->architecture || device_is_architecture(d->architecture));
    assert_true(d->simd_width >= 1 && d->max_work_group >= 1 && d->max_item_sizes[0] >= 1);
    assert_true(d->address_alignment >= 64 && (d->address_alignment & (d->address_alignment - 1)) == 0);
    assert_true(d->memory_limit > 0 && d->memory_limit <= d->global_memory);
}

/* ---- parameters ---- */

static void test_rows(void **state)
{
    (void)state;
    OK(clio_device_open(ctx, NULL));
    int simd_width = ctx->device.simd_width;
    assert_true(ctx->params.count > 0); /* those that are shipped */
    ctx->device.simd_width = 1;
    assert_true(params_is(ctx, "norm.family", "group"));
    ctx->device.simd_width = 8;
    assert_true(params_is(ctx, "norm.family", "row"));
    assert_int_equal(params_int(ctx, "test.n", 7), 7);
    assert_false(params_is(ctx, "test.n", "7"));
    OK(params_add(ctx, "any", "test.n", "1"));
    OK(params_add(ctx, "cpu", "test.n", "2"));
    OK(params_add(ctx, "gpu", "test.n", "3"));
    assert_int_equal(params_int(ctx, "test.n", 7), 2);
    ctx->device.simd_width = 1;
    assert_int_equal(params_int(ctx, "test.n", 7), 3);
    const char *architecture = ctx->device.architecture;
    OK(params_add(ctx, "rdna", "test.n", "5")); /* wins as the last row, for that architecture alone */
    OK(params_add(ctx, "xe", "test.n", "6"));
    assert_int_equal(params_int(ctx, "test.n", 7), 3);
    ctx->device.architecture = "rdna";
    assert_int_equal(params_int(ctx, "test.n", 7), 5);
    OK(params_add(ctx, "gpu", "test.n", "8"));
    assert_int_equal(params_int(ctx, "test.n", 7), 8);
    ctx->device.architecture = architecture;
    OK(params_add(ctx, "any", "test.n", "-4"));
    assert_int_equal(params_int(ctx, "test.n", 7), -4);
    assert_true(params_is(ctx, "test.n", "-4"));
    OK(params_add(ctx, "any", "test.n", "4x"));
    assert_int_equal(params_int(ctx, "test.n", 7), 7); /* not a number */
    for (int i = 0; i < 300; i++)
        OK(params_add(ctx, "any", "test.many", i == 299 ? "last" : "early"));
    assert_true(params_is(ctx, "test.many", "last"));
    ctx->device.simd_width = simd_width;
}

/* Open the device with this text as $CLIO_PARAMS. */
static clio_status open_with(const char *text)
{
    char path[] = "/tmp/clio-params-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    setenv("CLIO_PARAMS", path, 1);
    clio_status status = clio_device_open(ctx, NULL);
    unsetenv("CLIO_PARAMS");
    unlink(path);
    return status;
}

static void test_file(void **state)
{
    (void)state;
    OK(open_with("# mine\n\nany mel.stft clfft # and why\r\n  any\tweights.slice   12\ncpu weights.slice 13\ngpu weights.slice 14"));
    assert_true(params_is(ctx, "mel.stft", "clfft")); /* wins over what is shipped */
    assert_int_equal(params_int(ctx, "weights.slice", 0), ctx->device.simd_width > 1 ? 13 : 14);
    OK(clio_device_open(ctx, NULL)); /* without the file nothing of it is left */
    assert_false(params_is(ctx, "mel.stft", "clfft"));
}

static void test_broken_file(void **state)
{
    (void)state;
    FAILS(open_with("any weights.slice 1\nany weights.slice\n"), CLIO_ERROR_FORMAT,
          ", line 2: expected `KIND key value`, KIND one of any, cpu, gpu, gcn, ");
    assert_non_null(strstr(clio_error(ctx), "/tmp/clio-params-"));
    assert_null(clio_device(ctx));
    FAILS(open_with("tpu a 1\n"), CLIO_ERROR_FORMAT, "line 1");
    OK(open_with("xe mel.stft clfft\nhopper mel.stft clfft\n"));
    assert_false(params_is(ctx, "mel.stft", "clfft"));
    FAILS(open_with("any weights.slice 1 2\n"), CLIO_ERROR_FORMAT, "line 1");
    FAILS(open_with("any weights.slice 1\nany attention.row.keys 12\n"), CLIO_ERROR_FORMAT,
          ", line 2: attention.row.keys must be a multiple of 32 from 32 to 1024, not 12; correct the line, or unset CLIO_PARAMS");
    FAILS(open_with("any attention.row.keys 0\n"), CLIO_ERROR_FORMAT, "attention.row.keys must be a multiple of 32");
    FAILS(open_with("any attention.row.kys 32\n"), CLIO_ERROR_FORMAT, "attention.row.kys is a parameter that this clio does not have");
    FAILS(open_with("any gemm.panel.rows 17\n"), CLIO_ERROR_FORMAT, "gemm.panel.rows must be a number from 1 to 16, not 17");
    FAILS(open_with("any attention.row.keys 512\nany attention.row.queries 16\n"), CLIO_ERROR_FORMAT, "cannot run these values together");
    OK(open_with("any attention.row.keys 512\nany attention.row.queries 4\n"));
    FAILS(open_with("\n\nany a_key_of_more_characters_than_any_parameter_will_have 1\n"), CLIO_ERROR_FORMAT, "line 3");
    setenv("CLIO_PARAMS", "/nowhere/params.txt", 1);
    FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_FILE, "/nowhere/params.txt");
    unsetenv("CLIO_PARAMS");
    OK(clio_device_open(ctx, NULL));
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_order),     EACH(test_selectors),   EACH(test_selectors_that_fail), EACH(test_architectures), EACH(test_list),
        EACH(test_own_names), EACH(test_open),        EACH(test_environment),         EACH(test_capabilities),  EACH(test_rows),
        EACH(test_file),      EACH(test_broken_file),
    };
    unsetenv("CLIO_PARAMS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
