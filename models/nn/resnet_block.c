/* resnet_block.c - residual block of UNet and AutoencoderKL (diffusers' ResnetBlock2D). */
#include "resnet_block.h"
#include "../../host/ops/tape.h"

enum size { ONE, IN, OUT, TIME, KERNEL };
#define NORM(key, member, width) ROW_NORM(resnet, key, member, width)
#define LINEAR(key, member, kind, in, kernel) ROW_LINEAR(resnet, key, member, kind, OUT, in, kernel, 0, 1)

static const struct state_dict_row resnet_table[] = {
    NORM("norm1", norm1, IN),
    LINEAR("conv1", conv1, WEIGHT_CONV_LARGE, IN, KERNEL),
    NORM("norm2", norm2, OUT),
    LINEAR("conv2", conv2, WEIGHT_CONV_LARGE, OUT, KERNEL),
};

static const struct state_dict_row shortcut_table[] = {LINEAR("conv_shortcut", shortcut, WEIGHT_CONV_LARGE, IN, ONE)};

static const struct state_dict_row time_table[] = {LINEAR("time_emb_proj", embedding, WEIGHT_MATRIX_FEW, TIME, 0)};

bool resnet_has_shortcut(const struct resnet *r)
{
    return r->in != r->out;
}

clio_status resnet_load(clio_context *ctx, struct resnet *r, const char *prefix, const struct weights *weights)
{
    clio_status st = CLIO_OK;
    const int sizes[] = {[ONE] = 1, [IN] = r->in, [OUT] = r->out, [TIME] = r->time, [KERNEL] = 3};
    r->conv1.kernel = r->conv2.kernel = 3;
    TRY(state_dict_load(ctx, r, resnet_table, COUNT(resnet_table), prefix, sizes, weights));
    if (resnet_has_shortcut(r))
        TRY(state_dict_load(ctx, r, shortcut_table, COUNT(shortcut_table), prefix, sizes, weights));
    if (r->time) {
        TRY(state_dict_load(ctx, r, time_table, COUNT(time_table), prefix, sizes, weights));
        r->biased = !ctx->collects; /* while training both stay separate */
        if (r->biased)
            TRY(op_add_fwd(ctx, &r->embedding.bias, &r->embedding.bias, &r->conv1.bias, 1, 1));
    }
fail:
    return st;
}

void resnet_free(clio_context *ctx, struct resnet *r)
{
    state_dict_free(ctx, r, resnet_table, COUNT(resnet_table));
    state_dict_free(ctx, r, shortcut_table, COUNT(shortcut_table));
    state_dict_free(ctx, r, time_table, COUNT(time_table));
}

clio_status resnet_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out, const struct tensor *in,
                       const struct tensor *buffer, const struct tensor *time)
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
        TRY(linear_fwd(ctx, &bias, time, &r->embedding, ACT_NONE, NULL));
        if (!r->biased)
            TRY(op_add_fwd(ctx, &bias, &bias, &r->conv1.bias, 1, 1));
    }
    TRY(tensor_take(ctx, arena, &inner));
    uint64_t inside = arena_mark(arena);
    if (buffer && !ctx->tape)
        normed.mem = buffer->mem;
    else
        TRY(tensor_take(ctx, arena, &normed));
    if (shortcut)
        TRY(linear_fwd(ctx, out, in, &r->shortcut, ACT_NONE, NULL)); /* before the buffer may overwrite in */
    TRY(group_norm_fwd(ctx, arena, &normed, in, &r->norm1, r->groups, r->eps, ACT_SILU));
    TRY(linear_conv_fwd(ctx, arena, &inner, &normed, &r->conv1, time ? &bias : NULL, ACT_NONE, NULL));
    arena_release(arena, inside);
    activated.mem = inner.mem;
    TRY(tensor_renew(ctx, arena, &activated));
    TRY(group_norm_fwd(ctx, arena, &activated, &inner, &r->norm2, r->groups, r->eps, ACT_SILU));
    TRY(linear_conv_fwd(ctx, arena, out, &activated, &r->conv2, NULL, ACT_NONE, shortcut ? out : in));
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

clio_status resnet_recompute_fwd(clio_context *ctx, struct arena *arena, const struct resnet *r, const struct tensor *out,
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
