/* checks.c - see checks.h. The operations are run through their own functions; what they choose is settled by the arguments and by
 * parameter rows that are appended for the time of the check. Shapes: odd, and one more than a tile where that is small. */
#include "checks.h"
#include "tape.h"
#include "gradients.h"
#include "../ref/ref_bwd.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-4 /* of the greatest number: f32 sums of any order stay far below, half arithmetic does not */
#define CANARIES 64
#define CANARY 0x7fc0beefu /* a NaN: what is not written is seen as well */

/* Tensors and host arrays of a check, released together. */
struct room {
    struct tensor tensors[8];
    void *arrays[16];
    int tensor_count, array_count;
    struct arena arena;
    char wrong[96]; /* what a comparison found; empty: all is well */
};

static void room_free(clio_context *ctx, struct room *r)
{
    arena_free(ctx, &r->arena);
    for (int i = 0; i < r->tensor_count; i++)
        tensor_free(ctx, &r->tensors[i]);
    for (int i = 0; i < r->array_count; i++)
        free(r->arrays[i]);
}

/* `count` floats in [-1, 1), other ones each time; NULL when out of memory. `half`: such as a half holds. */
static float *random_floats(struct room *r, size_t count, bool half)
{
    uint32_t s = 2463534242u + 7919u * (uint32_t)r->array_count;
    float *x = malloc((count + 1) * sizeof *x);
    for (size_t i = 0; x && i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
        if (half)
            x[i] = half_to_float(float_to_half(x[i]));
    }
    return r->arrays[r->array_count++] = x;
}

/* A tensor with `data`, or filled with canaries, and canaries behind it. */
static clio_status place(clio_context *ctx, struct room *r, struct tensor **out, struct tensor shape, const void *data)
{
    clio_status st = CLIO_OK;
    struct tensor *t = *out = &r->tensors[r->tensor_count++];
    size_t bytes = tensor_count(&shape) * dtype_size(shape.dtype), words = (bytes + 3) / 4 + CANARIES;
    uint32_t *canaries = NULL;
    *t = shape;
    TRY(mem_alloc(ctx, &canaries, words, 4));
    for (size_t i = 0; i < words; i++)
        canaries[i] = CANARY;
    TRY(pool_get(ctx, &t->mem, words * 4, "the check of a kernel"));
    CL_TRY(ctx, clEnqueueWriteBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, canaries, 0, NULL, NULL));
    if (data)
        TRY(tensor_write(ctx, t, 0, tensor_count(t), data));
fail:
    free(canaries);
    return st;
}

/* The tensor's content in fresh memory of the room, its canaries looked at. */
static clio_status fetch(clio_context *ctx, struct room *r, const struct tensor *t, float **out)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t), words = count * dtype_size(t->dtype) / 4 + CANARIES;
    uint32_t *x = NULL;
    TRY(mem_alloc(ctx, &x, words, 4));
    r->arrays[r->array_count++] = x;
    CL_TRY(ctx, clEnqueueReadBuffer, (ctx->queue, t->mem, CL_TRUE, 0, words * 4, x, 0, NULL, NULL));
    for (size_t i = count; i < words; i++)
        if (x[i] != CANARY)
            snprintf(r->wrong, sizeof r->wrong, "writes past the end of its result");
    *out = (float *)x;
fail:
    return st;
}

static void compare(struct room *r, const float *x, const float *want, size_t count)
{
    double greatest = 1e-3, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double e = isfinite(x[i]) ? fabs((double)x[i] - (double)want[i]) : INFINITY;
        greatest = fmax(greatest, fabs((double)want[i]));
        worst = fmax(worst, e);
    }
    if (isinf(worst))
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (with what is no number)");
    else if (worst > TOLERANCE * greatest)
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (error %.2g of %.2g)", worst, greatest);
}

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
    float *a = random_floats(r, (size_t)m * (size_t)k, false), *b = random_floats(r, (size_t)n * (size_t)k, w.data.dtype == DTYPE_F16);
    float *bias = random_floats(r, (size_t)n, false), *more = random_floats(r, (size_t)m * (size_t)n, false), *got;
    float *want = random_floats(r, (size_t)m * (size_t)n, false);
    if (!a || !b || !bias || !more || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &ta, tensor_shape(DTYPE_F32, 2, m, k, 0, 0), a));
    TRY(place(ctx, r, &tb, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), bias));
    TRY(place(ctx, r, &tr, tensor_shape(DTYPE_F32, 2, m, n, 0, 0), more));
    TRY(place(ctx, r, &tc, tensor_shape(DTYPE_F32, 2, m, n, 0, 0), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, b));
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = g.act, .alpha = g.alpha};
    TRY(op_gemm_fwd(ctx, tc, ta, &w, m, &e));
    TRY(fetch(ctx, r, tc, &got));
    memcpy(want, got, (size_t)m * (size_t)n * sizeof *want);
    g.m = 1;
    for (int row = 0, step = row_step(m, n, k); row < m; row++) {
        g.a_offset = row * k;
        g.c_offset = row * n;
        if (row % step == 0 || row == m - 1)
            ref_gemm(want, a, b, bias, more, &g);
    }
    compare(r, got, want, (size_t)m * (size_t)n);
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
    float *a = random_floats(r, in_a, false), *b = random_floats(r, in_b, false), *want = random_floats(r, in_c, false), *got;
    if (!a || !b || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &ta, tensor_shape(DTYPE_F32, 3, batch, m, k, 0), a));
    TRY(place(ctx, r, &tb, tensor_shape(DTYPE_F32, 3, batch, c->transposed ? n : k, c->transposed ? k : n, 0), b));
    TRY(place(ctx, r, &tc, tensor_shape(DTYPE_F32, 3, batch, m, n, 0), NULL));
    TRY(op_matmul_fwd(ctx, tc, ta, tb, c->transposed));
    TRY(fetch(ctx, r, tc, &got));
    ref_matmul(want, a, b, batch, m, n, k, c->transposed);
    compare(r, got, want, in_c);
fail:
    return st;
}

static clio_status run_product(clio_context *ctx, const struct check *c, struct room *r)
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
    float *x = random_floats(r, all * inputs, false), *filter = random_floats(r, (size_t)(n * k), w.data.dtype == DTYPE_F16), *got;
    float *bias = random_floats(r, all * (size_t)n, false), *more = random_floats(r, all * outputs, false);
    float *big = random_floats(r, enlarged, false), *want = random_floats(r, all * outputs, false);
    if (!x || !filter || !bias || !more || !big || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &ti, tensor_shape(DTYPE_F32, 4, batch, height, width, a.in), x));
    TRY(place(ctx, r, &tb, tensor_shape(DTYPE_F32, 2, batch, n, 0, 0), bias));
    TRY(place(ctx, r, &tr, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), more));
    TRY(place(ctx, r, &to, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, filter));
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = a.act};
    ctx->planning = true;
    st = op_conv2d_fwd(ctx, &r->arena, to, ti, &w, window, &e);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_conv2d_fwd(ctx, &r->arena, to, ti, &w, window, &e));
    TRY(fetch(ctx, r, to, &got));
    for (int b = 0; b < batch; b++) {
        const float *picture = x + (size_t)b * inputs;
        for (int p = 0; p < a.height * a.width; p++)
            memcpy(big + p * a.in, picture + (p / a.width / window.upsample * width + p % a.width / window.upsample) * a.in,
                   (size_t)a.in * sizeof *big);
        ref_conv2d(want + (size_t)b * outputs, big, filter, bias + b * n, &a);
    }
    for (size_t i = 0; i < all * outputs; i++)
        want[i] += more[i];
    compare(r, got, want, all * outputs);
fail:
    matrix_free(ctx, &w);
    return st;
}

static clio_status run_conv(clio_context *ctx, const struct check *c, struct room *r)
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
    struct transposed_args a = {.batch = batch, .height = strided ? 4 : 3, .width = strided ? 7 : 4, .in = strided ? 336 : 19, .taps_y = 4, .taps_x = 4};
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
    float *x = random_floats(r, inputs, false), *filter = random_floats(r, (size_t)(n * k), w.data.dtype == DTYPE_F16), *got;
    float *bias = random_floats(r, (size_t)(batch * n), false), *more = random_floats(r, outputs, false);
    float *want = random_floats(r, outputs, false);
    if (!x || !filter || !bias || !more || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &ti, tensor_shape(DTYPE_F32, 4, batch, a.height, a.width, a.in), x));
    TRY(place(ctx, r, &tb, tensor_shape(DTYPE_F32, 2, batch, n, 0, 0), bias));
    TRY(place(ctx, r, &tr, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), more));
    TRY(place(ctx, r, &to, tensor_shape(DTYPE_F32, 4, batch, a.out_height, a.out_width, n), NULL));
    TRY(matrix_fill_floats(ctx, &w, 0, n, filter));
    struct conv2d_window window = {.taps = 4, .stride = stride, .before = 1, .after = 1, .upsample = 1};
    struct gemm_epilogue e = {.bias = tb, .residual = tr, .act = ACT_GELU};
    ctx->planning = true;
    st = op_conv2d_transposed_fwd(ctx, &r->arena, to, ti, &w, window, &e);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_conv2d_transposed_fwd(ctx, &r->arena, to, ti, &w, window, &e));
    TRY(fetch(ctx, r, to, &got));
    ref_conv2d_transposed(want, x, filter, bias, &a, n, ACT_GELU, 0);
    for (size_t i = 0; i < outputs; i++)
        want[i] += more[i];
    compare(r, got, want, outputs);
fail:
    matrix_free(ctx, &w);
    return st;
}

static clio_status run_transposed(clio_context *ctx, const struct check *c, struct room *r)
{
    bool strided = strcmp(c->path, "transposed.strided") == 0;
    return transpose_pictures(ctx, r, c->batch ? c->batch : 2, strided, c->n);
}

/* The gradient by the weights of a convolution, added to what is there; two pictures, which are divided into two slices. */
static clio_status run_weights(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    struct conv2d_args a = {.batch = 2, .height = 13, .width = 11, .kernel_h = 2, .kernel_w = 2, .stride = 1, .padding = 1};
    a.in = c->k ? c->k : c->n ? 35 : 13;
    a.out = c->n ? c->n : 35;
    a.dilation = a.groups = 1;
    a.out_height = a.height;
    a.out_width = a.width;
    int k = 4 * a.in;
    size_t inputs = (size_t)(a.batch * a.height * a.width * a.in), outputs = (size_t)(a.batch * a.height * a.width * a.out);
    size_t weights = (size_t)(a.out * k), panels = (size_t)((a.out + PANEL - 1) / PANEL);
    struct tensor *tx, *ty, *tw;
    struct matrix dw = {0};
    TRY(matrix_new(ctx, &dw, a.out, k, MATRIX_EXACT, "the check of a kernel"));
    tensor_free(ctx, &dw.data); /* the room's memory has canaries */
    float *x = random_floats(r, inputs, false), *dy = random_floats(r, outputs, false), *rows = random_floats(r, weights, false);
    float *before = random_floats(r, panels * PANEL * (size_t)k, false), *want = random_floats(r, weights, false), *got;
    if (!x || !dy || !before || !rows || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    for (size_t i = 0; i < tensor_count(&dw.data); i++)
        before[i] = 0.25f; /* in the filling too, where it stays */
    TRY(place(ctx, r, &tx, tensor_shape(DTYPE_F32, 4, a.batch, a.height, a.width, a.in), x));
    TRY(place(ctx, r, &ty, tensor_shape(DTYPE_F32, 4, a.batch, a.height, a.width, a.out), dy));
    TRY(place(ctx, r, &tw, dw.data, before));
    dw.data = *tw;
    struct conv2d_window window = {.taps = 2, .stride = 1, .before = 1, .upsample = 1};
    ctx->planning = true;
    st = op_conv2d_bwd_weights(ctx, &r->arena, &dw, ty, tx, window, true);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_conv2d_bwd_weights(ctx, &r->arena, &dw, ty, tx, window, true));
    TRY(fetch(ctx, r, &dw.data, &got));
    ref_conv2d_bwd_weights(want, dy, x, &a);
    for (int i = 0; i < a.out * k; i++) {
        int n = i / k, column = i % k;
        want[i] += 0.25f;
        rows[i] = got[dw.layout == MATRIX_PANELS ? (n / PANEL * k + column) * PANEL + n % PANEL : i];
    }
    compare(r, rows, want, weights);
fail:
    return st;
}

/* ---- attention ---- */

#define KEYS 300 /* more than a part of the keys, and than a chunk of them */

static clio_status attend(clio_context *ctx, struct room *r, const struct attention_cache *cache, struct attention_args a, const float *k,
                          const float *v)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)a.queries * (size_t)a.ldq;
    struct tensor *tq, *out;
    float *q = random_floats(r, count, false), *want = random_floats(r, count, false), *got;
    if (!q || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &tq, tensor_shape(DTYPE_F32, 2, a.queries, a.ldq, 0, 0), q));
    TRY(place(ctx, r, &out, tensor_shape(DTYPE_F32, 2, a.queries, a.ldo, 0, 0), NULL));
    ctx->planning = true;
    st = op_attention_fwd(ctx, &r->arena, out, tq, cache, a);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_attention_fwd(ctx, &r->arena, out, tq, cache, a));
    TRY(fetch(ctx, r, out, &got));
    a.batch = 1;
    a.heads = cache->heads;
    a.head_dim = cache->head_dim;
    a.scale = 1 / sqrtf((float)a.head_dim);
    ref_attention(want, q, k, v, &a);
    compare(r, got, want, count);
fail:
    return st;
}

/* Keys and values are stored, then one query sees all of them, and 35 each those before it. */
static clio_status run_attention(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    struct attention_cache cache = {0};
    int width = 2 * c->head_dim;
    bool half = params_is(ctx, "attention.storage", "f16");
    struct tensor *tk, *tv;
    float *k = random_floats(r, (size_t)KEYS * (size_t)width, half), *v = random_floats(r, (size_t)KEYS * (size_t)width, half);
    if (!k || !v)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &tk, tensor_shape(DTYPE_F32, 2, KEYS, width, 0, 0), k));
    TRY(place(ctx, r, &tv, tensor_shape(DTYPE_F32, 2, KEYS, width, 0, 0), v));
    TRY(attention_cache_new(ctx, NULL, &cache, 1, 2, c->head_dim, KEYS, MATRIX_MANY, "the check of a kernel"));
    TRY(op_attention_store(ctx, &cache, tk, tv, (struct attention_store_args){.rows = KEYS, .ldk = width, .ldv = width}));
    TRY(attend(ctx, r, &cache, (struct attention_args){.queries = 1, .keys = KEYS, .ldq = width, .ldo = width}, k, v));
    TRY(attend(ctx, r, &cache,
               (struct attention_args){.queries = 35, .keys = 141, .position = 106, .causal = 1, .ldq = width, .ldo = width}, k, v));
fail:
    attention_cache_free(ctx, &cache);
    return st;
}

/* ---- rows, logits ---- */

/* Two pictures of several chunks, the last of them short. */
static clio_status run_group_norm(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    int batch = 2, pixels = 311, channels = 17 * c->groups;
    size_t count = (size_t)(batch * pixels * channels);
    struct tensor *in, *tg, *tb, *out;
    float *x = random_floats(r, count, false), *want = random_floats(r, count, false), *got;
    float *gamma = random_floats(r, (size_t)channels, false), *beta = random_floats(r, (size_t)channels, false);
    if (!x || !gamma || !beta || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(place(ctx, r, &in, tensor_shape(DTYPE_F32, 3, batch, pixels, channels, 0), x));
    TRY(place(ctx, r, &out, tensor_shape(DTYPE_F32, 3, batch, pixels, channels, 0), NULL));
    TRY(place(ctx, r, &tg, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0), gamma));
    TRY(place(ctx, r, &tb, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0), beta));
    ctx->planning = true;
    st = op_group_norm_fwd(ctx, &r->arena, out, in, tg, tb, c->groups, 1e-5f, c->act);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_group_norm_fwd(ctx, &r->arena, out, in, tg, tb, c->groups, 1e-5f, c->act));
    ref_group_norm(want, x, gamma, beta, batch, pixels, channels, c->groups, 1e-5f, c->act);
    TRY(fetch(ctx, r, out, &got));
    compare(r, got, want, count);
fail:
    return st;
}

static clio_status run_rows(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    static const int columns[] = {613, 7}; /* more and fewer than work-items of a group, vectors and a rest */
    for (size_t i = 0; i < COUNT(columns); i++) {
        int n = columns[i], rows = 5;
        size_t count = (size_t)rows * (size_t)n;
        struct tensor *in, *tg, *tb, *out;
        float *x = random_floats(r, count, false), *gamma = random_floats(r, (size_t)n, false), *beta = random_floats(r, (size_t)n, false);
        float *want = random_floats(r, count, false), *got;
        if (!x || !gamma || !beta || !want)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        TRY(place(ctx, r, &in, tensor_shape(DTYPE_F32, 2, rows, n, 0, 0), x));
        TRY(place(ctx, r, &out, tensor_shape(DTYPE_F32, 2, rows, n, 0, 0), NULL));
        if (strncmp(c->path, "norm", 4) == 0) {
            TRY(place(ctx, r, &tg, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), gamma));
            TRY(place(ctx, r, &tb, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), beta));
            TRY(op_layer_norm_fwd(ctx, out, in, tg, tb, 1e-5f));
            ref_layer_norm(want, x, gamma, beta, rows, n, 1e-5f);
        } else {
            TRY(op_softmax_fwd(ctx, out, in, false));
            ref_softmax(want, x, rows, n, false);
        }
        TRY(fetch(ctx, r, out, &got));
        compare(r, got, want, count);
    }
fail:
    return st;
}

static clio_status run_norm(clio_context *ctx, const struct check *c, struct room *r)
{
    return c->groups ? run_group_norm(ctx, c, r) : run_rows(ctx, c, r);
}

static clio_status run_logits(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    struct logits_args args = {.n = 2311, .end_token = 2000, .no_speech = 2010, .timestamp_begin = 2100, .timestamp_first = 2111};
    float *x = random_floats(r, (size_t)args.n, false), *got, want[4] = {0};
    unsigned char suppress[2311] = {0};
    struct tensor *in, *never, *out, *tokens;
    int token;
    (void)c;
    args.timestamp_last = args.n - 1;
    args.text_allowed = args.end_allowed = 1;
    if (!x)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    for (int i = 0; i < args.n; i++) {
        x[i] *= 4;
        suppress[i] = i % 3 == 1;
    }
    TRY(place(ctx, r, &in, tensor_shape(DTYPE_F32, 2, 1, args.n, 0, 0), x));
    TRY(place(ctx, r, &never, tensor_shape(DTYPE_U8, 1, args.n, 0, 0, 0), suppress));
    TRY(place(ctx, r, &out, tensor_shape(DTYPE_I32, 2, 1, 8, 0, 0), NULL));
    TRY(place(ctx, r, &tokens, tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0), NULL));
    ctx->planning = true;
    st = op_logits_fwd(ctx, &r->arena, out, tokens, in, never, 0, args);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_logits_fwd(ctx, &r->arena, out, tokens, in, never, 0, args));
    TRY(fetch(ctx, r, out, &got));
    ref_logits(&token, &want[1], &want[2], &want[3], x, suppress, &args);
    memcpy(&want[0], &token, sizeof token);
    compare(r, got + 1, want + 1, 3);
    if (memcmp(got, want, sizeof token) != 0)
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (with another token)");
    TRY(fetch(ctx, r, tokens, &got));
    if (memcmp(got, want, sizeof token) != 0)
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (hands on another token)");
fail:
    return st;
}

/* ---- all of them ---- */

static const struct {
    const char *family; /* what the path begins with */
    clio_status (*run)(clio_context *, const struct check *, struct room *);
} families[] = {
    {"gemm.", run_product}, {"conv.", run_conv},    {"attention.", run_attention},
    {"norm.", run_norm},    {"softmax.", run_rows}, {"logits.", run_logits},        {"transposed.", run_transposed},
    {"weights.", run_weights},
};

/* A kernel that is refused when it is launched leaves a queue that still works; otherwise the device is gone. */
static bool is_alive(clio_context *ctx)
{
    bool alive = clFinish(ctx->queue) == CL_SUCCESS;
    ctx->is_lost = ctx->is_lost && !alive;
    return alive;
}

/* "cannot run (CL_INVALID_WORK_GROUP_SIZE)", of the sentence that the failed call left */
static void describe_failure(clio_context *ctx, clio_status st, char reason[200])
{
    const char *code = strstr(ctx->status.sentence, "CL_");
    int length = code ? (int)strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") : 0;
    if (st == CLIO_ERROR_BUILD || !code)
        snprintf(reason, 200, "%.190s", st == CLIO_ERROR_BUILD ? "does not compile" : ctx->status.sentence);
    else
        snprintf(reason, 200, "cannot run (%.*s)", length, code);
}

/* Run the check; *reason stays empty when the path answers rightly. Other failures than the path's own are failures of the caller. */
static clio_status perform(clio_context *ctx, const struct check *c, char reason[200])
{
    clio_status st = CLIO_OK;
    clio_status (*run)(clio_context *, const struct check *, struct room *) = NULL;
    struct status_text before = ctx->status;
    size_t rows = ctx->params.count;
    bool planning = ctx->planning, profile = ctx->profile;
    struct tape *tape = tape_pause(ctx);
    struct room room = {0};
    *reason = 0;
    ctx->planning = ctx->profile = false;
    ctx->verdicts.trusting = true;
    for (size_t i = 0; i < COUNT(c->force); i++)
        if (c->force[i].key)
            TRY(params_add(ctx, "any", c->force[i].key, c->force[i].value));
    for (size_t i = 0; i < COUNT(families); i++)
        if (strncmp(c->path, families[i].family, strlen(families[i].family)) == 0)
            run = families[i].run;
    if (!run)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "there is no check of %s", c->path);
    st = run(ctx, c, &room);
    /* launch() calls the device lost where it lacks resources for a kernel: that is no want of memory. */
    bool refused = st == CLIO_ERROR_DEVICE || (st == CLIO_ERROR_MEMORY && ctx->is_lost);
    if (st == CLIO_ERROR_BUILD || st == CLIO_ERROR_UNSUPPORTED || (refused && is_alive(ctx))) {
        describe_failure(ctx, st, reason);
        ctx->status = before;
        st = CLIO_OK;
    } else if (!st)
        snprintf(reason, 200, "%s", room.wrong);
fail:
    room_free(ctx, &room);
    ctx->params.count = rows;
    ctx->verdicts.trusting = false;
    ctx->planning = planning;
    ctx->profile = profile;
    tape_resume(ctx, tape);
    return st;
}

clio_status check_path(clio_context *ctx, const struct check *c, bool *works)
{
    clio_status st = CLIO_OK;
    const struct verdict *v;
    char reason[200];
    *works = true;
    if (ctx->verdicts.trusting)
        return CLIO_OK;
    v = verdict_find(ctx, c->path, c->variant);
    if (!v) {
        TRY(perform(ctx, c, reason));
        TRY(verdict_add(ctx, c->path, c->variant, reason));
        *works = !*reason;
    } else
        *works = !*v->reason;
fail:
    return st;
}

clio_status check_none_left(clio_context *ctx, const char *what)
{
    const char *disabled = getenv("CLIO_DISABLE");
    return clio_fail(ctx, CLIO_ERROR_DEVICE, __FILE__, __LINE__,
                     "nothing that %s is usable on %s (clio devices says why): %supdate its driver, or choose another device with -d", what,
                     ctx->device.name, disabled && *disabled ? "unset CLIO_DISABLE, " : "");
}
