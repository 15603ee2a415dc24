/* selftest_matmul.c - self-tests of gemm and of convolutions, forward and backward; see selftest_private.h. */
#include "selftest_private.h"
#include "../ref/ref_bwd.h"
#include "gradients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- gemm ---- */

/* Compare every row_step-th row of a large matmul: the reference in plain C is slow. */
static int row_step(int m, int n, int k)
{
    double millions = (double)m * n * k / 1e6;
    return millions > 1 ? (int)MIN(millions, m) : 1;
}

static clio_status run_gemm(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    int m = t->m, n = t->n ? t->n : SELFTEST_MANY + 2, k = t->k ? t->k : 19;
    struct gemm_args g = {.n = n, .k = k, .lda = k, .ldc = n, .act = ACT_GELU, .alpha = 0.5f};
    struct tensor *ta, *tb, *tr, *tc;
    struct matrix w = {0};
    TRY(matrix_new(ctx, &w, n, k, MATRIX_MANY, "a kernel self-test"));
    enum dtype inputs = w.data.dtype == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32; /* a bf16 matrix is multiplied with rounded inputs */
    float *a = workspace_floats(ws, (size_t)m * (size_t)k, inputs), *b = workspace_floats(ws, (size_t)n * (size_t)k, w.data.dtype);
    float *bias = workspace_floats(ws, (size_t)n, DTYPE_F32), *residual = workspace_floats(ws, (size_t)m * (size_t)n, DTYPE_F32), *got;
    float *want = workspace_floats(ws, (size_t)m * (size_t)n, DTYPE_F32);
    if (!a || !b || !bias || !residual || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &ta, tensor_shape(DTYPE_F32, 2, m, k, 0, 0), a));
    TRY(workspace_place(ctx, ws, &tb, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), bias));
    TRY(workspace_place(ctx, ws, &tr, tensor_shape(DTYPE_F32, 2, m, n, 0, 0), residual));
    TRY(workspace_place(ctx, ws, &tc, tensor_shape(DTYPE_F32, 2, m, n, 0, 0), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, b));
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = g.act, .alpha = g.alpha};
    TRY(op_gemm_fwd(ctx, tc, ta, &w, m, &e));
    TRY(workspace_fetch(ctx, ws, tc, &got));
    memcpy(want, got, (size_t)m * (size_t)n * sizeof *want);
    g.m = 1;
    for (int row = 0, step = row_step(m, n, k); row < m; row++) {
        g.a_offset = row * k;
        g.c_offset = row * n;
        if (row % step == 0 || row == m - 1)
            ref_gemm(want, a, b, bias, residual, &g);
    }
    workspace_compare(ws, got, want, (size_t)m * (size_t)n);
fail:
    matrix_free(ctx, &w);
    return st;
}

static clio_status run_matmul(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    int batch = t->batch, m = t->m, n = t->n, k = t->k;
    size_t in_a = (size_t)batch * (size_t)m * (size_t)k, in_b = (size_t)batch * (size_t)n * (size_t)k,
           in_c = (size_t)batch * (size_t)m * (size_t)n;
    struct tensor *ta, *tb, *tc;
    float *a = workspace_floats(ws, in_a, DTYPE_F32), *b = workspace_floats(ws, in_b, DTYPE_F32),
          *want = workspace_floats(ws, in_c, DTYPE_F32), *got;
    if (!a || !b || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &ta, tensor_shape(DTYPE_F32, 3, batch, m, k, 0), a));
    TRY(workspace_place(ctx, ws, &tb, tensor_shape(DTYPE_F32, 3, batch, t->transposed ? n : k, t->transposed ? k : n, 0), b));
    TRY(workspace_place(ctx, ws, &tc, tensor_shape(DTYPE_F32, 3, batch, m, n, 0), NULL));
    TRY(op_matmul_fwd(ctx, tc, ta, tb, t->transposed));
    TRY(workspace_fetch(ctx, ws, tc, &got));
    ref_matmul(want, a, b, batch, m, n, k, t->transposed);
    workspace_compare(ws, got, want, in_c);
fail:
    return st;
}

clio_status selftest_gemm(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    return t->batch ? run_matmul(ctx, t, ws) : run_gemm(ctx, t, ws);
}

/* ---- conv ---- */

/* Images of an odd size, each with its own bias. */
static clio_status convolve(clio_context *ctx, struct workspace *ws, int batch, int channels, int n, struct conv2d_window window)
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
    size_t inputs = (size_t)height * (size_t)width * (size_t)a.in, enlarged = (size_t)a.height * (size_t)a.width * (size_t)a.in;
    size_t outputs = (size_t)a.out_height * (size_t)a.out_width * (size_t)n, all = (size_t)batch;
    struct matrix w = {0};
    struct tensor *ti, *tb, *tr, *to;
    TRY(matrix_new(ctx, &w, n, k, MATRIX_LARGE, "a kernel self-test"));
    float *x = workspace_floats(ws, all * inputs, DTYPE_F32), *filter = workspace_floats(ws, (size_t)n * (size_t)k, w.data.dtype), *got;
    float *bias = workspace_floats(ws, all * (size_t)n, DTYPE_F32), *residual = workspace_floats(ws, all * outputs, DTYPE_F32);
    float *big = workspace_floats(ws, enlarged, DTYPE_F32), *want = workspace_floats(ws, all * outputs, DTYPE_F32);
    if (!x || !filter || !bias || !residual || !big || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &ti, tensor_shape(DTYPE_F32, 4, batch, height, width, a.in), x));
    TRY(workspace_place(ctx, ws, &tb, tensor_shape(DTYPE_F32, 2, batch, n, 0, 0), bias));
    TRY(workspace_place(ctx, ws, &tr, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), residual));
    TRY(workspace_place(ctx, ws, &to, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, filter));
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = a.act};
    ctx->planning = true;
    st = op_conv2d_fwd(ctx, &ws->arena, to, ti, &w, window, &e);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &ws->arena, "a kernel self-test"));
    TRY(op_conv2d_fwd(ctx, &ws->arena, to, ti, &w, window, &e));
    TRY(workspace_fetch(ctx, ws, to, &got));
    for (int b = 0; b < batch; b++) {
        const float *image = x + (size_t)b * inputs;
        for (int p = 0; p < a.height * a.width; p++)
            memcpy(big + p * a.in, image + (p / a.width / window.upsample * width + p % a.width / window.upsample) * a.in,
                   (size_t)a.in * sizeof *big);
        ref_conv2d(want + (size_t)b * outputs, big, filter, bias + b * n, &a);
    }
    for (size_t i = 0; i < all * outputs; i++)
        want[i] += residual[i];
    workspace_compare(ws, got, want, all * outputs);
fail:
    matrix_free(ctx, &w);
    return st;
}

clio_status selftest_conv(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    int batch = t->batch ? t->batch : 2, channels = t->k ? t->k : 19, n = t->n ? t->n : 35;
    struct conv2d_window window = {.taps = t->kernel_size ? t->kernel_size : 3, .stride = t->stride ? t->stride : 2, .upsample = 1};
    window.before = window.after = 1;
    TRY(convolve(ctx, ws, batch, channels, n, window));
    if (!*ws->wrong && window.taps == 3) {
        arena_free(ctx, &ws->arena);
        window.stride = 1;
        window.upsample = 2;
        TRY(convolve(ctx, ws, batch, channels, n, window));
    }
fail:
    return st;
}

/* Images of an odd size, each with its own bias. */
clio_status selftest_transposed(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    const int stride = 2, n = t->n, batch = t->batch ? t->batch : 2;
    clio_status st = CLIO_OK;
    struct transposed_args a = {.batch = batch, .height = t->k ? 4 : 3, .width = t->k ? 7 : 4, .in = t->k ? t->k : 19};
    int k = 16 * a.in;
    a.taps_y = a.taps_x = 4;
    struct matrix w = {0};
    struct tensor *ti, *tb, *tr, *to;
    a.stride_y = a.stride_x = stride;
    a.before_y = a.before_x = 1;
    a.out_height = (a.height - 1) * stride + 2;
    a.out_width = (a.width - 1) * stride + 2;
    a.bias_step = n;
    size_t inputs = (size_t)batch * (size_t)a.height * (size_t)a.width * (size_t)a.in;
    size_t outputs = (size_t)batch * (size_t)a.out_height * (size_t)a.out_width * (size_t)n;
    TRY(matrix_new(ctx, &w, n, k, MATRIX_LARGE, "a kernel self-test"));
    float *x = workspace_floats(ws, inputs, DTYPE_F32), *filter = workspace_floats(ws, (size_t)n * (size_t)k, w.data.dtype), *got;
    float *bias = workspace_floats(ws, (size_t)batch * (size_t)n, DTYPE_F32), *residual = workspace_floats(ws, outputs, DTYPE_F32);
    float *want = workspace_floats(ws, outputs, DTYPE_F32);
    if (!x || !filter || !bias || !residual || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &ti, tensor_shape(DTYPE_F32, 4, batch, a.height, a.width, a.in), x));
    TRY(workspace_place(ctx, ws, &tb, tensor_shape(DTYPE_F32, 2, batch, n, 0, 0), bias));
    TRY(workspace_place(ctx, ws, &tr, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), residual));
    TRY(workspace_place(ctx, ws, &to, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, filter));
    struct conv2d_window window = {.taps = 4, .stride = stride, .before = 1, .after = 1, .upsample = 1};
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = ACT_GELU};
    ctx->planning = true;
    st = op_conv2d_transposed_fwd(ctx, &ws->arena, to, ti, &w, window, &e);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &ws->arena, "a kernel self-test"));
    TRY(op_conv2d_transposed_fwd(ctx, &ws->arena, to, ti, &w, window, &e));
    TRY(workspace_fetch(ctx, ws, to, &got));
    ref_conv2d_transposed(want, x, filter, bias, &a, n, ACT_GELU, 0);
    for (size_t i = 0; i < outputs; i++)
        want[i] += residual[i];
    workspace_compare(ws, got, want, outputs);
fail:
    matrix_free(ctx, &w);
    return st;
}

/* Gradient by the weights of a convolution, added to what the output holds; images that are divided into two slices or more. */
clio_status selftest_weights(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    int size = t->kernel_size ? t->kernel_size : 2;
    struct conv2d_args a = {.batch = t->batch ? t->batch : 2, .height = 13, .width = 11, .kernel_h = size, .kernel_w = size};
    a.stride = a.padding = 1;
    a.in = t->k ? t->k : t->n ? 35 : 13;
    a.out = t->n ? t->n : 35;
    a.dilation = a.groups = 1;
    a.out_height = a.height;
    a.out_width = a.width;
    int k = size * size * a.in;
    size_t inputs = (size_t)a.batch * (size_t)a.height * (size_t)a.width * (size_t)a.in;
    size_t outputs = (size_t)a.batch * (size_t)a.height * (size_t)a.width * (size_t)a.out;
    size_t weights = (size_t)a.out * (size_t)k, panels = (size_t)((a.out + PANEL - 1) / PANEL);
    struct tensor *tx, *ty, *tw;
    struct matrix dw = {0};
    TRY(matrix_new(ctx, &dw, a.out, k, MATRIX_EXACT, "a kernel self-test"));
    tensor_free(ctx, &dw.data); /* the tensor of the workspace, which has guard words, takes its place */
    float *x = workspace_floats(ws, inputs, DTYPE_F32), *dy = workspace_floats(ws, outputs, DTYPE_F32),
          *rows = workspace_floats(ws, weights, DTYPE_F32);
    float *before = workspace_floats(ws, panels * PANEL * (size_t)k, DTYPE_F32), *want = workspace_floats(ws, weights, DTYPE_F32), *got;
    if (!x || !dy || !before || !rows || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    for (size_t i = 0; i < tensor_count(&dw.data); i++)
        before[i] = 0.25f; /* in the padding rows too, where it must stay */
    TRY(workspace_place(ctx, ws, &tx, tensor_shape(DTYPE_F32, 4, a.batch, a.height, a.width, a.in), x));
    TRY(workspace_place(ctx, ws, &ty, tensor_shape(DTYPE_F32, 4, a.batch, a.height, a.width, a.out), dy));
    TRY(workspace_place(ctx, ws, &tw, dw.data, before));
    dw.data = *tw;
    struct conv2d_window window = {.taps = size, .stride = 1, .before = 1, .after = size - 2, .upsample = 1};
    ctx->planning = true;
    st = op_conv2d_bwd_weights(ctx, &ws->arena, &dw, ty, tx, window, true);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &ws->arena, "a kernel self-test"));
    TRY(op_conv2d_bwd_weights(ctx, &ws->arena, &dw, ty, tx, window, true));
    TRY(workspace_fetch(ctx, ws, &dw.data, &got));
    ref_conv2d_bwd_weights(want, dy, x, &a);
    for (int i = 0; i < a.out * k; i++) {
        int n = i / k, column = i % k;
        want[i] += 0.25f;
        rows[i] = got[dw.layout == MATRIX_PANELS ? (n / PANEL * k + column) * PANEL + n % PANEL : i];
    }
    workspace_compare(ws, rows, want, weights);
fail:
    return st;
}
