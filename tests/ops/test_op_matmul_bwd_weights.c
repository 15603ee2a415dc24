/* test_op_matmul_bwd_weights.c - gradients by weights of products and convolutions, in every family and layout, and of biases: against
 * host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ref/ref_bwd.h"

static const struct family {
    const char *layout, *family, *slice;
} families[] = {{"panel", "direct", "512"}, {"panel", "direct", "128"}, {"tile", "direct", "512"},   {"tile", "direct", "128"},
                {"panel", "single", "512"}, {"tile", "single", "512"},  {"panel", "winograd", "512"}};

static void use(const struct family *f)
{
    test_param("gemm.many.family", f->layout);
    test_param("weights.family", f->family);
    test_param("weights.slice", f->slice);
}

/* Where number (row, column) of a matrix lies. */
static size_t place(const struct matrix *m, int row, int column)
{
    return m->layout == MATRIX_ROWS ? (size_t)row * (size_t)m->k + (size_t)column
                                    : ((size_t)(row / PANEL) * (size_t)m->k + (size_t)column) * PANEL + (size_t)(row % PANEL);
}

/* A gradient that holds `rows`, zeros in the filling, or canaries when NULL; canaries behind it. */
static struct matrix gradient(int n, int k, const float *rows)
{
    clio_context *ctx = test_context();
    struct matrix m;
    assert_ok(matrix_new(ctx, &m, n, k, MATRIX_EXACT, "test gradient"));
    struct tensor shape = m.data;
    tensor_free(ctx, &m.data);
    float *data = calloc(tensor_count(&shape), sizeof *data);
    assert_non_null(data);
    for (int i = 0; rows && i < n * k; i++)
        data[place(&m, i / k, i % k)] = rows[i];
    m.data = test_tensor(DTYPE_F32, shape.ndim, shape.dim[0], shape.dim[1], shape.dim[2], shape.dim[3], rows ? data : NULL);
    free(data);
    return m;
}

/* What a gradient holds, as rows; its filling is zero. */
static float *read_rows(const struct matrix *m)
{
    float *data = test_read(&m->data), *rows = malloc((size_t)m->n * (size_t)m->k * sizeof *rows);
    assert_non_null(rows);
    for (int row = 0; row < (m->layout == MATRIX_PANELS ? ROUND_UP(m->n, PANEL) : m->n); row++)
        for (int column = 0; column < m->k; column++) {
            float x = data[place(m, row, column)];
            if (row < m->n)
                rows[row * m->k + column] = x;
            else if (!(x >= 0 && x <= 0))
                fail_msg("the filling of a gradient is %g at row %d, column %d", (double)x, row, column);
        }
    free(data);
    return rows;
}

enum kind { GEMM, CONV2D, TRANSPOSED, CONV1D };

/* Channels and outputs; images of x; for conv1d the width is its length, for a product the number of rows. */
struct call {
    enum kind kind;
    int batch, height, width, in, out;
    struct conv2d_window window;
};

/* Everything the operation takes, as tensors. */
struct operands {
    struct tensor x, dy;
    struct matrix dw;
};

static clio_status apply(struct arena *arena, const struct call *c, const struct operands *o, bool add)
{
    clio_context *ctx = test_context();
    switch (c->kind) {
    case GEMM:
        return op_gemm_bwd_weights(ctx, arena, &o->dw, &o->dy, &o->x, c->batch * c->height * c->width, add);
    case CONV2D:
        return op_conv2d_bwd_weights(ctx, arena, &o->dw, &o->dy, &o->x, c->window, add);
    case TRANSPOSED:
        return op_conv2d_transposed_bwd_weights(ctx, arena, &o->dw, &o->dy, &o->x, c->window, add);
    default:
        return op_conv1d_bwd_weights(ctx, arena, &o->dw, &o->dy, &o->x, c->window.taps, c->window.stride, c->window.before, add);
    }
}

static uint64_t run(const struct call *c, const struct operands *o, bool add)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    ctx->planning = true;
    clio_status status = apply(&arena, c, o, add);
    ctx->planning = false;
    assert_ok(status);
    assert_ok(arena_commit(ctx, &arena, "test arena"));
    assert_ok(apply(&arena, c, o, add));
    assert_int_equal(arena.used, 0);
    assert_ok(launch_wait(ctx));
    uint64_t scratch = arena.peak;
    arena_free(ctx, &arena);
    return scratch;
}

/* The convolution that a call is, of images and without enlarging; for a transposed one, dy's part is played by x. */
static struct conv2d_args convolution(const struct call *c)
{
    const struct conv2d_window *w = &c->window;
    struct conv2d_args a = {
        .batch = c->batch, .height = c->height * w->upsample, .width = c->width * w->upsample, .in = c->in, .out = c->out};
    a.dilation = a.groups = 1;
    a.stride = w->stride;
    a.padding = w->before;
    a.kernel_h = c->kind == CONV1D ? 1 : w->taps;
    a.kernel_w = w->taps;
    if (c->kind == TRANSPOSED) {
        a.in = c->out;
        a.out = c->in;
        a.out_height = c->height;
        a.out_width = c->width;
        a.height = (c->height - 1) * w->stride + w->taps - w->before - w->after;
        a.width = (c->width - 1) * w->stride + w->taps - w->before - w->after;
    } else {
        a.out_height = c->kind == CONV1D ? 1 : (a.height + w->before + w->after - w->taps) / w->stride + 1;
        a.out_width = (a.width + w->before + w->after - w->taps) / w->stride + 1;
    }
    return a;
}

/* Rows [out][tap][in] of the gradient in plain C. */
static float *reference(const struct call *c, struct conv2d_args a, const float *x, const float *dy)
{
    int taps = a.kernel_h * a.kernel_w, up = c->window.upsample, padded = c->width + 2 * c->window.before;
    float *want = malloc((size_t)(c->out * taps * c->in) * sizeof *want), *turned = malloc((size_t)(c->out * taps * c->in) * sizeof *want);
    float *in = NULL;
    assert_true(want && turned);
    if (c->kind == TRANSPOSED) {
        ref_conv2d_bwd_weights(turned, x, dy, &a);
        for (int i = 0; i < c->out * taps * c->in; i++)
            want[i] = turned[(i % c->in * taps + i / c->in % taps) * c->out + i / c->in / taps];
    } else if (c->kind == CONV1D) { /* zeros at both ends, and no padding then */
        in = calloc((size_t)(c->batch * padded * c->in), sizeof *in);
        assert_non_null(in);
        for (int b = 0; b < c->batch; b++)
            memcpy(in + (b * padded + c->window.before) * c->in, x + b * c->width * c->in, (size_t)(c->width * c->in) * sizeof *in);
        a.padding = 0;
        a.width = padded;
        ref_conv2d_bwd_weights(want, dy, in, &a);
    } else {
        in = malloc((size_t)(c->batch * a.height * a.width * c->in) * sizeof *in);
        assert_non_null(in);
        for (int p = 0; p < c->batch * a.height * a.width; p++) {
            int b = p / (a.height * a.width), y = p / a.width % a.height / up, at = p % a.width / up;
            memcpy(in + p * c->in, x + ((b * c->height + y) * c->width + at) * c->in, (size_t)c->in * sizeof *in);
        }
        ref_conv2d_bwd_weights(want, dy, in, &a);
    }
    free(turned);
    free(in);
    return want;
}

/* Against `want`, over memory with anything in it, and added to numbers; both twice, with the same bits. */
static void compare(const struct call *c, const struct conv2d_args *a, const float *x, const float *dy, const float *want, double tolerance)
{
    int k = a->kernel_h * a->kernel_w * c->in;
    size_t weights = (size_t)(c->out * k),
           dy_pixels = (size_t)(c->kind == TRANSPOSED ? a->height * a->width : a->out_height * a->out_width);
    float *before = test_values(weights, 7), *sum = malloc(weights * sizeof *sum);
    assert_non_null(sum);
    struct operands o;
    if (c->kind == CONV1D) {
        o.x = test_tensor(DTYPE_F32, 3, c->batch, c->width, c->in, 1, x);
        o.dy = test_tensor(DTYPE_F32, 3, c->batch, a->out_width, c->out, 1, dy);
    } else {
        o.x = test_tensor(DTYPE_F32, 4, c->batch, c->height, c->width, c->in, x);
        o.dy = test_tensor(DTYPE_F32, 4, c->batch, c->kind == TRANSPOSED ? a->height : a->out_height,
                           c->kind == TRANSPOSED ? a->width : a->out_width, c->out, dy);
    }
    assert_int_equal(tensor_count(&o.dy), (size_t)c->batch * dy_pixels * (size_t)c->out);
    for (size_t i = 0; i < weights; i++)
        sum[i] = want[i] + before[i];
    for (int add = 0; add < 2; add++) {
        float *got[2];
        for (int time = 0; time < 2; time++) {
            o.dw = gradient(c->out, k, add ? before : NULL);
            run(c, &o, add);
            got[time] = read_rows(&o.dw);
            test_free(&o.dw.data);
        }
        assert_close(got[0], add ? sum : want, weights, tolerance);
        assert_memory_equal(got[0], got[1], weights * sizeof(float));
        free(got[0]);
        free(got[1]);
    }
    free(test_read(&o.x)); /* nothing was written into them, or behind them */
    free(test_read(&o.dy));
    test_free(&o.x);
    test_free(&o.dy);
    free(before);
    free(sum);
}

static void check(const struct call *c, size_t step)
{
    static size_t first;
    struct conv2d_args a = convolution(c);
    size_t inputs = (size_t)(c->batch * c->height * c->width * c->in);
    size_t outputs = (size_t)(c->batch * c->out) * (size_t)(c->kind == TRANSPOSED ? a.height * a.width : a.out_height * a.out_width);
    float *x = test_values(inputs, 1), *dy = test_values(outputs, 2), *want = reference(c, a, x, dy);
    for (size_t f = first++ % step; f < COUNT(families); f += step) {
        use(&families[f]);
        compare(c, &a, x, dy, want, strcmp(families[f].family, "winograd") == 0 ? 5e-5 : 2e-5);
    }
    free(x);
    free(dy);
    free(want);
}

#define ROWS                                                                                                                               \
    {                                                                                                                                      \
        1, 1, 0, 0, 1                                                                                                                      \
    }

static void test_products(void **state)
{
    static const int shapes[][3] = {/* rows, in, out */
                                    {1, 1, 1},     {1, 8, 32},   {3, 7, 31},    {127, 9, 33},  {128, 3, 5},    {129, 16, 64},
                                    {300, 12, 65}, {2, 100, 20}, {40, 400, 10}, {513, 37, 3},  {700, 33, 1},   {1100, 2, 40},
                                    {64, 65, 97},  {31, 5, 2},   {77, 1, 300},  {260, 63, 16}, {129, 130, 127}};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++)
        if (!test_small() || shapes[i][0] * shapes[i][1] * shapes[i][2] < 10000)
            check(&(struct call){GEMM, 1, 1, shapes[i][0], shapes[i][1], shapes[i][2], ROWS}, test_small() ? COUNT(families) : 1);
}

static void test_windows(void **state)
{
    static const struct call calls[] = {
        {CONV2D, 1, 1, 1, 1, 1, {3, 1, 1, 1, 1}},       {CONV2D, 1, 3, 5, 4, 31, {3, 1, 1, 1, 1}},
        {CONV2D, 2, 4, 4, 16, 32, {3, 1, 1, 1, 1}},     {CONV2D, 2, 5, 3, 33, 33, {3, 1, 1, 1, 1}},
        {CONV2D, 3, 7, 11, 17, 4, {3, 1, 1, 1, 1}},     {CONV2D, 1, 13, 9, 3, 65, {3, 1, 1, 1, 1}},
        {CONV2D, 2, 3, 4, 5, 34, {3, 1, 1, 1, 2}},      {CONV2D, 1, 5, 2, 33, 3, {3, 1, 1, 1, 2}},
        {CONV2D, 1, 3, 3, 4, 5, {1, 1, 0, 0, 2}},       {CONV2D, 2, 5, 7, 48, 4, {3, 1, 1, 1, 1}},
        {CONV2D, 1, 9, 6, 32, 1, {4, 2, 1, 1, 1}},      {CONV2D, 1, 6, 5, 4, 7, {3, 1, 0, 0, 1}},
        {CONV2D, 2, 6, 7, 5, 6, {3, 1, 2, 0, 1}},       {CONV2D, 1, 4, 4, 3, 8, {3, 1, 0, 3, 1}},
        {CONV2D, 1, 8, 8, 33, 33, {3, 2, 0, 1, 1}},     {CONV2D, 2, 9, 7, 16, 32, {3, 2, 1, 1, 1}},
        {CONV2D, 1, 6, 10, 3, 17, {4, 2, 1, 1, 1}},     {CONV2D, 2, 3, 5, 17, 33, {1, 1, 0, 0, 1}},
        {CONV2D, 1, 5, 5, 4, 3, {1, 2, 0, 0, 1}},       {CONV2D, 1, 7, 6, 3, 5, {5, 1, 2, 2, 1}},
        {CONV2D, 3, 4, 4, 20, 1, {4, 1, 0, 0, 1}},      {TRANSPOSED, 1, 1, 1, 1, 1, {3, 1, 0, 0, 1}},
        {TRANSPOSED, 3, 1, 1, 10, 36, {4, 1, 0, 0, 1}}, {TRANSPOSED, 2, 4, 4, 16, 33, {4, 2, 1, 1, 1}},
        {TRANSPOSED, 1, 5, 7, 33, 3, {4, 2, 1, 1, 1}},  {TRANSPOSED, 2, 3, 5, 6, 4, {3, 2, 1, 0, 1}},
        {TRANSPOSED, 1, 6, 4, 9, 64, {5, 1, 2, 2, 1}},  {TRANSPOSED, 2, 9, 5, 65, 1, {3, 3, 0, 1, 1}},
        {CONV1D, 1, 1, 1, 1, 1, {3, 1, 1, 1, 1}},       {CONV1D, 2, 1, 21, 5, 6, {3, 2, 1, 1, 1}},
        {CONV1D, 3, 1, 40, 17, 33, {3, 1, 1, 1, 1}},    {CONV1D, 1, 1, 9, 80, 4, {5, 1, 2, 2, 1}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(calls); i += test_small() ? 2 : 1) /* small: each in one family, the next one in the next */
        check(&calls[i], test_small() ? COUNT(families) : 1);
}

/* Several chunks and slices, pieces of taps and of columns. */
static void test_large(void **state)
{
    static const struct call calls[] = {
        {CONV2D, 2, 31, 33, 31, 97, {3, 1, 1, 1, 1}},
        {CONV2D, 4, 16, 16, 40, 36, {4, 2, 1, 1, 1}},
        {TRANSPOSED, 3, 16, 15, 36, 33, {4, 2, 1, 1, 1}},
        {TRANSPOSED, 5, 17, 16, 64, 3, {4, 2, 1, 1, 1}},
        {CONV2D, 3, 21, 20, 3, 64, {4, 2, 1, 1, 1}},
        {CONV2D, 2, 30, 20, 70, 2, {3, 1, 1, 1, 1}},
        {GEMM, 1, 1, 1000, 90, 70, ROWS},
    };
    static const char *const pieces[][3] = {{"8", "256", "16"}, {"12", "1", "2"}, {"8", "3", "1000"}};
    (void)state;
    if (test_small())
        return;
    for (size_t p = 0; p < COUNT(pieces); p++) {
        test_param("weights.panel.rows", pieces[p][0]);
        test_param("weights.panel.kib", pieces[p][1]);
        test_param("weights.jobs", pieces[p][2]);
        for (size_t i = 0; i < COUNT(calls); i++)
            check(&calls[i], p ? 2 : 1);
    }
}

/* Minimal filtering: tiles that are full and that are not, several strips of them, chunks, panels, and a last half panel. */
static void test_filtering(void **state)
{
    static const struct call calls[] = {{CONV2D, 2, 4, 4, 32, 32, {3, 1, 1, 1, 1}},   {CONV2D, 3, 8, 7, 48, 64, {3, 1, 1, 1, 1}},
                                        {CONV2D, 1, 4, 8, 32, 48, {3, 1, 1, 1, 2}},   {CONV2D, 2, 10, 13, 64, 32, {3, 1, 0, 0, 1}},
                                        {CONV2D, 1, 6, 7, 32, 80, {3, 1, 2, 0, 1}},   {CONV2D, 41, 8, 8, 32, 32, {3, 1, 1, 1, 1}},
                                        {CONV2D, 9, 16, 15, 96, 112, {3, 1, 1, 1, 1}}};
    (void)state;
    use(&families[COUNT(families) - 1]);
    for (size_t i = 0; i < (test_small() ? 1 : COUNT(calls)); i++) {
        const struct call *c = &calls[i];
        struct conv2d_args a = convolution(c);
        size_t inputs = (size_t)(c->batch * c->height * c->width * c->in);
        size_t outputs = (size_t)(c->batch * c->out * a.out_height * a.out_width);
        float *x = test_values(inputs, 1), *dy = test_values(outputs, 2), *want = reference(c, a, x, dy);
        test_param("conv.winograd.megabytes", i % 2 ? "4" : "0");
        compare(c, &a, x, dy, want, 5e-5);
        struct operands o = {.x = test_tensor(DTYPE_F32, 4, c->batch, c->height, c->width, c->in, x),
                             .dy = test_tensor(DTYPE_F32, 4, c->batch, a.out_height, a.out_width, c->out, dy),
                             .dw = gradient(c->out, 9 * c->in, NULL)};
        assert_true(run(c, &o, false) >= 36u * 4u * (size_t)(c->in * c->out)); /* it was this way that answered */
        test_free(&o.x);
        test_free(&o.dy);
        test_free(&o.dw.data);
        free(x);
        free(dy);
        free(want);
    }
}

/* ---- torch ---- */

static void compare_torch(const struct weights *golden, const char *name, struct call c)
{
    int in[4], out[4], w[4];
    float *x = test_picture(golden, in, "%s.%s", name, "x"), *dy = test_picture(golden, out, "%s.%s", name, "dy"),
          *dw = test_picture(golden, w, "%s.%s", name, "dw");
    c.batch = in[0];
    c.height = c.kind == CONV1D ? 1 : in[2];
    c.width = c.kind == CONV1D ? in[2] : in[3];
    c.in = in[1];
    c.out = out[1];
    c.window.taps = w[2];
    c.window.upsample = 1;
    struct conv2d_args a = convolution(&c);
    int taps = w[2] * w[3];
    float *want = malloc((size_t)(w[0] * w[1] * taps) * sizeof *want);
    assert_non_null(want);
    for (int i = 0; i < w[0] * w[1] * taps; i++) /* a transposed convolution's are stored [in][out][taps] */
        want[c.kind == TRANSPOSED ? (i % w[1] * taps + i / w[1] % taps) * w[0] + i / w[1] / taps : i] = dw[i];
    for (size_t f = test_small() ? (size_t)taps % COUNT(families) : 0; f < COUNT(families); f += test_small() ? COUNT(families) : 1) {
        use(&families[f]);
        compare(&c, &a, x, dy, want, 1e-5);
    }
    free(x);
    free(dy);
    free(dw);
    free(want);
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    for (int i = 0; i < 7; i++) {
        char name[32], part[48];
        snprintf(name, sizeof name, "conv2d.%d", i);
        snprintf(part, sizeof part, "%s.attributes", name);
        float *stored = test_floats(&golden, part, 4);
        int attributes[4]; /* stride, padding, dilation, groups */
        memcpy(attributes, stored, sizeof attributes);
        free(stored);
        if (attributes[2] == 1 && attributes[3] == 1)
            compare_torch(&golden, name, (struct call){.kind = CONV2D, .window = {0, attributes[0], attributes[1], attributes[1], 1}});
    }
    for (int i = 0; i < 4; i++) {
        char name[32], part[48];
        snprintf(name, sizeof name, "conv_transpose2d.%d", i);
        snprintf(part, sizeof part, "%s.attributes", name);
        float *stored = test_floats(&golden, part, 3);
        int attributes[3]; /* stride, padding, output padding */
        memcpy(attributes, stored, sizeof attributes);
        free(stored);
        compare_torch(&golden, name,
                      (struct call){.kind = TRANSPOSED, .window = {0, attributes[0], attributes[1], attributes[1] - attributes[2], 1}});
    }
    compare_torch(&golden, "conv1d.0", (struct call){.kind = CONV1D, .window = {0, 2, 1, 1, 1}});
    struct call linear = {GEMM, 1, 1, 12, 9, 6, ROWS};
    struct conv2d_args a = convolution(&linear);
    float *x = test_floats(&golden, "linear.input", 108), *dy = test_floats(&golden, "linear.dy", 72),
          *want = test_floats(&golden, "linear.dweight", 54);
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        compare(&linear, &a, x, dy, want, 1e-5);
    }
    free(x);
    free(dy);
    free(want);
    weights_close(&golden);
}

/* ---- biases ---- */

enum { PLAIN, ADDED };

static void check_sums(const float *dy, const float *want, int parts, int rows, int n, float beta)
{
    clio_context *ctx = test_context();
    size_t sums = (size_t)(parts * n);
    float *before = test_values(sums, 3), *expected = malloc(sums * sizeof *expected);
    assert_non_null(expected);
    struct tensor in = test_tensor(DTYPE_F32, 3, parts, rows, n, 1, dy);
    for (int add = PLAIN; add <= ADDED; add++) {
        float *got[2];
        for (size_t i = 0; i < sums; i++)
            expected[i] = (parts == 1 ? beta : 1) * want[i] + (add ? before[i] : 0);
        for (int time = 0; time < 2; time++) {
            struct arena arena = {0};
            struct tensor out = test_tensor(DTYPE_F32, parts == 1 ? 1 : 2, parts == 1 ? n : parts, n, 1, 1, add ? before : NULL);
            for (int pass = 0; pass < 2; pass++) {
                ctx->planning = pass == 0;
                clio_status st = parts == 1 ? op_repeat_bwd(ctx, &arena, &out, &in, beta, add) : op_bias_bwd(ctx, &arena, &out, &in, add);
                ctx->planning = false;
                assert_ok(st);
                if (pass == 0)
                    assert_ok(arena_commit(ctx, &arena, "test arena"));
            }
            got[time] = test_read(&out);
            test_free(&out);
            arena_free(ctx, &arena);
        }
        assert_close(got[0], expected, sums, 1e-5);
        assert_memory_equal(got[0], got[1], sums * sizeof(float));
        free(got[0]);
        free(got[1]);
    }
    test_free(&in);
    free(before);
    free(expected);
}

static void test_sums(void **state)
{
    static const int shapes[][3] = {/* parts, rows, n */
                                    {1, 1, 1},    {1, 7, 3},     {1, 64, 1},  {2, 33, 16},   {3, 50, 17},
                                    {1, 4096, 3}, {1, 1000, 64}, {4, 16, 65}, {1, 513, 127}, {2, 2048, 5},
                                    {1, 3, 1000}, {1, 1, 70},    {5, 1, 1},   {1, 6000, 1},  {2, 300, 130}};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++) {
        int parts = shapes[i][0], rows = shapes[i][1], n = shapes[i][2];
        float *dy = test_values((size_t)(parts * rows * n), 1), *want = test_values((size_t)(parts * n), 2);
        ref_bias_bwd(want, dy, parts, rows, n);
        check_sums(dy, want, parts, rows, n, 1);
        check_sums(dy, want, parts, rows, n, -0.5f);
        free(dy);
        free(want);
    }
}

static void test_torch_bias(void **state)
{
    struct weights golden = test_operations();
    int dim[4];
    (void)state;
    float *dy = test_picture(&golden, dim, "%s.%s", "conv2d.0", "dy"), *want = test_floats(&golden, "conv2d.0.db", 8);
    check_sums(dy, want, 1, dim[0] * dim[2] * dim[3], 8, 1);
    free(dy);
    free(want);
    dy = test_floats(&golden, "linear.dy", 72);
    want = test_floats(&golden, "linear.dbias", 6);
    check_sums(dy, want, 1, 12, 6, 1);
    free(dy);
    free(want);
    weights_close(&golden);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct conv2d_window same = {3, 1, 1, 1, 1}, wide = {5, 1, 2, 2, 1}, bare = {3, 1, 0, 0, 1}, twice = {3, 1, 1, 1, 2};
    struct tensor x = test_tensor(DTYPE_F32, 4, 2, 4, 4, 6, NULL), dy = test_tensor(DTYPE_F32, 4, 2, 4, 4, 8, NULL);
    struct tensor db = test_tensor(DTYPE_F32, 1, 5, 1, 1, 1, NULL);
    struct matrix dw = gradient(8, 54, NULL), half = dw;
    (void)state;
    half.data.dtype = DTYPE_F16;
    assert_fails(op_conv2d_bwd_weights(ctx, &arena, &dw, &dy, &x, wide, false), CLIO_ERROR_INTERNAL, "5 x 5");
    assert_fails(op_conv2d_bwd_weights(ctx, &arena, &dw, &dy, &x, bare, false), CLIO_ERROR_INTERNAL, "must be f32 [2, 2, 2, 8]");
    assert_fails(op_conv2d_bwd_weights(ctx, &arena, &dw, &x, &dy, same, false), CLIO_ERROR_INTERNAL, "must be f32 [*, *, *, 6]");
    assert_fails(op_conv2d_bwd_weights(ctx, &arena, &half, &dy, &x, same, false), CLIO_ERROR_INTERNAL, "must be f32");
    assert_fails(op_conv2d_transposed_bwd_weights(ctx, &arena, &dw, &dy, &x, twice, false), CLIO_ERROR_INTERNAL, "upsampling");
    assert_fails(op_conv2d_transposed_bwd_weights(ctx, &arena, &dw, &dy, &x, bare, false), CLIO_ERROR_INTERNAL, "must be f32 [2, 6, 6, 8]");
    assert_fails(op_gemm_bwd_weights(ctx, &arena, &dw, &dy, &x, 32, false), CLIO_ERROR_INTERNAL, "32 rows");
    assert_fails(op_conv1d_bwd_weights(ctx, &arena, &dw, &dy, &x, 4, 1, 1, false), CLIO_ERROR_INTERNAL, "kernel 4 of 54");
    assert_fails(op_bias_bwd(ctx, &arena, &db, &dy, false), CLIO_ERROR_INTERNAL, "cannot hold the sums");
    assert_fails(op_repeat_bwd(ctx, &arena, &db, &dy, 1, false), CLIO_ERROR_INTERNAL, "cannot hold the sums");
    test_free(&x);
    test_free(&dy);
    test_free(&db);
    test_free(&dw.data);
    arena_free(ctx, &arena);
}

/* The first-use checks find nothing wrong with what the tests above found right, and switch families off one by one. */
static void test_checked(void **state)
{
    clio_context *ctx = test_context();
    static const struct call calls[] = {
        {CONV2D, 1, 6, 5, 9, 33, {3, 1, 1, 1, 1}}, {CONV2D, 1, 6, 5, 33, 3, {3, 1, 1, 1, 1}}, {CONV2D, 1, 6, 5, 3, 33, {3, 1, 1, 1, 1}}};
    (void)state;
    if (test_small())
        return;
    ctx->selftests.bypassed = false;
    for (size_t i = 0; i < COUNT(calls); i++)
        check(&calls[i], 1);
    ctx->selftests.bypassed = true;
    for (size_t i = 0; i < ctx->selftests.count; i++)
        if (strncmp(ctx->selftests.list[i].family, "weights.", 8) == 0 && *ctx->selftests.list[i].reason)
            fail_msg("%s [%s] was switched off: %s", ctx->selftests.list[i].family, ctx->selftests.list[i].variant,
                     ctx->selftests.list[i].reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),   cmocka_unit_test(test_windows),      cmocka_unit_test(test_large),
        cmocka_unit_test(test_filtering),  cmocka_unit_test(test_torch),        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_torch_bias), cmocka_unit_test(test_wrong_shapes), cmocka_unit_test(test_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
