/* test_checks.c - the first-use checks: a kernel that answers wrongly is found, switched off alone and shown; what another one computes
 * instead is right; verdicts are kept, and forgotten when a driver or a source changes.
 *
 * The wrong kernels are written into a copy of cl/, which CLIO_CL_DIR names: each file begins with the wrong one, chosen by the option of
 * the fast path, and goes on with what it was. */
#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include "test_own.h"

#include <dirent.h>
#include <math.h>

#include "../host/core/fft.h"
#include "../host/core/program_cache.h"
#include "../host/ops/ops.h"
#include "../host/ref/ref.h"

static char kernels[80];

static int set_up_kernels(void **state)
{
    if (set_up(state))
        return -1;
    snprintf(kernels, sizeof kernels, "%s/cl", folder);
    unsetenv("CLIO_DISABLE");
    return setenv("CLIO_CACHE_DIR", cache, 1) || mkdir(kernels, 0777);
}

static int tear_down_kernels(void **state)
{
    unsetenv("CLIO_CL_DIR");
    unsetenv("CLIO_DISABLE");
    return tear_down(state);
}

/* A fresh context, as another process would have it. */
static void reopen(void)
{
    clio_destroy(ctx);
    ctx = clio_create();
    assert_non_null(ctx);
    OK(clio_device_open(ctx, NULL));
}

static void param(const char *key, const char *value)
{
    OK(params_add(ctx, "any", key, value));
}

/* ---- operations, compared with plain C whatever path they take ---- */

static struct tensor tensor_with(const float *data, int ndim, int d0, int d1)
{
    struct tensor t = tensor_shape(DTYPE_F32, ndim, d0, d1, 0, 0);
    OK(tensor_new(ctx, &t, "a test"));
    if (data)
        OK(tensor_write(ctx, &t, 0, tensor_count(&t), data));
    return t;
}

/* 20 x 45 x 33; returns the layout that the matrix got. */
static enum matrix_layout multiply(const char *family, enum matrix_use use)
{
    enum { M = 20, N = 45, K = 33 };
    static float a[M * K], w[N * K], got[M * N], want[M * N];
    struct gemm_args g = {.m = M, .n = N, .k = K, .lda = K, .ldc = N, .alpha = 1};
    struct matrix matrix;
    param("gemm.many.family", family);
    param("gemm.few.family", family);
    test_random(a, COUNT(a), 1);
    test_random(w, COUNT(w), 2);
    for (size_t i = 0; i < COUNT(w); i++)
        w[i] = half_to_float(float_to_half(w[i])); /* whatever the storage is */
    OK(matrix_new(ctx, &matrix, N, K, use, "a test"));
    enum matrix_layout layout = matrix.layout;
    OK(matrix_fill_floats(ctx, &matrix, 0, N, w));
    struct tensor in = tensor_with(a, 2, M, K), out = tensor_with(NULL, 2, M, N);
    for (int m = M; m > 0; m = m == M ? 3 : m - 1) {
        OK(op_gemm_fwd(ctx, &out, &in, &matrix, m, NULL));
        OK(tensor_read(ctx, &out, 0, (size_t)m * N, got));
        g.m = m;
        ref_gemm(want, a, w, NULL, NULL, &g);
        assert_close(got, want, (size_t)m * N, 1e-5);
    }
    matrix_free(ctx, &matrix);
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    return layout;
}

static void norm(const char *family)
{
    enum { ROWS = 3, N = 50 };
    float x[ROWS * N], ones[N], zeros[N] = {0}, got[ROWS * N], want[ROWS * N];
    param("norm.family", family);
    test_random(x, COUNT(x), 3);
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    struct tensor in = tensor_with(x, 2, ROWS, N), gamma = tensor_with(ones, 1, N, 0), beta = tensor_with(zeros, 1, N, 0);
    OK(op_layer_norm_fwd(ctx, &in, &in, &gamma, &beta, 1e-5f));
    OK(tensor_read(ctx, &in, 0, COUNT(got), got));
    ref_layer_norm(want, x, ones, zeros, ROWS, N, 1e-5f);
    assert_close(got, want, COUNT(got), 1e-5);
    tensor_free(ctx, &in);
    tensor_free(ctx, &gamma);
    tensor_free(ctx, &beta);
}

static void softmax(const char *family)
{
    enum { ROWS = 3, N = 50 };
    float x[ROWS * N], got[ROWS * N], want[ROWS * N];
    param("softmax.family", family);
    test_random(x, COUNT(x), 4);
    struct tensor in = tensor_with(x, 2, ROWS, N);
    OK(op_softmax_fwd(ctx, &in, &in, false));
    OK(tensor_read(ctx, &in, 0, COUNT(got), got));
    ref_softmax(want, x, ROWS, N, false);
    assert_close(got, want, COUNT(got), 1e-5);
    tensor_free(ctx, &in);
}

static void attend(const char *family)
{
    enum { QUERIES = 3, KEYS = 40, WIDTH = 32 };
    static float q[QUERIES * WIDTH], k[KEYS * WIDTH], v[KEYS * WIDTH], got[QUERIES * WIDTH], want[QUERIES * WIDTH];
    struct attention_cache held;
    struct arena arena = {0};
    struct attention_args args = {.batch = 1, .queries = QUERIES, .keys = KEYS, .ldq = WIDTH, .ldo = WIDTH, .scale = 0.2f};
    param("attention.family", family);
    test_random(q, COUNT(q), 5);
    test_random(k, COUNT(k), 6);
    test_random(v, COUNT(v), 7);
    struct tensor tq = tensor_with(q, 2, QUERIES, WIDTH), tk = tensor_with(k, 2, KEYS, WIDTH), tv = tensor_with(v, 2, KEYS, WIDTH);
    struct tensor out = tensor_with(NULL, 2, QUERIES, WIDTH);
    OK(attention_cache_new(ctx, NULL, &held, 1, 2, WIDTH / 2, KEYS, MATRIX_MANY, "a test"));
    OK(op_attention_store(ctx, &held, &tk, &tv, (struct attention_store_args){.rows = KEYS, .ldk = WIDTH, .ldv = WIDTH}));
    ctx->planning = true;
    OK(op_attention_fwd(ctx, &arena, &out, &tq, &held, args));
    ctx->planning = false;
    OK(arena_commit(ctx, &arena, "a test"));
    OK(op_attention_fwd(ctx, &arena, &out, &tq, &held, args));
    OK(tensor_read(ctx, &out, 0, COUNT(got), got));
    args.heads = 2;
    args.head_dim = WIDTH / 2;
    ref_attention(want, q, k, v, &args);
    assert_close(got, want, COUNT(got), 1e-3);
    arena_free(ctx, &arena);
    attention_cache_free(ctx, &held);
    tensor_free(ctx, &tq);
    tensor_free(ctx, &tk);
    tensor_free(ctx, &tv);
    tensor_free(ctx, &out);
}

static void choose_token(const char *local)
{
    enum { N = 1500 };
    static float x[N];
    unsigned char suppress[N] = {0};
    struct arena arena = {0};
    struct logits_args args = {.n = N, .timestamp_begin = N, .end_token = N - 1, .no_speech = -1, .text_allowed = 1, .end_allowed = 1};
    int chosen = -1;
    param("logits.local", local);
    test_random(x, N, 8);
    x[777] = 2;
    struct tensor in = tensor_with(x, 2, 1, N), out = tensor_shape(DTYPE_I32, 2, 1, 8, 0, 0),
                  token = tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0);
    struct tensor never = tensor_shape(DTYPE_U8, 1, N, 0, 0, 0);
    OK(tensor_new(ctx, &out, "a test"));
    OK(tensor_new(ctx, &token, "a test"));
    OK(tensor_new(ctx, &never, "a test"));
    OK(tensor_write(ctx, &never, 0, N, suppress));
    ctx->planning = true;
    OK(op_logits_fwd(ctx, &arena, &out, &token, &in, &never, 0, args));
    ctx->planning = false;
    OK(arena_commit(ctx, &arena, "a test"));
    OK(op_logits_fwd(ctx, &arena, &out, &token, &in, &never, 0, args));
    OK(tensor_read(ctx, &token, 0, 1, &chosen));
    assert_int_equal(chosen, 777);
    arena_free(ctx, &arena);
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    tensor_free(ctx, &token);
    tensor_free(ctx, &never);
}

/* ---- what is shown and kept ---- */

/* The problem of a path, "" when it answered rightly, NULL when it was not checked. */
static const char *problem_of(const char *path)
{
    const clio_check *list;
    const char *found = NULL;
    size_t count;
    OK(clio_device_checks(ctx, clio_device(ctx)->index, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].path, path) == 0 && (!found || list[i].problem))
            found = list[i].problem ? list[i].problem : "";
    return found;
}

static void expect_right(const char *path)
{
    const char *problem = problem_of(path);
    if (!problem || *problem)
        fail_msg("%s: expected to be right, but: %s", path, problem ? problem : "not checked");
}

static void expect_off(const char *path, const char *why)
{
    const char *problem = problem_of(path);
    if (!problem || !strstr(problem, why))
        fail_msg("%s: expected to be off because it %s, but: %s", path, why, !problem ? "not checked" : *problem ? problem : "right");
}

/* Nothing but `path` is switched off. */
static void expect_alone(const char *path)
{
    const clio_check *list;
    size_t count;
    OK(clio_device_checks(ctx, clio_device(ctx)->index, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (list[i].problem && strcmp(list[i].path, path) != 0)
            fail_msg("%s is switched off as well: %s", list[i].path, list[i].problem);
}

/* Files with verdicts in the cache; the path of one of them. */
static int verdict_files(char path[512])
{
    DIR *d = opendir(cache);
    int count = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, "checks-", 7) == 0) {
            snprintf(path, 512, "%s/%s", cache, e->d_name);
            count++;
        }
    if (d)
        closedir(d);
    return count;
}

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* The only file with verdicts, as text. */
static char *kept(char path[512])
{
    assert_int_equal(verdict_files(path), 1);
    return slurp(path);
}

static void everything(void)
{
    multiply("panel", MATRIX_MANY);
    norm("row");
    softmax("row");
    attend("row");
    choose_token("16");
}

/* ---- what the wrong kernels are ---- */

/* `file` is `wrong` where `option` is defined, otherwise what it was; all other files are copies. */
static void doctor(const char *file, const char *option, const char *wrong)
{
    char path[512];
    for (size_t i = 0; i < embedded_file_count; i++) {
        const struct embedded_file *e = &embedded_files[i];
        snprintf(path, sizeof path, "%s/%s", kernels, e->name);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        bool is_it = file && strcmp(file, e->name) == 0;
        if (is_it)
            fprintf(f, "#include \"common.clh\"\n#if %s\n%s\n#else\n", option, wrong);
        assert_int_equal(fwrite(e->data, 1, e->size, f), e->size);
        if (is_it)
            fprintf(f, "\n#endif\n");
        assert_int_equal(fclose(f), 0);
    }
    assert_int_equal(setenv("CLIO_CL_DIR", kernels, 1), 0);
}

/* The plainest gemm_panel, which answers rightly but for what WRONG(x) makes of each number. */
#define PANEL_KERNEL                                                                                                                       \
    "__kernel void gemm_panel(__global float *c, const __global float *a, const __global WEIGHT *w, const __global float *bias,\n"         \
    "                         const __global float *residual, struct gemm_args g)\n"                                                       \
    "{\n"                                                                                                                                  \
    "    for (int m = get_global_id(0) * MR; m < min(g.m, (int)(get_global_id(0) + 1) * MR); m++)\n"                                       \
    "        for (int j = 0; j < 32; j++) {\n"                                                                                             \
    "            int n = get_global_id(1) * 32 + j;\n"                                                                                     \
    "            float x = 0.0f;\n"                                                                                                        \
    "            for (int k = 0; k < g.k && n < g.n; k++)\n"                                                                               \
    "                x += a[g.a_offset + m * g.lda + k] * AT((get_global_id(1) * g.k + k) * 32 + j, w);\n"                                 \
    "            x = activate(x * g.alpha + (g.has_bias && n < g.n ? bias[n] : 0.0f), g.act, g.slope);\n"                                  \
    "            if (n < g.n)\n"                                                                                                           \
    "                c[g.c_offset + m * g.ldc + n] = WRONG(x + (g.has_residual ? residual[g.r_offset + m * g.ldr + n] : 0.0f));\n"         \
    "            else if (BEYOND && m == g.m - 1)\n"                                                                                       \
    "                c[g.c_offset + m * g.ldc + n] = 0.0f;\n"                                                                              \
    "        }\n"                                                                                                                          \
    "}\n"

static void doctor_panel(const char *wrong, int beyond)
{
    char text[4096];
    snprintf(text, sizeof text,
             "#if W_F16\n#define WEIGHT half\n#define AT(i, p) vload_half(i, p)\n#else\n#define WEIGHT float\n#define AT(i, p) (p)[i]\n"
             "#endif\n#define WRONG(x) (%s)\n#define BEYOND %d\n%s",
             wrong, beyond, PANEL_KERNEL);
    doctor("gemm.cl", "defined(PANEL)", text);
}

/* ---- tests ---- */

static void test_all_are_right_here(void **state)
{
    char path[512];
    (void)state;
    reopen();
    assert_null(problem_of("gemm.panel"));
    everything();
    multiply("tile", MATRIX_MANY);
    multiply("tile", MATRIX_FEW);
    norm("group");
    softmax("group");
    attend("group");
    choose_token("1");
    const char *paths[] = {"gemm.panel",    "gemm.tile",     "gemm.rows",       "norm.row",     "norm.group",   "softmax.row",
                           "softmax.group", "attention.row", "attention.group", "logits.group", "logits.single"};
    for (size_t i = 0; i < COUNT(paths); i++)
        expect_right(paths[i]);
    assert_string_equal(clio_error(ctx), "");
    char *text = kept(path);
    assert_non_null(strstr(text, "\ngemm.panel [-DW_F16=0 "));
    free(text);
}

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

static void test_wrong_panels(void **state)
{
    const struct {
        const char *name, *wrong, *why;
        int beyond;
    } cases[] = {
        {"a little off", "(x) + 0.01f", "answers wrongly (error 0.01", 0},
        {"zeros", "(x) * 0.0f", "answers wrongly (error", 0},
        {"no numbers", "as_float(0x7f800000)", "no number", 0},
        {"too many", "x", "past the end", 1},
        {"last row left out", "m == g.m - 1 ? c[g.c_offset + m * g.ldc + n] : (x)", "no number", 0},
        {"no kernel", "does not compile", "does not compile", 0},
    };
    char path[512], at[600];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        doctor_panel(cases[i].wrong, cases[i].beyond);
        reopen();
        if (multiply("panel", MATRIX_MANY) != MATRIX_ROWS || multiply("panel", MATRIX_FEW) != MATRIX_ROWS)
            fail_msg("%s was not found", cases[i].name);
        expect_off("gemm.panel", cases[i].why);
        expect_right("gemm.tile");
        norm("row");
        expect_right("norm.row");
        expect_alone("gemm.panel");
        assert_string_equal(clio_error(ctx), "");
        reopen();
        expect_off("gemm.panel", cases[i].why);
        assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_ROWS);
        for (size_t p = 0, k = 0; cases[i].beyond == 0 && p < ctx->programs.count;) { /* the kernel was not even asked for */
            struct kernel *kernel = kernel_next(ctx, &p, &k);
            assert_true(!kernel || strcmp(kernel->name, "gemm_panel") != 0);
        }
    }
    assert_int_equal(verdict_files(path), COUNT(cases)); /* one for each text of the kernels */
    doctor_panel("x", 0);                                /* the same kernel, without a fault, is taken: only its faults were found */
    reopen();
    assert_null(problem_of("gemm.panel"));
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
    assert_int_equal(multiply("panel", MATRIX_FEW), MATRIX_PANELS);
    expect_right("gemm.panel");
    snprintf(at, sizeof at, "%s/gemm.cl", kernels);
    assert_int_equal(remove(at), 0); /* a folder that is not whole is an error of whoever made it, as ever */
    reopen();
    struct matrix m;
    FAILS(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"), CLIO_ERROR_FILE, "gemm.cl");
}

/* One wrong variant among right ones: the others of its family go on. */
static void test_one_variant_alone(void **state)
{
    (void)state;
    doctor_panel("MR == 4 ? (x) + 0.01f : (x)", 0);
    reopen();
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS); /* 3 rows, too, without the tile of 4 */
    expect_off("gemm.panel", "answers wrongly");
    assert_non_null(verdict_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=4"));
    assert_string_not_equal(verdict_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=4")->reason, "");
    assert_string_equal(verdict_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=1")->reason, "");
    doctor_panel("W_F16 ? (x) + 0.01f : (x)", 0);
    reopen();
    param("gemm.few.storage", "f16");
    assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_PANELS);
    assert_int_equal(multiply("panel", MATRIX_FEW), MATRIX_ROWS);
}

#define ZEROS(declaration, statement) "__kernel void " declaration "\n{\n    " statement "\n}\n"

#define GEMM_ARGS                                                                                                                          \
    "const __global float *a, const __global float *w, const __global float *bias, const __global float *residual, struct gemm_args g"

static void test_other_families(void **state)
{
    const struct {
        const char *path, *instead, *file, *option, *wrong;
    } cases[] = {
        {"gemm.tile", "gemm.rows", "gemm.cl", "defined(TILE)", ZEROS("gemm_tile(__global float *c, " GEMM_ARGS ")", "c[0] = 0.0f;")},
        {"gemm.rows", "gemm.tile", "gemm.cl", "defined(ROWS)", ZEROS("gemm_rows(__global float *c, " GEMM_ARGS ")", "c[0] = 0.0f;")},
        {"norm.row", "norm.group", "norm.cl", "defined(ROW)",
         ZEROS("layer_norm(__global float *out, __global const float *in, __global const float *gamma, __global const float *beta, struct "
               "norm_args a)",
               "for (int i = 0; i < a.n; i++) out[get_global_id(0) * a.n + i] = 0.0f;")},
        {"norm.group", "norm.row", "norm.cl", "!defined(ROW)",
         ZEROS("layer_norm(__global float *out, __global const float *in, __global const float *gamma, __global const float *beta, struct "
               "norm_args a)",
               "if (get_local_id(0) == 0) for (int i = 0; i < a.n; i++) out[get_group_id(0) * a.n + i] = in[get_group_id(0) * a.n + i];")},
        {"softmax.row", "softmax.group", "softmax.cl", "defined(ROW)",
         ZEROS("softmax(__global float *out, __global const float *in, struct norm_args a)",
               "for (int i = 0; i < a.n; i++) out[get_global_id(0) * a.n + i] = 1.0f / a.n;")},
        {"attention.row", "attention.group", "attention.cl", "defined(ROW)",
         ZEROS("attention_store_row(__global float *kc, __global float *vc, const __global float *k, const __global float *v, struct "
               "attention_store_args p)",
               "")
             ZEROS("attention_row(__global float *out, const __global float *q, const __global float *k, const __global float *v, struct "
                   "attention_args a)",
                   "out[get_global_id(0)] = 0.0f;")},
        {"attention.group", "attention.row", "attention.cl", "!defined(ROW)",
         ZEROS("attention_store(__global float *kc, __global float *vc, const __global float *k, const __global float *v, struct "
               "attention_store_args p)",
               "")
             ZEROS("attention_tile(__global float *out, const __global float *q, const __global float *k, const __global float *v, struct "
                   "attention_args a)",
                   "")
                 ZEROS("attention_split(__global float *out, const __global float *q, const __global float *k, const __global float *v, "
                       "struct attention_args a)",
                       "") ZEROS("attention_combine(__global float *out, const __global float *parts, struct attention_args a)", "")},
        {"logits.group", "logits.single", "logits.cl", "LOCAL > 1",
         ZEROS("logits_partial(__global int *parts, const __global float *logits, const __global uchar *never, int offset, struct "
               "logits_args "
               "p)",
               "")
             ZEROS("logits_choose(__global int *out, __global int *tokens, const __global int *parts, const __global float *logits, int "
                   "offset, int row, struct logits_args p)",
                   "out[0] = tokens[0] = 5;")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        doctor(cases[i].file, cases[i].option, cases[i].wrong);
        reopen();
        const char *family = strchr(cases[i].path, '.') + 1;
        if (strncmp(cases[i].path, "gemm", 4) == 0)
            multiply("tile", MATRIX_MANY);
        else if (strncmp(cases[i].path, "norm", 4) == 0)
            norm(family);
        else if (strncmp(cases[i].path, "softmax", 7) == 0)
            softmax(family);
        else if (strncmp(cases[i].path, "attention", 9) == 0)
            attend(family);
        else
            choose_token("16");
        expect_off(cases[i].path, "answers wrongly");
        expect_right(cases[i].instead);
        expect_alone(cases[i].path);
        assert_string_equal(clio_error(ctx), "");
    }
}

/* Small tiles with shared columns are wrong here: they are off, large ones are not. */
static void test_wrong_slices(void **state)
{
    size_t off = 0, right = 0;
    (void)state;
    doctor("gemm.cl", "defined(TILE) && SLICES > 1", ZEROS("gemm_tile(__global float *c, " GEMM_ARGS ")", "c[0] = 0.0f;"));
    reopen();
    param("gemm.split.below", "1000000");
    multiply("tile", MATRIX_MANY);
    expect_off("gemm.tile", "answers wrongly");
    param("gemm.split.below", "0");
    multiply("tile", MATRIX_MANY);
    for (size_t i = 0; i < ctx->verdicts.count; i++) {
        const struct verdict *v = &ctx->verdicts.list[i];
        bool slices = strstr(v->variant, "-DSLICES=4") != NULL, whole = strstr(v->variant, "-DSLICES=1") != NULL;
        assert_true(!slices || *v->reason);
        assert_true(!whole || !*v->reason);
        off += slices;
        right += whole;
    }
    assert_true(off && right);
}

/* A kernel that the device refuses is off; the context goes on. */
static void test_refused_kernel(void **state)
{
    (void)state;
    reopen();
    param("gemm.split.below", "0"); /* else this product is too small for that tile */
    param("gemm.tile.gx", "256");
    param("gemm.tile.gy", "256");
    multiply("tile", MATRIX_MANY);
    expect_off("gemm.tile", "");
    expect_right("gemm.rows"); /* which reads the same layout */
    expect_alone("gemm.tile");
    assert_false(ctx->is_lost);
    param("gemm.tile.gx", "16");
    param("gemm.tile.gy", "16");
    assert_int_equal(multiply("tile", MATRIX_MANY), MATRIX_ROWS); /* that variant alone */
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
    assert_int_equal(verdict_files(path), 0);
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
    FAILS(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"), CLIO_ERROR_DEVICE, "nothing that multiplies matrices is usable on");
    assert_non_null(strstr(clio_error(ctx), "unset CLIO_DISABLE"));
    FAILS(attention_cache_new(ctx, NULL, &held, 1, 1, 16, 32, MATRIX_MANY, "a test"), CLIO_ERROR_DEVICE,
          "nothing that computes attention is usable on");
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
        FAILS(clio_device_open(ctx, NULL), CLIO_ERROR_ARGUMENT, "cannot be switched off: it may name gemm.panel, ");
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
    assert_null(verdict_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=8"));
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    assert_int_equal(verdict_files(path), 2);
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
        put(path, broken[i]);
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
    put(blocked, "in the way\n");
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
    multiply("panel", MATRIX_MANY);
    expect_right("gemm.panel");
    assert_int_equal(verdict_files(path), 0);
}

static void test_fourier(void **state)
{
    char path[512], *text, *longer;
    float x[2 * 20], y[2 * 11 * 2];
    (void)state;
    reopen();
    multiply("panel", MATRIX_MANY);
    test_random(x, COUNT(x), 9);
    struct tensor in = tensor_with(x, 2, 2, 20), out = tensor_shape(DTYPE_F32, 3, 2, 11, 2, 0);
    OK(tensor_new(ctx, &out, "a test"));
    clio_status st = fft_real(ctx, &out, &in);
    if (st) {
        fprintf(stderr, "clFFT does not work here: %s\n", clio_error(ctx));
        expect_off("clfft", "");
    } else {
        double sum = 0;
        expect_right("clfft");
        OK(tensor_read(ctx, &out, 0, COUNT(y), y));
        for (int i = 0; i < 20; i++)
            sum += (double)x[i];
        assert_true(fabs(sum - (double)y[0]) < 1e-4);
    }
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    /* Found wrong by an earlier process. */
    text = kept(path);
    assert_non_null(longer = calloc(1, strlen(text) + 200));
    sprintf(longer, "%sclfft [n=24] failed: answers wrongly (error 0.3)\n", text);
    put(path, longer);
    reopen();
    expect_off("clfft", "answers wrongly (error 0.3)");
    in = tensor_with(NULL, 2, 2, 24);
    out = tensor_shape(DTYPE_F32, 3, 2, 13, 2, 0);
    OK(tensor_new(ctx, &out, "a test"));
    FAILS(fft_real(ctx, &out, &in), CLIO_ERROR_UNSUPPORTED, "clFFT is switched off");
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    setenv("CLIO_DISABLE", "clfft", 1);
    reopen();
    in = tensor_with(NULL, 2, 2, 20);
    out = tensor_shape(DTYPE_F32, 3, 2, 11, 2, 0);
    OK(tensor_new(ctx, &out, "a test"));
    FAILS(fft_real(ctx, &out, &in), CLIO_ERROR_UNSUPPORTED, "disabled by CLIO_DISABLE");
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    free(text);
    free(longer);
}

static void test_clblast(void **state)
{
    (void)state;
    if (test_small())
        skip();
    reopen();
    multiply("panel", MATRIX_MANY);
    assert_null(problem_of("gemm.clblast")); /* nothing is compiled that is not used */
    assert_int_equal(multiply("clblast", MATRIX_MANY), MATRIX_ROWS);
    expect_right("gemm.clblast");
    setenv("CLIO_DISABLE", "gemm.clblast", 1);
    reopen();
    multiply("clblast", MATRIX_MANY);
    expect_right("gemm.tile");
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
        if (!strstr(text, json ? "\"path\": \"gemm.panel\"" : "checked   gemm.panel; switched off: gemm.tile (disabled by CLIO_DISABLE)"))
            fail_msg("%s printed: %s", command, text);
    }
    const clio_check *list;
    size_t count;
    unsetenv("CLIO_DISABLE");
    FAILS(clio_device_checks(ctx, 999, &list, &count), CLIO_ERROR_ARGUMENT, "there is no device 999");
    FAILS(clio_device_checks(ctx, -1, &list, &count), CLIO_ERROR_ARGUMENT, "there is no device -1");
    clio_destroy(ctx);
    ctx = clio_create(); /* none is open: read from the cache */
    const clio_device_info *devices;
    OK(clio_device_list(ctx, &devices, &count));
    for (size_t i = 0; i < count; i++)
        if (devices[i].chosen) {
            OK(clio_device_checks(ctx, devices[i].index, &list, &count));
            assert_true(count > 0);
            assert_string_equal(list[0].path, "gemm.panel");
            assert_null(list[0].problem);
            break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_are_right_here, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_kept_for_the_next_process, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_wrong_panels, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_one_variant_alone, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_other_families, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_wrong_slices, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_refused_kernel, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_cancelled, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_nothing_left, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_disabled_by_hand, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_forgotten_with_the_driver, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_broken_files, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_two_processes, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_without_a_cache, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_fourier, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_clblast, set_up_kernels, tear_down_kernels),
        cmocka_unit_test_setup_teardown(test_shown_by_the_command, set_up_kernels, tear_down_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
