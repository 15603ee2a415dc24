/* selftest_rows.c - self-tests of attention, norms, softmax, logits and Fourier transforms; see selftest_private.h. */
#include "selftest_private.h"
#include "../ref/ref_bwd.h"
#include "gradients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- attention ---- */

#define KEYS 300 /* more than one part and one chunk of the keys */
/* Storage bf16: each weight has a relative error of at most 2^-9, 2^-11 on average; the errors have either sign, so their sum stays small.
 */
#define BF16_TOLERANCE 0x1p-8
#define LOG2E 1.44269504088896341f

static void round_to_bf16(float *x, size_t count, float scale)
{
    for (size_t i = 0; i < count; i++)
        x[i] = dtype_nearest(DTYPE_BF16, x[i] * scale) / scale;
}

/* Rows of a padded batch: without a key, with fewer than the second call's keys, and with all. */
static const int key_lengths[] = {0, 77, KEYS};

static clio_status attend(clio_context *ctx, const struct selftest *t, struct workspace *ws, const struct attention_cache *cache,
                          struct attention_args a, const float *k, const float *v)
{
    clio_status st = CLIO_OK;
    size_t each = (size_t)a.queries * (size_t)a.ldq, count = (size_t)cache->batch * each;
    float scale = 1 / sqrtf((float)cache->head_dim);
    struct tensor *tq, *out;
    float *q = workspace_floats(ws, count, DTYPE_F32), *want = workspace_floats(ws, count, DTYPE_F32), *got;
    if (!q || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &tq, tensor_shape(DTYPE_F32, 2, cache->batch * a.queries, a.ldq, 0, 0), q));
    TRY(workspace_place(ctx, ws, &out, tensor_shape(DTYPE_F32, 2, cache->batch * a.queries, a.ldo, 0, 0), NULL));
    ctx->planning = true;
    st = op_attention_fwd(ctx, &ws->arena, out, tq, cache, a);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &ws->arena, "a kernel self-test"));
    TRY(op_attention_fwd(ctx, &ws->arena, out, tq, cache, a));
    TRY(workspace_fetch(ctx, ws, out, &got));
    a.batch = 1;
    a.heads = cache->heads;
    a.head_dim = cache->head_dim;
    a.scale = scale;
    if (cache->k.dtype == DTYPE_BF16)
        round_to_bf16(q, count, scale * LOG2E);
    for (int b = 0; b < cache->batch; b++) {
        size_t keys = (size_t)b * KEYS * (size_t)a.ldq;
        ref_attention(want + (size_t)b * each, q + (size_t)b * each, k + keys, v + keys, t->padded ? key_lengths + b : NULL, &a);
    }
    workspace_compare(ws, got, want, count);
fail:
    return st;
}

/* Store keys and values; then one query over all of them, and 35 queries with a causal mask; of a padded batch, over those of its row. */
clio_status selftest_attention(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    struct attention_cache cache = {0};
    int width = 2 * t->head_dim;
    bool bf16 = params_is(ctx, "attention.storage", "bf16");
    enum dtype dtype = bf16 ? DTYPE_BF16 : params_is(ctx, "attention.storage", "f16") ? DTYPE_F16 : DTYPE_F32;
    int batch = t->padded ? (int)COUNT(key_lengths) : 1;
    struct tensor *tk, *tv, *lengths = NULL;
    float *k = workspace_floats(ws, (size_t)batch * KEYS * (size_t)width, dtype),
          *v = workspace_floats(ws, (size_t)batch * KEYS * (size_t)width, dtype);
    if (!k || !v)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    ws->tolerance = bf16 ? BF16_TOLERANCE : 0;
    TRY(workspace_place(ctx, ws, &tk, tensor_shape(DTYPE_F32, 2, batch * KEYS, width, 0, 0), k));
    TRY(workspace_place(ctx, ws, &tv, tensor_shape(DTYPE_F32, 2, batch * KEYS, width, 0, 0), v));
    if (t->padded)
        TRY(workspace_place(ctx, ws, &lengths, tensor_shape(DTYPE_I32, 1, batch, 0, 0, 0), key_lengths));
    TRY(attention_cache_new_padded(ctx, NULL, &cache, batch, 2, t->head_dim, KEYS, lengths, MATRIX_MANY, "a kernel self-test"));
    TRY(op_attention_store(ctx, &cache, tk, tv, (struct attention_store_args){.rows = KEYS, .ldk = width, .ldv = width}));
    TRY(attend(ctx, t, ws, &cache, (struct attention_args){.queries = 1, .keys = KEYS, .ldq = width, .ldo = width}, k, v));
    TRY(attend(ctx, t, ws, &cache,
               (struct attention_args){.queries = 35, .keys = 141, .position = 106, .causal = 1, .ldq = width, .ldo = width}, k, v));
fail:
    attention_cache_free(ctx, &cache);
    return st;
}

/* ---- norms, softmax, logits ---- */

/* Two images of several chunks, the last chunk shorter. */
static clio_status run_group_norm(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    int batch = 2, pixels = 311, channels = 17 * t->groups;
    size_t count = (size_t)batch * (size_t)pixels * (size_t)channels;
    struct tensor *in, *tg, *tb, *out;
    float *x = workspace_floats(ws, count, DTYPE_F32), *want = workspace_floats(ws, count, DTYPE_F32), *got;
    float *gamma = workspace_floats(ws, (size_t)channels, DTYPE_F32), *beta = workspace_floats(ws, (size_t)channels, DTYPE_F32);
    if (!x || !gamma || !beta || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &in, tensor_shape(DTYPE_F32, 3, batch, pixels, channels, 0), x));
    TRY(workspace_place(ctx, ws, &out, tensor_shape(DTYPE_F32, 3, batch, pixels, channels, 0), NULL));
    TRY(workspace_place(ctx, ws, &tg, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0), gamma));
    TRY(workspace_place(ctx, ws, &tb, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0), beta));
    ctx->planning = true;
    st = op_group_norm_fwd(ctx, &ws->arena, out, in, tg, tb, t->groups, 1e-5f, t->act);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &ws->arena, "a kernel self-test"));
    TRY(op_group_norm_fwd(ctx, &ws->arena, out, in, tg, tb, t->groups, 1e-5f, t->act));
    ref_group_norm(want, x, gamma, beta, batch, pixels, channels, t->groups, 1e-5f, t->act);
    TRY(workspace_fetch(ctx, ws, out, &got));
    workspace_compare(ws, got, want, count);
fail:
    return st;
}

static const int rows_columns[] = {613, 7}; /* more and fewer than the work-items of a group; not a multiple of a vector */
#define ROWS 5

static clio_status run_layer_norm(clio_context *ctx, struct workspace *ws, int n)
{
    clio_status st = CLIO_OK;
    size_t count = (size_t)ROWS * (size_t)n;
    struct tensor *in, *tg, *tb, *out;
    float *x = workspace_floats(ws, count, DTYPE_F32), *want = workspace_floats(ws, count, DTYPE_F32), *got;
    float *gamma = workspace_floats(ws, (size_t)n, DTYPE_F32), *beta = workspace_floats(ws, (size_t)n, DTYPE_F32);
    if (!x || !gamma || !beta || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &in, tensor_shape(DTYPE_F32, 2, ROWS, n, 0, 0), x));
    TRY(workspace_place(ctx, ws, &out, tensor_shape(DTYPE_F32, 2, ROWS, n, 0, 0), NULL));
    TRY(workspace_place(ctx, ws, &tg, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), gamma));
    TRY(workspace_place(ctx, ws, &tb, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), beta));
    TRY(op_layer_norm_fwd(ctx, out, in, tg, tb, 1e-5f));
    ref_layer_norm(want, x, gamma, beta, ROWS, n, 1e-5f);
    TRY(workspace_fetch(ctx, ws, out, &got));
    workspace_compare(ws, got, want, count);
fail:
    return st;
}

/* Layer norm, or group norm where the test has groups: both are compiled from the variants of one family. */
clio_status selftest_norm(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    if (t->groups)
        return run_group_norm(ctx, t, ws);
    for (size_t i = 0; i < COUNT(rows_columns); i++)
        TRY(run_layer_norm(ctx, ws, rows_columns[i]));
fail:
    return st;
}

clio_status selftest_softmax(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    (void)t;
    for (size_t i = 0; i < COUNT(rows_columns); i++) {
        int n = rows_columns[i];
        size_t count = (size_t)ROWS * (size_t)n;
        struct tensor *in, *out;
        float *x = workspace_floats(ws, count, DTYPE_F32), *want = workspace_floats(ws, count, DTYPE_F32), *got;
        if (!x || !want)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        TRY(workspace_place(ctx, ws, &in, tensor_shape(DTYPE_F32, 2, ROWS, n, 0, 0), x));
        TRY(workspace_place(ctx, ws, &out, tensor_shape(DTYPE_F32, 2, ROWS, n, 0, 0), NULL));
        TRY(op_softmax_fwd(ctx, out, in, false));
        ref_softmax(want, x, ROWS, n, false);
        TRY(workspace_fetch(ctx, ws, out, &got));
        workspace_compare(ws, got, want, count);
    }
fail:
    return st;
}

clio_status selftest_logits(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    struct logits_args args = {.n = 2311, .end_token = 2000, .no_speech = 2010, .timestamp_begin = 2100, .timestamp_first = 2111};
    float *x = workspace_floats(ws, (size_t)args.n, DTYPE_F32), *got, want[4] = {0};
    unsigned char suppress[2311] = {0};
    struct tensor *in, *never, *out, *tokens;
    int token, found;
    (void)t;
    args.timestamp_last = args.n - 1;
    args.text_allowed = args.end_allowed = 1;
    if (!x)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    for (int i = 0; i < args.n; i++) {
        x[i] *= 4;
        suppress[i] = i % 3 == 1;
    }
    TRY(workspace_place(ctx, ws, &in, tensor_shape(DTYPE_F32, 2, 1, args.n, 0, 0), x));
    TRY(workspace_place(ctx, ws, &never, tensor_shape(DTYPE_U8, 1, args.n, 0, 0, 0), suppress));
    TRY(workspace_place(ctx, ws, &out, tensor_shape(DTYPE_I32, 2, 1, 8, 0, 0), NULL));
    TRY(workspace_place(ctx, ws, &tokens, tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0), NULL));
    ctx->planning = true;
    st = op_logits_fwd(ctx, &ws->arena, out, tokens, in, never, 0, args);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &ws->arena, "a kernel self-test"));
    TRY(op_logits_fwd(ctx, &ws->arena, out, tokens, in, never, 0, args));
    TRY(workspace_fetch(ctx, ws, out, &got));
    ref_logits(&token, &want[1], &want[2], &want[3], x, suppress, &args);
    memcpy(&found, got, sizeof found); /* out holds an integer, then three floats */
    workspace_compare(ws, got + 1, want + 1, 3);
    if (found != token)
        snprintf(ws->wrong, sizeof ws->wrong, "wrong result (another token)");
    TRY(workspace_fetch(ctx, ws, tokens, &got));
    memcpy(&found, got, sizeof found);
    if (found != token)
        snprintf(ws->wrong, sizeof ws->wrong, "wrong result (another token in tokens)");
fail:
    return st;
}

/* ---- Fourier transforms ---- */

/* One frame against a plain DFT in double: the largest difference relative to the sum of |x|. */
static double dft_error(const float *got, const float *x, size_t n)
{
    double sum = 0, worst = 0;
    for (size_t j = 0; j < n; j++)
        sum += fabs((double)x[j]);
    for (size_t k = 0; k < n / 2 + 1; k++) {
        double re = 0, im = 0;
        for (size_t j = 0; j < n; j++) {
            double angle = -2 * 3.14159265358979323846 * (double)(j * k % n) / (double)n;
            re += (double)x[j] * cos(angle);
            im += (double)x[j] * sin(angle);
        }
        double e = hypot(re - (double)got[2 * k], im - (double)got[2 * k + 1]);
        worst = isnan(e) ? INFINITY : fmax(worst, e);
    }
    return worst / sum;
}

/* The first and the last frame of a transform of noise. */
clio_status selftest_clfft(clio_context *ctx, const struct selftest *t, struct workspace *ws)
{
    clio_status st = CLIO_OK;
    size_t n = (size_t)t->n, frames[] = {0, (size_t)t->m - 1};
    struct tensor *in, *out;
    float *x = workspace_floats(ws, n * (size_t)t->m, DTYPE_F32), *got;
    if (!x)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(workspace_place(ctx, ws, &in, tensor_shape(DTYPE_F32, 2, t->m, t->n, 0, 0), x));
    TRY(workspace_place(ctx, ws, &out, tensor_shape(DTYPE_F32, 3, t->m, t->n / 2 + 1, 2, 0), NULL));
    TRY(op_rfft_fwd(ctx, out, in));
    TRY(workspace_fetch(ctx, ws, out, &got));
    for (size_t i = 0; i < COUNT(frames); i++) {
        double error = dft_error(got + frames[i] * (n / 2 + 1) * 2, x + frames[i] * n, n);
        if (error > 1e-5)
            snprintf(ws->wrong, sizeof ws->wrong, "wrong result (error %.2g)", error);
    }
fail:
    return st;
}
