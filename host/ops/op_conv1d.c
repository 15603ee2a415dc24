/* op_conv1d.c - convolution over time as a matrix product. In [T, C] with zeros in front and behind, the window of output row t is the
 * kernel * C numbers from t * stride * C on: rows of a matrix that overlap. So gemm_run does the work, with its packing, kernels
 * and epilogue, and nothing is copied but the edges' zeros (im2col, which would store each number `kernel` times, was rejected). */
#include "gemm.h"
#include "lanes.h"

#include <limits.h>

/* `in` with `padding` zero rows at both ends of each batch, in the arena; kernel in cl/conv1d.cl. */
static clio_status pad(clio_context *ctx, struct arena *arena, struct tensor *padded, const struct tensor *in, int padding)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    struct conv1d_args args = {.batch = in->dim[0], .length = in->dim[1], .in = in->dim[2], .padding = padding};
    *padded = tensor_shape(DTYPE_F32, 3, args.batch, args.length + 2 * padding, args.in, 1);
    TRY(tensor_take(ctx, arena, padded));
    struct lanes_plan plan = lanes_plan(ctx, tensor_count(padded) / (size_t)args.batch);
    TRY(kernel_get(ctx, "conv1d", "pad", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID2(plan.items, args.batch, plan.group, 1), COST(0, 4.0 * (double)(tensor_count(in) + tensor_count(padded))),
               ARG_TENSOR(padded), ARG_TENSOR(in), ARG_VALUE(args)));
fail:
    return st;
}

/* epilogue->residual has the shape of out. */
clio_status conv1d_run(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                       int kernel, int stride, int padding, const struct gemm_epilogue *epilogue, const struct matmul_call *record)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor rows;
    if (kernel < 1 || stride < 1 || padding < 0 || w->k % kernel)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv1d: kernel %d of %d weights, stride %d or padding %d is impossible", kernel, w->k, stride,
             padding);
    TRY(op_check(ctx, "conv1d", "in", in, DTYPE_F32, 3, -1, -1, w->k / kernel, -1));
    int batch = in->dim[0], length = in->dim[1] + 2 * padding, channels = in->dim[2];
    int out_length = length < kernel ? 0 : (length - kernel) / stride + 1;
    TRY(op_check(ctx, "conv1d", "out", out, DTYPE_F32, 3, batch, out_length, w->n, -1));

    struct gemm_epilogue e = epilogue ? *epilogue : (struct gemm_epilogue){0};
    int a_step = length * channels, c_step = out_length * w->n;
    if (e.lda || e.a_offset || e.ldc || e.c_offset)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv1d: the epilogue's offsets and row lengths are conv1d's own");
    if (e.residual && tensor_count(e.residual) != tensor_count(out))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv1d: the residual does not have the shape of out");
    if ((double)batch * length * channels > INT_MAX || (double)batch * out_length * w->n > INT_MAX)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "conv1d: a batch of %d x %d x %d numbers is too large for one call", batch, length, channels);
    TRY(matmul_record(ctx, record, out, in, w, epilogue));
    rows = *in;
    if (padding)
        TRY(pad(ctx, arena, &rows, in, padding));
    e.lda = stride * channels;
    for (int b = 0; b < batch; b++) {
        e.a_offset = b * a_step;
        e.c_offset = b * c_step;
        TRY(gemm_run(ctx, out, &rows, w, out_length, &e, NULL));
    }
fail:
    arena_release(arena, mark);
    return st;
}
