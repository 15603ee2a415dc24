/* linear.c - convolutions and residual blocks of the networks for pictures; see blocks.h. blocks_attention.c has the rest. */
#include "linear.h"
#include "../../host/ops/tape.h"

#include <stdio.h>
#include <stdlib.h>

static clio_status load_linear(clio_context *ctx, struct block_linear *l, enum network_kind kind, const char *key, int out, int in,
                               int taps, bool optional, const struct weights *weights)
{
    const struct network_row table[] = {
        {".weight", offsetof(struct block_linear, w), kind, 1, 2, kind == NETWORK_CONV_LARGE ? 3 : 0, 0, 1, false},
        {".bias", offsetof(struct block_linear, bias), NETWORK_VECTOR, 1, 0, 0, 0, 1, optional},
    };
    l->taps = taps;
    return network_load(ctx, l, table, COUNT(table), key, (int[]){1, out, in, taps}, weights);
}

clio_status block_linear_load(clio_context *ctx, struct block_linear *l, const char *key, int out, int in, int taps, bool optional,
                              const struct weights *weights)
{
    return load_linear(ctx, l, NETWORK_CONV_LARGE, key, out, in, taps, optional, weights);
}

clio_status block_few_load(clio_context *ctx, struct block_linear *l, const char *key, int out, int in, const struct weights *weights)
{
    return load_linear(ctx, l, NETWORK_MATRIX_FEW, key, out, in, 1, false, weights);
}

void block_linear_free(clio_context *ctx, struct block_linear *l)
{
    matrix_free(ctx, &l->w);
    tensor_free(ctx, &l->bias);
}

clio_status block_norm_load(clio_context *ctx, struct block_norm *n, const char *key, int width, const struct weights *weights)
{
    static const struct network_row table[] = {
        BLOCK_VECTOR(block_norm, ".weight", gamma, 1, 0, 1),
        BLOCK_VECTOR(block_norm, ".bias", beta, 1, 0, 1),
    };
    return network_load(ctx, n, table, COUNT(table), key, (int[]){1, width}, weights);
}

void block_norm_free(clio_context *ctx, struct block_norm *n)
{
    tensor_free(ctx, &n->gamma);
    tensor_free(ctx, &n->beta);
}

clio_status block_linear_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct block_linear *l, int act,
                             const struct tensor *residual)
{
    struct gemm_epilogue e = {.bias = &l->bias, .act = act, .residual = residual};
    return op_gemm_fwd(ctx, out, in, &l->w, (int)(tensor_count(in) / (size_t)l->w.k), &e);
}

clio_status block_conv_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct block_linear *l, const struct tensor *bias, int act, const struct tensor *residual)
{
    if (l->taps == 1 && !bias)
        return block_linear_fwd(ctx, out, in, l, act, residual);
    struct gemm_epilogue e = {.bias = bias ? bias : &l->bias, .act = act, .residual = residual};
    struct conv2d_window window = {.taps = l->taps, .stride = 1, .before = l->taps / 2, .after = l->taps / 2, .upsample = 1};
    return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
}

clio_status block_downsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                 const struct block_linear *l, int padding)
{
    struct gemm_epilogue e = {.bias = &l->bias};
    struct conv2d_window window = {.taps = l->taps, .stride = 2, .before = padding, .after = 1, .upsample = 1};
    return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
}

/* out[B, H', W', C], where pixel (y, x) is that of `in` at (y H / H', x W / W'): a table of pixels and the rows that are wanted of it. */
static clio_status stretch(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    int batch = in->dim[0], height = in->dim[1], width = in->dim[2], channels = in->dim[3], count = batch * out->dim[1] * out->dim[2];
    int *rows = NULL, *row;
    uint64_t mark = arena_mark(arena);
    struct tensor ids = tensor_shape(DTYPE_I32, 1, count, 0, 0, 0), table = tensor_reshape(in, 2, batch * height * width, channels, 0, 0);
    struct tensor flat = tensor_reshape(out, 2, count, channels, 0, 0);
    TRY(mem_alloc(ctx, &rows, (size_t)count, sizeof *rows));
    row = rows;
    for (int b = 0; b < batch; b++)
        for (int y = 0; y < out->dim[1]; y++)
            for (int x = 0; x < out->dim[2]; x++)
                *row++ = (b * height + y * height / out->dim[1]) * width + x * width / out->dim[2];
    TRY(tensor_take(ctx, arena, &ids));
    TRY(tensor_write(ctx, &ids, 0, (size_t)count, rows));
    TRY(op_embed_fwd(ctx, &flat, &table, &ids, NULL, 0));
fail:
    free(rows);
    arena_release(arena, mark);
    return st;
}

clio_status block_upsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                               const struct block_linear *l)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = {.bias = &l->bias};
    struct conv2d_window window = {.taps = l->taps, .stride = 1, .before = l->taps / 2, .after = l->taps / 2, .upsample = 2};
    if (out->dim[1] == 2 * in->dim[1] && out->dim[2] == 2 * in->dim[2])
        return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
    struct tensor large = tensor_shape(DTYPE_F32, 4, in->dim[0], out->dim[1], out->dim[2], in->dim[3]);
    TRY(tensor_take(ctx, arena, &large));
    TRY(stretch(ctx, arena, &large, in));
    TRY(block_conv_fwd(ctx, arena, out, &large, l, NULL, ACT_NONE, NULL));
fail:
    arena_release(arena, mark);
    return st;
}

/* ---- residual blocks ---- */

enum size { ONE, IN, OUT, TIME, TAPS };
#define NORM(key, member, width) BLOCK_NORM(resnet, key, member, width)
#define LINEAR(key, member, kind, in, taps) BLOCK_LINEAR(resnet, key, member, kind, OUT, in, taps, 0, 1)

static const struct network_row resnet_table[] = {
    NORM("norm1", norm1, IN),
    LINEAR("conv1", conv1, NETWORK_CONV_LARGE, IN, TAPS),
    NORM("norm2", norm2, OUT),
    LINEAR("conv2", conv2, NETWORK_CONV_LARGE, OUT, TAPS),
};
static const struct network_row shortcut_table[] = {LINEAR("conv_shortcut", shortcut, NETWORK_CONV_LARGE, IN, ONE)};
static const struct network_row time_table[] = {LINEAR("time_emb_proj", embedding, NETWORK_MATRIX_FEW, TIME, 0)};

bool resnet_has_shortcut(const struct resnet *r)
{
    return r->in != r->out;
}

clio_status resnet_load(clio_context *ctx, struct resnet *r, const char *prefix, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    const int sizes[] = {[ONE] = 1, [IN] = r->in, [OUT] = r->out, [TIME] = r->time, [TAPS] = 3};
    r->conv1.taps = r->conv2.taps = 3;
    TRY(network_load(ctx, r, resnet_table, COUNT(resnet_table), prefix, sizes, weights));
    if (resnet_has_shortcut(r))
        TRY(network_load(ctx, r, shortcut_table, COUNT(shortcut_table), prefix, sizes, weights));
    if (r->time) {
        TRY(network_load(ctx, r, time_table, COUNT(time_table), prefix, sizes, weights));
        r->biased = !ctx->collects; /* what is trained keeps both */
        if (r->biased)
            TRY(op_add_fwd(ctx, &r->embedding.bias, &r->embedding.bias, &r->conv1.bias, 1, 1));
    }
fail:
    return st;
}

void resnet_free(clio_context *ctx, struct resnet *r)
{
    network_free(ctx, r, resnet_table, COUNT(resnet_table));
    network_free(ctx, r, shortcut_table, COUNT(shortcut_table));
    network_free(ctx, r, time_table, COUNT(time_table));
}

static clio_status group_norm(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                              const struct block_norm *n, int groups, float eps)
{
    return op_group_norm_fwd(ctx, arena, out, in, &n->gamma, &n->beta, groups, eps, ACT_SILU);
}

clio_status resnet_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out, const struct tensor *in,
                       const struct tensor *room, const struct tensor *time)
{
    clio_status st = CLIO_OK;
    int batch = in->dim[0], height = in->dim[1], width = in->dim[2];
    bool shortcut = resnet_has_shortcut(r);
    uint64_t mark = arena_mark(arena);
    struct tensor inner = tensor_shape(DTYPE_F32, 4, batch, height, width, r->out), activated = inner;
    struct tensor normed = tensor_shape(DTYPE_F32, 4, batch, height, width, r->in), bias = tensor_shape(DTYPE_F32, 2, batch, r->out, 0, 0);
    TRY(op_check(ctx, "resnet", "in", in, DTYPE_F32, 4, -1, -1, -1, r->in));
    TRY(op_check(ctx, "resnet", "out", out, DTYPE_F32, 4, batch, height, width, r->out));
    if (time) {
        TRY(tensor_take(ctx, arena, &bias));
        TRY(block_linear_fwd(ctx, &bias, time, &r->embedding, ACT_NONE, NULL));
        if (!r->biased)
            TRY(op_add_fwd(ctx, &bias, &bias, &r->conv1.bias, 1, 1));
    }
    TRY(tensor_take(ctx, arena, &inner));
    uint64_t inside = arena_mark(arena);
    if (room && !ctx->tape)
        normed.mem = room->mem;
    else
        TRY(tensor_take(ctx, arena, &normed));
    if (shortcut)
        TRY(block_linear_fwd(ctx, out, in, &r->shortcut, ACT_NONE, NULL)); /* before `room` may overwrite in */
    TRY(group_norm(ctx, arena, &normed, in, &r->norm1, r->groups, r->eps));
    TRY(block_conv_fwd(ctx, arena, &inner, &normed, &r->conv1, time ? &bias : NULL, ACT_NONE, NULL));
    arena_release(arena, inside);
    activated.mem = inner.mem;
    if (ctx->tape) /* which keeps both */
        TRY(tensor_take(ctx, arena, &activated));
    TRY(group_norm(ctx, arena, &activated, &inner, &r->norm2, r->groups, r->eps));
    TRY(block_conv_fwd(ctx, arena, out, &activated, &r->conv2, NULL, ACT_NONE, shortcut ? out : in));
fail:
    arena_release(arena, mark);
    return st;
}

struct resnet_user {
    const struct resnet *resnet;
    bool joins, timed;
};

static clio_status resnet_block(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    const struct resnet_user *u = user;
    uint64_t mark = arena_mark(arena);
    struct tensor joined = in[0];
    if (u->joins) {
        joined.dim[3] = u->resnet->in;
        TRY(tensor_take(ctx, arena, &joined));
        TRY(op_concat_fwd(ctx, &joined, &in[0], &in[1]));
    }
    TRY(resnet_fwd(ctx, arena, u->resnet, out, &joined, NULL, u->timed ? &in[1 + u->joins] : NULL));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status resnet_again_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out,
                             const struct tensor *in, const struct tensor *skip, const struct tensor *time)
{
    struct resnet_user u = {.resnet = r, .joins = skip != NULL, .timed = time != NULL};
    struct tensor all[3] = {*in};
    int count = 1;
    if (skip)
        all[count++] = *skip;
    if (time)
        all[count++] = *time;
    return tape_checkpoint(ctx, arena, resnet_block, &u, sizeof u, out, all, count);
}

/* ---- pictures ---- */

static void turn(float *to, const float *from, int batch, int rows, int columns)
{
    for (int b = 0; b < batch; b++, to += (size_t)rows * (size_t)columns, from += (size_t)rows * (size_t)columns)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
                to[(size_t)c * (size_t)rows + (size_t)r] = from[(size_t)r * (size_t)columns + (size_t)c];
}

clio_status picture_write(clio_context *ctx, const struct tensor *t, const float *planes)
{
    clio_status st = CLIO_OK;
    float *pixels = NULL;
    size_t count = tensor_count(t);
    if (ctx->planning)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &pixels, count, sizeof *pixels));
    turn(pixels, planes, t->dim[0], t->dim[3], t->dim[1] * t->dim[2]);
    TRY(tensor_write(ctx, t, 0, count, pixels));
fail:
    free(pixels);
    return st;
}

clio_status picture_read(clio_context *ctx, const struct tensor *t, float *planes)
{
    clio_status st = CLIO_OK;
    float *pixels = NULL;
    size_t count = tensor_count(t);
    if (ctx->planning)
        return CLIO_OK;
    TRY(mem_alloc(ctx, &pixels, count, sizeof *pixels));
    TRY(tensor_read(ctx, t, 0, count, pixels));
    turn(planes, pixels, t->dim[0], t->dim[1] * t->dim[2], t->dim[3]);
fail:
    free(pixels);
    return st;
}
