/* op_matmul_bwd_data.c - gradients of matmul and of convolutions by their input. Each is a forward operation with the swapped matrix:
 *   matmul                       matmul of dy
 *   convolution of stride 1      convolution of dy with the kernel reversed, by the fastest family of convolutions
 *   convolution of any stride    transposed convolution of dy
 * With upsample 2, a pixel gets the sum of its four gradients. */
#include "conv2d.h"
#include "gemm.h"
#include "gradients.h"
#include "lanes.h"

#include <limits.h>

clio_status op_gemm_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                             const struct matrix *w, int m, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct matrix swapped;
    struct gemm_epilogue e = {.residual = add ? dx : NULL};
    TRY(matrix_swap(ctx, arena, &swapped, w, 1));
    TRY(gemm_run(ctx, dx, dy, &swapped, m, &e, NULL));
fail:
    arena_release(arena, mark);
    return st;
}

/* The gradient by the enlarged image, whose size dx has. */
static clio_status enlarged_bwd(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                                const struct matrix *w, struct conv2d_window window, bool add)
{
    clio_status st = CLIO_OK;
    int taps = window.taps, before = taps - 1 - window.before, after = taps - 1 - window.after;
    bool mirrored = window.stride == 1 && before >= 0 && after >= 0;
    struct matrix swapped;
    struct gemm_epilogue e = {.residual = add ? dx : NULL};
    struct transposed_args v = {.taps_y = taps,
                                .taps_x = taps,
                                .stride_y = window.stride,
                                .stride_x = window.stride,
                                .before_y = window.before,
                                .before_x = window.before};
    TRY(matrix_turn(ctx, arena, &swapped, w, taps * taps, mirrored));
    if (mirrored)
        TRY(conv2d_run(ctx, arena, dx, dy, &swapped,
                       (struct conv2d_window){.taps = taps, .stride = 1, .before = before, .after = after, .upsample = 1}, &e, NULL));
    else
        TRY(conv2d_transpose(ctx, arena, dx, dy, &swapped, v, &e));
fail:
    return st;
}

/* dx (+)= sums over 2 x 2 pixels of large */
static clio_status sum_quarters(clio_context *ctx, const struct tensor *dx, const struct tensor *large, bool add)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    int pixels = dx->dim[0] * dx->dim[1] * dx->dim[2], width = dx->dim[2], channels = dx->dim[3], is_sum = add;
    struct lanes_plan plan = lanes_plan(ctx, (size_t)channels);
    TRY(kernel_get(ctx, "conv2d_enlarged_bwd", "sum_quarters", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID2(plan.items, pixels, 1, 1), COST(3.0 * tensor_count(dx), 20.0 * tensor_count(dx)), ARG_TENSOR(dx),
               ARG_TENSOR(large), ARG_VALUE(pixels), ARG_VALUE(width), ARG_VALUE(channels), ARG_VALUE(is_sum)));
fail:
    return st;
}

clio_status op_conv2d_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                               const struct matrix *w, struct conv2d_window window, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    int taps = window.taps, up = window.upsample;
    struct tensor large;
    if (taps < 1 || window.stride < 1 || window.before < 0 || window.after < 0 || up < 1 || up > 2 || w->k % (taps * taps))
        FAIL(ctx, CLIO_ERROR_INTERNAL,
             "conv2d_bwd_data: a window of %d x %d, stride %d, padding %d and %d, upsampling %d over %d weights is impossible", taps, taps,
             window.stride, window.before, window.after, up, w->k);
    TRY(op_check(ctx, "conv2d_bwd_data", "dx", dx, DTYPE_F32, 4, -1, -1, -1, w->k / (taps * taps)));
    int padding = window.before + window.after, height = dx->dim[1] * up, width = dx->dim[2] * up;
    TRY(op_check(ctx, "conv2d_bwd_data", "dy", dy, DTYPE_F32, 4, dx->dim[0], window_count(height + padding, taps, window.stride, 0, 1),
                 window_count(width + padding, taps, window.stride, 0, 1), w->n));
    if (up == 1) {
        TRY(enlarged_bwd(ctx, arena, dx, dy, w, window, add));
    } else {
        large = tensor_shape(DTYPE_F32, 4, dx->dim[0], height, width, dx->dim[3]);
        TRY(tensor_take(ctx, arena, &large));
        TRY(enlarged_bwd(ctx, arena, &large, dy, w, window, false));
        TRY(sum_quarters(ctx, dx, &large, add));
    }
fail:
    arena_release(arena, mark);
    return st;
}

/* An image of one row. */
clio_status op_conv1d_bwd_data(clio_context *ctx, struct arena *arena, const struct tensor *dx, const struct tensor *dy,
                               const struct matrix *w, int kernel, int stride, int padding, bool add)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct matrix swapped;
    struct gemm_epilogue e = {.residual = add ? dx : NULL};
    if (kernel < 1 || stride < 1 || padding < 0 || w->k % kernel)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv1d_bwd_data: kernel %d of %d weights, stride %d or padding %d is impossible", kernel, w->k,
             stride, padding);
    TRY(op_check(ctx, "conv1d_bwd_data", "dx", dx, DTYPE_F32, 3, -1, -1, w->k / kernel, -1));
    TRY(op_check(ctx, "conv1d_bwd_data", "dy", dy, DTYPE_F32, 3, dx->dim[0], window_count(dx->dim[1], kernel, stride, padding, 1), w->n,
                 -1));
    struct tensor to = tensor_reshape(dx, 4, dx->dim[0], 1, dx->dim[1], dx->dim[2]);
    struct tensor from = tensor_reshape(dy, 4, dy->dim[0], 1, dy->dim[1], dy->dim[2]);
    TRY(matrix_swap(ctx, arena, &swapped, w, kernel));
    TRY(conv2d_transpose(
        ctx, arena, &to, &from, &swapped,
        (struct transposed_args){.taps_y = 1, .taps_x = kernel, .stride_y = 1, .stride_x = stride, .before_y = 0, .before_x = padding},
        &e));
fail:
    arena_release(arena, mark);
    return st;
}
