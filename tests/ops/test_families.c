/* test_families.c - the table of kernel families (host/ops/families.h), row by row: the self-test of each finds a kernel with a wrong
 * result and passes the right one, its name works in CLIO_DISABLE and is shown by `clio devices`, and its tuning steps name what exists.
 *
 * Libraries cannot be doctored like kernels: the functions below, which compute nothing, replace theirs in this program. */
#include "test_selftest.h"

#include <clFFT.h>
#include <clblast_c.h>

#include "../../host/ops/families.h"
#include "../../host/ops/gradients.h"

CLBlastStatusCode CLBlastSgemm(const CLBlastLayout layout, const CLBlastTranspose ta, const CLBlastTranspose tb, const size_t m,
                               const size_t n, const size_t k, const float alpha, const cl_mem a, const size_t a_offset, const size_t lda,
                               const cl_mem b, const size_t b_offset, const size_t ldb, const float beta, cl_mem c, const size_t c_offset,
                               const size_t ldc, cl_command_queue *queue, cl_event *event)
{
    (void)layout, (void)ta, (void)tb, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)a_offset, (void)lda, (void)b;
    (void)b_offset, (void)ldb, (void)beta, (void)c, (void)c_offset, (void)ldc, (void)queue, (void)event;
    return CLBlastSuccess;
}

clfftStatus clfftEnqueueTransform(clfftPlanHandle plan, clfftDirection direction, cl_uint queues, cl_command_queue *queue, cl_uint waits,
                                  const cl_event *wait, cl_event *done, cl_mem *in, cl_mem *out, cl_mem scratch)
{
    (void)plan, (void)direction, (void)queues, (void)queue, (void)waits, (void)wait, (void)done, (void)in, (void)out, (void)scratch;
    return CLFFT_SUCCESS;
}

/* ---- calls that try the families of an operation; where every family is wrong, they fail ---- */

static struct tensor space_for(int d0, int d1, int d2, int d3)
{
    struct tensor t = tensor_shape(DTYPE_F32, 4, d0, d1, d2, d3);
    OK(tensor_new(ctx, &t, "a test"));
    OK(tensor_zero(ctx, &t));
    return t;
}

/* A matrix whatever the kernels of gemm compute. */
static struct matrix matrix_for(const char *family, int n, int k, enum matrix_use use)
{
    struct matrix m;
    param("gemm.many.family", family);
    ctx->selftests.bypassed = true;
    OK(matrix_new(ctx, &m, n, k, use, "a test"));
    ctx->selftests.bypassed = false;
    return m;
}

static void try_gemm(const char *family, const char *storage)
{
    struct matrix m;
    param("gemm.many.family", family);
    param("gemm.many.storage", storage);
    param("gemm.few.family", family);
    param("gemm.few.storage", "f32");
    for (int few = 0; few < 2; few++) /* its layout follows from a kernel for many rows, and from one for a single row */
        if (!matrix_new(ctx, &m, 45, 33, few ? MATRIX_FEW : MATRIX_MANY, "a test"))
            matrix_free(ctx, &m);
}

static void try_panel(void)
{
    try_gemm("panel", "f32");
}

static void try_rows(void)
{
    try_gemm("rows", "f32");
}

static void try_bf16(void)
{
    try_gemm("panel", "bf16");
}

static void try_q8(void)
{
    try_gemm("panel", "q8_0");
}

static void try_clblast(void)
{
    struct matrix m = matrix_for("clblast", 45, 33, MATRIX_MANY);
    struct tensor a = space_for(1, 1, 20, 33), out = space_for(1, 1, 20, 45);
    OK(op_gemm_fwd(ctx, &out, &a, &m, 20, NULL)); /* by gemm.tile */
    tensor_free(ctx, &a);
    tensor_free(ctx, &out);
    matrix_free(ctx, &m);
}

enum direction { FORWARD, TRANSPOSED, WEIGHTS };

/* One call of a convolution of 16 x 16 images, which is only planned: its families are chosen all the same. */
static void convolve(enum direction direction, const char *layout, int kernel_size, int stride, int channels, int n)
{
    struct matrix m = matrix_for(layout, n, kernel_size * kernel_size * channels, direction == WEIGHTS ? MATRIX_EXACT : MATRIX_LARGE);
    struct conv2d_window window = {.taps = kernel_size, .stride = stride, .before = 1, .after = 1, .upsample = 1};
    int size = direction == TRANSPOSED ? 32 : 16 / stride;
    struct tensor in = space_for(1, 16, 16, channels), out = space_for(1, size, size, n);
    struct arena arena = {0};
    ctx->planning = true;
    if (direction == FORWARD)
        (void)op_conv2d_fwd(ctx, &arena, &out, &in, &m, window, NULL);
    else if (direction == TRANSPOSED)
        (void)op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &m, window, NULL);
    else
        (void)op_conv2d_bwd_weights(ctx, &arena, &m, &out, &in, window, false);
    ctx->planning = false;
    arena_free(ctx, &arena);
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    matrix_free(ctx, &m);
}

/* With each family of panels in turn: one that passes would end the search. */
static void try_conv(void)
{
    param("gemm.large.storage", "f32");
    param("conv.family", "winograd");
    convolve(FORWARD, "panel", 3, 1, 16, 3);  /* few */
    convolve(FORWARD, "panel", 3, 1, 16, 35); /* winograd */
    convolve(FORWARD, "panel", 4, 2, 32, 35); /* strided */
    convolve(FORWARD, "panel", 3, 1, 7, 35);  /* panel */
    convolve(FORWARD, "tile", 3, 1, 7, 35);
    param("conv.family", "single");
    convolve(FORWARD, "panel", 3, 1, 16, 35);
}

static void try_transposed(void)
{
    param("gemm.large.storage", "f32");
    param("conv.family", "winograd");
    convolve(TRANSPOSED, "panel", 4, 2, 16, 3);
    convolve(TRANSPOSED, "panel", 4, 2, 32, 35);
    convolve(TRANSPOSED, "panel", 4, 2, 7, 35);
    convolve(TRANSPOSED, "tile", 4, 2, 7, 35);
    param("conv.family", "single");
    convolve(TRANSPOSED, "panel", 4, 2, 16, 35);
}

static void try_weights(void)
{
    param("weights.family", "winograd");
    convolve(WEIGHTS, "panel", 3, 1, 32, 32);
    convolve(WEIGHTS, "panel", 3, 1, 7, 35);
    convolve(WEIGHTS, "tile", 3, 1, 7, 35);
    param("weights.family", "single");
    convolve(WEIGHTS, "panel", 3, 1, 7, 35);
}

static void try_attention_of(const char *family, const char *storage)
{
    struct attention_cache held;
    param("attention.family", family);
    param("attention.storage", storage);
    if (!attention_cache_new(ctx, NULL, &held, 1, 1, 32, 40, MATRIX_MANY, "a test"))
        attention_cache_free(ctx, &held);
}

static void try_attention(void)
{
    try_attention_of("row", "f32");
    try_attention_of("group", "f32");
    try_attention_of("row", "bf16");
}

static void try_norm(void)
{
    struct tensor x = space_for(1, 1, 3, 50), gamma = tensor_shape(DTYPE_F32, 1, 50, 0, 0, 0);
    OK(tensor_new(ctx, &gamma, "a test"));
    param("norm.family", "row");
    (void)op_layer_norm_fwd(ctx, &x, &x, &gamma, &gamma, 1e-5f);
    param("norm.family", "group");
    (void)op_layer_norm_fwd(ctx, &x, &x, &gamma, &gamma, 1e-5f);
    tensor_free(ctx, &x);
    tensor_free(ctx, &gamma);
}

static void try_softmax(void)
{
    struct tensor x = space_for(1, 1, 3, 50);
    param("softmax.family", "row");
    (void)op_softmax_fwd(ctx, &x, &x, false);
    param("softmax.family", "group");
    (void)op_softmax_fwd(ctx, &x, &x, false);
    tensor_free(ctx, &x);
}

static void try_logits(void)
{
    struct tensor x = tensor_shape(DTYPE_F32, 2, 1, 1500, 0, 0), never = tensor_shape(DTYPE_U8, 1, 1500, 0, 0, 0);
    struct tensor out = tensor_shape(DTYPE_I32, 2, 1, 8, 0, 0), token = tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0);
    struct arena arena = {0};
    struct logits_args args = {.n = 1500, .no_speech = -1};
    ctx->planning = true; /* no tensor needs memory */
    param("logits.local", "16");
    (void)op_logits_fwd(ctx, &arena, &out, &token, &x, &never, 0, args);
    param("logits.local", "1");
    (void)op_logits_fwd(ctx, &arena, &out, &token, &x, &never, 0, args);
    ctx->planning = false;
    arena_free(ctx, &arena);
}

static void try_clfft(void)
{
    struct tensor in = tensor_with(NULL, 2, 2, 20), out = tensor_shape(DTYPE_F32, 3, 2, 11, 2, 0);
    OK(tensor_new(ctx, &out, "a test"));
    FAILS(op_rfft_fwd(ctx, &out, &in), CLIO_ERROR_UNSUPPORTED, "clFFT is disabled");
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
}

/* Every multiply-add is one in a hundred too small. */
#define SMALLER "common.clh", "((a) * (b) + (c))", "((a) * (b) * 0.99f + (c))"
#define SHIFTED "out += (size_t)row * n;", "out += (size_t)row * n + 1;"

static const struct {
    const char *family;
    void (*use)(void);
    const char *file, *from, *to; /* what makes its kernels wrong; NULL: a library, replaced above */
} rows[] = {
    {"gemm.panel", try_panel, SMALLER},
    {"gemm.tile", try_rows, SMALLER},
    {"gemm.rows", try_rows, SMALLER},
    {"gemm.clblast", try_clblast, NULL, NULL, NULL},
    {"gemm.bf16", try_bf16, "gemm_bf16.cl", "low[i] = high[i] = 0.0f;", "low[i] = high[i] = 0.5f;"},
    {"gemm.q8", try_q8, SMALLER},
    {"attention.row", try_attention, SMALLER},
    {"attention.group", try_attention, SMALLER},
    {"attention.bf16", try_attention, "attention_bf16.cl", "limit + i + 1", "limit + i"},
    {"norm.row", try_norm, "norm.cl", SHIFTED},
    {"norm.group", try_norm, "norm.cl", SHIFTED},
    {"softmax.row", try_softmax, "softmax.cl", SHIFTED},
    {"softmax.group", try_softmax, "softmax.cl", SHIFTED},
    {"logits.group", try_logits, "logits.cl", "#define CHUNK 1024", "#define CHUNK 1024\n#define exp(x) 0.9f\n"},
    {"logits.single", try_logits, "logits.cl", "#define CHUNK 1024", "#define CHUNK 1024\n#define exp(x) 0.9f\n"},
    {"conv.few", try_conv, SMALLER},
    {"conv.strided", try_conv, SMALLER},
    {"conv.winograd", try_conv, SMALLER},
    {"conv.panel", try_conv, SMALLER},
    {"conv.tile", try_conv, SMALLER},
    {"conv.single", try_conv, SMALLER},
    {"transposed.few", try_transposed, SMALLER},
    {"transposed.strided", try_transposed, SMALLER},
    {"transposed.panel", try_transposed, SMALLER},
    {"transposed.tile", try_transposed, SMALLER},
    {"transposed.single", try_transposed, SMALLER},
    {"weights.winograd", try_weights, SMALLER},
    {"weights.panel", try_weights, SMALLER},
    {"weights.tile", try_weights, SMALLER},
    {"weights.single", try_weights, SMALLER},
    {"clfft", try_clfft, NULL, NULL, NULL},
};

/* ---- the rows ---- */

static void test_every_family_is_here(void **state)
{
    (void)state;
    reopen();
    for (size_t i = 0; i < kernel_families.count; i++) {
        const struct kernel_family *f = &kernel_families.rows[i];
        bool found = false;
        for (size_t k = 0; k < COUNT(rows); k++)
            found = found || strcmp(rows[k].family, f->name) == 0;
        if (!found)
            fail_msg("%s has no row in this test", f->name);
        assert_non_null(f->selftest);
        assert_true(f->choose || strncmp(f->name, "attention.", 10) == 0);
        assert_true(f->devices);
        assert_true(strlen(f->name) < sizeof((struct selftest_result){0}.family));
        assert_ptr_equal(kernel_family_find(ctx, f->name), f); /* no other row has the name */
        assert_string_equal(kernel_families.name(i), f->name);
    }
    assert_null(kernel_family_find(ctx, "gemm"));
}

static void test_right_kernels_pass(void **state)
{
    (void)state;
    reopen();
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].file)
            rows[i].use();
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].file)
            expect_right(rows[i].family);
}

static void test_wrong_kernels_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].file)
            doctor_file(rows[i].file, "", "", rows[i].from, rows[i].to);
        reopen();
        rows[i].use();
        expect_off(rows[i].family, strcmp(rows[i].family, "clfft") == 0 ? "" : "wrong result");
        unsetenv("CLIO_CL_DIR");
    }
}

/* A family that does not read the weights is not asked, whatever the parameters say. */
static void test_weights_that_a_family_reads(void **state)
{
    (void)state;
    reopen();
    param("conv.family", "winograd");
    convolve(FORWARD, "tile", 3, 1, 16, 35);
    assert_null(problem_of("conv.winograd"));
    expect_right("conv.tile");
    param("gemm.large.storage", "f16");
    convolve(FORWARD, "panel", 3, 1, 16, 35);
    expect_right("conv.winograd");
}

static void test_names(void **state)
{
    char all[1024] = "", command[512], text[1 << 16];
    (void)state;
    for (size_t i = 0; kernel_families.name(i); i++) {
        setenv("CLIO_DISABLE", kernel_families.name(i), 1);
        reopen();
        expect_off(kernel_families.name(i), "disabled by CLIO_DISABLE");
        expect_alone(kernel_families.name(i));
        strcat(strcat(all, kernel_families.name(i)), ",");
    }
    assert_true(strlen(all) < sizeof all);
    setenv("CLIO_DISABLE", all, 1);
    snprintf(command, sizeof command, "%s/clio devices", CLIO_BUILD_DIR);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    assert_int_equal(pclose(f), 0);
    for (size_t i = 0; kernel_families.name(i); i++) {
        char shown[64];
        snprintf(shown, sizeof shown, "%s (disabled by CLIO_DISABLE)", kernel_families.name(i));
        if (!strstr(text, shown))
            fail_msg("%s does not name %s: %s", command, kernel_families.name(i), text);
    }
    setenv("CLIO_DISABLE", "conv.windograd", 1);
    FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_ARGUMENT, "CLIO_DISABLE contains \"conv.windograd\", which is not a kernel family");
}

/* ---- tuning steps ---- */

/* The key is that of the operation, has a shipped value, and a value of `operation.x.family` is a family. */
static void check_step(const struct tune_step *step, const char *operation, const char *tunables)
{
    assert_true(step->cases);
    for (int i = 0; i < TUNE_TOGETHER && step->parameters[i].key; i++) {
        const char *key = step->parameters[i].key;
        char shipped[64], values[128], name[64];
        snprintf(shipped, sizeof shipped, " %s ", key);
        if (strncmp(key, operation, strlen(operation)) != 0 || !strstr(tunables, shipped))
            fail_msg("step %s of %s: cl/tunables.txt has no %s", step->name, operation, key);
        if (!strstr(key, ".family"))
            continue;
        snprintf(values, sizeof values, "%s", step->parameters[i].values);
        for (char *value = strtok(values, " "); value; value = strtok(NULL, " ")) {
            snprintf(name, sizeof name, "%s.%s", operation, value);
            if (!kernel_family_find(ctx, name))
                fail_msg("step %s: %s is not a kernel family", step->name, name);
        }
    }
}

static void test_tuning_steps(void **state)
{
    const char *tunables = NULL;
    size_t count = 0;
    (void)state;
    reopen();
    for (size_t i = 0; i < embedded_file_count; i++)
        if (strcmp(embedded_files[i].name, "tunables.txt") == 0)
            tunables = (const char *)embedded_files[i].data;
    assert_non_null(tunables);
    for (size_t i = 0; i < kernel_families.operation_count; i++) {
        const struct family_operation *operation = &kernel_families.operations[i];
        size_t families = 0;
        for (size_t k = 0; k < kernel_families.count; k++) {
            const struct kernel_family *f = &kernel_families.rows[k];
            if (!kernel_family_is_of(f, operation->name))
                continue;
            families++;
            for (const struct tune_step *s = f->steps; s && s->name; s++, count++)
                check_step(s, operation->name, tunables);
        }
        assert_true(families > 0);
        for (const struct tune_step *s = operation->steps; s && s->name; s++, count++) {
            assert_true(s->devices); /* there is no family that would say */
            check_step(s, operation->name, tunables);
        }
    }
    assert_int_equal(count, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_every_family_is_here),
        EACH(test_right_kernels_pass),
        EACH(test_wrong_kernels_fail),
        EACH(test_weights_that_a_family_reads),
        EACH(test_names),
        EACH(test_tuning_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
