/* test_op_gemm.c - products with packed weights: every family and storage, epilogues, views and ways to fill, against host/ref and torch.
 */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/ops.h"
#include "../../host/ref/ref.h"

struct family {
    const char *name;
    enum dtype storage;
    bool plain; /* without instructions that not every device has */
};
static const struct family families[] = {{"panel", DTYPE_F32, false}, {"panel", DTYPE_F16, false},  {"panel", DTYPE_BF16, false},
                                         {"panel", DTYPE_BF16, true}, {"panel", DTYPE_Q8, false},   {"rows", DTYPE_F32, false},
                                         {"rows", DTYPE_F16, false},  {"clblast", DTYPE_F32, false}};

/* CLBlast compiles for seconds and keeps nothing on disk: not where devices are slow. */
static size_t family_count(void)
{
    return COUNT(families) - (test_small() ? 1 : 0);
}

static const char *own; /* architecture of the device */

/* Returns what weights for many rows are rounded to. */
static enum dtype use(size_t i)
{
    const struct family *f = &families[i];
    struct device *d = &test_context()->device;
    own = own ? own : d->architecture;
    d->architecture = f->plain ? "" : own;
    test_param("gemm.many.family", f->name);
    test_param("gemm.few.family", f->name);
    test_param("gemm.many.storage", dtype_name(f->storage));
    test_param("gemm.few.storage", dtype_name(f->storage));
    return f->storage;
}

/* What a kernel with this storage sees. */
static void round_to(enum dtype dtype, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = dtype_nearest(dtype, x[i]);
}

/* The weights [n][k] that q8_0 holds exactly: whole numbers of 128ths, the greatest of each 32 being 127. */
static void round_to_blocks(float *w, int n, int k)
{
    for (int i = 0; i < n * k; i++)
        w[i] = i % k % 32 ? rintf(127 * w[i]) / 128 : 127 / 128.0f;
}

/* What matrices are made for: bf16 is for many rows alone. */
static enum matrix_use use_of(enum dtype dtype, bool few)
{
    return few && dtype != DTYPE_BF16 ? MATRIX_FEW : MATRIX_MANY;
}

/* 1e-5 of the greatest number; where products cancel, of what they usually add up to. */
static double tolerance(const float *want, size_t n, int k)
{
    double greatest = 1e-3;
    for (size_t i = 0; i < n; i++)
        greatest = fmax(greatest, fabs((double)want[i]));
    return 1e-5 * fmax(1, 0.3 * sqrt(k) / greatest);
}

enum residual { RESIDUAL_NONE, RESIDUAL_APART, RESIDUAL_IN_PLACE };

struct call {
    int m, n, k, act;
    bool bias;
    enum residual residual;
    float alpha, slope;
    int lda, a_offset, ldc, c_offset;
};

/* The product on random numbers; every number of out is compared, also those between and before the rows, which must stay. */
static void check_use(const struct call *c, enum dtype dtype, enum matrix_use matrix_use)
{
    clio_context *ctx = test_context();
    struct gemm_args g = {.m = c->m, .n = c->n, .k = c->k, .lda = c->lda ? c->lda : c->k, .ldc = c->ldc ? c->ldc : c->n, .act = c->act};
    g.a_offset = c->a_offset;
    g.c_offset = c->c_offset;
    g.alpha = c->alpha < 0 || c->alpha > 0 ? c->alpha : 1;
    g.slope = c->slope;
    int inputs = g.a_offset + (g.m - 1) * g.lda + g.k, outputs = g.c_offset + (g.m - 1) * g.ldc + g.n;
    float *a = test_values((size_t)inputs, 1), *w = test_values((size_t)(g.n * g.k), 2), *bias = test_values((size_t)g.n, 3);
    float *before = test_values((size_t)outputs, 4), *r = test_values((size_t)outputs, 5), *want = test_values((size_t)outputs, 4);
    struct matrix matrix;
    if (dtype == DTYPE_Q8)
        round_to_blocks(w, g.n, g.k);
    assert_ok(matrix_new(ctx, &matrix, g.n, g.k, matrix_use, "a test matrix"));
    assert_ok(matrix_fill_floats(ctx, &matrix, 0, g.n, w));
    struct tensor at = test_tensor(DTYPE_F32, 1, inputs, 1, 1, 1, a), bt = test_tensor(DTYPE_F32, 1, g.n, 1, 1, 1, bias);
    struct tensor rt = test_tensor(DTYPE_F32, 1, outputs, 1, 1, 1, r), out = test_tensor(DTYPE_F32, 1, outputs, 1, 1, 1, before);
    struct gemm_epilogue e = {.bias = c->bias ? &bt : NULL, .act = c->act, .alpha = c->alpha, .slope = c->slope, .lda = c->lda};
    e.a_offset = c->a_offset;
    e.ldc = c->ldc;
    e.c_offset = c->c_offset;
    e.residual = c->residual == RESIDUAL_NONE ? NULL : c->residual == RESIDUAL_APART ? &rt : &out;
    round_to(dtype, w, (size_t)(g.n * g.k));
    if (dtype == DTYPE_BF16)
        round_to(dtype, a, (size_t)inputs);
    ref_gemm(want, a, w, c->bias ? bias : NULL, c->residual == RESIDUAL_NONE ? NULL : c->residual == RESIDUAL_APART ? r : before, &g);
    assert_ok(op_gemm_fwd(ctx, &out, &at, &matrix, g.m, &e));
    float *y = test_read(&out);
    assert_close(y, want, (size_t)outputs, tolerance(want, (size_t)outputs, g.k));
    matrix_free(ctx, &matrix);
    struct tensor *tensors[] = {&at, &bt, &rt, &out};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
    float *arrays[] = {a, w, bias, before, r, want, y};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
}

static void check(const struct call *c, enum dtype dtype)
{
    check_use(c, dtype, use_of(dtype, c->m % 2 == 0));
}

static void test_shapes(void **state)
{
    static const int all_m[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33, 64, 65}, all_n[] = {1, 31, 32, 33, 64, 65, 127},
                     all_k[] = {1, 3, 31, 64, 65, 127};
    static const int few[][3] = {{1, 33, 65}, {2, 31, 3}, {3, 1, 1}, {4, 5, 17}, {5, 32, 16}, {9, 33, 17}, {65, 3, 2}};
    (void)state;
    for (size_t f = 0; f < family_count(); f++) {
        enum dtype dtype = use(f);
        for (size_t i = 0; i < COUNT(few); i++)
            check(&(struct call){.m = few[i][0], .n = few[i][1], .k = few[i][2]}, dtype);
        if (test_small())
            continue;
        for (size_t m = 0; m < COUNT(all_m); m++)
            for (size_t n = 0; n < COUNT(all_n); n++)
                for (size_t k = (m + n) % 2; k < COUNT(all_k); k += 2) /* each pair of sizes meets every third */
                    check(&(struct call){.m = all_m[m], .n = all_n[n], .k = all_k[k], .bias = n % 2, .act = ACT_NONE}, dtype);
        check(&(struct call){.m = 130, .n = 200, .k = 515, .bias = true, .residual = RESIDUAL_APART, .act = ACT_GELU}, dtype);
        check(&(struct call){.m = 21, .n = 290, .k = 1057, .bias = true, .act = ACT_GELU}, dtype); /* more panels than a work-item has */
        check(&(struct call){.m = 1, .n = 2085, .k = 77, .bias = true, .residual = RESIDUAL_APART}, dtype); /* several of a work-item */
    }
}

/* Bias, each activation, scale, both kinds of residual; 35 columns are a whole panel and a part of one. */
static void test_epilogue(void **state)
{
    static const int rows[] = {3, 10, 70};
    (void)state;
    for (size_t f = 0; f < family_count(); f++) {
        enum dtype dtype = use(f);
        for (int act = 0; act < ACT_COUNT; act++)
            for (size_t i = 0; i < (test_small() ? 1 : COUNT(rows)); i++) {
                struct call c = {.m = rows[i], .n = 35, .k = 19, .act = act, .slope = 0.1f, .bias = act % 3 != 1};
                c.residual = (enum residual)((act + (int)i) % 3);
                c.alpha = act % 2 ? -0.75f : 0;
                check(&c, dtype);
            }
        for (int residual = 0; residual < 3; residual++)
            check(&(struct call){.m = 9, .n = 34, .k = 5, .act = ACT_SILU, .bias = true, .residual = (enum residual)residual, .alpha = 2},
                  dtype);
    }
}

/* Rows of A inside wider rows and overlapping, as a convolution's; rows of out inside wider rows. */
static void test_views(void **state)
{
    static const struct call calls[] = {
        {.m = 3, .n = 33, .k = 17, .lda = 21, .a_offset = 2, .ldc = 40, .c_offset = 5, .bias = true},
        {.m = 9, .n = 35, .k = 12, .lda = 5, .a_offset = 7, .residual = RESIDUAL_APART, .ldc = 39, .c_offset = 3},
        {.m = 2, .n = 4, .k = 9, .lda = 3, .residual = RESIDUAL_IN_PLACE, .ldc = 6},
        {.m = 18, .n = 33, .k = 12, .lda = 20, .a_offset = 2, .bias = true}, /* begins beside a multiple of 4 numbers, its rows are apart by
                                                                                one */
        {.m = 18, .n = 33, .k = 12, .lda = 8, .a_offset = 4, .bias = true},
        {.m = 7, .n = 33, .k = 12, .lda = 18, .a_offset = 4, .bias = true},
        {.m = 66, .n = 7, .k = 18, .lda = 1, .a_offset = 1, .act = ACT_TANH},
        {.m = 17, .n = 32, .k = 8, .lda = 24, .a_offset = 16, .ldc = 96, .c_offset = 64, .residual = RESIDUAL_IN_PLACE},
        {.m = 12, .n = 20, .k = 31, .lda = 33, .a_offset = 1, .ldc = 21, .c_offset = 1, .bias = true, .act = ACT_RELU, .alpha = 0.5f},
    };
    (void)state;
    for (size_t f = 0; f < family_count(); f++) {
        enum dtype dtype = use(f);
        for (size_t i = 0; i < COUNT(calls); i++)
            check(&calls[i], dtype);
    }
}

/* A choice of numbers about a tile's side: one less, as many, one more, a prime. */
static int near(int side, int which)
{
    static const int primes[] = {11, 37, 67, 131, 257};
    size_t i = 0;
    while (i + 1 < COUNT(primes) && primes[i] <= side)
        i++;
    return which < 3 ? side - 1 + which : primes[i];
}

/* Products around the borders of a tile of `rows` x `columns`, with rows that begin on multiples of 4 numbers and others. */
static void check_tile(int rows, int columns, int step, enum dtype dtype)
{
    int steps[] = {step - 1, step, step + 1, 2 * step + 4};
    for (int i = 0; i < (test_small() ? 1 : 4); i++)
        for (int j = 0; j < 4; j++) {
            int wide = j % 2 ? 4 * step + 4 : steps[(i + j) % 4];
            struct call c = {
                .m = near(rows, (i + j) % 4), .n = near(columns, i), .k = MAX(wide, 1), .bias = j > 1, .act = j == 2 ? ACT_GELU : 0};
            c.residual = (enum residual)(j % 3);
            if (test_small() && j > 1)
                continue;
            check_use(&c, dtype, MATRIX_MANY);
        }
}

/* The tiles that are shipped for each architecture, and the small ones whose columns of k are shared; here they run as they are on any
 * device. */
static void test_shipped_tiles(void **state)
{
    static const char *const words[] = {"", "gcn", "rdna", "cdna", "gen12", "xe", "turing", "ampere", "hopper"};
    static const char *const keys[] = {"gemm.tile.gx",   "gemm.tile.gy",      "gemm.tile.tn",     "gemm.tile.tm",
                                       "gemm.tile.step", "gemm.tile.buffers", "gemm.split.slices"};
    struct device *d = &test_context()->device;
    const char *architecture = d->architecture;
    int simd_width = d->simd_width, seen[COUNT(words)][COUNT(keys)] = {{0}};
    (void)state;
    d->simd_width = 1;
    for (size_t w = 0; w < COUNT(words); w++) {
        bool known = false;
        d->architecture = words[w];
        for (size_t i = 0; i < COUNT(keys); i++)
            seen[w][i] = params_int(test_context(), keys[i], 0);
        for (size_t before = 0; before < w; before++)
            known = known || memcmp(seen[before], seen[w], sizeof seen[w]) == 0;
        const int *v = seen[w];
        assert_true(v[0] > 0 && v[1] > 0 && v[2] > 0 && v[3] > 0 && v[4] > 0 && v[5] > 0 && v[6] > 0);
        for (int f16 = 0; f16 < 2 && !known; f16++) {
            test_param("gemm.many.family", "rows");
            test_param("gemm.many.storage", f16 ? "f16" : "f32");
            test_param("gemm.split.below", "0");
            check_tile(v[1] * v[3], v[0] * v[2], v[4], f16 ? DTYPE_F16 : DTYPE_F32);
            test_param("gemm.split.below", "1000000");
            if (w == 0)
                check_tile(32, 32, 16 * v[6], f16 ? DTYPE_F16 : DTYPE_F32);
        }
    }
    test_param("gemm.split.below", "100");
    d->architecture = architecture;
    d->simd_width = simd_width;
}

/* Few rows: one less and one more than the kernels have, outputs beside a group's, columns beside what 64 work-items read at once. */
static void test_few_rows(void **state)
{
    static const int all_m[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16}, all_n[] = {1, 2, 3, 4, 5, 33},
                     all_k[] = {1, 63, 64, 65, 252, 256, 260, 521};
    static const char *const outputs[] = {"1", "2", "4"};
    (void)state;
    for (size_t o = 0; o < COUNT(outputs); o++) {
        test_param("gemm.rows.outputs", outputs[o]);
        for (int f16 = 0; f16 < 2; f16++) {
            test_param("gemm.few.family", "rows");
            test_param("gemm.few.storage", f16 ? "f16" : "f32");
            for (size_t m = test_small() ? o : 0; m < COUNT(all_m); m += test_small() ? 4 : 1)
                for (size_t k = m % 2; k < COUNT(all_k); k += test_small() ? 4 : 2) {
                    struct call c = {.m = all_m[m], .n = all_n[(m + k + o) % COUNT(all_n)], .k = all_k[k], .bias = true, .act = ACT_RELU};
                    c.residual = (enum residual)(m % 3);
                    check_use(&c, f16 ? DTYPE_F16 : DTYPE_F32, MATRIX_FEW);
                }
        }
    }
}

/* What a tuner may ask for: other shapes of tiles, also odd ones. */
static void test_tiles(void **state)
{
    static const char *const keys[] = {"gemm.tile.gx",      "gemm.tile.gy",     "gemm.tile.tn",      "gemm.tile.tm",    "gemm.tile.step",
                                       "gemm.tile.buffers", "gemm.split.below", "gemm.split.slices", "gemm.panel.rows", "gemm.panel.few"};
    static const char *const tiles[][COUNT(keys)] = {{"8", "8", "2", "4", "8", "1", "0", "4", "6", "3"},
                                                     {"4", "16", "3", "1", "5", "2", "0", "4", "12", "16"},
                                                     {"8", "4", "8", "4", "12", "2", "1000000", "2", "12", "16"},
                                                     {"16", "16", "4", "4", "16", "1", "100", "4", "8", "8"}};
    (void)state;
    for (size_t t = 0; t < COUNT(tiles); t++) {
        for (size_t i = 0; i < COUNT(keys); i++)
            test_param(keys[i], tiles[t][i]);
        for (size_t f = 0; f < family_count() && !test_small(); f++) {
            enum dtype dtype = use(f);
            check(&(struct call){.m = 11, .n = 37, .k = 19, .bias = true, .act = ACT_GELU}, dtype);
            check(&(struct call){.m = 67, .n = 65, .k = 33, .residual = RESIDUAL_IN_PLACE}, dtype);
            check(&(struct call){.m = 67, .n = 66, .k = 68, .residual = RESIDUAL_APART}, dtype);
        }
    }
}

/* A transform is never rounded to half, whatever the storage of weights is. */
static void test_exact(void **state)
{
    (void)state;
    for (size_t f = 0; f < family_count(); f++) {
        use(f);
        check_use(&(struct call){.m = 10, .n = 35, .k = 21}, DTYPE_F32, MATRIX_EXACT);
    }
}

/* ---- filling ---- */

/* The bits of a bfloat16 whose rest was cut off, and the float itself. */
static uint16_t cut_to_bfloat(float *x)
{
    uint32_t bits;
    memcpy(&bits, x, 4);
    *x = bfloat_to_float((uint16_t)(bits >> 16));
    return (uint16_t)(bits >> 16);
}

/* n numbers as they would lie in a file, in fresh memory; x becomes what they mean. */
static unsigned char *stored(float *x, size_t n, enum dtype dtype)
{
    unsigned char *bytes = malloc(n * 4);
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        uint16_t half = float_to_half(x[i]);
        if (dtype == DTYPE_F16)
            x[i] = half_to_float(half);
        if (dtype == DTYPE_BF16)
            half = cut_to_bfloat(&x[i]);
        if (dtype == DTYPE_F32)
            memcpy(bytes + 4 * i, &x[i], 4);
        else
            memcpy(bytes + 2 * i, &half, 2);
    }
    return bytes;
}

/* out of a matrix over `a`, beside the reference over the rows `w`, which this function rounds. */
static void compare_matrix(const struct matrix *matrix, int m, float *w, enum dtype dtype)
{
    clio_context *ctx = test_context();
    struct gemm_args g = {.m = m, .n = matrix->n, .k = matrix->k, .lda = matrix->k, .ldc = matrix->n, .alpha = 1};
    float *a = test_values((size_t)(m * g.k), 9), *want = test_values((size_t)(m * g.n), 9);
    struct tensor at = test_tensor(DTYPE_F32, 2, m, g.k, 1, 1, a), out = test_tensor(DTYPE_F32, 2, m, g.n, 1, 1, NULL);
    round_to(dtype, w, (size_t)(g.n * g.k));
    if (dtype == DTYPE_BF16)
        round_to(dtype, a, (size_t)(m * g.k));
    ref_gemm(want, a, w, NULL, NULL, &g);
    assert_ok(op_gemm_fwd(ctx, &out, &at, matrix, m, NULL));
    float *y = test_read(&out);
    assert_close(y, want, (size_t)(m * g.n), 1e-5);
    test_free(&at);
    test_free(&out);
    free(a);
    free(want);
    free(y);
}

/* Three weights become the rows of one matrix; a third of 99 rows ends within a panel. */
static void test_fill_in_parts(void **state)
{
    enum { N = 99, K = 37, PART = N / 3 * K };
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    clio_context *ctx = test_context();
    (void)state;
    for (size_t f = 0; f < family_count(); f++) {
        enum dtype dtype = use(f);
        for (size_t d = 0; d < COUNT(dtypes); d++) {
            float *w = test_values(3 * PART, 11);
            if (dtype == DTYPE_Q8)
                round_to_blocks(w, N, K);
            unsigned char *bytes = stored(w, 3 * PART, dtypes[d]);
            struct matrix matrix;
            assert_ok(matrix_new(ctx, &matrix, N, K, use_of(dtype, d % 2), "a test matrix"));
            for (int part = 2; part >= 0; part--) {
                struct weight third = {.name = "third", .dtype = dtypes[d], .ndim = 2, .dim = {N / 3, K, 1, 1}, .count = PART};
                third.data = bytes + (size_t)part * PART * dtype_size(dtypes[d]);
                assert_ok(matrix_fill(ctx, &matrix, part * N / 3, &third));
            }
            compare_matrix(&matrix, test_small() ? 2 : 11, w, dtype);
            matrix_free(ctx, &matrix);
            free(bytes);
            free(w);
        }
    }
}

/* A stored convolution [N, C, taps] becomes k = tap * C + channel. */
static void test_fill_convolution(void **state)
{
    enum { N = 34, C = 5, H = 3, W = 2, TAPS = H * W };
    clio_context *ctx = test_context();
    (void)state;
    for (size_t f = 0; f < family_count(); f++) {
        enum dtype dtype = use(f);
        if (dtype == DTYPE_Q8)
            continue; /* see test_blocks */
        for (int ndim = 3; ndim <= 4; ndim++) {
            float *x = test_values(N * C * TAPS, 12), *w = malloc(N * C * TAPS * sizeof *w);
            unsigned char *bytes = stored(x, N * C * TAPS, DTYPE_F16);
            assert_non_null(w);
            for (int n = 0; n < N; n++)
                for (int c = 0; c < C; c++)
                    for (int tap = 0; tap < TAPS; tap++)
                        w[(n * TAPS + tap) * C + c] = x[(n * C + c) * TAPS + tap];
            struct weight conv = {.name = "conv", .dtype = DTYPE_F16, .ndim = ndim, .dim = {N, C, TAPS, 1}, .count = N * C * TAPS};
            if (ndim == 4) {
                conv.dim[2] = H;
                conv.dim[3] = W;
            }
            conv.data = bytes;
            struct matrix matrix;
            assert_ok(matrix_new(ctx, &matrix, N, C * TAPS, MATRIX_MANY, "a test matrix"));
            assert_ok(matrix_fill(ctx, &matrix, 0, &conv));
            compare_matrix(&matrix, 3, w, dtype);
            matrix_free(ctx, &matrix);
            free(bytes);
            free(x);
            free(w);
        }
    }
}

/* Weights of any size, read back by a product with the columns' own directions, are off by half a step of their 32 at most; a convolution's
 * too, whose columns are taps and channels. */
static void test_blocks(void **state)
{
    enum { N = 41, C = 15, TAPS = 3, K = C * TAPS };
    clio_context *ctx = test_context();
    float *w = test_values(N * K, 21), *one = test_new(K * K), *file = test_new(N * K);
    struct matrix matrix;
    (void)state;
    test_param("gemm.few.family", "panel");
    test_param("gemm.few.storage", "q8_0");
    for (int i = 0; i < N * K; i++) {
        w[i] *= powf(10, (float)(i / K % 5 - 2)); /* the scales are halves */
        w[i] = i / K == 7 ? 0 : w[i];             /* a block of nothing */
        file[(i / K * C + i % K % C) * TAPS + i % K / C] = w[i];
    }
    for (int k = 0; k < K; k++)
        one[k * K + k] = 1;
    struct weight stored = {.name = "conv", .dtype = DTYPE_F32, .ndim = 3, .dim = {N, C, TAPS, 1}, .count = N * K};
    stored.data = (const unsigned char *)file;
    assert_ok(matrix_new(ctx, &matrix, N, K, MATRIX_FEW, "a test matrix"));
    assert_ok(matrix_fill(ctx, &matrix, 0, &stored));
    struct tensor a = test_tensor(DTYPE_F32, 2, K, K, 1, 1, one), out = test_tensor(DTYPE_F32, 2, K, N, 1, 1, NULL);
    if (matrix.data.dtype == DTYPE_Q8) { /* a device without panels has none */
        assert_ok(op_gemm_fwd(ctx, &out, &a, &matrix, K, NULL));
        float *y = test_read(&out);
        for (int i = 0; i < N * K; i++) {
            double greatest = 0;
            for (int k = i % K / 32 * 32; k < MIN(K, i % K / 32 * 32 + 32); k++)
                greatest = fmax(greatest, fabs((double)w[i / K * K + k]));
            assert_true(fabs((double)y[i % K * N + i / K] - (double)w[i]) <= 0.51 / 127 * greatest);
        }
        free(y);
    }
    matrix_free(ctx, &matrix);
    test_free(&a);
    test_free(&out);
    free(w);
    free(one);
    free(file);
}

/* ---- contracts ---- */

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    float w[12 * 8] = {0};
    struct matrix matrix;
    struct weight wide = {.name = "wide", .dtype = DTYPE_F32, .ndim = 2, .dim = {12, 9, 1, 1}, .count = 108, .data = (unsigned char *)w};
    (void)state;
    use(0);
    assert_ok(matrix_new(ctx, &matrix, 12, 8, MATRIX_MANY, "a test matrix"));
    assert_fails(matrix_fill(ctx, &matrix, 0, &wide), CLIO_ERROR_INTERNAL, "tensor wide does not fit");
    assert_fails(matrix_fill_floats(ctx, &matrix, 1, 12, w), CLIO_ERROR_INTERNAL, "12 x 8");
    assert_fails(matrix_fill_floats(ctx, &matrix, -1, 2, w), CLIO_ERROR_INTERNAL, "12 x 8");
    assert_ok(matrix_fill_floats(ctx, &matrix, 0, 12, w));
    struct tensor a = test_tensor(DTYPE_F32, 2, 4, 8, 1, 1, NULL), out = test_tensor(DTYPE_F32, 2, 4, 12, 1, 1, NULL);
    struct tensor halves = test_tensor(DTYPE_F16, 2, 4, 8, 1, 1, NULL), narrow = test_tensor(DTYPE_F32, 1, 11, 1, 1, 1, NULL);
    assert_ok(op_gemm_fwd(ctx, &out, &a, &matrix, 4, NULL));
    assert_fails(op_gemm_fwd(ctx, &out, &a, &matrix, 5, NULL), CLIO_ERROR_INTERNAL, "gemm 5 x 12 x 8 from f32 [4, 8] into f32 [4, 12]");
    assert_fails(op_gemm_fwd(ctx, &out, &a, &matrix, 0, NULL), CLIO_ERROR_INTERNAL, "gemm 0 x 12 x 8");
    assert_fails(op_gemm_fwd(ctx, &out, &halves, &matrix, 4, NULL), CLIO_ERROR_INTERNAL, "f16 [4, 8]");
    assert_fails(op_gemm_fwd(ctx, &a, &a, &matrix, 4, NULL), CLIO_ERROR_INTERNAL, "into f32 [4, 8]");
    assert_fails(op_gemm_fwd(ctx, &out, &a, &matrix, 4, &(struct gemm_epilogue){.a_offset = 1}), CLIO_ERROR_INTERNAL, "gemm 4 x 12 x 8");
    assert_fails(op_gemm_fwd(ctx, &out, &a, &matrix, 4, &(struct gemm_epilogue){.ldc = 13}), CLIO_ERROR_INTERNAL, "gemm 4 x 12 x 8");
    assert_fails(op_gemm_fwd(ctx, &out, &a, &matrix, 4, &(struct gemm_epilogue){.bias = &narrow}), CLIO_ERROR_INTERNAL, "a bias f32 [11]");
    assert_fails(op_gemm_fwd(ctx, &out, &a, &matrix, 4, &(struct gemm_epilogue){.residual = &a}), CLIO_ERROR_INTERNAL,
                 "a residual f32 [4, 8]");
    struct tensor *tensors[] = {&a, &out, &halves, &narrow};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
    matrix_free(ctx, &matrix);
}

/* While planning nothing is written. */
static void test_planning(void **state)
{
    clio_context *ctx = test_context();
    float w[6] = {1, 2, 3, 4, 5, 6}, zeros[6] = {0};
    struct matrix matrix;
    (void)state;
    use(0);
    assert_ok(matrix_new(ctx, &matrix, 3, 2, MATRIX_FEW, "a test matrix"));
    assert_ok(matrix_fill_floats(ctx, &matrix, 0, 3, w));
    struct tensor a = test_tensor(DTYPE_F32, 2, 2, 2, 1, 1, w), out = test_tensor(DTYPE_F32, 2, 2, 3, 1, 1, zeros);
    ctx->planning = true;
    clio_status status = op_gemm_fwd(ctx, &out, &a, &matrix, 2, NULL);
    ctx->planning = false;
    assert_ok(status);
    float *y = test_read(&out);
    assert_memory_equal(y, zeros, sizeof zeros);
    free(y);
    test_free(&a);
    test_free(&out);
    matrix_free(ctx, &matrix);
}

static void test_torch(void **state)
{
    clio_context *ctx = test_context();
    struct weights golden = test_operations();
    (void)state;
    float *x = test_floats(&golden, "linear.input", 108), *b = test_floats(&golden, "linear.bias", 6);
    float *want = test_floats(&golden, "linear.y", 72);
    struct tensor in = test_tensor(DTYPE_F32, 3, 3, 4, 9, 1, x), bias = test_tensor(DTYPE_F32, 1, 6, 1, 1, 1, b);
    for (size_t f = 0; f < family_count(); f++) {
        enum dtype dtype = use(f);
        struct matrix matrix;
        assert_ok(matrix_new(ctx, &matrix, 6, 9, MATRIX_MANY, "a test matrix"));
        assert_ok(matrix_fill(ctx, &matrix, 0, weights_find(&golden, "linear.weight")));
        struct tensor out = test_tensor(DTYPE_F32, 3, 3, 4, 6, 1, NULL);
        assert_ok(op_gemm_fwd(ctx, &out, &in, &matrix, 12, &(struct gemm_epilogue){.bias = &bias}));
        float *y = test_read(&out);
        assert_close(y, want, 72, dtype == DTYPE_F16 ? 1e-3 : dtype == DTYPE_BF16 || dtype == DTYPE_Q8 ? 8e-3 : 1e-5);
        free(y);
        test_free(&out);
        matrix_free(ctx, &matrix);
    }
    test_free(&in);
    test_free(&bias);
    free(x);
    free(b);
    free(want);
    weights_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_epilogue),      cmocka_unit_test(test_views),
        cmocka_unit_test(test_shipped_tiles), cmocka_unit_test(test_few_rows),      cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_exact),         cmocka_unit_test(test_fill_in_parts), cmocka_unit_test(test_fill_convolution),
        cmocka_unit_test(test_blocks),        cmocka_unit_test(test_wrong_shapes),  cmocka_unit_test(test_planning),
        cmocka_unit_test(test_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
