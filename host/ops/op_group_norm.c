/* op_group_norm.c - group norm of images, in three kernels: cl/group_norm.cl. */
#include "families.h"
#include "reduce_columns.h"
#include "reduce_rows.h"
#include "gradients.h"

#include <limits.h>

#define CHUNK_FLOATS 65536 /* of a work-item that reads them twice: a quarter of a usual L2 cache */
#define CHUNKS_WANTED 8    /* for a CPU's cores; smaller images are cut into as many where that leaves pixels enough */
#define CHUNK_FLOATS_AT_LEAST 4096
#define ITEMS_WANTED 131072 /* that fill a GPU, one per channel of a chunk */

/* Pixels of a chunk. */
static int chunk_of(const struct group_norm_args *a, bool by_row)
{
    double numbers = (double)a->pixels * a->channels;
    if (!by_row)
        return (int)MAX(16, MIN(256, a->batch * numbers / ITEMS_WANTED));
    double floats = MAX(CHUNK_FLOATS_AT_LEAST, MIN(CHUNK_FLOATS, numbers / CHUNKS_WANTED));
    return (int)MAX(1, MIN(1024, floats / a->channels));
}

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct group_norm_args *args = (const void *)r->args;
    uint64_t mark = arena_mark(&tape->arena);
    struct norm_grads g;
    TRY(norm_grads(ctx, tape, r, 1, &g));
    TRY(op_group_norm_bwd(ctx, &tape->arena, g.dx, g.dgamma, g.dbeta, &g.dy, &g.x, &g.gamma, args->groups, args->eps, g.add_x, g.add_w));
fail:
    arena_release(&tape->arena, mark);
    return st;
}

/* On a tape norm and activation are recorded one after the other: what went into the activation is needed unless its result will do. */
static clio_status norm_then_activation(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                        const struct tensor *gamma, const struct tensor *beta, int groups, float eps, int act)
{
    clio_status st = CLIO_OK;
    struct tensor between = *out;
    struct arena *of_tape = &ctx->tape->arena;
    uint64_t mark = arena_mark(of_tape);
    if (!activation_by_result(act))
        TRY(tensor_take(ctx, of_tape, &between));
    TRY(op_group_norm_fwd(ctx, arena, &between, in, gamma, beta, groups, eps, ACT_NONE));
    TRY(op_activation_fwd(ctx, out, &between, act, 0));
fail:
    arena_release(of_tape, mark);
    return st;
}

clio_status op_group_norm_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                              const struct tensor *gamma, const struct tensor *beta, int groups, float eps, int act)
{
    clio_status st = CLIO_OK;
    struct kernel *sums, *join, *apply;
    struct grid by_chunk, by_group, by_number;
    char shape[96];
    struct rows_call call = {.op = "norm", .groups = groups, .act = act};
    struct kernel_variant v;
    int local = (int)MIN((size_t)64, ctx->device.max_work_group);
    uint64_t mark = arena_mark(arena);
    int channels = in->ndim > 1 && in->ndim <= TENSOR_DIMS ? in->dim[in->ndim - 1] : 0, batch = in->dim[0];
    size_t pixels = channels > 0 && batch > 0 ? tensor_count(in) / (size_t)channels / (size_t)batch : 0;
    if (pixels == 0 || pixels > (size_t)(INT_MAX / channels) || groups < 1 || channels % groups || act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "group norm: %d groups of %s, activation %d", groups, tensor_describe(in, shape), act);
    TRY(op_check(ctx, "group norm", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "group norm", "out", out, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]));
    TRY(op_check(ctx, "group norm", "gamma", gamma, DTYPE_F32, 1, channels, 1, 1, 1));
    TRY(op_check(ctx, "group norm", "beta", beta, DTYPE_F32, 1, channels, 1, 1, 1));
    if (ctx->tape && act != ACT_NONE && !ctx->planning)
        return norm_then_activation(ctx, arena, out, in, gamma, beta, groups, eps, act);
    TRY(family_choose(ctx, "norm", NULL, &call, &v));

    struct group_norm_args a = {.batch = batch, .pixels = (int)pixels, .channels = channels, .groups = groups, .eps = eps};
    if (ctx->tape) {
        struct tape_record r = {.op = "group norm", .backward = backward, .t = {*out, *in, *gamma, *beta}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, &a, sizeof a));
    }
    a.chunk = chunk_of(&a, call.by_row);
    a.chunks = (a.pixels + a.chunk - 1) / a.chunk;
    struct tensor parts = tensor_shape(DTYPE_F32, 4, batch, a.chunks, 2, channels),
                  stats = tensor_shape(DTYPE_F32, 3, batch, 2, channels, 0);
    TRY(tensor_take(ctx, arena, &parts));
    TRY(tensor_take(ctx, arena, &stats));
    if (call.by_row) {
        by_chunk = by_number = GRID2(a.chunks, batch, 1, 1);
        by_group = GRID2(groups, batch, 1, 1);
    } else {
        by_chunk = GRID3(channels, a.chunks, batch, MIN(channels, local), 1, 1);
        by_group = GRID2((size_t)groups * (size_t)call.items, batch, call.items, 1);
        by_number = GRID2(pixels * (size_t)channels, batch, local, 1);
    }
    double numbers = (double)tensor_count(in), between = 4.0 * (double)tensor_count(&parts);
    TRY(kernel_get(ctx, "group_norm", "group_norm_sums", v.options, &sums));
    TRY(kernel_get(ctx, "group_norm", "group_norm_join", v.options, &join));
    TRY(kernel_get(ctx, "group_norm", "group_norm_apply", v.options, &apply));
    TRY(LAUNCH(ctx, sums, by_chunk, COST(5 * numbers, 4 * numbers + between), ARG_TENSOR(&parts), ARG_TENSOR(in), ARG_VALUE(a)));
    TRY(LAUNCH(ctx, join, by_group, COST(between, between), ARG_TENSOR(&stats), ARG_TENSOR(&parts), ARG_TENSOR(gamma), ARG_VALUE(a)));
    TRY(LAUNCH(ctx, apply, by_number, COST(3 * numbers, 8 * numbers), ARG_TENSOR(out), ARG_TENSOR(in), ARG_TENSOR(&stats), ARG_TENSOR(beta),
               ARG_VALUE(a)));
fail:
    arena_release(arena, mark);
    return st;
}
