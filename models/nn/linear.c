/* linear.c - convolutions and residual blocks of the networks for pictures; see blocks.h. blocks_attention.c has the rest. */
#include "linear.h"
#include "../../host/ops/tape.h"

#include <stdlib.h>

static clio_status load_linear(clio_context *ctx, struct block_linear *l, enum network_kind kind, const char *key, int out, int in,
                               int taps, bool optional, const struct weights *weights)
{
    const struct network_row table[] = {
        {".weight", offsetof(struct block_linear, w), kind, 1, 2, kind == NETWORK_CONV_LARGE ? 3 : 0, 0, 1, false},
        {".bias", offsetof(struct block_linear, bias), NETWORK_VECTOR, 1, 0, 0, 0, 1, optional},
    };
    l->taps = taps;
    return network_load(ctx, l, table, COUNT(table), key, (int[]){1, out, in, taps}, weights);
}

clio_status block_linear_load(clio_context *ctx, struct block_linear *l, const char *key, int out, int in, int taps, bool optional,
                              const struct weights *weights)
{
    return load_linear(ctx, l, NETWORK_CONV_LARGE, key, out, in, taps, optional, weights);
}

clio_status block_few_load(clio_context *ctx, struct block_linear *l, const char *key, int out, int in, const struct weights *weights)
{
    return load_linear(ctx, l, NETWORK_MATRIX_FEW, key, out, in, 1, false, weights);
}

void block_linear_free(clio_context *ctx, struct block_linear *l)
{
    matrix_free(ctx, &l->w);
    tensor_free(ctx, &l->bias);
}

clio_status block_norm_load(clio_context *ctx, struct block_norm *n, const char *key, int width, const struct weights *weights)
{
    static const struct network_row table[] = {
        BLOCK_VECTOR(block_norm, ".weight", gamma, 1, 0, 1),
        BLOCK_VECTOR(block_norm, ".bias", beta, 1, 0, 1),
    };
    return network_load(ctx, n, table, COUNT(table), key, (int[]){1, width}, weights);
}

void block_norm_free(clio_context *ctx, struct block_norm *n)
{
    tensor_free(ctx, &n->gamma);
    tensor_free(ctx, &n->beta);
}

clio_status block_linear_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct block_linear *l, int act,
                             const struct tensor *residual)
{
    struct gemm_epilogue e = {.bias = &l->bias, .act = act, .residual = residual};
    return op_gemm_fwd(ctx, out, in, &l->w, (int)(tensor_count(in) / (size_t)l->w.k), &e);
}

clio_status block_conv_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct block_linear *l, const struct tensor *bias, int act, const struct tensor *residual)
{
    if (l->taps == 1 && !bias)
        return block_linear_fwd(ctx, out, in, l, act, residual);
    struct gemm_epilogue e = {.bias = bias ? bias : &l->bias, .act = act, .residual = residual};
    struct conv2d_window window = {.taps = l->taps, .stride = 1, .before = l->taps / 2, .after = l->taps / 2, .upsample = 1};
    return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
}

clio_status block_downsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                 const struct block_linear *l, int padding)
{
    struct gemm_epilogue e = {.bias = &l->bias};
    struct conv2d_window window = {.taps = l->taps, .stride = 2, .before = padding, .after = 1, .upsample = 1};
    return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
}

/* out[B, H', W', C], where pixel (y, x) is that of `in` at (y H / H', x W / W'): a table of pixels and the rows that are wanted of it. */
static clio_status stretch(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    int batch = in->dim[0], height = in->dim[1], width = in->dim[2], channels = in->dim[3], count = batch * out->dim[1] * out->dim[2];
    int *rows = NULL, *row;
    uint64_t mark = arena_mark(arena);
    struct tensor ids = tensor_shape(DTYPE_I32, 1, count, 0, 0, 0), table = tensor_reshape(in, 2, batch * height * width, channels, 0, 0);
    struct tensor flat = tensor_reshape(out, 2, count, channels, 0, 0);
    TRY(mem_alloc(ctx, &rows, (size_t)count, sizeof *rows));
    row = rows;
    for (int b = 0; b < batch; b++)
        for (int y = 0; y < out->dim[1]; y++)
            for (int x = 0; x < out->dim[2]; x++)
                *row++ = (b * height + y * height / out->dim[1]) * width + x * width / out->dim[2];
    TRY(tensor_take(ctx, arena, &ids));
    TRY(tensor_write(ctx, &ids, 0, (size_t)count, rows));
    TRY(op_embed_fwd(ctx, &flat, &table, &ids, NULL, 0));
fail:
    free(rows);
    arena_release(arena, mark);
    return st;
}

clio_status block_upsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                               const struct block_linear *l)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = {.bias = &l->bias};
    struct conv2d_window window = {.taps = l->taps, .stride = 1, .before = l->taps / 2, .after = l->taps / 2, .upsample = 2};
    if (out->dim[1] == 2 * in->dim[1] && out->dim[2] == 2 * in->dim[2])
        return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
    struct tensor large = tensor_shape(DTYPE_F32, 4, in->dim[0], out->dim[1], out->dim[2], in->dim[3]);
    TRY(tensor_take(ctx, arena, &large));
    TRY(stretch(ctx, arena, &large, in));
    TRY(block_conv_fwd(ctx, arena, out, &large, l, NULL, ACT_NONE, NULL));
fail:
    arena_release(arena, mark);
    return st;
}
