/* test_autograd_matmul.c - products and convolutions under a tape: with every kind of epilogue, the gradients of input, weights, bias and
 * residual against those of host/ref; and what has no gradient is refused. */
#include "../support/test.h"

#include <math.h>

#include "../../host/ops/gradients.h"
#include "../../host/ops/autograd_matmul.h"
#include "../../host/ops/tape.h"
#include "../../host/ref/ref_bwd.h"

enum residual { RESIDUAL_NONE, RESIDUAL_APART, RESIDUAL_IN_PLACE };
struct call {
    struct matmul_call p;
    int act;
    enum residual residual;
    bool each; /* a bias for each image */
    float alpha;
};

#define BATCH 2
#define CHANNELS 3
#define OUTPUTS 5

/* The shapes of a kind: [BATCH, size...]. */
struct shapes {
    struct tensor in, out;
    int k;
};
static struct shapes shapes_of(const struct matmul_call *p)
{
    switch (p->kind) {
    case MATMUL_CONV1D:
        return (struct shapes){tensor_shape(DTYPE_F32, 3, BATCH, 7, CHANNELS, 0), tensor_shape(DTYPE_F32, 3, BATCH, 4, OUTPUTS, 0),
                               p->kernel * CHANNELS};
    case MATMUL_CONV2D:
        if (p->window.taps == 1)
            return (struct shapes){tensor_shape(DTYPE_F32, 4, BATCH, 2, 3, CHANNELS), tensor_shape(DTYPE_F32, 4, BATCH, 2, 3, OUTPUTS),
                                   CHANNELS};
        return (struct shapes){tensor_shape(DTYPE_F32, 4, BATCH, 4, 6, CHANNELS), tensor_shape(DTYPE_F32, 4, BATCH, 2, 3, OUTPUTS),
                               16 * CHANNELS};
    case MATMUL_CONV2D_TRANSPOSED:
        return (struct shapes){tensor_shape(DTYPE_F32, 4, BATCH, 2, 3, CHANNELS), tensor_shape(DTYPE_F32, 4, BATCH, 4, 6, OUTPUTS),
                               16 * CHANNELS};
    default:
        return (struct shapes){tensor_shape(DTYPE_F32, 2, p->m, CHANNELS, 0, 0), tensor_shape(DTYPE_F32, 2, p->m, OUTPUTS, 0, 0), CHANNELS};
    }
}

/* The sum, without what follows it: linear in x and in w. */
static void sum_of(const struct matmul_call *p, float *y, const float *x, const float *w)
{
    struct gemm_args g = {.m = p->m, .n = OUTPUTS, .k = CHANNELS, .lda = CHANNELS, .ldc = OUTPUTS, .alpha = 1};
    struct conv1d_args line = {BATCH, 7, CHANNELS, OUTPUTS, 3, 2, 1, 4};
    struct conv2d_args plane = {BATCH, 4, 6, CHANNELS, OUTPUTS, 4, 4, 2, 1, 1, 1, 2, 3, ACT_NONE, 0, 0};
    struct conv2d_args pixels = {BATCH, 2, 3, CHANNELS, OUTPUTS, 1, 1, 1, 0, 1, 1, 2, 3, ACT_NONE, 0, 0};
    struct transposed_args turned = {BATCH, 2, 3, CHANNELS, 4, 4, 2, 2, 1, 1, 4, 6, 0};
    if (p->kind == MATMUL_GEMM)
        ref_gemm(y, x, w, NULL, NULL, &g);
    else if (p->kind == MATMUL_CONV1D)
        ref_conv1d(y, x, w, NULL, &line, ACT_NONE, 0);
    else if (p->kind == MATMUL_CONV2D)
        ref_conv2d(y, x, w, NULL, p->window.taps == 1 ? &pixels : &plane);
    else
        ref_conv2d_transposed(y, x, w, NULL, &turned, OUTPUTS, ACT_NONE, 0);
}

static clio_status forward(const struct matmul_call *p, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct matrix *w, const struct gemm_epilogue *e)
{
    clio_context *ctx = test_context();
    switch (p->kind) {
    case MATMUL_CONV1D:
        return op_conv1d_fwd(ctx, arena, out, in, w, p->kernel, p->stride, p->padding, e);
    case MATMUL_CONV2D:
        return op_conv2d_fwd(ctx, arena, out, in, w, p->window, e);
    case MATMUL_CONV2D_TRANSPOSED:
        return op_conv2d_transposed_fwd(ctx, arena, out, in, w, p->window, e);
    default:
        return op_gemm_fwd(ctx, out, in, w, p->m, e);
    }
}

/* The gradient by x (or w) of a linear sum: what each unit vector sums to, weighed with dsum. In place of `of`. */
static float *linear_gradient(const struct call *c, float *x, size_t nx, float *w, size_t nw, bool by_w, const float *dsum, size_t ny)
{
    size_t n = by_w ? nw : nx;
    float *unit = calloc(n, sizeof *unit), *y = test_values(ny, 0), *gradient = test_values(n, 0);
    assert_non_null(unit);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        unit[i] = 1;
        sum_of(&c->p, y, by_w ? x : unit, by_w ? unit : w);
        unit[i] = 0;
        for (size_t o = 0; o < ny; o++)
            sum += (double)dsum[o] * (double)y[o];
        gradient[i] = (float)sum;
    }
    free(unit);
    free(y);
    return gradient;
}

/* Everything on host and device. */
struct room {
    float *x, *w, *bias, *residual, *dy, *y, *dsum;
    struct matrix matrix, dw;
    struct tensor in, out, tb, tr, tdy, dx, db, dr;
};

/* Result and dsum by host/ref. */
static void reference(const struct call *c, struct room *r, size_t ny, int rows_of_picture)
{
    float *sum = test_values(ny, 0);
    sum_of(&c->p, sum, r->x, r->w);
    for (size_t i = 0; i < ny; i++)
        sum[i] = c->alpha * sum[i] + r->bias[i % OUTPUTS + (c->each ? i / OUTPUTS / (size_t)rows_of_picture * OUTPUTS : 0)];
    ref_activation_bwd(r->dsum, r->dy, sum, (int)ny, c->act, 0.2f);
    for (size_t i = 0; i < ny; i++)
        r->y[i] = ref_activate(sum[i], c->act, 0.2f) + (c->residual != RESIDUAL_NONE ? r->residual[i] : 0);
    free(sum);
}

static void compare(const struct tensor *t, const float *want)
{
    float *x = test_read(t);
    assert_close(x, want, tensor_count(t), 1e-5);
    free(x);
}

static void check_gradients(const struct call *c, struct room *r, size_t nx, size_t nw, size_t ny, int rows_of_picture)
{
    int biases = c->each ? BATCH * OUTPUTS : OUTPUTS;
    float *db = calloc((size_t)biases, sizeof *db), *dw_read = test_values(nw, 0);
    assert_non_null(db);
    for (size_t i = 0; i < ny; i++)
        db[i % OUTPUTS + (c->each ? i / OUTPUTS / (size_t)rows_of_picture * OUTPUTS : 0)] += r->dsum[i];
    compare(&r->db, db);
    if (c->residual != RESIDUAL_NONE)
        compare(&r->dr, r->dy);
    for (size_t i = 0; i < ny; i++)
        r->dsum[i] *= c->alpha;
    float *dx = linear_gradient(c, r->x, nx, r->w, nw, false, r->dsum, ny), *dw = linear_gradient(c, r->x, nx, r->w, nw, true, r->dsum, ny);
    compare(&r->dx, dx);
    assert_ok(matrix_read(test_context(), &r->dw, 0, false, dw_read));
    assert_close(dw_read, dw, nw, 1e-5);
    float *arrays[] = {db, dw_read, dx, dw};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
}

static struct tensor as(const struct tensor *shape, const float *data)
{
    return test_tensor(DTYPE_F32, shape->ndim, shape->dim[0], shape->dim[1], shape->dim[2], shape->dim[3], data);
}

static void check(const struct call *c)
{
    clio_context *ctx = test_context();
    struct shapes s = shapes_of(&c->p);
    struct tape tape;
    size_t nx = tensor_count(&s.in), ny = tensor_count(&s.out), nw = (size_t)(OUTPUTS * s.k);
    int rows_of_picture = (int)ny / BATCH / OUTPUTS;
    struct room r = {
        .x = test_values(nx, 1), .w = test_values(nw, 2), .bias = test_values(BATCH * OUTPUTS, 3), .residual = test_values(ny, 4)};
    r.dy = test_values(ny, 5);
    r.y = test_values(ny, 0);
    r.dsum = test_values(ny, 0);
    reference(c, &r, ny, rows_of_picture);
    r.in = as(&s.in, r.x);
    r.dx = as(&s.in, NULL);
    r.out = as(&s.out, NULL);
    r.tr = as(&s.out, r.residual);
    r.dr = as(&s.out, NULL);
    r.tdy = as(&s.out, r.dy);
    r.tb = test_tensor(DTYPE_F32, 2, c->each ? BATCH : 1, OUTPUTS, 0, 0, r.bias);
    r.db = test_tensor(DTYPE_F32, 2, c->each ? BATCH : 1, OUTPUTS, 0, 0, NULL);
    assert_ok(matrix_new(ctx, &r.matrix, OUTPUTS, s.k, MATRIX_EXACT, "test matrix"));
    assert_ok(matrix_fill_floats(ctx, &r.matrix, 0, OUTPUTS, r.w));
    r.dw = r.matrix;
    assert_ok(tensor_new(ctx, &r.dw.data, "test matrix"));

    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_ok(tape_watch(ctx, &tape, &r.in, &r.dx, false));
    assert_ok(tape_watch(ctx, &tape, &r.matrix.data, &r.dw.data, false));
    assert_ok(tape_watch(ctx, &tape, &r.tb, &r.db, false));
    assert_ok(tape_watch(ctx, &tape, &r.tr, &r.dr, false));
    struct tensor out = r.out, residual = r.tr;
    if (c->residual == RESIDUAL_IN_PLACE) { /* a copy: what is watched is not written */
        assert_ok(op_add_fwd(ctx, &out, &r.tr, &r.tr, 1, 0));
        residual = out;
    }
    struct gemm_epilogue e = {.bias = &r.tb, .act = c->act, .slope = 0.2f, .alpha = c->p.kind == MATMUL_GEMM ? c->alpha : 0};
    e.residual = c->residual != RESIDUAL_NONE ? &residual : NULL;
    assert_ok(forward(&c->p, &tape.arena, &out, &r.in, &r.matrix, &e));
    tape_pause(ctx);
    compare(&out, r.y);
    assert_ok(tape_backward(ctx, &tape, &out, &r.tdy));
    check_gradients(c, &r, nx, nw, ny, rows_of_picture);
    tape_close(&tape);
    struct tensor *tensors[] = {&r.in, &r.out, &r.tb, &r.tr, &r.tdy, &r.dx, &r.db, &r.dr, &r.dw.data};
    for (size_t i = 0; i < COUNT(tensors); i++)
        test_free(tensors[i]);
    float *arrays[] = {r.x, r.w, r.bias, r.residual, r.dy, r.y, r.dsum};
    for (size_t i = 0; i < COUNT(arrays); i++)
        free(arrays[i]);
    matrix_free(ctx, &r.matrix);
}

static const struct matmul_call kinds[] = {
    {.kind = MATMUL_GEMM, .m = 6},
    {.kind = MATMUL_CONV1D, .kernel = 3, .stride = 2, .padding = 1},
    {.kind = MATMUL_CONV2D, .window = {4, 2, 1, 1, 1}},
    {.kind = MATMUL_CONV2D, .window = {1, 1, 0, 0, 1}}, /* computed by gemm */
    {.kind = MATMUL_CONV2D_TRANSPOSED, .window = {4, 2, 1, 1, 1}},
};

static void test_epilogues(void **state)
{
    static const int acts[] = {ACT_NONE, ACT_LEAKY_RELU, ACT_SILU, ACT_TANH, ACT_GELU};
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); kind++)
        for (size_t act = 0; act < COUNT(acts); act++)
            for (int residual = RESIDUAL_NONE; residual <= RESIDUAL_IN_PLACE; residual++)
                check(&(struct call){kinds[kind], acts[act], (enum residual)residual, kind > MATMUL_CONV1D && act % 2, 1});
    check(&(struct call){kinds[0], ACT_NONE, RESIDUAL_APART, false, 0.5f});
    check(&(struct call){kinds[0], ACT_RELU, RESIDUAL_NONE, false, -2});
    check(&(struct call){kinds[0], ACT_SILU, RESIDUAL_APART, false, 0.5f});
}

static void test_views(void **state)
{
    clio_context *ctx = test_context();
    struct matrix w;
    struct tape tape;
    struct tensor in = test_tensor(DTYPE_F32, 2, 8, 4, 0, 0, NULL), out = test_tensor(DTYPE_F32, 2, 8, 3, 0, 0, NULL);
    (void)state;
    assert_ok(matrix_new(ctx, &w, 3, 4, MATRIX_EXACT, "test matrix"));
    assert_ok(tape_open(ctx, &tape));
    assert_ok(tape_start(ctx, &tape));
    assert_fails(op_gemm_fwd(ctx, &out, &in, &w, 7, NULL), CLIO_ERROR_INTERNAL, "has no gradient");
    assert_fails(op_gemm_fwd(ctx, &out, &in, &w, 4, &(struct gemm_epilogue){.lda = 8}), CLIO_ERROR_INTERNAL, "has no gradient");
    assert_fails(op_gemm_fwd(ctx, &out, &in, &w, 7, &(struct gemm_epilogue){.a_offset = 4}), CLIO_ERROR_INTERNAL, "has no gradient");
    tape_pause(ctx);
    tape_close(&tape);
    test_free(&in);
    test_free(&out);
    matrix_free(ctx, &w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_epilogues), cmocka_unit_test(test_views)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
