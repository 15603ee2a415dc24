/* checks_rows.c - the first-use checks of attention, norms, softmax and logits; see checks_private.h. */
#include "checks_private.h"
#include "../ref/ref_bwd.h"
#include "gradients.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- attention ---- */

#define KEYS 300 /* more than a part of the keys, and than a chunk of them */
/* Storage bf16: a weight is off by 2^-9 of it at most and by 2^-11 on average, and what they are off does not add up, nor do the values. */
#define BFLOAT_TOLERANCE 0x1p-8
#define LOG2E 1.44269504088896341f

static void round_to_bfloat(float *x, size_t count, float scale)
{
    for (size_t i = 0; i < count; i++)
        x[i] = dtype_nearest(DTYPE_BF16, x[i] * scale) / scale;
}

/* Rows of a padded batch: without a key, with fewer than the second call's keys, and with all. */
static const int key_lengths[] = {0, 77, KEYS};

static clio_status attend(clio_context *ctx, const struct check *c, struct room *r, const struct attention_cache *cache,
                          struct attention_args a, const float *k, const float *v)
{
    clio_status st = CLIO_OK;
    size_t each = (size_t)a.queries * (size_t)a.ldq, count = (size_t)cache->batch * each;
    float scale = 1 / sqrtf((float)cache->head_dim);
    struct tensor *tq, *out;
    float *q = room_floats(r, count, DTYPE_F32), *want = room_floats(r, count, DTYPE_F32), *got;
    if (!q || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(room_place(ctx, r, &tq, tensor_shape(DTYPE_F32, 2, cache->batch * a.queries, a.ldq, 0, 0), q));
    TRY(room_place(ctx, r, &out, tensor_shape(DTYPE_F32, 2, cache->batch * a.queries, a.ldo, 0, 0), NULL));
    ctx->planning = true;
    st = op_attention_fwd(ctx, &r->arena, out, tq, cache, a);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_attention_fwd(ctx, &r->arena, out, tq, cache, a));
    TRY(room_fetch(ctx, r, out, &got));
    a.batch = 1;
    a.heads = cache->heads;
    a.head_dim = cache->head_dim;
    a.scale = scale;
    if (cache->k.dtype == DTYPE_BF16)
        round_to_bfloat(q, count, scale * LOG2E);
    for (int b = 0; b < cache->batch; b++) {
        size_t keys = (size_t)b * KEYS * (size_t)a.ldq;
        ref_attention(want + (size_t)b * each, q + (size_t)b * each, k + keys, v + keys, c->padded ? key_lengths + b : NULL, &a);
    }
    room_compare(r, got, want, count);
fail:
    return st;
}

/* Keys and values are stored, then one query attends to all of them, and each of 35 to those before it; of a padded batch, to those of its
 * row. */
clio_status check_attention(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    struct attention_cache cache = {0};
    int width = 2 * c->head_dim;
    bool bf16 = params_is(ctx, "attention.storage", "bf16");
    enum dtype dtype = bf16 ? DTYPE_BF16 : params_is(ctx, "attention.storage", "f16") ? DTYPE_F16 : DTYPE_F32;
    int batch = c->padded ? (int)COUNT(key_lengths) : 1;
    struct tensor *tk, *tv, *lengths = NULL;
    float *k = room_floats(r, (size_t)batch * KEYS * (size_t)width, dtype),
          *v = room_floats(r, (size_t)batch * KEYS * (size_t)width, dtype);
    if (!k || !v)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    r->tolerance = bf16 ? BFLOAT_TOLERANCE : 0;
    TRY(room_place(ctx, r, &tk, tensor_shape(DTYPE_F32, 2, batch * KEYS, width, 0, 0), k));
    TRY(room_place(ctx, r, &tv, tensor_shape(DTYPE_F32, 2, batch * KEYS, width, 0, 0), v));
    if (c->padded)
        TRY(room_place(ctx, r, &lengths, tensor_shape(DTYPE_I32, 1, batch, 0, 0, 0), key_lengths));
    TRY(attention_cache_new_padded(ctx, NULL, &cache, batch, 2, c->head_dim, KEYS, lengths, MATRIX_MANY, "the check of a kernel"));
    TRY(op_attention_store(ctx, &cache, tk, tv, (struct attention_store_args){.rows = KEYS, .ldk = width, .ldv = width}));
    TRY(attend(ctx, c, r, &cache, (struct attention_args){.queries = 1, .keys = KEYS, .ldq = width, .ldo = width}, k, v));
    TRY(attend(ctx, c, r, &cache,
               (struct attention_args){.queries = 35, .keys = 141, .position = 106, .causal = 1, .ldq = width, .ldo = width}, k, v));
fail:
    attention_cache_free(ctx, &cache);
    return st;
}

/* ---- rows, logits ---- */

/* Two images of several chunks, the last of them short. */
static clio_status run_group_norm(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    int batch = 2, pixels = 311, channels = 17 * c->groups;
    size_t count = (size_t)(batch * pixels * channels);
    struct tensor *in, *tg, *tb, *out;
    float *x = room_floats(r, count, DTYPE_F32), *want = room_floats(r, count, DTYPE_F32), *got;
    float *gamma = room_floats(r, (size_t)channels, DTYPE_F32), *beta = room_floats(r, (size_t)channels, DTYPE_F32);
    if (!x || !gamma || !beta || !want)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    TRY(room_place(ctx, r, &in, tensor_shape(DTYPE_F32, 3, batch, pixels, channels, 0), x));
    TRY(room_place(ctx, r, &out, tensor_shape(DTYPE_F32, 3, batch, pixels, channels, 0), NULL));
    TRY(room_place(ctx, r, &tg, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0), gamma));
    TRY(room_place(ctx, r, &tb, tensor_shape(DTYPE_F32, 1, channels, 0, 0, 0), beta));
    ctx->planning = true;
    st = op_group_norm_fwd(ctx, &r->arena, out, in, tg, tb, c->groups, 1e-5f, c->act);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_group_norm_fwd(ctx, &r->arena, out, in, tg, tb, c->groups, 1e-5f, c->act));
    ref_group_norm(want, x, gamma, beta, batch, pixels, channels, c->groups, 1e-5f, c->act);
    TRY(room_fetch(ctx, r, out, &got));
    room_compare(r, got, want, count);
fail:
    return st;
}

clio_status check_rows(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    static const int columns[] = {613, 7}; /* more and fewer than work-items of a group, vectors and a rest */
    for (size_t i = 0; i < COUNT(columns); i++) {
        int n = columns[i], rows = 5;
        size_t count = (size_t)rows * (size_t)n;
        struct tensor *in, *tg, *tb, *out;
        float *x = room_floats(r, count, DTYPE_F32), *gamma = room_floats(r, (size_t)n, DTYPE_F32),
              *beta = room_floats(r, (size_t)n, DTYPE_F32);
        float *want = room_floats(r, count, DTYPE_F32), *got;
        if (!x || !gamma || !beta || !want)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        TRY(room_place(ctx, r, &in, tensor_shape(DTYPE_F32, 2, rows, n, 0, 0), x));
        TRY(room_place(ctx, r, &out, tensor_shape(DTYPE_F32, 2, rows, n, 0, 0), NULL));
        if (strncmp(c->path, "norm", 4) == 0) {
            TRY(room_place(ctx, r, &tg, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), gamma));
            TRY(room_place(ctx, r, &tb, tensor_shape(DTYPE_F32, 1, n, 0, 0, 0), beta));
            TRY(op_layer_norm_fwd(ctx, out, in, tg, tb, 1e-5f));
            ref_layer_norm(want, x, gamma, beta, rows, n, 1e-5f);
        } else {
            TRY(op_softmax_fwd(ctx, out, in, false));
            ref_softmax(want, x, rows, n, false);
        }
        TRY(room_fetch(ctx, r, out, &got));
        room_compare(r, got, want, count);
    }
fail:
    return st;
}

clio_status check_norm(clio_context *ctx, const struct check *c, struct room *r)
{
    return c->groups ? run_group_norm(ctx, c, r) : check_rows(ctx, c, r);
}

clio_status check_logits(clio_context *ctx, const struct check *c, struct room *r)
{
    clio_status st = CLIO_OK;
    struct logits_args args = {.n = 2311, .end_token = 2000, .no_speech = 2010, .timestamp_begin = 2100, .timestamp_first = 2111};
    float *x = room_floats(r, (size_t)args.n, DTYPE_F32), *got, want[4] = {0};
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
    TRY(room_place(ctx, r, &in, tensor_shape(DTYPE_F32, 2, 1, args.n, 0, 0), x));
    TRY(room_place(ctx, r, &never, tensor_shape(DTYPE_U8, 1, args.n, 0, 0, 0), suppress));
    TRY(room_place(ctx, r, &out, tensor_shape(DTYPE_I32, 2, 1, 8, 0, 0), NULL));
    TRY(room_place(ctx, r, &tokens, tensor_shape(DTYPE_I32, 1, 1, 0, 0, 0), NULL));
    ctx->planning = true;
    st = op_logits_fwd(ctx, &r->arena, out, tokens, in, never, 0, args);
    ctx->planning = false;
    TRY(st);
    TRY(arena_commit(ctx, &r->arena, "the check of a kernel"));
    TRY(op_logits_fwd(ctx, &r->arena, out, tokens, in, never, 0, args));
    TRY(room_fetch(ctx, r, out, &got));
    ref_logits(&token, &want[1], &want[2], &want[3], x, suppress, &args);
    memcpy(&want[0], &token, sizeof token);
    room_compare(r, got + 1, want + 1, 3);
    if (memcmp(got, want, sizeof token) != 0)
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (with another token)");
    TRY(room_fetch(ctx, r, tokens, &got));
    if (memcmp(got, want, sizeof token) != 0)
        snprintf(r->wrong, sizeof r->wrong, "answers wrongly (hands on another token)");
fail:
    return st;
}
