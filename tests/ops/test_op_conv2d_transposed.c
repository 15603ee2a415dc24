/* test_op_conv2d_transposed.c - the transposed convolution over packed weights in every family, and its gradient by data, against host/ref
 * and torch; matrices filled from a stored transposed convolution, and read back. */
#include "test_conv.h"

#include "../../host/ops/gradients.h"
#include "../../host/ref/ref_bwd.h"

static const struct family families[] = {
    {"direct", "panel", "f32"}, {"direct", "panel", "f16"}, {"direct", "tile", "f32"},    {"direct", "tile", "f16"},
    {"single", "panel", "f32"}, {"single", "tile", "f16"},  {"winograd", "panel", "f32"},
};

/* Plan, commit, run. */
static void run(const struct tensor *out, const struct tensor *in, const struct matrix *w, struct conv2d_window window,
                const struct gemm_epilogue *e)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    ctx->planning = true;
    clio_status status = op_conv2d_transposed_fwd(ctx, &arena, out, in, w, window, e);
    ctx->planning = false;
    assert_ok(status);
    assert_int_equal(arena.used, 0);
    assert_ok(arena_commit(ctx, &arena, "test arena"));
    assert_ok(op_conv2d_transposed_fwd(ctx, &arena, out, in, w, window, e));
    assert_int_equal(arena.used, 0);
    assert_ok(launch_wait(ctx));
    arena_free(ctx, &arena);
}

static struct transposed_args args_of(const struct call *c)
{
    const struct conv2d_window *v = &c->window;
    int more = v->taps - v->before - v->after;
    return (struct transposed_args){.batch = c->batch,
                                    .height = c->height,
                                    .width = c->width,
                                    .in = c->in,
                                    .taps_y = v->taps,
                                    .taps_x = v->taps,
                                    .stride_y = v->stride,
                                    .stride_x = v->stride,
                                    .before_y = v->before,
                                    .before_x = v->before,
                                    .out_height = (c->height - 1) * v->stride + more,
                                    .out_width = (c->width - 1) * v->stride + more,
                                    .bias_step = c->bias == BIAS_EACH ? c->out : 0};
}

static void check(const struct family *f, const struct call *c)
{
    clio_context *ctx = test_context();
    bool f16 = use(f);
    struct transposed_args a = args_of(c);
    int k = a.taps_y * a.taps_x * c->in;
    size_t inputs = (size_t)(c->batch * c->height * c->width * c->in), outputs = (size_t)(c->batch * a.out_height * a.out_width * c->out);
    float *x = test_values(inputs, 1), *w = test_values((size_t)(c->out * k), 2), *bias = test_values((size_t)(c->batch * c->out), 3);
    float *residual = test_values(outputs, 4), *want = test_values(outputs, 5);
    struct matrix matrix;
    assert_ok(matrix_new(ctx, &matrix, c->out, k, MATRIX_LARGE, "test matrix"));
    assert_int_equal(matrix.data.dtype, f16 ? DTYPE_F16 : DTYPE_F32);
    assert_int_equal(matrix.layout, strcmp(f->layout, "panel") == 0 ? MATRIX_PANELS : MATRIX_ROWS);
    assert_ok(matrix_fill_floats(ctx, &matrix, 0, c->out, w));
    for (size_t i = 0; f16 && i < (size_t)(c->out * k); i++)
        w[i] = half_to_float(float_to_half(w[i]));
    ref_conv2d_transposed(want, x, w, c->bias == BIAS_NONE ? NULL : bias, &a, c->out, c->act, 0.2f);
    for (size_t i = 0; c->residual != RESIDUAL_NONE && i < outputs; i++)
        want[i] += residual[i];

    struct tensor in = test_tensor(DTYPE_F32, 4, c->batch, c->height, c->width, c->in, x);
    struct tensor b = test_tensor(DTYPE_F32, 2, c->bias == BIAS_EACH ? c->batch : 1, c->out, 1, 1, bias);
    struct tensor r = test_tensor(DTYPE_F32, 4, c->batch, a.out_height, a.out_width, c->out, residual);
    struct tensor apart = test_tensor(DTYPE_F32, 4, c->batch, a.out_height, a.out_width, c->out, NULL);
    struct tensor *out = c->residual == RESIDUAL_IN_PLACE ? &r : &apart;
    struct gemm_epilogue e = {.bias = c->bias != BIAS_NONE ? &b : NULL, .act = c->act, .slope = 0.2f};
    e.residual = c->residual != RESIDUAL_NONE ? &r : NULL;
    run(out, &in, &matrix, c->window, &e);
    float *y = test_read(out);
    bool filtered = strcmp(f->family, "winograd") == 0 && c->in % 16 == 0; /* its sums cancel */
    assert_close(y, want, outputs, filtered ? 5e-5 : 1e-5);
    free(y);
    free(test_read(&in)); /* nothing was written behind it */
    struct tensor *tensors[] = {&in, &b, &r, &apart};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
    float *arrays[] = {x, w, bias, residual, want};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    matrix_free(ctx, &matrix);
}

static void test_shapes(void **state)
{
    static const struct call calls[] = {
        {1, 1, 1, 1, 1, {1, 1, 0, 0, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        /* DCGAN's kinds: 1 x 1 to 4 x 4, then twice the size; fewer and more images than pixels of a tile */
        {2, 1, 1, 10, 33, {4, 1, 0, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_RELU},
        {9, 1, 1, 10, 33, {4, 1, 0, 0, 1}, BIAS_EACH, RESIDUAL_NONE, ACT_RELU},
        {1, 4, 4, 17, 31, {4, 2, 1, 1, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        {13, 2, 3, 5, 32, {4, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_LEAKY_RELU},
        {3, 5, 3, 16, 65, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_APART, ACT_SILU},
        /* few outputs: each number of lanes, more blocks than a tile, images of odd sizes */
        {2, 7, 5, 33, 3, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_TANH},
        {1, 3, 4, 8, 1, {4, 2, 1, 1, 1}, BIAS_NONE, RESIDUAL_APART, ACT_NONE},
        {2, 4, 3, 7, 4, {5, 2, 2, 1, 1}, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_NONE},
        {1, 3, 3, 4, 1, {7, 4, 3, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_SIGMOID},
        {2, 3, 3, 4, 2, {2, 3, 0, -2, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        /* output padding; phases without taps; edges as wide as the window */
        {2, 5, 4, 6, 7, {3, 2, 1, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {1, 3, 5, 6, 37, {3, 2, 0, -1, 1}, BIAS_ALL, RESIDUAL_APART, ACT_GELU},
        {2, 3, 2, 4, 34, {2, 3, 0, -2, 1}, BIAS_EACH, RESIDUAL_NONE, ACT_NONE},
        {1, 6, 6, 3, 5, {4, 2, 3, 3, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        {1, 5, 5, 3, 18, {3, 1, 2, 2, 1}, BIAS_NONE, RESIDUAL_NONE, ACT_NONE},
        {1, 4, 4, 3, 6, {3, 2, 4, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        /* stride 1 */
        /* minimal filtering: tiles that are full, that are not, edges of its own */
        {2, 4, 4, 32, 33, {4, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_RELU},
        {1, 8, 7, 48, 32, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 7, 4, 32, 5, {4, 2, 0, 0, 1}, BIAS_NONE, RESIDUAL_APART, ACT_SILU},
        {1, 7, 7, 32, 5, {4, 2, 1, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {3, 8, 8, 32, 65, {4, 2, 3, 2, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 5, 7, 6, 4, {5, 1, 2, 2, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {1, 4, 6, 16, 35, {3, 1, 1, 1, 1}, BIAS_ALL, RESIDUAL_IN_PLACE, ACT_NONE},
    };
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = test_small() ? f % 3 : 0; i < COUNT(calls); i += test_small() ? 3 : 1)
            check(&families[f], &calls[i]);
}

/* More than one tile of everything. */
static void test_large(void **state)
{
    static const struct call calls[] = {
        {3, 16, 15, 336, 67, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {40, 8, 8, 64, 36, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {3, 17, 15, 40, 67, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {67, 3, 3, 33, 36, {4, 2, 1, 1, 1}, BIAS_EACH, RESIDUAL_IN_PLACE, ACT_SILU},
        {64, 1, 1, 100, 64, {4, 1, 0, 0, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_NONE},
        {2, 31, 33, 24, 3, {4, 2, 1, 1, 1}, BIAS_ALL, RESIDUAL_NONE, ACT_TANH},
    };
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = 0; i < COUNT(calls) && !test_small(); i++)
            check(&families[f], &calls[i]);
}

static void test_epilogue(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (int act = test_small() ? (int)f % 4 : 0; act < ACT_COUNT; act += test_small() ? 4 : 1)
            check(&families[f],
                  &(struct call){2, 3, 4, 6, act % 2 ? 3 : 35, {4, 2, 1, 1, 1}, (enum bias)(act % 3), (enum residual)(act / 3 % 3), act});
}

/* Result and gradient by data, with the weights filled as a checkpoint stores them. */
static void check_torch(const struct weights *golden, int i)
{
    clio_context *ctx = test_context();
    int in[4], out[4], attributes[3];
    char name[48];
    float *x = test_picture(golden, in, "conv_transpose2d.%d.%s", i, "x"),
          *want = test_picture(golden, out, "conv_transpose2d.%d.%s", i, "y"),
          *dy = test_picture(golden, out, "conv_transpose2d.%d.%s", i, "dy");
    float *want_dx = test_picture(golden, in, "conv_transpose2d.%d.%s", i, "dx");
    snprintf(name, sizeof name, "conv_transpose2d.%d.attributes", i);
    float *stored = test_floats(golden, name, 3);
    memcpy(attributes, stored, sizeof attributes);
    snprintf(name, sizeof name, "conv_transpose2d.%d.b", i);
    float *bias = test_floats(golden, name, (size_t)out[1]);
    snprintf(name, sizeof name, "conv_transpose2d.%d.w", i);
    const struct weight *w = weights_find(golden, name);
    assert_non_null(w);
    int taps = w->dim[2], k = taps * taps * in[1];
    struct conv2d_window window = {taps, attributes[0], attributes[1], attributes[1] - attributes[2], 1};
    struct matrix matrix;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    assert_ok(matrix_new(ctx, &matrix, out[1], k, MATRIX_EXACT, "test matrix"));
    assert_ok(matrix_fill_swapped(ctx, &matrix, w));
    struct tensor tx = test_tensor(DTYPE_F32, 4, in[0], in[2], in[3], in[1], x);
    struct tensor ty = test_tensor(DTYPE_F32, 4, out[0], out[2], out[3], out[1], NULL);
    struct tensor tb = test_tensor(DTYPE_F32, 1, out[1], 1, 1, 1, bias);
    struct tensor tdy = test_tensor(DTYPE_F32, 4, out[0], out[2], out[3], out[1], dy);
    struct tensor tdx = test_tensor(DTYPE_F32, 4, in[0], in[2], in[3], in[1], NULL);
    assert_ok(op_conv2d_transposed_fwd(ctx, &arena, &ty, &tx, &matrix, window, &(struct gemm_epilogue){.bias = &tb}));
    float *y = test_read(&ty);
    assert_close(y, want, tensor_count(&ty), 1e-5);
    assert_ok(op_conv2d_transposed_bwd_data(ctx, &arena, &tdx, &tdy, &matrix, window, false));
    float *dx = test_read(&tdx);
    assert_close(dx, want_dx, tensor_count(&tdx), 1e-5);
    float *read = test_values(w->count, 0), *as_stored = test_floats(golden, name, w->count);
    assert_ok(matrix_read(ctx, &matrix, in[1], true, read));
    assert_memory_equal(read, as_stored, w->count * sizeof *read);
    float *arrays[] = {x, want, dy, want_dx, stored, bias, y, dx, read, as_stored};
    for (size_t j = 0; j < COUNT(arrays); j++)
        free(arrays[j]);
    struct tensor *tensors[] = {&tx, &ty, &tb, &tdy, &tdx};
    for (size_t j = 0; j < COUNT(tensors); j++)
        test_free(tensors[j]);
    matrix_free(ctx, &matrix);
    arena_free(ctx, &arena);
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++) {
        use(&families[f]);
        for (int i = 0; i < 4; i++)
            check_torch(&golden, i);
    }
    weights_close(&golden);
}

static void test_wrong(void **state)
{
    clio_context *ctx = test_context();
    struct arena arena = {0};
    struct matrix w;
    struct tensor in = test_tensor(DTYPE_F32, 4, 2, 4, 4, 6, NULL), out = test_tensor(DTYPE_F32, 4, 2, 8, 8, 8, NULL);
    struct tensor three = test_tensor(DTYPE_F32, 1, 24, 1, 1, 1, NULL);
    struct conv2d_window twice = {4, 2, 1, 1, 1}, large = {4, 2, 1, 0, 1}, enlarged = {4, 2, 1, 1, 2}, far = {4, 2, 1, -2, 1};
    const float numbers_in[4] = {0};
    struct weight stored = {
        .name = "odd", .dtype = DTYPE_F32, .ndim = 4, .dim = {2, 2, 1, 1}, .count = 4, .data = (const unsigned char *)numbers_in};
    float read[1];
    (void)state;
    use(&families[0]);
    assert_ok(matrix_new(ctx, &w, 8, 96, MATRIX_LARGE, "test matrix"));
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &w, large, NULL), CLIO_ERROR_INTERNAL, "must be f32 [2, 9, 9, 8]");
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &w, enlarged, NULL), CLIO_ERROR_INTERNAL, "upsampling 2");
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &w, far, NULL), CLIO_ERROR_INTERNAL, "padding 1 and -2");
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &out, &w, twice, NULL), CLIO_ERROR_INTERNAL, "must be f32 [*, *, *, 6]");
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &w, twice, &(struct gemm_epilogue){.bias = &three}), CLIO_ERROR_INTERNAL,
                 "24 numbers");
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &w, twice, &(struct gemm_epilogue){.residual = &in}), CLIO_ERROR_INTERNAL,
                 "residual");
    assert_fails(op_conv2d_transposed_fwd(ctx, &arena, &out, &in, &w, twice, &(struct gemm_epilogue){.lda = 7}), CLIO_ERROR_INTERNAL,
                 "conv2d_transposed's own");
    assert_fails(matrix_fill_swapped(ctx, &w, &stored), CLIO_ERROR_INTERNAL, "does not fit a matrix of 8 x 96");
    assert_fails(matrix_read(ctx, &w, 5, false, read), CLIO_ERROR_INTERNAL, "taps of 5 channels");
    test_free(&in);
    test_free(&out);
    test_free(&three);
    matrix_free(ctx, &w);
    arena_free(ctx, &arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_large), cmocka_unit_test(test_epilogue),
        cmocka_unit_test(test_torch),  cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
