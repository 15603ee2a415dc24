/* op_softmax_bwd.c - the gradient of softmax and log-softmax; kernels in cl/softmax_bwd.cl. */
#include "gradients.h"
#include "reduce_rows.h"

#include <stdio.h>

clio_status op_softmax_bwd(clio_context *ctx, const struct tensor *dx, const struct tensor *dy, const struct tensor *y, bool logarithm,
                           bool add)
{
    clio_status st = CLIO_OK;
    struct rows_plan plan;
    struct kernel *kernel;
    char options[64];
    int adds = add;
    TRY(op_check(ctx, "softmax", "y", y, DTYPE_F32, y->ndim, -1, -1, -1, -1));
    TRY(rows_plan(ctx, "softmax", y, &plan));
    TRY(op_check(ctx, "softmax", "dy", dy, DTYPE_F32, y->ndim, y->dim[0], y->dim[1], y->dim[2], y->dim[3]));
    TRY(op_check(ctx, "softmax", "dx", dx, DTYPE_F32, y->ndim, y->dim[0], y->dim[1], y->dim[2], y->dim[3]));

    struct norm_args args = {.rows = plan.rows, .n = plan.n};
    double elements = (double)plan.rows * plan.n;
    snprintf(options, sizeof options, "%s%s", plan.options, logarithm ? " -DLOGARITHM=1" : "");
    TRY(kernel_get(ctx, "softmax_bwd", "softmax_bwd", options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(4 * elements, (add ? 16 : 12) * elements), ARG_TENSOR(dx), ARG_TENSOR(dy), ARG_TENSOR(y),
               ARG_VALUE(adds), ARG_VALUE(args)));
fail:
    return st;
}
