/* test_op_conv2d_direct_bwd.c - gradients of the direct convolution, of any groups and dilation: against host/ref and torch. */
#include "../support/test.h"

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

static int extent(int size, int taps, const struct conv2d_args *a)
{
    return (size + 2 * a->padding - a->dilation * (taps - 1) - 1) / a->stride + 1;
}

/* want: dx and dw. Both, then each alone, over memory with anything in it or added to numbers; twice, with the same bits. */
static void compare(const struct conv2d_args *a, const float *x, const float *w, const float *dy, const float *const want[2])
{
    const int dim[2][4] = {{a->batch, a->height, a->width, a->in}, {a->out, a->kernel_h, a->kernel_w, a->in / a->groups}};
    struct tensor tx = test_tensor(DTYPE_F32, 4, dim[0][0], dim[0][1], dim[0][2], dim[0][3], x);
    struct tensor tw = test_tensor(DTYPE_F32, 4, dim[1][0], dim[1][1], dim[1][2], dim[1][3], w);
    struct tensor ty = test_tensor(DTYPE_F32, 4, a->batch, a->out_height, a->out_width, a->out, dy);
    size_t count[2] = {tensor_count(&tx), tensor_count(&tw)};
    for (int how = 0; how < 4; how++) { /* bit 0: dx is added to; 1: dw is; unwanted once each */
        float *before[2], *got[2][2];
        bool add[2] = {how & 1, how & 2}, wanted[2] = {how != 2, how != 1};
        for (int i = 0; i < 2; i++) {
            before[i] = malloc(count[i] * sizeof(float));
            assert_non_null(before[i]);
            test_random(before[i], count[i], 9);
        }
        for (int time = 0; time < 2; time++) {
            struct tensor d[2];
            for (int i = 0; i < 2; i++)
                d[i] = test_tensor(DTYPE_F32, 4, dim[i][0], dim[i][1], dim[i][2], dim[i][3], add[i] ? before[i] : NULL);
            assert_ok(op_conv2d_direct_bwd(test_context(), wanted[0] ? &d[0] : NULL, wanted[1] ? &d[1] : NULL, &ty, &tx, &tw, a->stride,
                                           a->padding, a->dilation, a->groups, add[0], add[1]));
            for (int i = 0; i < 2; i++) {
                got[i][time] = test_read(&d[i]);
                test_free(&d[i]);
            }
        }
        for (int i = 0; i < 2; i++) {
            for (size_t j = 0; j < count[i]; j++)
                before[i][j] = want[i][j] + (add[i] ? before[i][j] : 0);
            if (wanted[i])
                assert_close(got[i][0], before[i], count[i], 1e-5);
            assert_memory_equal(got[i][0], got[i][1], count[i] * sizeof(float));
            free(got[i][0]);
            free(got[i][1]);
            free(before[i]);
        }
    }
    test_free(&tx);
    test_free(&tw);
    test_free(&ty);
}

static void check(struct conv2d_args a)
{
    a.out_height = extent(a.height, a.kernel_h, &a);
    a.out_width = extent(a.width, a.kernel_w, &a);
    size_t inputs = (size_t)(a.batch * a.height * a.width * a.in), outputs = (size_t)(a.batch * a.out_height * a.out_width * a.out);
    size_t weights = (size_t)(a.out * a.kernel_h * a.kernel_w * a.in / a.groups);
    float *x = test_values(inputs, 1), *w = test_values(weights, 2), *dy = test_values(outputs, 3), *dx = test_values(inputs, 4),
          *dw = test_values(weights, 5);
    ref_conv2d_bwd_data(dx, dy, w, &a);
    ref_conv2d_bwd_weights(dw, dy, x, &a);
    compare(&a, x, w, dy, (const float *const[]){dx, dw});
    float *arrays[] = {x, w, dy, dx, dw};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
}

static void test_shapes(void **state)
{
    /* batch, height, width, in, out, kernel_h, kernel_w, stride, padding, dilation, groups */
    static const struct conv2d_args cases[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0},   {1, 1, 1, 3, 4, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0, 0},
        {2, 5, 7, 3, 8, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0, 0},   {1, 9, 8, 5, 7, 3, 2, 2, 1, 1, 1, 0, 0, 0, 0, 0},
        {1, 11, 11, 4, 6, 3, 3, 1, 2, 2, 2, 0, 0, 0, 0, 0}, {2, 8, 9, 8, 16, 3, 3, 2, 0, 1, 2, 0, 0, 0, 0, 0},
        {3, 7, 7, 6, 6, 3, 3, 1, 1, 1, 6, 0, 0, 0, 0, 0},   {1, 6, 6, 6, 24, 3, 3, 1, 1, 1, 6, 0, 0, 0, 0, 0},
        {1, 4, 33, 33, 5, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0}, {1, 13, 5, 3, 12, 5, 1, 3, 2, 2, 3, 0, 0, 0, 0, 0},
        {1, 5, 13, 4, 4, 1, 5, 1, 2, 1, 1, 0, 0, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check(cases[i]);
    if (!test_small()) {
        check((struct conv2d_args){1, 31, 33, 32, 16, 3, 3, 1, 1, 1, 1, 0, 0, 0, 0, 0});
        check((struct conv2d_args){2, 17, 16, 31, 65, 4, 4, 2, 1, 1, 1, 0, 0, 0, 0, 0});
    }
}

static void test_torch(void **state)
{
    struct weights golden = test_operations();
    (void)state;
    for (int i = 0; i < 7; i++) {
        int in[4], wd[4], out[4], attributes[4];
        char name[32];
        float *x = test_picture(&golden, in, "conv2d.%d.%s", i, "x"), *w = test_picture(&golden, wd, "conv2d.%d.%s", i, "w"),
              *dy = test_picture(&golden, out, "conv2d.%d.%s", i, "dy");
        float *dx = test_picture(&golden, in, "conv2d.%d.%s", i, "dx"), *dw = test_picture(&golden, wd, "conv2d.%d.%s", i, "dw");
        snprintf(name, sizeof name, "conv2d.%d.attributes", i);
        float *stored = test_floats(&golden, name, 4);
        memcpy(attributes, stored, sizeof attributes);
        struct conv2d_args a = {.batch = in[0], .height = in[2], .width = in[3], .in = in[1], .out = wd[0], .kernel_h = wd[2]};
        a.kernel_w = wd[3];
        a.out_height = out[2];
        a.out_width = out[3];
        a.stride = attributes[0];
        a.padding = attributes[1];
        a.dilation = attributes[2];
        a.groups = attributes[3];
        compare(&a, x, w, dy, (const float *const[]){dx, dw});
        float *arrays[] = {x, w, dy, dx, dw, stored};
        for (size_t j = 0; j < COUNT(arrays); j++)
            free(arrays[j]);
    }
    weights_close(&golden);
}

/* Through the tape, with a bias and an activation. */
static void test_tape(void **state)
{
    clio_context *ctx = test_context();
    struct conv2d_args a = {.batch = 2, .height = 5, .width = 6, .in = 4, .out = 6, .kernel_h = 3, .kernel_w = 3};
    struct tape tape;
    (void)state;
    a.groups = 2;
    a.stride = a.padding = a.dilation = a.has_bias = 1;
    a.out_height = a.height;
    a.out_width = a.width;
    a.act = ACT_TANH;
    enum { PIXELS = 60, IN = 4 * PIXELS, OUT = 6 * PIXELS, WEIGHTS = 108 };
    float *x = test_values(IN, 1), *w = test_values(WEIGHTS, 2), *dy = test_values(OUT, 3), *bias = test_values(6, 4),
          *y = test_values(OUT, 5);
    float *want[3] = {test_values(IN, 6), test_values(WEIGHTS, 7), test_values(6, 8)};
    struct tensor tx = test_tensor(DTYPE_F32, 4, 2, 5, 6, 4, x), tw = test_tensor(DTYPE_F32, 4, 6, 3, 3, 2, w);
    struct tensor tb = test_tensor(DTYPE_F32, 1, 6, 1, 1, 1, bias), tdy = test_tensor(DTYPE_F32, 4, 2, 5, 6, 6, dy);
    struct tensor ty = test_tensor(DTYPE_F32, 4, 2, 5, 6, 6, NULL),
                  grads[3] = {test_tensor(DTYPE_F32, 4, 2, 5, 6, 4, NULL), test_tensor(DTYPE_F32, 4, 6, 3, 3, 2, NULL),
                              test_tensor(DTYPE_F32, 1, 6, 1, 1, 1, NULL)};
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &tx, &grads[0], false));
    assert_ok(tape_watch(ctx, &tape, &tw, &grads[1], false));
    assert_ok(tape_watch(ctx, &tape, &tb, &grads[2], false));
    assert_ok(op_conv2d_direct_fwd(ctx, &ty, &tx, &tw, &tb, 1, 1, 1, 2, ACT_TANH, 0));
    tape_pause(ctx);
    assert_ok(tape_backward(ctx, &tape, &ty, &tdy));
    tape_close(&tape);
    ref_conv2d(y, x, w, bias, &a);
    float *got = test_read(&ty);
    assert_close(got, y, OUT, 1e-5);
    free(got);
    for (int i = 0; i < OUT; i++)
        dy[i] *= 1 - y[i] * y[i];
    ref_conv2d_bwd_data(want[0], dy, w, &a);
    ref_conv2d_bwd_weights(want[1], dy, x, &a);
    ref_bias_bwd(want[2], dy, 1, PIXELS, 6);
    for (int i = 0; i < 3; i++) {
        got = test_read(&grads[i]);
        assert_close(got, want[i], tensor_count(&grads[i]), 1e-5);
        free(got);
        free(want[i]);
        test_free(&grads[i]);
    }
    struct tensor *tensors[] = {&tx, &tw, &tb, &tdy, &ty};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
    float *arrays[] = {x, w, dy, bias, y};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
}

static void test_wrong_shapes(void **state)
{
    clio_context *ctx = test_context();
    struct tensor x = test_tensor(DTYPE_F32, 4, 2, 5, 6, 4, NULL), w = test_tensor(DTYPE_F32, 4, 6, 3, 3, 2, NULL);
    struct tensor dy = test_tensor(DTYPE_F32, 4, 2, 5, 6, 6, NULL);
    (void)state;
    assert_fails(op_conv2d_direct_bwd(ctx, &x, &w, &dy, &x, &w, 1, 1, 1, 3, false, false), CLIO_ERROR_INTERNAL, "w is f32 [6, 3, 3, 2]");
    assert_fails(op_conv2d_direct_bwd(ctx, &x, &w, &dy, &x, &w, 1, 1, 0, 2, false, false), CLIO_ERROR_INTERNAL, "dilation 0");
    assert_fails(op_conv2d_direct_bwd(ctx, &x, &w, &dy, &x, &w, 1, 0, 1, 2, false, false), CLIO_ERROR_INTERNAL, "dy is f32 [2, 5, 6, 6]");
    assert_fails(op_conv2d_direct_bwd(ctx, &w, &w, &dy, &x, &w, 1, 1, 1, 2, false, false), CLIO_ERROR_INTERNAL, "dx is f32 [6, 3, 3, 2]");
    assert_fails(op_conv2d_direct_bwd(ctx, &x, &x, &dy, &x, &w, 1, 1, 1, 2, false, false), CLIO_ERROR_INTERNAL, "dw is f32 [2, 5, 6, 4]");
    test_free(&x);
    test_free(&w);
    test_free(&dy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_torch),
        cmocka_unit_test(test_tape),
        cmocka_unit_test(test_wrong_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
