/* attention.c - attention(Q, K, V) = softmax(Q K^T / sqrt(D)) V per head of D columns, between its projections. */
#include "attention.h"

#include <stdio.h>

/* Memory for what attention gives before its last projection: that of `in`, unless the sum still reads it. */
static clio_status mixed_new(clio_context *ctx, struct arena *arena, struct tensor *mixed, const struct tensor *in,
                             const struct tensor *residual)
{
    return residual == in ? tensor_take(ctx, arena, mixed) : tensor_renew(ctx, arena, mixed);
}

/* ---- self-attention ---- */

clio_status self_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                               const struct tensor *residual, const struct self_attention *a, const struct attention_options *options)
{
    clio_status st = CLIO_OK;
    const struct kv_rows *kv = &options->kv;
    int batch = in->dim[0], width = in->dim[in->ndim - 1], length = (int)(tensor_count(in) / (size_t)batch / (size_t)width);
    int position = kv->cache ? kv->length : 0;
    uint64_t mark = arena_mark(arena);
    struct tensor qkv = tensor_shape(DTYPE_F32, 3, batch, length, 3 * width, 0), mixed = *in;
    struct attention_cache own;
    const struct attention_cache *cache = kv->cache ? kv->cache : &own;
    TRY(tensor_take(ctx, arena, &qkv));
    if (!kv->cache)
        TRY(attention_cache_new_padded(ctx, arena, &own, batch, options->heads, width / options->heads, length, options->key_lengths,
                                       options->storage, "attention"));
    TRY(linear_fwd(ctx, &qkv, in, &a->qkv, ACT_NONE, NULL));
    TRY(op_attention_store(ctx, cache, &qkv, &qkv,
                           (struct attention_store_args){.batch = batch,
                                                         .first = kv->first,
                                                         .rows = length,
                                                         .position = position,
                                                         .ldk = 3 * width,
                                                         .k_offset = width,
                                                         .ldv = 3 * width,
                                                         .v_offset = 2 * width}));
    TRY(mixed_new(ctx, arena, &mixed, in, residual));
    TRY(op_attention_fwd(ctx, arena, &mixed, &qkv, cache,
                         (struct attention_args){.batch = batch,
                                                 .first = kv->first,
                                                 .queries = length,
                                                 .keys = position + length,
                                                 .position = position,
                                                 .causal = options->causal,
                                                 .ldq = 3 * width,
                                                 .ldo = width}));
    TRY(linear_fwd(ctx, out, &mixed, &a->out, ACT_NONE, residual));
fail:
    arena_release(arena, mark);
    return st;
}

/* ---- cross-attention ---- */

clio_status cross_attention_store(clio_context *ctx, const struct attention_cache *cache, const struct tensor *kv, int first)
{
    int width = kv->dim[2] / 2;
    return op_attention_store(
        ctx, cache, kv, kv,
        (struct attention_store_args){
            .batch = kv->dim[0], .first = first, .rows = kv->dim[1], .ldk = 2 * width, .ldv = 2 * width, .v_offset = width});
}

clio_status cross_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                const struct tensor *residual, const struct cross_attention *a, const struct attention_options *options)
{
    clio_status st = CLIO_OK;
    const struct kv_rows *kv = &options->kv;
    int batch = in->dim[0], width = in->dim[in->ndim - 1], length = (int)(tensor_count(in) / (size_t)batch / (size_t)width);
    uint64_t mark = arena_mark(arena);
    struct tensor q = *in, mixed = *in;
    TRY(tensor_take(ctx, arena, &q));
    TRY(linear_fwd(ctx, &q, in, &a->q, ACT_NONE, NULL));
    TRY(mixed_new(ctx, arena, &mixed, in, residual));
    TRY(op_attention_fwd(
        ctx, arena, &mixed, &q, kv->cache,
        (struct attention_args){.batch = batch, .first = kv->first, .queries = length, .keys = kv->length, .ldq = width, .ldo = width}));
    TRY(linear_fwd(ctx, out, &mixed, &a->out, ACT_NONE, residual));
fail:
    arena_release(arena, mark);
    return st;
}

/* ---- self-attention block of AutoencoderKL ---- */

enum size { ONE, WIDTH };

#define PROJECTION(key, member, part, parts)                                                                                               \
    ROW_LINEAR(pixel_attention, key, attention.member, WEIGHT_CONV1X1_LARGE, WIDTH, WIDTH, 0, part, parts)

static const struct state_dict_row pixel_table[] = {
    ROW_NORM(pixel_attention, "group_norm", norm, WIDTH),
    PROJECTION("to_q", qkv, 0, 3),
    PROJECTION("to_k", qkv, 1, 3),
    PROJECTION("to_v", qkv, 2, 3),
    PROJECTION("to_out.0", out, 0, 1),
};
/* Names before diffusers 0.17, still found in many folders. */
static const struct state_dict_row old_pixel_table[] = {
    ROW_NORM(pixel_attention, "group_norm", norm, WIDTH),
    PROJECTION("query", qkv, 0, 3),
    PROJECTION("key", qkv, 1, 3),
    PROJECTION("value", qkv, 2, 3),
    PROJECTION("proj_attn", out, 0, 1),
};

clio_status pixel_attention_load(clio_context *ctx, struct pixel_attention *a, const char *prefix, const struct weights *weights)
{
    char key[256];
    snprintf(key, sizeof key, "%squery.weight", prefix);
    bool old = weights && weights_find(weights, key) != NULL;
    return state_dict_load(ctx, a, old ? old_pixel_table : pixel_table, COUNT(pixel_table), prefix, (int[]){1, a->width}, weights);
}

void pixel_attention_free(clio_context *ctx, struct pixel_attention *a)
{
    state_dict_free(ctx, a, pixel_table, COUNT(pixel_table));
}

clio_status pixel_attention_fwd(clio_context *ctx, struct arena *arena, const struct pixel_attention *a, const struct tensor *x)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor h = *x;
    struct attention_options options = {.heads = 1, .storage = MATRIX_LARGE};
    TRY(op_check(ctx, "pixel attention", "x", x, DTYPE_F32, 4, -1, -1, -1, a->width));
    TRY(tensor_take(ctx, arena, &h));
    TRY(group_norm_fwd(ctx, arena, &h, x, &a->norm, a->groups, a->eps, ACT_NONE));
    TRY(self_attention_fwd(ctx, arena, x, &h, x, &a->attention, &options));
fail:
    arena_release(arena, mark);
    return st;
}
