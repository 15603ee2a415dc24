/* op_mmd.c - maximum mean discrepancy and its gradient; kernels in cl/mmd.cl. Both start from the squared distances of all rows of x and y,
 * in (M + N)^2 floats of scratch memory. */
#include "gradients.h"
#include "reduce_sums.h"
#include "tape.h"

#include <limits.h>
#include <string.h>

/* As in cl/mmd.cl: distances of a work-item or group, rows and columns of those of the gradient. */
#define BLOCK_ROW 16
#define STRIPE_ROW 32
#define ROWS_ROW 64
#define ROWS_GROUP 8

/* Rows [M, ...] as [M, D]. */
static clio_status check(clio_context *ctx, const char *op, const struct tensor *x, const struct tensor *y, struct mmd_args *args)
{
    clio_status st = CLIO_OK;
    char shape_x[96], shape_y[96];
    TRY(op_check(ctx, op, "x", x, DTYPE_F32, x->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, op, "y", y, DTYPE_F32, x->ndim, -1, x->dim[1], x->dim[2], x->dim[3]));
    size_t d = tensor_count(x) / (size_t)x->dim[0], rows = (size_t)x->dim[0] + (size_t)y->dim[0];
    int least = args->unbiased ? 2 : 1;
    if (x->ndim < 2 || d > INT_MAX / 2 || rows > 32768 || x->dim[0] < least || y->dim[0] < least)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot compare the rows of %s and %s", op, tensor_describe(x, shape_x),
             tensor_describe(y, shape_y));
    if (args->count < 1 || args->count > MMD_KERNELS || (args->form != MMD_RBF && args->form != MMD_RATIONAL))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: there is no kernel %d with %d bandwidths", op, args->form, args->count);
    args->m = x->dim[0];
    args->n = y->dim[0];
    args->d = (int)d;
    for (int i = 0; i < args->count; i++) {
        if (!(args->bandwidths[i] > 0))
            FAIL(ctx, CLIO_ERROR_INTERNAL, "%s: a bandwidth is %g, but must be above 0", op, (double)args->bandwidths[i]);
        if (args->form == MMD_RBF)
            args->bandwidths[i] = (float)(0.5 / ((double)args->bandwidths[i] * (double)args->bandwidths[i]));
    }
fail:
    return st;
}

static bool is_by_row(const struct rows_plan *plan)
{
    return strncmp(plan->options, "-DROW", 5) == 0;
}

/* The matrix of distances from the arena, and how its rows are spread over the device. */
static clio_status take_distances(clio_context *ctx, struct arena *arena, struct tensor *distances, const struct tensor *x,
                                  const struct tensor *y, struct mmd_args args, struct rows_plan *plan)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    int rows = args.m + args.n;
    *distances = tensor_shape(DTYPE_F32, 2, rows, rows, 0, 0);
    TRY(tensor_take(ctx, arena, distances));
    TRY(rows_plan(ctx, "norm", distances, plan));
    size_t side = 1, blocks;
    if (is_by_row(plan))
        TRY(kernel_get(ctx, "mmd", "mmd_distances", plan->options, &kernel));
    else
        TRY(kernel_get_square(ctx, "mmd", "mmd_distances", plan->options, &kernel, &side));
    blocks = ((size_t)rows - 1) / (is_by_row(plan) ? BLOCK_ROW : 2 * side) + 1;
    struct grid grid = GRID2(blocks * side, blocks * side, side, side);
    TRY(LAUNCH(ctx, kernel, grid, COST(1.5 * rows * (double)rows * args.d, 8.0 * rows * args.d), ARG_TENSOR(distances), ARG_TENSOR(x),
               ARG_TENSOR(y), ARG_VALUE(args)));
fail:
    return st;
}

/* Records: the loss, x, y. */
static clio_status mmd_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct mmd_args *args = (const void *)r->args;
    struct tensor dx, dy, dloss = tape_given(tape, r, 0), x = tape_value(tape, r, 1), y = tape_value(tape, r, 2);
    bool to_x = tape_wants(tape, r, 1), to_y = tape_wants(tape, r, 2), add_x = false, add_y = false;
    if (to_x)
        TRY(tape_grad(ctx, tape, r, 1, &dx, &add_x));
    if (to_y)
        TRY(tape_grad(ctx, tape, r, 2, &dy, &add_y));
    TRY(op_mmd_bwd(ctx, &tape->arena, to_x ? &dx : NULL, to_y ? &dy : NULL, &dloss, &x, &y, *args, add_x, add_y));
fail:
    return st;
}

clio_status op_mmd_fwd(clio_context *ctx, struct arena *arena, const struct tensor *loss, const struct tensor *x, const struct tensor *y,
                       struct mmd_args args)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct mmd_args given = args;
    struct rows_plan plan;
    struct tensor distances, parts;
    struct kernel *kernel;
    TRY(check(ctx, "mmd", x, y, &args));
    TRY(op_check(ctx, "mmd", "loss", loss, DTYPE_F32, 1, 1, 0, 0, 0));
    if (ctx->tape) {
        struct tape_record r = {.op = "mmd", .backward = mmd_backward, .t = {*loss, *x, *y}, .keep = 1 << 1 | 1 << 2};
        TRY(tape_record(ctx, &r, &given, sizeof given));
    }
    TRY(take_distances(ctx, arena, &distances, x, y, args, &plan));
    parts = tensor_shape(DTYPE_F32, 1, args.m + args.n, 0, 0, 0);
    TRY(tensor_take(ctx, arena, &parts));
    double pairs = (double)tensor_count(&distances);
    TRY(kernel_get(ctx, "mmd", "mmd_rows", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(5 * pairs * args.count, 4 * pairs), ARG_TENSOR(&parts), ARG_TENSOR(&distances),
               ARG_VALUE(args)));
    TRY(sums_finish(ctx, loss, 0, &parts, 1, false));
fail:
    arena_release(arena, mark);
    return st;
}

/* Rows first .. of the gradient with respect to both. */
static clio_status launch_bwd(clio_context *ctx, const struct tensor *dz, const struct tensor *slopes, const struct tensor *x,
                              const struct tensor *y, int first, bool add, struct mmd_args args, const struct rows_plan *plan)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    int count = dz->dim[0], to_z = add ? GRADIENT_ADD : GRADIENT_STORE;
    size_t d = (size_t)args.d, group = MIN((size_t)64, ctx->device.max_work_group);
    struct grid grid = is_by_row(plan) ? GRID2((d - 1) / STRIPE_ROW + 1, ((size_t)count - 1) / ROWS_ROW + 1, 1, 1)
                                       : GRID2(d, ((size_t)count - 1) / ROWS_GROUP + 1, group, 1);
    TRY(kernel_get(ctx, "mmd", "mmd_bwd", plan->options, &kernel));
    TRY(LAUNCH(ctx, kernel, grid, COST(3.0 * count * (args.m + args.n) * args.d, 8.0 * count * args.d), ARG_TENSOR(dz), ARG_TENSOR(slopes),
               ARG_TENSOR(x), ARG_TENSOR(y), ARG_VALUE(first), ARG_VALUE(count), ARG_VALUE(to_z), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_mmd_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy, const struct tensor *dloss,
                       const struct tensor *x, const struct tensor *y, struct mmd_args args, bool add_x, bool add_y)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct rows_plan plan;
    struct tensor distances;
    struct kernel *kernel;
    TRY(check(ctx, "mmd_bwd", x, y, &args));
    TRY(op_check(ctx, "mmd_bwd", "dloss", dloss, DTYPE_F32, 1, 1, 0, 0, 0));
    if (dx)
        TRY(op_check(ctx, "mmd_bwd", "dx", dx, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    if (dy)
        TRY(op_check(ctx, "mmd_bwd", "dy", dy, DTYPE_F32, y->ndim, y->dim[0], y->dim[1], y->dim[2], y->dim[3]));
    if (!dx && !dy)
        return CLIO_OK;
    TRY(take_distances(ctx, arena, &distances, x, y, args, &plan));
    double pairs = (double)tensor_count(&distances);
    TRY(kernel_get(ctx, "mmd", "mmd_slopes", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, plan.grid, COST(5 * pairs * args.count, 8 * pairs), ARG_TENSOR(&distances), ARG_TENSOR(dloss),
               ARG_VALUE(args)));
    if (dx)
        TRY(launch_bwd(ctx, dx, &distances, x, y, 0, add_x, args, &plan));
    if (dy)
        TRY(launch_bwd(ctx, dy, &distances, x, y, args.m, add_y, args, &plan));
fail:
    arena_release(arena, mark);
    return st;
}
