/* feed_forward.c - out = fc2(act(fc1(in))) + residual; gated: out = fc2(a * act(b)) + residual with [a, b] = fc1(in). */
#include "feed_forward.h"

clio_status feed_forward_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                             const struct tensor *residual, const struct feed_forward *ff, const struct feed_forward_options *options)
{
    clio_status st = CLIO_OK;
    int width = ff->fc1.w.k, all = (int)(tensor_count(in) / (size_t)width);
    int chunk = options->chunk && !ctx->tape ? MIN(options->chunk, all) : all;
    uint64_t mark = arena_mark(arena);
    struct tensor hidden = tensor_shape(DTYPE_F32, 2, chunk, ff->fc1.w.n, 0, 0),
                  inner = tensor_shape(DTYPE_F32, 2, chunk, ff->fc2.w.k, 0, 0);
    TRY(tensor_take(ctx, arena, &hidden));
    if (options->gated)
        TRY(tensor_take(ctx, arena, &inner));
    for (int row = 0; row < all; row += chunk) {
        int rows = MIN(chunk, all - row);
        struct gemm_epilogue first = {.bias = linear_bias(&ff->fc1), .a_offset = row * width};
        struct gemm_epilogue second = {.bias = linear_bias(&ff->fc2), .residual = residual, .c_offset = row * width};
        first.act = options->gated ? ACT_NONE : options->act;
        hidden.dim[0] = inner.dim[0] = rows;
        TRY(op_gemm_fwd(ctx, &hidden, in, &ff->fc1.w, rows, &first));
        if (options->gated)
            TRY(op_gated_fwd(ctx, &inner, &hidden, options->act));
        TRY(op_gemm_fwd(ctx, out, options->gated ? &inner : &hidden, &ff->fc2.w, rows, &second));
    }
fail:
    arena_release(arena, mark);
    return st;
}
