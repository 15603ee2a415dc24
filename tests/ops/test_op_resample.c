/* test_op_resample.c - pooling and resizing of images and their gradients: against host/ref and torch; the gradients of what is linear
 * against what they are the gradients of (<A x, dy> = <x, A' dy>); and through the tape. */
#include "../support/test_planes.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

#include <math.h>

enum kind { MAXIMUM, AVERAGE, NEAREST, BILINEAR, KINDS };

static clio_status forward(enum kind kind, const struct tensor *out, const struct tensor *in, const struct resample_args *a)
{
    clio_context *ctx = test_context();
    if (kind == MAXIMUM)
        return op_max_pool_fwd(ctx, out, in, a->taps, a->stride, a->padding);
    if (kind == AVERAGE)
        return op_average_pool_fwd(ctx, out, in, a->taps, a->stride, a->padding);
    return op_resize_fwd(ctx, out, in, kind == BILINEAR);
}

static clio_status backward(enum kind kind, const struct tensor *dx, const struct tensor *dy, const struct tensor *x,
                            const struct resample_args *a, bool add)
{
    clio_context *ctx = test_context();
    if (kind == MAXIMUM)
        return op_max_pool_bwd(ctx, dx, dy, x, a->taps, a->stride, a->padding, add);
    if (kind == AVERAGE)
        return op_average_pool_bwd(ctx, dx, dy, a->taps, a->stride, a->padding, add);
    return op_resize_bwd(ctx, dx, dy, kind == BILINEAR, add);
}

static void reference(enum kind kind, float *y, float *dx, const float *dy, const float *x, const struct resample_args *a)
{
    if (kind == MAXIMUM) {
        ref_max_pool(y, x, a);
        ref_max_pool_bwd(dx, dy, x, a);
    } else if (kind == AVERAGE) {
        ref_average_pool(y, x, a);
        ref_average_pool_bwd(dx, dy, a);
    } else {
        ref_resize(y, x, a, kind == BILINEAR);
        ref_resize_bwd(dx, dy, a, kind == BILINEAR);
    }
}

static size_t in_count(const struct resample_args *a)
{
    return (size_t)a->batch * (size_t)a->height * (size_t)a->width * (size_t)a->channels;
}

static size_t out_count(const struct resample_args *a)
{
    return (size_t)a->batch * (size_t)a->out_height * (size_t)a->out_width * (size_t)a->channels;
}

static struct tensor in_tensor(const struct resample_args *a, const float *data)
{
    return test_tensor(DTYPE_F32, 4, a->batch, a->height, a->width, a->channels, data);
}

static struct tensor out_tensor(const struct resample_args *a, const float *data)
{
    return test_tensor(DTYPE_F32, 4, a->batch, a->out_height, a->out_width, a->channels, data);
}

static void run(enum kind kind, const struct resample_args *a, const float *x, const float *dy, const float *first, float **y, float **dx)
{
    struct tensor in = in_tensor(a, x), out = out_tensor(a, NULL), g = out_tensor(a, dy), to = in_tensor(a, first);
    assert_ok(forward(kind, &out, &in, a));
    assert_ok(backward(kind, &to, &g, &in, a, first != NULL));
    *y = test_read(&out);
    *dx = test_read(&to);
    test_free(&in);
    test_free(&out);
    test_free(&g);
    test_free(&to);
}

static struct resample_args pool(int batch, int height, int width, int channels, int taps, int stride, int padding)
{
    return (struct resample_args){.batch = batch,
                                  .height = height,
                                  .width = width,
                                  .channels = channels,
                                  .out_height = (height + 2 * padding - taps) / stride + 1,
                                  .out_width = (width + 2 * padding - taps) / stride + 1,
                                  .taps = taps,
                                  .stride = stride,
                                  .padding = padding};
}

static struct resample_args resize(int batch, int height, int width, int channels, int out_height, int out_width)
{
    return (struct resample_args){
        .batch = batch, .height = height, .width = width, .channels = channels, .out_height = out_height, .out_width = out_width};
}

static void check(enum kind kind, struct resample_args a, bool add)
{
    size_t n = in_count(&a), m = out_count(&a);
    float *x = test_values(n, (uint32_t)(n + m)), *dy = test_values(m, 2), *first = test_values(n, 3), *want = test_new(m);
    float *want_dx = test_new(n), *y, *dx, *again, *again_dx;
    double forward_sum = 0, backward_sum = 0;
    for (size_t i = 0; kind == MAXIMUM && i < n; i++)
        x[i] = roundf(4 * x[i]); /* equal maxima: the first counts */
    reference(kind, want, want_dx, dy, x, &a);
    for (size_t i = 0; i < m; i++)
        forward_sum += (double)want[i] * (double)dy[i];
    for (size_t i = 0; i < n; i++)
        backward_sum += (double)x[i] * (double)want_dx[i];
    assert_true(fabs(forward_sum - backward_sum) < 1e-4 * (1 + sqrt((double)m))); /* of the maximum too: it is a choice of x */
    if (add)
        plus(want_dx, first, n);
    run(kind, &a, x, dy, add ? first : NULL, &y, &dx);
    run(kind, &a, x, dy, add ? first : NULL, &again, &again_dx);
    assert_close(y, want, m, 1e-5);
    assert_close(dx, want_dx, n, 1e-5);
    assert_memory_equal(y, again, m * sizeof *y);
    assert_memory_equal(dx, again_dx, n * sizeof *dx);
    float *all[] = {x, dy, first, want, want_dx, y, dx, again, again_dx};
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

static void test_pools(void **state)
{
    static const int windows[][3] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {1, 1, 0}, {5, 3, 2}, {2, 3, 1}, {7, 7, 0}, {4, 2, 1}},
                     channels[] = {1, 3, 15, 16, 17, 32, 48};
    (void)state;
    for (size_t w = 0; w < COUNT(windows); w++)
        for (size_t c = 0; c < COUNT(channels); c++)
            for (enum kind kind = MAXIMUM; kind <= AVERAGE; kind++)
                check(kind,
                      pool(1 + (int)c % 2, 7 + (int)(c + w) % 4, 8 + (int)(3 * w + c) % 5, channels[c], windows[w][0], windows[w][1],
                           windows[w][2]),
                      (c + w) % 2);
}

static void test_resizes(void **state)
{
    static const int sizes[][4] = {{4, 5, 8, 10}, {4, 5, 9, 7},  {1, 1, 3, 2},   {7, 9, 3, 4},
                                   {5, 5, 5, 5},  {3, 8, 16, 5}, {16, 17, 1, 1}, {2, 3, 31, 33}},
                     channels[] = {1, 3, 16, 17, 32};
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (size_t c = 0; c < COUNT(channels); c++)
            for (enum kind kind = NEAREST; kind <= BILINEAR; kind++)
                check(kind, resize(1 + (int)c % 2, sizes[s][0], sizes[s][1], channels[c], sizes[s][2], sizes[s][3]), (c + s) % 2);
    if (!test_small())
        for (enum kind kind = NEAREST; kind <= BILINEAR; kind++) {
            check(kind, resize(1, 64, 48, 16, 299, 301), false);
            check(kind, resize(1, 123, 211, 3, 40, 57), false);
        }
}

/* A window with a NaN, and one of -inf throughout. */
static void test_max_special(void **state)
{
    float x[16] = {0, 1, 2, 3, 4, NAN, 6, 7, -INFINITY, -INFINITY, 1, 1, -INFINITY, -INFINITY, 1, 1}, dy[4] = {1, 2, 3, 4}, *y, *dx;
    struct resample_args a = pool(1, 4, 4, 1, 2, 2, 0);
    (void)state;
    run(MAXIMUM, &a, x, dy, NULL, &y, &dx);
    assert_true(isnan(y[0]));
    assert_true(dx[5] == 1.0f && dx[7] == 2.0f && dx[8] == 3.0f && dx[10] == 4.0f);
    assert_true(isinf(y[2]) && y[3] == 1.0f);
    free(y);
    free(dx);
}

static void compare_torch(const struct weights *golden, const char *name, enum kind kind, struct resample_args a)
{
    const char *suffix[4] = {"x", "y", "dy", "dx"};
    float *t[4], *y, *dx;
    for (int i = 0; i < 4; i++)
        t[i] = test_picture(golden, NULL, "%s.%s", name, suffix[i]);
    run(kind, &a, t[0], t[2], NULL, &y, &dx);
    assert_close(y, t[1], out_count(&a), 1e-5);
    assert_close(dx, t[3], in_count(&a), 1e-5);
    for (int i = 0; i < 4; i++)
        free(t[i]);
    free(y);
    free(dx);
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    compare_torch(&golden, "max_pool2d", MAXIMUM, pool(2, 9, 8, 3, 3, 2, 1));
    compare_torch(&golden, "avg_pool2d", AVERAGE, pool(2, 8, 6, 3, 2, 2, 0));
    compare_torch(&golden, "upsample_nearest", NEAREST, resize(1, 4, 5, 3, 8, 10));
    compare_torch(&golden, "upsample_bilinear", BILINEAR, resize(1, 4, 5, 3, 9, 7));
    weights_close(&golden);
}

static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct resample_args a = kind < NEAREST ? pool(2, 7, 6, 3, 3, 2, 1) : resize(2, 7, 6, 3, 9, 4);
        float *x = test_values(in_count(&a), 1), *dy = test_values(out_count(&a), 2), *want = test_new(in_count(&a));
        float *y = test_new(out_count(&a));
        struct tape tape;
        struct tensor in = in_tensor(&a, x), g = out_tensor(&a, dy), dx = in_tensor(&a, NULL), out = g;
        reference(kind, y, want, dy, x, &a);
        assert_ok(tape_open(ctx, &tape));
        assert_ok(tape_start(ctx, &tape));
        assert_ok(tape_watch(ctx, &tape, &in, &dx, false));
        assert_ok(tensor_take(ctx, &tape.arena, &out));
        assert_ok(forward(kind, &out, &in, &a));
        tape_pause(ctx);
        assert_ok(tape_backward(ctx, &tape, &out, &g));
        float *got = test_read(&dx);
        assert_close(got, want, in_count(&a), 1e-5);
        tape_close(&tape);
        float *all[] = {x, dy, want, y, got};
        for (size_t i = 0; i < COUNT(all); i++)
            free(all[i]);
        test_free(&in);
        test_free(&g);
        test_free(&dx);
    }
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor in = test_tensor(DTYPE_F32, 4, 1, 8, 6, 3, NULL), half = test_tensor(DTYPE_F32, 4, 1, 4, 3, 3, NULL);
    struct tensor two = test_tensor(DTYPE_F32, 4, 1, 4, 3, 2, NULL);
    (void)state;
    assert_fails(op_max_pool_fwd(ctx, &half, &in, 3, 2, 0), CLIO_ERROR_INTERNAL, "must be f32 [1, 3, 2, 3]");
    assert_fails(op_max_pool_fwd(ctx, &half, &in, 3, 2, 2), CLIO_ERROR_INTERNAL, "padding 2");
    assert_fails(op_average_pool_fwd(ctx, &half, &in, 2, 0, 0), CLIO_ERROR_INTERNAL, "step 0");
    assert_fails(op_average_pool_fwd(ctx, &half, &in, 9, 2, 0), CLIO_ERROR_INTERNAL, "windows of 9");
    assert_fails(op_resize_fwd(ctx, &two, &in, false), CLIO_ERROR_INTERNAL, "[1, 4, 3, 2]");
    assert_fails(op_max_pool_bwd(ctx, &in, &half, &half, 2, 2, 0, false), CLIO_ERROR_INTERNAL, "x is f32 [1, 4, 3, 3]");
    test_free(&in);
    test_free(&half);
    test_free(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pools), cmocka_unit_test(test_resizes), cmocka_unit_test(test_max_special),
        cmocka_unit_test(test_torch), cmocka_unit_test(test_tape),    cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
