/* transformer_2d.c - the spatial transformer of Stable Diffusion's UNet (diffusers' Transformer2DModel). */
#include "transformer_2d.h"
#include "../../host/ops/tape.h"

#include <stdio.h>
#include <stdlib.h>

#define GROUP_EPSILON 1e-6f /* diffusers: Transformer2DModel */
#define LAYER_EPSILON 1e-5f
#define FEED_FORWARD_CHUNK 4096 /* pixels: their inner activations are 8 times as wide */

enum size { ONE, WIDTH, TEXT, INNER, GATED };

#define NORM(key, member) ROW_NORM(transformer_layer, key, member, WIDTH)
#define LINEAR(key, member, rows, columns) ROW_LINEAR(transformer_layer, key, member, WEIGHT_MATRIX_LARGE, rows, columns, 0, 0, 1)
#define PROJECTION(key, member, columns, part, parts)                                                                                      \
    ROW_WEIGHT(transformer_layer, key, member, WEIGHT_MATRIX_LARGE, WIDTH, columns, 0, part, parts)
#define CONV1X1(key, member) ROW_LINEAR(transformer, key, member, WEIGHT_CONV_LARGE, WIDTH, WIDTH, ONE, 0, 1)

static const struct state_dict_row transformer_table[] = {
    ROW_NORM(transformer, "norm", norm, WIDTH),
    CONV1X1("proj_in", in),
    CONV1X1("proj_out", out),
};

/* The query, key and value projections have no bias. */
static const struct state_dict_row layer_table[] = {
    NORM("norm1", self_norm),
    PROJECTION("attn1.to_q", self.qkv, WIDTH, 0, 3),
    PROJECTION("attn1.to_k", self.qkv, WIDTH, 1, 3),
    PROJECTION("attn1.to_v", self.qkv, WIDTH, 2, 3),
    LINEAR("attn1.to_out.0", self.out, WIDTH, WIDTH),
    NORM("norm2", cross_norm),
    PROJECTION("attn2.to_q", cross.q, WIDTH, 0, 1),
    PROJECTION("attn2.to_k", cross.kv, TEXT, 0, 2),
    PROJECTION("attn2.to_v", cross.kv, TEXT, 1, 2),
    LINEAR("attn2.to_out.0", cross.out, WIDTH, WIDTH),
    NORM("norm3", ff_norm),
    LINEAR("ff.net.0.proj", ff.fc1, GATED, WIDTH),
    LINEAR("ff.net.2", ff.fc2, WIDTH, INNER),
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
        TRY(linear_fwd(ctx, &kv, text, &t->layers[i].cross.kv, ACT_NONE, NULL));
        if (!kvs) {
            TRY(cross_attention_store(ctx, &caches[t->first + i], &kv, 0));
            continue;
        }
        arena_hold(arena, kv.mem);
        kvs[t->first + i] = kv;
    }
fail:
    arena_release(arena, mark);
    return st;
}

static struct transformer_layer_options layer_options(const struct transformer *t, const struct attention_cache *cache, int row, int length)
{
    return (struct transformer_layer_options){.eps = LAYER_EPSILON,
                                              .self = {.heads = t->heads, .storage = MATRIX_LARGE},
                                              .cross = {.heads = t->heads, .kv = {cache, row, length}},
                                              .ff = {.act = ACT_GELU, .gated = true, .chunk = FEED_FORWARD_CHUNK}};
}

/* inside = proj_in(group_norm(x)), f32 [B, H, W, width]; h: scratch of x's shape */
static clio_status project_in(clio_context *ctx, struct arena *arena, const struct transformer *t, const struct tensor *inside,
                              const struct tensor *x, const struct tensor *h)
{
    clio_status st = CLIO_OK;
    TRY(group_norm_fwd(ctx, arena, h, x, &t->norm, t->groups, GROUP_EPSILON, ACT_NONE));
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
    TRY(project_in(ctx, arena, t, &inside, x, &h));
    for (int i = 0; i < t->count; i++) {
        struct transformer_layer_options options = layer_options(t, &caches[t->first + i], row, length);
        next = inside;
        TRY(tensor_renew(ctx, arena, &next));
        TRY(transformer_layer_fwd(ctx, arena, &t->layers[i], &options, &next, &inside, &h));
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

/* One layer for tape_checkpoint. in[0]: the output of the layer before; of the first layer, x before proj_in. The last layer includes
 * proj_out. in[1]: keys and values of the text f32 [B, S, 2 width], whose store into the cache belongs to the block, so that their
 * gradients pass through it. in[2]: x before proj_in, for the residual connection of a last layer that is not the first. */
static clio_status layer_block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct layer_user *u = user;
    const struct transformer *t = u->transformer;
    const struct attention_cache *cache = &u->caches[t->first + u->layer];
    struct transformer_layer_options options = layer_options(t, cache, u->row, in[1].dim[1]);
    bool first = u->layer == 0, last = u->layer + 1 == t->count;
    uint64_t mark = arena_mark(arena);
    struct tensor h = in[0], inside = in[0], next = *out;
    TRY(tensor_take(ctx, arena, &h));
    if (first) {
        TRY(tensor_take(ctx, arena, &inside));
        TRY(project_in(ctx, arena, t, &inside, &in[0], &h));
    }
    if (last)
        TRY(tensor_take(ctx, arena, &next));
    TRY(cross_attention_store(ctx, cache, &in[1], 0));
    TRY(transformer_layer_fwd(ctx, arena, &t->layers[u->layer], &options, &next, &inside, &h));
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
