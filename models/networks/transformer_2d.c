/* transformer_2d.c - the spatial transformer of Stable Diffusion's UNet (diffusers' Transformer2DModel). */
#include "transformer_2d.h"
#include "../../host/ops/tape.h"
#include "../nn/attention.h"

#include <stdio.h>
#include <stdlib.h>

#define GROUP_EPSILON 1e-6f /* diffusers: Transformer2DModel */
#define LAYER_EPSILON 1e-5f
#define FEED_ROWS 4096

enum size { ONE, WIDTH, TEXT, INNER, GATED };

#define NORM(type, key, member) ROW_NORM(type, key, member, WIDTH)
#define POINT(type, key, member, part, parts) ROW_LINEAR(type, key, member, WEIGHT_CONV_LARGE, WIDTH, WIDTH, ONE, part, parts)
#define LINEAR(key, member, rows, columns) ROW_LINEAR(transformer_layer, key, member, WEIGHT_MATRIX_LARGE, rows, columns, 0, 0, 1)
#define PART(key, member, columns, part, parts)                                                                                            \
    {                                                                                                                                      \
        key ".weight", offsetof(struct transformer_layer, member), WEIGHT_MATRIX_LARGE, WIDTH, columns, 0, part, parts, false              \
    }

static const struct state_dict_row transformer_table[] = {
    NORM(transformer, "norm", norm),
    POINT(transformer, "proj_in", in, 0, 1),
    POINT(transformer, "proj_out", out, 0, 1),
};

static const struct state_dict_row layer_table[] = {
    NORM(transformer_layer, "norm1", norm1),   PART("attn1.to_q", qkv, WIDTH, 0, 3),
    PART("attn1.to_k", qkv, WIDTH, 1, 3),      PART("attn1.to_v", qkv, WIDTH, 2, 3),
    LINEAR("attn1.to_out.0", o, WIDTH, WIDTH), NORM(transformer_layer, "norm2", norm2),
    PART("attn2.to_q", cross_q, WIDTH, 0, 1),  PART("attn2.to_k", cross_kv, TEXT, 0, 2),
    PART("attn2.to_v", cross_kv, TEXT, 1, 2),  LINEAR("attn2.to_out.0", cross_o, WIDTH, WIDTH),
    NORM(transformer_layer, "norm3", norm3),   LINEAR("ff.net.0.proj", ff_in, GATED, WIDTH),
    LINEAR("ff.net.2", ff_out, WIDTH, INNER),
};

clio_status transformer_load(clio_context *ctx, struct transformer *t, const char *prefix, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    char key[200];
    const int sizes[] = {[ONE] = 1, [WIDTH] = t->width, [TEXT] = t->text, [INNER] = 4 * t->width, [GATED] = 8 * t->width};
    TRY(mem_alloc(ctx, &t->layers, (size_t)t->count, sizeof *t->layers));
    TRY(state_dict_load(ctx, t, transformer_table, COUNT(transformer_table), prefix, sizes, weights));
    for (int i = 0; i < t->count; i++) {
        snprintf(key, sizeof key, "%stransformer_blocks.%d.", prefix, i);
        TRY(state_dict_load(ctx, &t->layers[i], layer_table, COUNT(layer_table), key, sizes, weights));
    }
fail:
    return st;
}

void transformer_free(clio_context *ctx, struct transformer *t)
{
    for (int i = 0; t->layers && i < t->count; i++)
        state_dict_free(ctx, &t->layers[i], layer_table, COUNT(layer_table));
    state_dict_free(ctx, t, transformer_table, COUNT(transformer_table));
    free(t->layers);
    t->layers = NULL;
}

/* Without bias. */
static clio_status product(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct matrix *w)
{
    return op_gemm_fwd(ctx, out, in, w, (int)(tensor_count(in) / (size_t)w->k), NULL);
}

static clio_status layer_norm(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct norm *n)
{
    return op_layer_norm_fwd(ctx, out, in, &n->gamma, &n->beta, LAYER_EPSILON);
}

/* Keys and values side by side to where attention reads them. */
static clio_status store_text(clio_context *ctx, const struct attention_cache *cache, const struct tensor *kv)
{
    int width = kv->dim[2] / 2;
    return op_attention_store(
        ctx, cache, kv, kv,
        (struct attention_store_args){.batch = kv->dim[0], .rows = kv->dim[1], .ldk = 2 * width, .ldv = 2 * width, .v_offset = width});
}

clio_status transformer_attend_to(clio_context *ctx, struct arena *arena, const struct transformer *t, struct attention_cache *caches,
                                  struct tensor *kvs, const struct tensor *text)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor kv = tensor_shape(DTYPE_F32, 3, text->dim[0], text->dim[1], 2 * t->width, 0);
    TRY(op_check(ctx, "transformer", "text", text, DTYPE_F32, 3, -1, -1, t->text, 0));
    for (int i = 0; i < t->count; i++) {
        if (i == 0 || kvs)
            TRY(tensor_take(ctx, arena, &kv));
        TRY(product(ctx, &kv, text, &t->layers[i].cross_kv));
        if (!kvs) {
            TRY(store_text(ctx, &caches[t->first + i], &kv));
            continue;
        }
        arena_hold(arena, kv.mem);
        kvs[t->first + i] = kv;
    }
fail:
    arena_release(arena, mark);
    return st;
}

/* t is about to be written for another purpose. On a tape, whose gradients read what it held, it gets memory of its own (which would
 * otherwise be copied aside). */
static clio_status again(clio_context *ctx, struct arena *arena, struct tensor *t)
{
    return ctx->tape ? tensor_take(ctx, arena, t) : CLIO_OK;
}

/* out = x + o(attention over the pixels of qkv(norm1(x))); out may be x; h is scratch of x's shape */
static clio_status attend_to_self(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer, int heads,
                                  const struct tensor *out, const struct tensor *x, struct tensor h)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor qkv = tensor_shape(DTYPE_F32, 4, x->dim[0], x->dim[1], x->dim[2], 3 * x->dim[3]);
    TRY(tensor_take(ctx, arena, &qkv));
    TRY(again(ctx, arena, &h));
    TRY(layer_norm(ctx, &h, x, &layer->norm1));
    TRY(product(ctx, &qkv, &h, &layer->qkv));
    TRY(again(ctx, arena, &h));
    TRY(self_attention_fwd(ctx, arena, &h, &qkv, heads, false));
    TRY(linear_fwd(ctx, out, &h, &layer->o, ACT_NONE, x));
fail:
    arena_release(arena, mark);
    return st;
}

/* out = x + o(attention of q(norm2(x)) over the text in rows row.. of the cache); out may be x */
static clio_status attend_to_text(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer,
                                  const struct attention_cache *cache, int row, int length, const struct tensor *out,
                                  const struct tensor *x, struct tensor h)
{
    clio_status st = CLIO_OK;
    int batch = x->dim[0], pixels = x->dim[1] * x->dim[2], width = x->dim[3];
    uint64_t mark = arena_mark(arena);
    struct tensor q = *x;
    TRY(tensor_take(ctx, arena, &q));
    TRY(again(ctx, arena, &h));
    TRY(layer_norm(ctx, &h, x, &layer->norm2));
    TRY(product(ctx, &q, &h, &layer->cross_q));
    TRY(again(ctx, arena, &h));
    TRY(op_attention_fwd(
        ctx, arena, &h, &q, cache,
        (struct attention_args){.batch = batch, .first = row, .queries = pixels, .keys = length, .ldq = width, .ldo = width}));
    TRY(linear_fwd(ctx, out, &h, &layer->cross_o, ACT_NONE, x));
fail:
    arena_release(arena, mark);
    return st;
}

/* out = x + ff_out(gated(ff_in(norm3(x)))); out may be x; FEED_ROWS pixels at a time (all on a tape, which keeps them anyway) */
static clio_status feed_forward(clio_context *ctx, struct arena *arena, const struct transformer_layer *layer, const struct tensor *out,
                                const struct tensor *x, struct tensor h)
{
    clio_status st = CLIO_OK;
    int width = x->dim[3], all = (int)(tensor_count(x) / (size_t)width), most = ctx->tape ? all : MIN(all, FEED_ROWS);
    uint64_t mark = arena_mark(arena);
    struct tensor wide = tensor_shape(DTYPE_F32, 2, most, 8 * width, 0, 0), inner = tensor_shape(DTYPE_F32, 2, most, 4 * width, 0, 0);
    TRY(tensor_take(ctx, arena, &wide));
    TRY(tensor_take(ctx, arena, &inner));
    TRY(again(ctx, arena, &h));
    TRY(layer_norm(ctx, &h, x, &layer->norm3));
    for (int row = 0; row < all; row += most) {
        int rows = MIN(most, all - row);
        struct gemm_epilogue in = {.bias = &layer->ff_in.bias, .a_offset = row * width};
        struct gemm_epilogue last = {.bias = &layer->ff_out.bias, .residual = x, .c_offset = row * width};
        wide.dim[0] = inner.dim[0] = rows;
        TRY(op_gemm_fwd(ctx, &wide, &h, &layer->ff_in.w, rows, &in));
        TRY(op_gated_fwd(ctx, &inner, &wide, ACT_GELU));
        TRY(op_gemm_fwd(ctx, out, &inner, &layer->ff_out.w, rows, &last));
    }
fail:
    arena_release(arena, mark);
    return st;
}

/* out = the layer of x; out may be x, but not on a tape; h is scratch of x's shape */
static clio_status layer_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct transformer_layer *layer,
                             const struct attention_cache *cache, int row, int length, const struct tensor *out, const struct tensor *x,
                             struct tensor h)
{
    clio_status st = CLIO_OK;
    struct tensor seen = *out, read = *out;
    TRY(again(ctx, arena, &seen));
    TRY(attend_to_self(ctx, arena, layer, t->heads, &seen, x, h));
    TRY(again(ctx, arena, &read));
    TRY(attend_to_text(ctx, arena, layer, cache, row, length, &read, &seen, h));
    TRY(feed_forward(ctx, arena, layer, out, &read, h));
fail:
    return st;
}

/* inside = in(norm(x)); h is scratch */
static clio_status come_in(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *inside,
                           const struct tensor *x, const struct tensor *h)
{
    clio_status st = CLIO_OK;
    TRY(op_group_norm_fwd(ctx, arena, h, x, &t->norm.gamma, &t->norm.beta, t->groups, GROUP_EPSILON, ACT_NONE));
    TRY(linear_fwd(ctx, inside, h, &t->in, ACT_NONE, NULL));
fail:
    return st;
}

clio_status transformer_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                            const struct tensor *x, const struct attention_cache *caches, int row, int length)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor h = *x, inside = *x, next;
    TRY(op_check(ctx, "transformer", "x", x, DTYPE_F32, 4, -1, -1, -1, t->width));
    TRY(op_check(ctx, "transformer", "out", out, DTYPE_F32, 4, x->dim[0], x->dim[1], x->dim[2], t->width));
    TRY(tensor_take(ctx, arena, &h));
    TRY(tensor_take(ctx, arena, &inside));
    TRY(come_in(ctx, arena, t, &inside, x, &h));
    for (int i = 0; i < t->count; i++) {
        next = inside;
        TRY(again(ctx, arena, &next));
        TRY(layer_fwd(ctx, arena, t, &t->layers[i], &caches[t->first + i], row, length, &next, &inside, h));
        inside = next;
    }
    TRY(linear_fwd(ctx, out, &inside, &t->out, ACT_NONE, x));
fail:
    arena_release(arena, mark);
    return st;
}

struct layer_user {
    const struct transformer *transformer;
    const struct attention_cache *caches;
    int layer, row;
};

/* Layer i of x, which is in[0]: of what the layer before gave, or, the first one, of what comes in; the last one brings it out. in[1]: keys
 * and values of the text, whose way into the cache is part of the block, as their gradients are; in[2]: x of the last one, if it is not the
 * first. */
static clio_status layer_block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct layer_user *u = user;
    const struct transformer *t = u->transformer;
    const struct attention_cache *cache = &u->caches[t->first + u->layer];
    bool first = u->layer == 0, last = u->layer + 1 == t->count;
    uint64_t mark = arena_mark(arena);
    struct tensor h = in[0], inside = in[0], next = *out;
    TRY(tensor_take(ctx, arena, &h));
    if (first) {
        TRY(tensor_take(ctx, arena, &inside));
        TRY(come_in(ctx, arena, t, &inside, &in[0], &h));
    }
    if (last)
        TRY(tensor_take(ctx, arena, &next));
    TRY(store_text(ctx, cache, &in[1]));
    TRY(layer_fwd(ctx, arena, t, &t->layers[u->layer], cache, u->row, in[1].dim[1], &next, &inside, h));
    if (last)
        TRY(linear_fwd(ctx, out, &next, &t->out, ACT_NONE, first ? &in[0] : &in[2]));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status transformer_recompute_fwd(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *out,
                                      const struct tensor *x, const struct attention_cache *caches, const struct tensor *kvs, int row)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor in[3] = {*x, *x, *x}, next;
    for (int i = 0; i < t->count; i++) {
        struct layer_user u = {.transformer = t, .caches = caches, .layer = i, .row = row};
        bool last = i + 1 == t->count;
        next = *out;
        if (!last)
            TRY(tensor_take(ctx, arena, &next));
        in[1] = kvs[t->first + i];
        TRY(tape_checkpoint(ctx, arena, layer_block, &u, sizeof u, &next, in, last && i > 0 ? 3 : 2));
        in[0] = next;
    }
fail:
    arena_release(arena, mark);
    return st;
}
