/* test_checks.h - what the tests of the first-use checks share: operations compared with plain C, what the checks found, wrong kernels.
 *
 * The wrong kernels are written into a copy of cl/, which CLIO_CL_DIR names: each file begins with the wrong one, chosen by the option of
 * the fast path, and goes on with what it was. */
#ifndef CLIO_TEST_CHECKS_H
#define CLIO_TEST_CHECKS_H

#include "../support/test_own.h"

#include <dirent.h>
#include <math.h>

#include "../../host/core/fft.h"
#include "../../host/core/program_cache.h"
#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

static char kernels[80];

static inline int set_up_kernels(void **state)
{
    if (set_up(state))
        return -1;
    snprintf(kernels, sizeof kernels, "%s/cl", folder);
    unsetenv("CLIO_DISABLE");
    return setenv("CLIO_CACHE_DIR", cache, 1) || mkdir(kernels, 0777);
}

static inline int tear_down_kernels(void **state)
{
    unsetenv("CLIO_CL_DIR");
    unsetenv("CLIO_DISABLE");
    return tear_down(state);
}

static inline void param(const char *key, const char *value)
{
    OK(params_add(ctx, "any", key, value));
}

/* A fresh context, as another process would have it; what is rounded to bfloat16 by default on some devices is asked for by its test. */
static inline void reopen(void)
{
    clio_destroy(ctx);
    ctx = clio_create();
    assert_non_null(ctx);
    OK(clio_device_open(ctx, NULL));
    param("gemm.many.storage", "f32");
}

/* ---- operations, compared with plain C whatever path they take ---- */

static inline struct tensor tensor_with(const float *data, int ndim, int d0, int d1)
{
    struct tensor t = tensor_shape(DTYPE_F32, ndim, d0, d1, 0, 0);
    OK(tensor_new(ctx, &t, "a test"));
    if (data)
        OK(tensor_write(ctx, &t, 0, tensor_count(&t), data));
    return t;
}

/* 20 x 45 x 33; returns the layout that the matrix got. */
static inline enum matrix_layout multiply(const char *family, enum matrix_use use)
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

static inline void norm(const char *family)
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

static inline void softmax(const char *family)
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

static inline void attend_heads(const char *family, int heads)
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
    OK(attention_cache_new(ctx, NULL, &held, 1, heads, WIDTH / heads, KEYS, MATRIX_MANY, "a test"));
    OK(op_attention_store(ctx, &held, &tk, &tv, (struct attention_store_args){.rows = KEYS, .ldk = WIDTH, .ldv = WIDTH}));
    ctx->planning = true;
    OK(op_attention_fwd(ctx, &arena, &out, &tq, &held, args));
    ctx->planning = false;
    OK(arena_commit(ctx, &arena, "a test"));
    OK(op_attention_fwd(ctx, &arena, &out, &tq, &held, args));
    OK(tensor_read(ctx, &out, 0, COUNT(got), got));
    args.heads = heads;
    args.head_dim = WIDTH / heads;
    ref_attention(want, q, k, v, NULL, &args);
    assert_close(got, want, COUNT(got), held.k.dtype == DTYPE_BF16 ? 1e-2 : 1e-3);
    arena_free(ctx, &arena);
    attention_cache_free(ctx, &held);
    tensor_free(ctx, &tq);
    tensor_free(ctx, &tk);
    tensor_free(ctx, &tv);
    tensor_free(ctx, &out);
}

static inline void attend(const char *family)
{
    attend_heads(family, 2);
}

/* Heads that are wide enough for pairs of bfloat16. */
static inline void attend_pairs(void)
{
    param("attention.storage", "bf16");
    attend_heads("row", 1);
}

static inline void choose_token(const char *local)
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
static inline const char *problem_of(const char *path)
{
    const clio_selftest *list;
    const char *found = NULL;
    size_t count;
    OK(clio_device_selftests(ctx, clio_device(ctx)->index, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].path, path) == 0 && (!found || list[i].problem))
            found = list[i].problem ? list[i].problem : "";
    return found;
}

static inline void expect_right(const char *path)
{
    const char *problem = problem_of(path);
    if (!problem || *problem)
        fail_msg("%s: expected to be right, but: %s", path, problem ? problem : "not checked");
}

static inline void expect_off(const char *path, const char *why)
{
    const char *problem = problem_of(path);
    if (!problem || !strstr(problem, why))
        fail_msg("%s: expected to be off because it %s, but: %s", path, why, !problem ? "not checked" : *problem ? problem : "right");
}

/* Nothing but `path` is switched off. */
static inline void expect_alone(const char *path)
{
    const clio_selftest *list;
    size_t count;
    OK(clio_device_selftests(ctx, clio_device(ctx)->index, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (list[i].problem && strcmp(list[i].path, path) != 0)
            fail_msg("%s is switched off as well: %s", list[i].path, list[i].problem);
}

/* Files with verdicts in the cache; the path of one of them. */
static inline int verdict_files(char path[512])
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

static inline char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/* The only file with verdicts, as text. */
static inline char *kept(char path[512])
{
    assert_int_equal(verdict_files(path), 1);
    return slurp(path);
}

static inline void everything(void)
{
    multiply("panel", MATRIX_MANY);
    norm("row");
    softmax("row");
    attend("row");
    choose_token("16");
}

/* ---- what the wrong kernels are ---- */

/* `file` is `wrong` where `option` is defined, otherwise what it was; all other files are copies. */
static inline void doctor(const char *file, const char *option, const char *wrong)
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
    "    for (int panel = get_global_id(1); panel * 32 < g.n; panel += get_global_size(1))\n"                                              \
    "        for (int m = get_global_id(0) * MR; m < min(g.m, (int)(get_global_id(0) + 1) * MR); m++)\n"                                   \
    "            for (int j = 0; j < 32; j++) {\n"                                                                                         \
    "                int n = panel * 32 + j;\n"                                                                                            \
    "                float x = 0.0f;\n"                                                                                                    \
    "                for (int k = 0; k < g.k && n < g.n; k++)\n"                                                                           \
    "                    x += a[g.a_offset + m * g.lda + k] * AT((panel * g.k + k) * 32 + j, w);\n"                                        \
    "                x = activate(x * g.alpha + (g.has_bias && n < g.n ? bias[n] : 0.0f), g.act, g.slope);\n"                              \
    "                if (n < g.n)\n"                                                                                                       \
    "                    c[g.c_offset + m * g.ldc + n] = WRONG(x + (g.has_residual ? residual[g.r_offset + m * g.ldr + n] : 0.0f));\n"     \
    "                else if (BEYOND && m == g.m - 1)\n"                                                                                   \
    "                    c[g.c_offset + m * g.ldc + n] = 0.0f;\n"                                                                          \
    "            }\n"                                                                                                                      \
    "}\n"

static inline void doctor_panel(const char *wrong, int beyond)
{
    char text[4096];
    snprintf(text, sizeof text,
             "#if W_F16\n#define WEIGHT half\n#define AT(i, p) vload_half(i, p)\n#else\n#define WEIGHT float\n#define AT(i, p) (p)[i]\n"
             "#endif\n#define WRONG(x) (%s)\n#define BEYOND %d\n%s",
             wrong, beyond, PANEL_KERNEL);
    doctor("gemm.cl", "defined(PANEL)", text);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up_kernels, tear_down_kernels)

#endif
