/* op_embed.c - embedding lookup with positions; kernels in cl/embed.cl. */
#include "gradients.h"
#include "tape.h"

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct embed_args *args = (const void *)r->args;
    struct tensor dtable, dpositions, dy = tape_given(tape, r, 0), ids = tape_value(tape, r, 2);
    bool wants_table = tape_wants(tape, r, 1), wants_positions = r->t[3].mem && tape_wants(tape, r, 3), add_table = false;
    bool add_positions = false;
    if (wants_table)
        TRY(tape_grad(ctx, tape, r, 1, &dtable, &add_table));
    if (wants_positions)
        TRY(tape_grad(ctx, tape, r, 3, &dpositions, &add_positions));
    TRY(op_embed_bwd(ctx, &tape->arena, wants_table ? &dtable : NULL, wants_positions ? &dpositions : NULL, &dy, &ids, args->position,
                     add_table, add_positions));
fail:
    return st;
}

clio_status op_embed_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *table, const struct tensor *ids,
                         const struct tensor *positions, int position)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    bool half_table = table->dtype == DTYPE_F16;
    TRY(op_check(ctx, "embed", "table", table, half_table ? DTYPE_F16 : DTYPE_F32, 2, -1, -1, -1, -1));
    TRY(op_check(ctx, "embed", "ids", ids, DTYPE_I32, ids->ndim == 1 ? 1 : 2, -1, -1, -1, -1));

    int n = table->dim[1], batch = ids->ndim == 2 ? ids->dim[0] : 1, length = ids->dim[ids->ndim - 1];
    if (out->ndim == 2) /* [rows, N] */
        TRY(op_check(ctx, "embed", "out", out, DTYPE_F32, 2, batch * length, n, -1, -1));
    else
        TRY(op_check(ctx, "embed", "out", out, DTYPE_F32, 3, batch, length, n, -1));
    if (positions) {
        TRY(op_check(ctx, "embed", "positions", positions, DTYPE_F32, 2, -1, n, -1, -1));
        if (position < 0 || position > positions->dim[0] - length)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "embed: positions %d to %d are asked for, but there are %d", position, position + length - 1,
                 positions->dim[0]);
    }

    struct embed_args args = {
        .rows = batch * length, .n = n, .vocab = table->dim[0], .position = position, .positions = positions ? length : 0};
    double elements = (double)args.rows * n;
    if (ctx->tape) {
        struct tape_record r = {.op = "embed", .backward = backward, .t = {*out, *table, *ids}, .keep = 1 << 2};
        if (positions)
            r.t[3] = *positions;
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }
    const struct tensor *added = positions ? positions : table; /* table: something valid that is not read */
    TRY(kernel_get(ctx, "embed", "embed", half_table ? "-DTABLE_F16=1" : "", &kernel));
    TRY(LAUNCH(ctx, kernel, GRID2(n, args.rows, MIN((size_t)64, ctx->device.max_work_group), 1),
               COST(elements, elements * (4.0 + (double)dtype_size(table->dtype) + (positions ? 4.0 : 0.0))), ARG_TENSOR(out),
               ARG_TENSOR(table), ARG_TENSOR(ids), ARG_TENSOR(added), ARG_VALUE(args)));
fail:
    return st;
}
