/* test_selftest.c - the first-use checks: a kernel that wrong result is found, switched off alone and shown; what another one computes
 * instead is right. */
#include "test_selftest.h"

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
    attend_pairs();
    choose_token("1");
    const char *paths[] = {"gemm.panel",    "gemm.tile",     "gemm.rows",       "norm.row",       "norm.group",   "softmax.row",
                           "softmax.group", "attention.row", "attention.group", "attention.bf16", "logits.group", "logits.single"};
    for (size_t i = 0; i < COUNT(paths); i++)
        expect_right(paths[i]);
    assert_string_equal(clio_error(ctx), "");
    char *text = kept(path);
    assert_non_null(strstr(text, "\ngemm.panel [-DW_F16=0 "));
    free(text);
}

static void test_wrong_panels(void **state)
{
    const struct {
        const char *name, *wrong, *why;
        int beyond;
    } cases[] = {
        {"a little off", "(x) + 0.01f", "wrong result (error 0.01", 0},
        {"zeros", "(x) * 0.0f", "wrong result (error", 0},
        {"no numbers", "as_float(0x7f800000)", "not a number", 0},
        {"too many", "x", "past the end", 1},
        {"last row left out", "m == g.m - 1 ? c[g.c_offset + m * g.ldc + n] : (x)", "not a number", 0},
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
        bool computes = strcmp(cases[i].name, "no kernel") != 0;
        reopen();
        if (computes)
            expect_off("gemm.panel", cases[i].why);
        else
            assert_null(problem_of("gemm.panel")); /* a failed call is not kept: the next process tries again */
        assert_int_equal(multiply("panel", MATRIX_MANY), MATRIX_ROWS);
        expect_off("gemm.panel", cases[i].why);
        for (size_t p = 0, k = 0; computes && cases[i].beyond == 0 && p < ctx->programs.count;) { /* the kernel was not even asked for */
            struct kernel *kernel = kernel_next(ctx, &p, &k);
            assert_true(!kernel || strcmp(kernel->name, "gemm_panel") != 0);
        }
    }
    assert_int_equal(result_files(path), COUNT(cases)); /* one for each text of the kernels */
    doctor_panel("x", 0);                               /* the same kernel, without a fault, is taken: only its faults were found */
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
    expect_off("gemm.panel", "wrong result");
    assert_non_null(selftest_result_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=4"));
    assert_string_not_equal(selftest_result_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=4")->reason, "");
    assert_string_equal(selftest_result_find(ctx, "gemm.panel", "-DW_F16=0 -DPANEL -DMR=1")->reason, "");
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
        {"attention.bf16", "attention.row", "attention_bf16.cl", "defined(QB)",
         ZEROS("attention_bf16_store(__global uint *kc, __global uint *vc, const __global float *k, const __global float *v, struct "
               "attention_store_args p)",
               "")
             ZEROS("attention_bf16(__global float *out, const __global float *q, const __global uint *k, const __global uint *v, struct "
                   "attention_args a)",
                   "out[get_global_id(0)] = 0.0f;")},
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
        else if (strcmp(family, "bf16") == 0)
            attend_pairs();
        else if (strncmp(cases[i].path, "attention", 9) == 0)
            attend(family);
        else
            choose_token("16");
        expect_off(cases[i].path, "wrong result");
        expect_right(cases[i].instead);
        expect_alone(cases[i].path);
        assert_string_equal(clio_error(ctx), "");
    }
}

/* The family and storage of a cache for heads of 32 columns, for a padded batch or not. */
static struct attention_cache cache_made(bool padded)
{
    struct attention_cache made;
    struct tensor key_lengths = tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0);
    OK(tensor_new(ctx, &key_lengths, "a test"));
    OK(attention_cache_new_padded(ctx, NULL, &made, 1, 1, 32, 32, padded ? &key_lengths : NULL, MATRIX_MANY, "a test"));
    attention_cache_free(ctx, &made);
    tensor_free(ctx, &key_lengths);
    return made;
}

/* Kernels that are wrong with key lengths alone: padded batches get the next family or storage, others keep theirs. */
static void test_padded_attention(void **state)
{
#define WHERE(condition) "1\n#endif\n#include \"key_lengths.clh\"\n#if " condition
#define INSTEAD(name, of, is) "#undef " name "\n#define " name of " " is "\n#endif\n#if 0" /* and the file goes on as it was */
    const struct {
        const char *path, *family, *storage, *file, *option, *wrong, *why;
    } cases[] = {
        {"attention.row", "row", "f32", "attention.cl", WHERE("defined(ROW) && LENGTHS"), INSTEAD("LIMIT_KEYS", "(a, b)", ""),
         "wrong result"},
        {"attention.group", "group", "f16", "attention.cl", WHERE("!defined(ROW) && LENGTHS"),
         INSTEAD("LIMIT_KEYS", "(a, b)", "(a).keys = min((a).keys, key_lengths[0])"), "wrong result"},
        {"attention.bf16", "row", "bf16", "attention_bf16.cl", WHERE("LENGTHS"), INSTEAD("OR_ZERO", "(keys, x)", "(x)"), "not a number"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool by_row = strcmp(cases[i].family, "row") == 0;
        doctor(cases[i].file, cases[i].option, cases[i].wrong);
        reopen();
        param("attention.family", cases[i].family);
        param("attention.storage", cases[i].storage);
        struct attention_cache plain = cache_made(false);
        expect_right(cases[i].path);
        struct attention_cache padded = cache_made(true);
        expect_off(cases[i].path, cases[i].why);
        expect_alone(cases[i].path);
        assert_int_equal(plain.by_row, by_row);
        assert_string_equal(dtype_name(plain.k.dtype), cases[i].storage);
        if (plain.k.dtype == DTYPE_BF16)
            assert_int_equal(padded.k.dtype, DTYPE_F32);
        else
            assert_int_equal(padded.by_row, !by_row);
    }
#undef INSTEAD
#undef WHERE
}

/* The storage of a matrix for many rows where bfloat16 is wished. */
static enum dtype wished_bf16(void)
{
    struct matrix m;
    param("gemm.many.family", "panel");
    param("gemm.many.storage", "bf16");
    OK(matrix_new(ctx, &m, 9, 9, MATRIX_MANY, "a test"));
    enum dtype got = m.data.dtype;
    matrix_free(ctx, &m);
    return got;
}

/* Products of rounded numbers are right here, by the device's own instructions where it has them; where they are wrong, f32 takes their
 * place. */
static void test_rounded_products(void **state)
{
    (void)state;
    reopen();
    assert_int_equal(wished_bf16(), DTYPE_BF16);
    expect_right("gemm.bf16");
    doctor("gemm_bf16.cl", "1",
           ZEROS("gemm_bf16(__global float *c, const __global float *a, const __global uint *w, const __global float *bias, const __global "
                 "float *residual, struct gemm_args g, __local uint *rows)",
                 "c[0] = 0.0f;"));
    reopen();
    assert_int_equal(wished_bf16(), DTYPE_F32);
    expect_off("gemm.bf16", "wrong result");
    expect_right("gemm.panel");
    expect_alone("gemm.bf16");
    unsetenv("CLIO_CL_DIR");
    setenv("CLIO_DISABLE", "gemm.bf16", 1);
    reopen();
    assert_int_equal(wished_bf16(), DTYPE_F32);
    unsetenv("CLIO_DISABLE");
    reopen();
    ctx->device.local_memory = 1000; /* for two rows of the nine columns */
    assert_int_equal(wished_bf16(), DTYPE_F32);
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
    expect_off("gemm.tile", "wrong result");
    param("gemm.split.below", "0");
    multiply("tile", MATRIX_MANY);
    for (size_t i = 0; i < ctx->selftests.count; i++) {
        const struct selftest_result *v = &ctx->selftests.list[i];
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
    clio_status st = op_rfft_fwd(ctx, &out, &in);
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
    sprintf(longer, "%sclfft [n=24] failed: wrong result (error 0.3)\n", text);
    write_text(path, longer);
    reopen();
    expect_off("clfft", "wrong result (error 0.3)");
    in = tensor_with(NULL, 2, 2, 24);
    out = tensor_shape(DTYPE_F32, 3, 2, 13, 2, 0);
    OK(tensor_new(ctx, &out, "a test"));
    FAILS(op_rfft_fwd(ctx, &out, &in), CLIO_ERROR_UNSUPPORTED, "clFFT is disabled");
    tensor_free(ctx, &in);
    tensor_free(ctx, &out);
    setenv("CLIO_DISABLE", "clfft", 1);
    reopen();
    in = tensor_with(NULL, 2, 2, 20);
    out = tensor_shape(DTYPE_F32, 3, 2, 11, 2, 0);
    OK(tensor_new(ctx, &out, "a test"));
    FAILS(op_rfft_fwd(ctx, &out, &in), CLIO_ERROR_UNSUPPORTED, "disabled by CLIO_DISABLE");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_all_are_right_here), EACH(test_wrong_panels),     EACH(test_one_variant_alone),
        EACH(test_other_families),     EACH(test_rounded_products), EACH(test_wrong_slices),
        EACH(test_refused_kernel),     EACH(test_fourier),          EACH(test_clblast),
        EACH(test_padded_attention),
    };
    /* What is done about a wrong kernel does not depend on the implementation, which compiles every wrong one anew: a slow one runs the
     * right ones alone. */
    if (test_small())
        cmocka_set_test_filter("test_all_are_right_here");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
