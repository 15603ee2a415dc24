/* test_op_matmul_bwd_data.c - swapped matrices, and the gradients of products and convolutions by their input, in every family against
 * host/ref (which is compared with differences of the forward) and torch. */
#include "test_conv.h"

#include <math.h>

#include "../host/ops/gemm.h"
#include "../host/ops/gradients.h"
#include "../host/ref/ref_bwd.h"

static const struct family families[] = {
    {"direct", "panel", "f32"}, {"direct", "panel", "f16"},   {"direct", "tile", "f32"},    {"direct", "tile", "f16"},
    {"single", "panel", "f32"}, {"winograd", "panel", "f32"}, {"winograd", "panel", "f16"},
};

/* A matrix of random numbers as the family stores them, and these. */
static struct matrix make_matrix(const struct family *f, int n, int k, float **w)
{
    clio_context *ctx = test_context();
    struct matrix m;
    bool f16 = use(f);
    *w = test_values((size_t)(n * k), 2);
    assert_ok(matrix_new(ctx, &m, n, k, MATRIX_LARGE, "test matrix"));
    assert_int_equal(m.layout, strcmp(f->layout, "panel") == 0 ? MATRIX_PANELS : MATRIX_ROWS);
    assert_int_equal(m.data.dtype, f16 ? DTYPE_F16 : DTYPE_F32);
    assert_ok(matrix_fill_floats(ctx, &m, 0, n, *w));
    for (size_t i = 0; f16 && i < (size_t)(n * k); i++)
        (*w)[i] = half_to_float(float_to_half((*w)[i]));
    return m;
}

/* What a gradient was before it was added to; dx = want, or before + want, within the tolerance and twice the same. */
struct gradient {
    struct tensor dx;
    float *before, *first;
    bool add;
};
static struct gradient gradient_new(struct tensor shape, bool add)
{
    struct gradient g = {.add = add, .before = test_values(tensor_count(&shape), 9)};
    g.dx = test_tensor(DTYPE_F32, shape.ndim, shape.dim[0], shape.dim[1], shape.dim[2], shape.dim[3], add ? g.before : NULL);
    return g;
}

static void gradient_check(struct gradient *g, float *want, double tolerance)
{
    size_t n = tensor_count(&g->dx);
    for (size_t i = 0; g->add && !g->first && i < n; i++)
        want[i] += g->before[i];
    float *x = test_read(&g->dx);
    if (g->first)
        assert_memory_equal(x, g->first, n * sizeof *x);
    assert_close(x, want, n, tolerance);
    if (!g->first && g->add)
        assert_ok(tensor_write(test_context(), &g->dx, 0, n, g->before));
    free(g->first);
    g->first = x;
}

static void gradient_free(struct gradient *g)
{
    test_free(&g->dx);
    free(g->before);
    free(g->first);
}

/* ---- matrices ---- */

static void check_swap(const struct family *f, int n, int channels, int taps, bool flip)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct matrix out, m;
    float *w, *got = test_values((size_t)(n * taps * channels), 0);
    arena_grow(ctx, &arena);
    m = make_matrix(f, n, taps * channels, &w);
    if (flip)
        assert_ok(matrix_turn(ctx, &arena, &out, &m, taps, true));
    else
        assert_ok(matrix_swap(ctx, &arena, &out, &m, taps));
    assert_int_equal(out.n, channels);
    assert_int_equal(out.k, taps * n);
    assert_ok(matrix_read(ctx, &out, 0, false, got));
    for (int c = 0; c < channels; c++)
        for (int tap = 0; tap < taps; tap++)
            for (int i = 0; i < n; i++)
                assert_true(got[(c * taps + (flip ? taps - 1 - tap : tap)) * n + i] == w[(i * taps + tap) * channels + c]);
    if (out.layout == MATRIX_PANELS) { /* the filling of the last panel is zeros */
        float *packed = test_values(tensor_count(&out.data), 0);
        assert_ok(tensor_read(ctx, &out.data, 0, tensor_count(&out.data), packed));
        for (size_t i = 0; i < tensor_count(&out.data); i++)
            if (i / ((size_t)out.k * PANEL) * PANEL + i % PANEL >= (size_t)channels)
                assert_true(packed[i] == 0);
        free(packed);
    }
    matrix_free(ctx, &m);
    arena_free(ctx, &arena);
    free(w);
    free(got);
}

static void test_swap(void **state)
{
    static const struct {
        int n, channels, taps;
    } shapes[] = {{1, 1, 1}, {3, 5, 4}, {15, 17, 1}, {16, 32, 9}, {31, 16, 3}, {33, 31, 16}, {64, 65, 1}, {37, 53, 2}};
    (void)state;
    for (size_t f = 0; f < 4; f++)
        for (size_t i = 0; i < COUNT(shapes); i++)
            check_swap(&families[f], shapes[i].n, shapes[i].channels, shapes[i].taps, (i + f) % 2);
}

static void test_read_back(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    for (size_t f = 0; f < 4; f++) {
        const int n = 35, c = 3, taps = 4;
        float *w, *got = test_values((size_t)(n * c * taps), 0);
        struct matrix m = make_matrix(&families[f], n, taps * c, &w);
        assert_ok(matrix_read(ctx, &m, 0, false, got));
        assert_memory_equal(got, w, (size_t)(n * c * taps) * sizeof *w);
        assert_ok(matrix_read(ctx, &m, c, false, got));
        for (int i = 0; i < n * c * taps; i++)
            assert_true(got[i] == w[i / (c * taps) * c * taps + i % taps * c + i / taps % c]);
        assert_ok(matrix_read(ctx, &m, c, true, got));
        for (int i = 0; i < n * c * taps; i++)
            assert_true(got[i] == w[(i / taps % n * taps + i % taps) * c + i / (taps * n)]);
        matrix_free(ctx, &m);
        free(w);
        free(got);
    }
}

/* ---- products ---- */

static void check_gemm(const struct family *f, int m, int n, int k, bool add)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    float *w, *dy = test_values((size_t)(m * n), 1), *want = test_values((size_t)(m * k), 0);
    struct matrix matrix = make_matrix(f, n, k, &w);
    struct tensor tdy = test_tensor(DTYPE_F32, 2, m, n, 0, 0, dy);
    struct gradient g = gradient_new(tensor_shape(DTYPE_F32, 2, m, k, 0, 0), add);
    arena_grow(ctx, &arena);
    ref_gemm_bwd_data(want, dy, w, m, n, k);
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(op_gemm_bwd_data(ctx, &arena, &g.dx, &tdy, &matrix, m, add));
        gradient_check(&g, want, 1e-5);
    }
    gradient_free(&g);
    test_free(&tdy);
    matrix_free(ctx, &matrix);
    arena_free(ctx, &arena);
    free(w);
    free(dy);
    free(want);
}

static void test_gemm(void **state)
{
    static const struct {
        int m, n, k;
    } shapes[] = {{1, 1, 1}, {7, 33, 31}, {16, 5, 64}, {17, 64, 33}, {67, 31, 97}, {128, 40, 78}};
    (void)state;
    for (size_t f = 0; f < 4; f++)
        for (size_t i = 0; i < COUNT(shapes) - (test_small() ? 2 : 0); i++)
            check_gemm(&families[f], shapes[i].m, shapes[i].n, shapes[i].k, (i + f) % 2);
}

/* ---- convolutions ---- */

struct shape {
    int batch, height, width, in, out;
    struct conv2d_window window;
};

static struct conv2d_args args_of(const struct shape *c)
{
    const struct conv2d_window *v = &c->window;
    struct conv2d_args a = {.batch = c->batch, .in = c->in, .out = c->out, .kernel_h = v->taps, .kernel_w = v->taps, .stride = v->stride};
    a.dilation = a.groups = 1;
    a.height = c->height * v->upsample + v->before + v->after; /* with its edges: padding is 0 */
    a.width = c->width * v->upsample + v->before + v->after;
    a.out_height = (a.height - v->taps) / v->stride + 1;
    a.out_width = (a.width - v->taps) / v->stride + 1;
    return a;
}

/* The gradient of what the window saw, without its edges, and summed where a pixel stood more than once. */
static void reference(float *want, const struct shape *c, const struct conv2d_args *a, const float *dy, const float *w)
{
    const struct conv2d_window *v = &c->window;
    float *seen = test_values((size_t)(a->batch * a->height * a->width * a->in), 0);
    ref_conv2d_bwd_data(seen, dy, w, a);
    memset(want, 0, (size_t)(c->batch * c->height * c->width * c->in) * sizeof *want);
    for (int b = 0; b < c->batch; b++)
        for (int y = 0; y < c->height * v->upsample; y++)
            for (int x = 0; x < c->width * v->upsample; x++)
                for (int i = 0; i < c->in; i++)
                    want[((b * c->height + y / v->upsample) * c->width + x / v->upsample) * c->in + i] +=
                        seen[((b * a->height + y + v->before) * a->width + x + v->before) * a->in + i];
    free(seen);
}

static void check_conv2d(const struct family *f, const struct shape *c, bool add)
{
    clio_context *ctx = test_context();
    struct conv2d_args a = args_of(c);
    struct arena arena = {0};
    int k = a.kernel_h * a.kernel_w * a.in;
    bool winograd = strcmp(f->family, "winograd") == 0 && a.kernel_h > 2 && a.out % 16 == 0;
    float *w, *dy = test_values((size_t)(a.batch * a.out_height * a.out_width * a.out), 1);
    float *want = test_values((size_t)(c->batch * c->height * c->width * c->in), 0);
    struct matrix matrix = make_matrix(f, c->out, k, &w);
    struct tensor tdy = test_tensor(DTYPE_F32, 4, a.batch, a.out_height, a.out_width, a.out, dy);
    struct gradient g = gradient_new(tensor_shape(DTYPE_F32, 4, c->batch, c->height, c->width, c->in), add);
    reference(want, c, &a, dy, w);
    ctx->planning = true;
    clio_status status = op_conv2d_bwd_data(ctx, &arena, &g.dx, &tdy, &matrix, c->window, add);
    ctx->planning = false;
    assert_ok(status);
    assert_ok(arena_commit(ctx, &arena, "test arena"));
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(op_conv2d_bwd_data(ctx, &arena, &g.dx, &tdy, &matrix, c->window, add));
        gradient_check(&g, want, winograd ? 5e-5 : 1e-5);
    }
    assert_int_equal(arena.used, 0);
    gradient_free(&g);
    test_free(&tdy);
    matrix_free(ctx, &matrix);
    arena_free(ctx, &arena);
    free(w);
    free(dy);
    free(want);
}

static void test_conv2d(void **state)
{
    static const struct shape calls[] = {
        {1, 1, 1, 1, 1, {1, 1, 0, 0, 1}},
        {2, 3, 5, 17, 33, {1, 1, 0, 0, 1}},
        /* stride 1: Winograd's kind, other edges, wider than the window */
        {2, 5, 7, 31, 32, {3, 1, 1, 1, 1}},
        {1, 9, 6, 3, 16, {3, 1, 1, 1, 1}},
        {1, 6, 5, 4, 7, {3, 1, 0, 0, 1}},
        {1, 4, 4, 3, 8, {3, 1, 0, 2, 1}},
        {2, 4, 5, 3, 8, {3, 1, 3, 0, 1}},
        {1, 7, 6, 3, 5, {5, 1, 2, 2, 1}},
        /* stride 2: all rows are seen, or the last are not; few channels; DCGAN's last, one output pixel */
        {1, 8, 8, 5, 6, {4, 2, 1, 1, 1}},
        {9, 6, 4, 33, 34, {4, 2, 1, 1, 1}},
        {2, 8, 7, 3, 10, {4, 2, 1, 1, 1}},
        {1, 8, 9, 35, 5, {3, 2, 0, 0, 1}},
        {2, 9, 8, 16, 4, {3, 2, 0, 1, 1}},
        {9, 4, 4, 36, 1, {4, 1, 0, 0, 1}},
        {1, 5, 5, 4, 3, {1, 2, 0, 0, 1}},
        {1, 7, 8, 4, 3, {2, 3, 0, 0, 1}},
        /* minimal filtering of its kind */
        {2, 8, 8, 33, 32, {4, 2, 1, 1, 1}},
        {1, 16, 14, 5, 48, {4, 2, 1, 1, 1}},
        {1, 9, 8, 5, 32, {4, 2, 1, 1, 1}},
        /* enlarged */
        {2, 3, 4, 5, 34, {3, 1, 1, 1, 2}},
        {1, 5, 2, 33, 16, {3, 1, 1, 1, 2}},
        {1, 3, 3, 16, 5, {1, 1, 0, 0, 2}},
        {1, 4, 3, 7, 6, {4, 2, 1, 1, 2}},
    };
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = test_small() ? f % 3 : 0; i < COUNT(calls); i += test_small() ? 3 : 1)
            check_conv2d(&families[f], &calls[i], (i + f) % 2);
    for (size_t f = 0; f < COUNT(families) && !test_small(); f++) {
        check_conv2d(&families[f], &(struct shape){3, 17, 15, 67, 40, {4, 2, 1, 1, 1}}, f % 2);
        check_conv2d(&families[f], &(struct shape){2, 17, 19, 48, 64, {3, 1, 1, 1, 1}}, f % 2);
        check_conv2d(&families[f], &(struct shape){17, 5, 5, 36, 33, {3, 2, 1, 1, 1}}, f % 2);
    }
}

static void check_conv1d(const struct family *f, struct conv1d_args a, bool add)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    a.out_length = (a.length + 2 * a.padding - a.taps) / a.stride + 1;
    float *w, *dy = test_values((size_t)(a.batch * a.out_length * a.out), 1), *want = test_values((size_t)(a.batch * a.length * a.in), 0);
    struct matrix matrix = make_matrix(f, a.out, a.taps * a.in, &w);
    struct tensor tdy = test_tensor(DTYPE_F32, 3, a.batch, a.out_length, a.out, 0, dy);
    struct gradient g = gradient_new(tensor_shape(DTYPE_F32, 3, a.batch, a.length, a.in, 0), add);
    arena_grow(ctx, &arena);
    ref_conv1d_bwd_data(want, dy, w, &a);
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(op_conv1d_bwd_data(ctx, &arena, &g.dx, &tdy, &matrix, a.taps, a.stride, a.padding, add));
        gradient_check(&g, want, 1e-5);
    }
    gradient_free(&g);
    test_free(&tdy);
    matrix_free(ctx, &matrix);
    arena_free(ctx, &arena);
    free(w);
    free(dy);
    free(want);
}

static void test_conv1d(void **state)
{
    /* batch, length, in, out, taps, stride, padding */
    static const struct conv1d_args cases[] = {{1, 1, 1, 1, 1, 1, 0, 0},  {2, 21, 5, 6, 3, 2, 1, 0},  {1, 13, 33, 34, 3, 1, 1, 0},
                                               {3, 8, 16, 5, 4, 2, 0, 0}, {9, 10, 3, 31, 3, 2, 1, 0}, {1, 9, 4, 3, 2, 3, 0, 0}};
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = 0; i < COUNT(cases); i++)
            check_conv1d(&families[f], cases[i], (i + f) % 2);
}

/* ---- host/ref by differences: convolutions are linear, so that a difference of any size is the derivative ---- */

static void test_reference(void **state)
{
    struct conv2d_args a = {.batch = 2, .height = 7, .width = 6, .in = 4, .out = 6, .kernel_h = 3, .kernel_w = 2, .stride = 2};
    a.padding = 1;
    a.dilation = a.groups = 2;
    a.out_height = (a.height + 2 - 5) / 2 + 1;
    a.out_width = (a.width + 2 - 3) / 2 + 1;
    size_t inputs = (size_t)(2 * 7 * 6 * 4), outputs = (size_t)(2 * a.out_height * a.out_width * 6);
    float *x = test_values(inputs, 1), *w = test_values(6 * 3 * 2 * 2, 2), *dy = test_values(outputs, 3), *y = test_values(outputs, 0);
    float *dx = test_values(inputs, 0);
    (void)state;
    ref_conv2d_bwd_data(dx, dy, w, &a);
    for (size_t i = 0; i < inputs; i++) {
        double slope = 0;
        for (int side = -1; side <= 1; side += 2) {
            float kept = x[i];
            x[i] += (float)side;
            ref_conv2d(y, x, w, NULL, &a);
            x[i] = kept;
            for (size_t o = 0; o < outputs; o++)
                slope += side * (double)dy[o] * (double)y[o] / 2;
        }
        assert_true(fabs(slope - (double)dx[i]) < 1e-5);
    }
    free(x);
    free(w);
    free(dy);
    free(y);
    free(dx);
}

/* ---- torch ---- */

static const struct weight *golden_weight(const struct weights *golden, const char *name, struct matrix *m)
{
    char key[48];
    snprintf(key, sizeof key, "%s.w", name);
    const struct weight *w = weights_find(golden, key);
    assert_non_null(w);
    assert_ok(matrix_new(test_context(), m, w->dim[0], (int)w->count / w->dim[0], MATRIX_EXACT, "test matrix"));
    assert_ok(matrix_fill(test_context(), m, 0, w));
    return w;
}

static void check_torch(const struct weights *golden, const char *name)
{
    clio_context *ctx = test_context();
    int in[4], out[4], attributes[4] = {2, 1, 1, 1};
    bool is_line = strncmp(name, "conv1d", 6) == 0;
    char key[48];
    snprintf(key, sizeof key, "%s.attributes", name);
    if (!is_line) {
        float *stored = test_floats(golden, key, 4);
        memcpy(attributes, stored, sizeof attributes);
        free(stored);
    }
    if (attributes[2] > 1 || attributes[3] > 1) /* dilation, groups: op_conv2d_direct_bwd */
        return;
    float *want = test_picture(golden, in, "%s.%s", name, "dx"), *dy = test_picture(golden, out, "%s.%s", name, "dy");
    struct matrix w;
    int taps = golden_weight(golden, name, &w)->dim[2];
    struct arena arena = {0};
    struct tensor dx =
        is_line ? test_tensor(DTYPE_F32, 3, in[0], in[2], in[1], 0, NULL) : test_tensor(DTYPE_F32, 4, in[0], in[2], in[3], in[1], NULL);
    struct tensor tdy =
        is_line ? test_tensor(DTYPE_F32, 3, out[0], out[2], out[1], 0, dy) : test_tensor(DTYPE_F32, 4, out[0], out[2], out[3], out[1], dy);
    arena_grow(ctx, &arena);
    if (is_line)
        assert_ok(op_conv1d_bwd_data(ctx, &arena, &dx, &tdy, &w, taps, attributes[0], attributes[1], false));
    else
        assert_ok(op_conv2d_bwd_data(ctx, &arena, &dx, &tdy, &w,
                                     (struct conv2d_window){taps, attributes[0], attributes[1], attributes[1], 1}, false));
    float *x = test_read(&dx);
    assert_close(x, want, tensor_count(&dx), 5e-5);
    free(x);
    test_free(&dx);
    test_free(&tdy);
    matrix_free(ctx, &w);
    arena_free(ctx, &arena);
    free(want);
    free(dy);
}

static void test_torch(void **state)
{
    static const char *const names[] = {"conv2d.0", "conv2d.1", "conv2d.2", "conv2d.3", "conv2d.4", "conv2d.5", "conv2d.6", "conv1d.0"};
    struct weights golden = test_operations();
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (size_t i = 0; i < COUNT(names); i++)
            check_torch(&golden, names[i]);
    }
    clio_context *ctx = test_context();
    struct matrix w;
    struct arena arena = {0};
    float *weight = test_floats(&golden, "linear.weight", 54), *dy = test_floats(&golden, "linear.dy", 72);
    float *want = test_floats(&golden, "linear.dinput", 108);
    struct tensor tdy = test_tensor(DTYPE_F32, 3, 3, 4, 6, 0, dy), dx = test_tensor(DTYPE_F32, 3, 3, 4, 9, 0, NULL);
    arena_grow(ctx, &arena);
    assert_ok(matrix_new(ctx, &w, 6, 9, MATRIX_EXACT, "test matrix"));
    assert_ok(matrix_fill_floats(ctx, &w, 0, 6, weight));
    assert_ok(op_gemm_bwd_data(ctx, &arena, &dx, &tdy, &w, 12, false));
    float *x = test_read(&dx);
    assert_close(x, want, 108, 1e-5);
    float *arrays[] = {weight, dy, want, x};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    test_free(&tdy);
    test_free(&dx);
    matrix_free(ctx, &w);
    arena_free(ctx, &arena);
    weights_close(&golden);
}

static void test_wrong(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct matrix w;
    float *numbers_in;
    struct tensor dx = test_tensor(DTYPE_F32, 4, 2, 8, 8, 6, NULL), dy = test_tensor(DTYPE_F32, 4, 2, 4, 4, 8, NULL);
    struct conv2d_window half = {4, 2, 1, 1, 1}, same = {4, 1, 1, 2, 1}, thrice = {4, 2, 1, 1, 3}, five = {5, 2, 1, 1, 1};
    (void)state;
    arena_grow(ctx, &arena);
    w = make_matrix(&families[0], 8, 96, &numbers_in);
    assert_fails(op_conv2d_bwd_data(ctx, &arena, &dx, &dy, &w, same, false), CLIO_ERROR_INTERNAL, "must be f32 [2, 8, 8, 8]");
    assert_fails(op_conv2d_bwd_data(ctx, &arena, &dx, &dy, &w, thrice, false), CLIO_ERROR_INTERNAL, "upsampling 3");
    assert_fails(op_conv2d_bwd_data(ctx, &arena, &dx, &dy, &w, five, false), CLIO_ERROR_INTERNAL, "5 x 5");
    assert_fails(op_conv2d_bwd_data(ctx, &arena, &dy, &dx, &w, half, false), CLIO_ERROR_INTERNAL, "must be f32 [*, *, *, 6]");
    assert_fails(op_gemm_bwd_data(ctx, &arena, &dx, &dy, &w, 33, false), CLIO_ERROR_INTERNAL, "gemm 33 x 96 x 8");
    assert_fails(op_conv1d_bwd_data(ctx, &arena, &dx, &dy, &w, 5, 1, 0, false), CLIO_ERROR_INTERNAL, "kernel 5 of 96");
    free(numbers_in);
    test_free(&dx);
    test_free(&dy);
    matrix_free(ctx, &w);
    arena_free(ctx, &arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swap),   cmocka_unit_test(test_read_back), cmocka_unit_test(test_gemm),  cmocka_unit_test(test_conv2d),
        cmocka_unit_test(test_conv1d), cmocka_unit_test(test_reference), cmocka_unit_test(test_torch), cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
