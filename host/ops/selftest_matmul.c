/* selftest_matmul.c - the first-use checks of products and convolutions, forward and backward; see selftest_private.h. */
#include "selftest_private.h"
#include "../ref/ref_bwd.h"
#include "gradients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- gemm ---- */

/* Rows of a large product that are compared: what plain C does in no time. */
static int row_step(int m, int n, int k)
{
    double numbers = (double)m * n * k / 1e6;
    return numbers > 1 ? (int)MIN(numbers, m) : 1;
}

static clio_status run_gemm(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    int m = c->m, n = c->n ? c->n : CHECK_MANY + 2, k = c->k ? c->k : 19;
    struct gemm_args g = {.n = n, .k = k, .lda = k, .ldc = n, .act = ACT_GELU, .alpha = 0.5f};
    struct tensor *ta, *tb, *tr, *tc;
    struct matrix w = {0};
    TRY(matrix_new(ctx, &w, n, k, MATRIX_MANY, "the check of a kernel"));
    enum dtype inputs = w.data.dtype == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32; /* a bf16 matrix meets rounded numbers */
    float *a = room_floats(r, (size_t)m * (size_t)k, inputs), *b = room_floats(r, (size_t)n * (size_t)k, w.data.dtype);
    float *bias = room_floats(r, (size_t)n, DTYPE_F32), *more = room_floats(r, (size_t)m * (size_t)n, DTYPE_F32), *got;
    float *want = room_floats(r, (size_t)m * (size_t)n, DTYPE_F32);
    if (!a || !b || !bias || !more || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(room_place(ctx, r, &ta, tensor_shape(DTYPE_F32, 2, m, k, 0, 0), a));
    TRY(room_place(ctx, r, &tb, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), bias));
    TRY(room_place(ctx, r, &tr, tensor_shape(DTYPE_F32, 2, m, n, 0, 0), more));
    TRY(room_place(ctx, r, &tc, tensor_shape(DTYPE_F32, 2, m, n, 0, 0), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, b));
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = g.act, .alpha = g.alpha};
    TRY(op_gemm_fwd(ctx, tc, ta, &w, m, &e));
    TRY(room_fetch(ctx, r, tc, &got));
    memcpy(want, got, (size_t)m * (size_t)n * sizeof *want);
    g.m = 1;
    for (int row = 0, step = row_step(m, n, k); row < m; row++) {
        g.a_offset = row * k;
        g.c_offset = row * n;
        if (row % step == 0 || row == m - 1)
            ref_gemm(want, a, b, bias, more, &g);
    }
    room_compare(r, got, want, (size_t)m * (size_t)n);
fail:
    matrix_free(ctx, &w);
    return st;
}

static clio_status run_matmul(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    int batch = c->batch, m = c->m, n = c->n, k = c->k;
    size_t in_a = (size_t)batch * (size_t)m * (size_t)k, in_b = (size_t)batch * (size_t)n * (size_t)k,
           in_c = (size_t)batch * (size_t)m * (size_t)n;
    struct tensor *ta, *tb, *tc;
    float *a = room_floats(r, in_a, DTYPE_F32), *b = room_floats(r, in_b, DTYPE_F32), *want = room_floats(r, in_c, DTYPE_F32), *got;
    if (!a || !b || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(room_place(ctx, r, &ta, tensor_shape(DTYPE_F32, 3, batch, m, k, 0), a));
    TRY(room_place(ctx, r, &tb, tensor_shape(DTYPE_F32, 3, batch, c->transposed ? n : k, c->transposed ? k : n, 0), b));
    TRY(room_place(ctx, r, &tc, tensor_shape(DTYPE_F32, 3, batch, m, n, 0), NULL));
    TRY(op_matmul_fwd(ctx, tc, ta, tb, c->transposed));
    TRY(room_fetch(ctx, r, tc, &got));
    ref_matmul(want, a, b, batch, m, n, k, c->transposed);
    room_compare(r, got, want, in_c);
fail:
    return st;
}

clio_status check_product(clio_context *ctx, const struct check *c, struct room *r)
{
    return c->batch ? run_matmul(ctx, c, r) : run_gemm(ctx, c, r);
}

/* ---- conv ---- */

/* Pictures of an odd size with a bias each, once enlarged; more outputs than a panel has. */
static clio_status convolve(clio_context *ctx, struct room *r, int batch, int channels, int n, struct conv2d_window window)
{
    clio_status st = CLIO_OK;
    struct conv2d_args a = {.batch = 1, .in = channels, .out = n, .stride = window.stride, .padding = 1};
    int height = window.taps == 4 ? 8 : 7, width = window.taps == 4 ? 14 : 10, k = window.taps * window.taps * a.in;
    a.kernel_h = a.kernel_w = window.taps;
    a.dilation = a.groups = 1;
    a.act = ACT_GELU;
    a.has_bias = 1;
    a.height = a.out_height = height * window.upsample;
    a.width = a.out_width = width * window.upsample;
    a.out_height = (a.out_height + 2 - window.taps) / window.stride + 1;
    a.out_width = (a.out_width + 2 - window.taps) / window.stride + 1;
    size_t inputs = (size_t)(height * width * a.in), enlarged = (size_t)(a.height * a.width * a.in);
    size_t outputs = (size_t)(a.out_height * a.out_width * n), all = (size_t)batch;
    struct matrix w = {0};
    struct tensor *ti, *tb, *tr, *to;
    TRY(matrix_new(ctx, &w, n, k, MATRIX_LARGE, "the check of a kernel"));
    float *x = room_floats(r, all * inputs, DTYPE_F32), *filter = room_floats(r, (size_t)(n * k), w.data.dtype), *got;
    float *bias = room_floats(r, all * (size_t)n, DTYPE_F32), *more = room_floats(r, all * outputs, DTYPE_F32);
    float *big = room_floats(r, enlarged, DTYPE_F32), *want = room_floats(r, all * outputs, DTYPE_F32);
    if (!x || !filter || !bias || !more || !big || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(room_place(ctx, r, &ti, tensor_shape(DTYPE_F32, 4, batch, height, width, a.in), x));
    TRY(room_place(ctx, r, &tb, tensor_shape(DTYPE_F32, 2, batch, n, 0, 0), bias));
    TRY(room_place(ctx, r, &tr, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), more));
    TRY(room_place(ctx, r, &to, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, filter));
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = a.act};
    ctx->planning = true;
    st = op_conv2d_fwd(ctx, &r->arena, to, ti, &w, window, &e);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_conv2d_fwd(ctx, &r->arena, to, ti, &w, window, &e));
    TRY(room_fetch(ctx, r, to, &got));
    for (int b = 0; b < batch; b++) {
        const float *picture = x + (size_t)b * inputs;
        for (int p = 0; p < a.height * a.width; p++)
            memcpy(big + p * a.in, picture + (p / a.width / window.upsample * width + p % a.width / window.upsample) * a.in,
                   (size_t)a.in * sizeof *big);
        ref_conv2d(want + (size_t)b * outputs, big, filter, bias + b * n, &a);
    }
    for (size_t i = 0; i < all * outputs; i++)
        want[i] += more[i];
    room_compare(r, got, want, all * outputs);
fail:
    matrix_free(ctx, &w);
    return st;
}

clio_status check_conv(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    bool winograd = strcmp(c->path, "conv.winograd") == 0, few = strcmp(c->path, "conv.few") == 0;
    if (strcmp(c->path, "conv.strided") == 0) /* more channels than are transformed at a time */
        return convolve(ctx, r, 2, 336, 35, (struct conv2d_window){.taps = 4, .stride = 2, .before = 1, .after = 1, .upsample = 1});
    int batch = c->batch ? c->batch : 2;
    int channels = winograd ? 336 : few ? 48 : 19, n = few ? 3 : 35; /* Winograd's: more channels than are transformed at a time */
    TRY(convolve(ctx, r, batch, channels, n,
                 (struct conv2d_window){.taps = 3, .stride = winograd ? 1 : 2, .before = 1, .after = 1, .upsample = 1}));
    if (!*r->wrong) {
        arena_free(ctx, &r->arena);
        TRY(convolve(ctx, r, batch, channels, n, (struct conv2d_window){.taps = 3, .stride = 1, .before = 1, .after = 1, .upsample = 2}));
    }
fail:
    return st;
}

/* Pictures of an odd size with a bias each. */
static clio_status transpose_pictures(clio_context *ctx, struct room *r, int batch, bool strided, int n)
{
    const int stride = 2;
    clio_status st = CLIO_OK;
    struct transposed_args a = {
        .batch = batch, .height = strided ? 4 : 3, .width = strided ? 7 : 4, .in = strided ? 336 : 19, .taps_y = 4, .taps_x = 4};
    int k = 16 * a.in;
    struct matrix w = {0};
    struct tensor *ti, *tb, *tr, *to;
    a.stride_y = a.stride_x = stride;
    a.before_y = a.before_x = 1;
    a.out_height = (a.height - 1) * stride + 2;
    a.out_width = (a.width - 1) * stride + 2;
    a.bias_step = n;
    size_t inputs = (size_t)(batch * a.height * a.width * a.in), outputs = (size_t)(batch * a.out_height * a.out_width * n);
    TRY(matrix_new(ctx, &w, n, k, MATRIX_LARGE, "the check of a kernel"));
    float *x = room_floats(r, inputs, DTYPE_F32), *filter = room_floats(r, (size_t)(n * k), w.data.dtype), *got;
    float *bias = room_floats(r, (size_t)(batch * n), DTYPE_F32), *more = room_floats(r, outputs, DTYPE_F32);
    float *want = room_floats(r, outputs, DTYPE_F32);
    if (!x || !filter || !bias || !more || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(room_place(ctx, r, &ti, tensor_shape(DTYPE_F32, 4, batch, a.height, a.width, a.in), x));
    TRY(room_place(ctx, r, &tb, tensor_shape(DTYPE_F32, 2, batch, n, 0, 0), bias));
    TRY(room_place(ctx, r, &tr, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), more));
    TRY(room_place(ctx, r, &to, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, filter));
    struct conv2d_window window = {.taps = 4, .stride = stride, .before = 1, .after = 1, .upsample = 1};
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = ACT_GELU};
    ctx->planning = true;
    st = op_conv2d_transposed_fwd(ctx, &r->arena, to, ti, &w, window, &e);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_conv2d_transposed_fwd(ctx, &r->arena, to, ti, &w, window, &e));
    TRY(room_fetch(ctx, r, to, &got));
    ref_conv2d_transposed(want, x, filter, bias, &a, n, ACT_GELU, 0);
    for (size_t i = 0; i < outputs; i++)
        want[i] += more[i];
    room_compare(r, got, want, outputs);
fail:
    matrix_free(ctx, &w);
    return st;
}

clio_status check_transposed(clio_context *ctx, const struct check *c, struct room *r)
{
    bool strided = strcmp(c->path, "transposed.strided") == 0;
    return transpose_pictures(ctx, r, c->batch ? c->batch : 2, strided, c->n);
}

/* The gradient by the weights of a convolution, added to what is there; two pictures, which are divided into two slices. */
clio_status check_weights(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    bool filtered = strcmp(c->path, "weights.winograd") == 0; /* pictures of 12 tiles: more than a strip of all of them */
    int taps = filtered ? 3 : 2;
    struct conv2d_args a = {.batch = filtered ? 13 : 2, .height = 13, .width = 11, .kernel_h = taps, .kernel_w = taps};
    a.stride = a.padding = 1;
    a.in = filtered ? 48 : c->k ? c->k : c->n ? 35 : 13;
    a.out = filtered ? 48 : c->n ? c->n : 35;
    a.dilation = a.groups = 1;
    a.out_height = a.height;
    a.out_width = a.width;
    int k = taps * taps * a.in;
    size_t inputs = (size_t)(a.batch * a.height * a.width * a.in), outputs = (size_t)(a.batch * a.height * a.width * a.out);
    size_t weights = (size_t)(a.out * k), panels = (size_t)((a.out + PANEL - 1) / PANEL);
    struct tensor *tx, *ty, *tw;
    struct matrix dw = {0};
    TRY(matrix_new(ctx, &dw, a.out, k, MATRIX_EXACT, "the check of a kernel"));
    tensor_free(ctx, &dw.data); /* the room's memory has canaries */
    float *x = room_floats(r, inputs, DTYPE_F32), *dy = room_floats(r, outputs, DTYPE_F32), *rows = room_floats(r, weights, DTYPE_F32);
    float *before = room_floats(r, panels * PANEL * (size_t)k, DTYPE_F32), *want = room_floats(r, weights, DTYPE_F32), *got;
    if (!x || !dy || !before || !rows || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    for (size_t i = 0; i < tensor_count(&dw.data); i++)
        before[i] = 0.25f; /* in the filling too, where it stays */
    TRY(room_place(ctx, r, &tx, tensor_shape(DTYPE_F32, 4, a.batch, a.height, a.width, a.in), x));
    TRY(room_place(ctx, r, &ty, tensor_shape(DTYPE_F32, 4, a.batch, a.height, a.width, a.out), dy));
    TRY(room_place(ctx, r, &tw, dw.data, before));
    dw.data = *tw;
    struct conv2d_window window = {.taps = taps, .stride = 1, .before = 1, .after = taps - 2, .upsample = 1};
    ctx->planning = true;
    st = op_conv2d_bwd_weights(ctx, &r->arena, &dw, ty, tx, window, true);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_conv2d_bwd_weights(ctx, &r->arena, &dw, ty, tx, window, true));
    TRY(room_fetch(ctx, r, &dw.data, &got));
    ref_conv2d_bwd_weights(want, dy, x, &a);
    for (int i = 0; i < a.out * k; i++) {
        int n = i / k, column = i % k;
        want[i] += 0.25f;
        rows[i] = got[dw.layout == MATRIX_PANELS ? (n / PANEL * k + column) * PANEL + n % PANEL : i];
    }
    room_compare(r, rows, want, weights);
fail:
    return st;
}
