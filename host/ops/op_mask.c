/* op_mask.c - fill rectangles of a batch of matrices; kernel in cl/mask.cl. */
#include "ops.h"

#include <limits.h>

clio_status op_mask_fwd(clio_context *ctx, const struct tensor *x, const struct tensor *boxes, float value)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char shape[96];
    TRY(op_check(ctx, "mask", "x", x, DTYPE_F32, 3, -1, -1, -1, -1));
    TRY(op_check(ctx, "mask", "boxes", boxes, DTYPE_I32, 2, -1, MASK_BOX, -1, -1));
    struct mask_args args = {.batch = x->dim[0], .rows = x->dim[1], .columns = x->dim[2], .count = boxes->dim[0], .value = value};
    double items = (double)args.count * args.rows * args.columns;
    if (args.count < 1 || tensor_count(x) == 0 || tensor_count(x) > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "mask: %d boxes of %s", args.count, tensor_describe(x, shape));
    if (ctx->tape)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "mask: no gradient; pause the tape");

    size_t group = ctx->device.simd_width > 1 ? 16 : 64;
    TRY(kernel_get(ctx, "mask", "mask_boxes", "", &kernel));
    TRY(LAUNCH(ctx, kernel, GRID3(args.columns, args.rows, args.count, MIN(group, ctx->device.max_work_group), 1, 1), COST(0, 4 * items),
               ARG_TENSOR(x), ARG_TENSOR(boxes), ARG_VALUE(args)));
fail:
    return st;
}
