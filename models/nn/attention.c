/* attention.c - attention of the networks for images: over pixels alone (the autoencoder's middle), and the UNet's transformer
 * over pixels and text; see blocks.h. Nothing of the size pixels x pixels exists (op_attention_fwd), and the feed-forward part, whose
 * inner rows are eight times as wide as a pixel, is taken FEED_ROWS pixels at a time. */
#include "attention.h"
#include "../../host/ops/tape.h"

#include <stdio.h>

enum size { ONE, WIDTH };

#define PIXEL(key, member, part, parts) ROW_LINEAR(pixel_attention, key, member, WEIGHT_CONV1X1_LARGE, WIDTH, WIDTH, 0, part, parts)

static const struct state_dict_row pixel_table[] = {
    ROW_NORM(pixel_attention, "group_norm", norm, WIDTH),
    PIXEL("to_q", qkv, 0, 3),
    PIXEL("to_k", qkv, 1, 3),
    PIXEL("to_v", qkv, 2, 3),
    PIXEL("to_out.0", o, 0, 1),
};
/* As it was called before diffusers 0.17, and still is in many folders. */
static const struct state_dict_row old_pixel_table[] = {
    ROW_NORM(pixel_attention, "group_norm", norm, WIDTH),
    PIXEL("query", qkv, 0, 3),
    PIXEL("key", qkv, 1, 3),
    PIXEL("value", qkv, 2, 3),
    PIXEL("proj_attn", o, 0, 1),
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

clio_status self_attention_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *qkv, int heads,
                               bool causal)
{
    clio_status st = CLIO_OK;
    int batch = out->dim[0], width = out->dim[out->ndim - 1], length = (int)(tensor_count(out) / (size_t)batch / (size_t)width);
    uint64_t mark = arena_mark(arena);
    struct attention_cache cache;
    TRY(attention_cache_new(ctx, arena, &cache, batch, heads, width / heads, length, MATRIX_LARGE, "attention"));
    TRY(op_attention_store(
        ctx, &cache, qkv, qkv,
        (struct attention_store_args){.rows = length, .ldk = 3 * width, .k_offset = width, .ldv = 3 * width, .v_offset = 2 * width}));
    TRY(op_attention_fwd(ctx, arena, out, qkv, &cache,
                         (struct attention_args){.queries = length, .keys = length, .causal = causal, .ldq = 3 * width, .ldo = width}));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status pixel_attention_fwd(clio_context *ctx, struct arena *arena, const struct pixel_attention *a, const struct tensor *x)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor h = *x, qkv = tensor_shape(DTYPE_F32, 4, x->dim[0], x->dim[1], x->dim[2], 3 * a->width);
    TRY(op_check(ctx, "pixel attention", "x", x, DTYPE_F32, 4, -1, -1, -1, a->width));
    TRY(tensor_take(ctx, arena, &h));
    TRY(tensor_take(ctx, arena, &qkv));
    TRY(op_group_norm_fwd(ctx, arena, &h, x, &a->norm.gamma, &a->norm.beta, a->groups, a->eps, ACT_NONE));
    TRY(linear_fwd(ctx, &qkv, &h, &a->qkv, ACT_NONE, NULL));
    TRY(self_attention_fwd(ctx, arena, &h, &qkv, 1, false));
    TRY(linear_fwd(ctx, x, &h, &a->o, ACT_NONE, x));
fail:
    arena_release(arena, mark);
    return st;
}
