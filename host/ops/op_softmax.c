/* op_softmax.c - softmax and log-softmax; kernels in cl/softmax.cl. */
#include "gradients.h"
#include "reduce_rows.h"
#include "tape.h"

#include <stdio.h>

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const bool *logarithm = (const void *)r->args;
    struct tensor dx, dy = tape_given(tape, r, 0), y = tape_value(tape, r, 0);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_softmax_bwd(ctx, &dx, &dy, &y, *logarithm, add));
fail:
    return st;
}

clio_status op_softmax_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, bool logarithm)
{
    clio_status st = CLIO_OK;
    struct rows_plan plan;
    struct kernel *kernel;
    char options[64];
    TRY(rows_plan(ctx, "softmax", in, &plan));
    TRY(op_check(ctx, "softmax", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "softmax", "out", out, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]));

    struct norm_args args = {.rows = plan.rows, .n = plan.n};
    double elements = (double)plan.rows * plan.n;
    if (ctx->tape) {
        struct tape_record r = {.op = "softmax", .backward = backward, .t = {*out, *in}, .keep = 1 << 0};
        TRY(tape_record(ctx, &r, &logarithm, sizeof logarithm));
    }
    snprintf(options, sizeof options, "%s%s", plan.options, logarithm ? " -DLOGARITHM=1" : "");
    TRY(kernel_get(ctx, "softmax", "softmax", options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(5 * elements, 8 * elements), ARG_TENSOR(out), ARG_TENSOR(in), ARG_VALUE(args)));
fail:
    return st;
}
