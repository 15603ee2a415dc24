/* op_attention_bwd.c - the gradient of attention; kernels and formulas in cl/attention_bwd.cl. The family is that of the forward
 * (attention.family): by row for CPUs, where a work-item takes a whole head and computes its scores once; by group for GPUs, where many
 * groups share a head and scores are computed again for dk and dv. */
#include "attention.h"
#include "gradients.h"

#include <math.h>
#include <stdio.h>

#define SIDE 32          /* rows and columns of a tile of a group */
#define GROUP_COLUMNS 64 /* of a gradient in one group, at most */
#define WIDE_HEAD 256    /* columns */

enum { WANT_Q = 1, WANT_K = 2, WANT_V = 4 };

/* Whether t holds `rows` rows of `columns` elements, `step` apart from `offset` on. */
static bool holds_rows(const struct tensor *t, int rows, int step, int offset, int columns)
{
    size_t last = (size_t)offset + (size_t)(rows - 1) * (size_t)step + (size_t)columns;
    return t->dtype == DTYPE_F32 && offset >= 0 && step >= columns && rows > 0 && last <= tensor_count(t);
}

static clio_status check_rows(clio_context *ctx, const char *name, const struct tensor *t, int rows, int step, int offset, int columns)
{
    clio_status st = CLIO_OK;
    char shape[96];
    if (t && !holds_rows(t, rows, step, offset, columns))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention gradient: %s is %s, but must hold %d rows of %d columns, %d apart, from %d on", name,
             tensor_describe(t, shape), rows, columns, step, offset);
fail:
    return st;
}

static clio_status check_args(clio_context *ctx, const struct attention_store_args *s, const struct attention_args *a)
{
    clio_status st = CLIO_OK;
    if (a->batch < 1 || a->heads < 1 || a->head_dim < 1 || a->queries < 1 || a->keys < 1 || a->keys > s->rows || a->position < 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention gradient: %d x %d heads of %d, %d queries at %d over %d keys of %d", a->batch, a->heads,
             a->head_dim, a->queries, a->position, a->keys, s->rows);
    if (s->position != 0 || a->first < s->first || a->first + a->batch > s->first + s->batch)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "attention gradient: keys %d on of %d to %d, asked for %d to %d", s->position, s->first,
             s->first + s->batch - 1, a->first, a->first + a->batch - 1);
fail:
    return st;
}

/* The argument of a kernel for an output that is not wanted: some other tensor. */
static const struct tensor *or_else(const struct tensor *t, const struct tensor *other)
{
    return t ? t : other;
}

struct inputs {
    const struct tensor *dout, *out, *q, *k, *v, *key_lengths; /* key_lengths NULL: all keys */
};

static clio_status by_row(clio_context *ctx, const struct tensor *dq, const struct tensor *dk, const struct tensor *dv,
                          const struct inputs *in, int want, struct attention_store_args s, struct attention_args a, struct cost cost)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char options[80];
    /* of a wide head, fewer queries and weights fit into private memory */
    int rows = MIN(params_int(ctx, "attention.bwd.rows", 8), 16), keys = params_int(ctx, "attention.bwd.keys", 1024),
        wide = a.head_dim >= WIDE_HEAD;
    snprintf(options, sizeof options, "-DD=%d -DROW=1 -DTILE=%d -DQV=%d -DKEYS=%d%s", a.head_dim, rows, wide ? 1 : 2,
             ROUND_UP(MIN(keys, wide ? 256 : 2048), rows), LENGTHS_OPTION(in->key_lengths));
    TRY(kernel_get(ctx, "attention_bwd", "attention_bwd_row", options, &kernel));
    TRY(LAUNCH_PADDED(ctx, in->key_lengths, kernel, GRID2(a.heads, a.batch, 1, 1), cost, ARG_TENSOR(or_else(dq, in->dout)),
                      ARG_TENSOR(or_else(dk, in->dout)), ARG_TENSOR(or_else(dv, in->dout)), ARG_TENSOR(in->dout), ARG_TENSOR(in->out),
                      ARG_TENSOR(in->q), ARG_TENSOR(in->k), ARG_TENSOR(in->v), ARG_VALUE(want), ARG_VALUE(s), ARG_VALUE(a)));
fail:
    return st;
}

static clio_status by_group(clio_context *ctx, struct arena *arena, const struct tensor *dq, const struct tensor *dk,
                            const struct tensor *dv, const struct inputs *in, int want, struct attention_store_args s,
                            struct attention_args a, struct cost cost)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char options[32];
    uint64_t mark = arena_mark(arena);
    struct tensor stats = tensor_shape(DTYPE_F32, 4, a.batch, a.heads, a.queries, 2);
    size_t queries = (size_t)(a.queries + SIDE - 1) / SIDE, keys = (size_t)(a.keys + SIDE - 1) / SIDE,
           chunks = (size_t)(a.head_dim + GROUP_COLUMNS - 1) / GROUP_COLUMNS;
    struct cost third = COST(cost.flops / 3, cost.bytes / 3);
    snprintf(options, sizeof options, "-DD=%d%s", a.head_dim, LENGTHS_OPTION(in->key_lengths));
    TRY(tensor_take(ctx, arena, &stats));
    TRY(kernel_get(ctx, "attention_bwd", "attention_stats", options, &kernel));
    TRY(LAUNCH_PADDED(ctx, in->key_lengths, kernel, GRID3(queries * 64, a.heads, a.batch, 64, 1, 1), third, ARG_TENSOR(&stats),
                      ARG_TENSOR(in->dout), ARG_TENSOR(in->out), ARG_TENSOR(in->q), ARG_TENSOR(in->k), ARG_VALUE(s), ARG_VALUE(a)));
    if (want & WANT_Q) {
        TRY(kernel_get(ctx, "attention_bwd", "attention_bwd_q", options, &kernel));
        TRY(LAUNCH_PADDED(ctx, in->key_lengths, kernel, GRID3(queries * chunks * 64, a.heads, a.batch, 64, 1, 1), third, ARG_TENSOR(dq),
                          ARG_TENSOR(&stats), ARG_TENSOR(in->dout), ARG_TENSOR(in->q), ARG_TENSOR(in->k), ARG_TENSOR(in->v), ARG_VALUE(s),
                          ARG_VALUE(a)));
    }
    if (want & (WANT_K | WANT_V)) {
        TRY(kernel_get(ctx, "attention_bwd", "attention_bwd_kv", options, &kernel));
        TRY(LAUNCH_PADDED(ctx, in->key_lengths, kernel, GRID3(keys * chunks * 64, a.heads, a.batch, 64, 1, 1), third,
                          ARG_TENSOR(or_else(dk, in->dout)), ARG_TENSOR(or_else(dv, in->dout)), ARG_TENSOR(&stats), ARG_TENSOR(in->dout),
                          ARG_TENSOR(in->q), ARG_TENSOR(in->k), ARG_TENSOR(in->v), ARG_VALUE(want), ARG_VALUE(s), ARG_VALUE(a)));
    }
fail:
    arena_release(arena, mark);
    return st;
}

clio_status op_attention_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dq, const struct tensor *dk,
                             const struct tensor *dv, const struct tensor *dout, const struct tensor *out, const struct tensor *q,
                             const struct tensor *k, const struct tensor *v, const struct tensor *key_lengths,
                             struct attention_store_args store, struct attention_args args)
{
    clio_status st = CLIO_OK;
    const struct inputs in = {dout, out, q, k, v, key_lengths};
    int want = (dq ? WANT_Q : 0) | (dk ? WANT_K : 0) | (dv ? WANT_V : 0), columns = args.heads * args.head_dim;
    TRY(check_args(ctx, &store, &args));
    int rows = args.batch * args.queries, stored = store.batch * store.rows;
    TRY(check_rows(ctx, "q", q, rows, args.ldq, args.q_offset, columns));
    TRY(check_rows(ctx, "dq", dq, rows, args.ldq, args.q_offset, columns));
    TRY(check_rows(ctx, "out", out, rows, args.ldo, 0, columns));
    TRY(check_rows(ctx, "dout", dout, rows, args.ldo, 0, columns));
    TRY(check_rows(ctx, "k", k, stored, store.ldk, store.k_offset, columns));
    TRY(check_rows(ctx, "dk", dk, stored, store.ldk, store.k_offset, columns));
    TRY(check_rows(ctx, "v", v, stored, store.ldv, store.v_offset, columns));
    TRY(check_rows(ctx, "dv", dv, stored, store.ldv, store.v_offset, columns));
    if (key_lengths)
        TRY(op_check(ctx, "attention gradient", "key_lengths", key_lengths, DTYPE_I32, 1, MAX(key_lengths->dim[0], args.first + args.batch),
                     1, 1, 1));
    if (!want)
        return CLIO_OK;
    if (!(args.scale > 0))
        args.scale = 1.0f / sqrtf((float)args.head_dim);
    double pairs = (double)rows * args.keys * (args.causal && args.queries > 1 ? 0.5 : 1.0);
    struct cost cost = COST(10.0 * pairs * columns, 4.0 * columns * (5.0 * rows + 6.0 * stored));
    if (params_is(ctx, "attention.family", "row"))
        TRY(by_row(ctx, dq, dk, dv, &in, want, store, args, cost));
    else
        TRY(by_group(ctx, arena, dq, dk, dv, &in, want, store, args, cost));
fail:
    return st;
}
