/* linear.c - load and apply linear layers and convolutions (out = act(W in + bias) + residual). */
#include "linear.h"
#include "../../host/ops/tape.h"

#include <stdlib.h>

static clio_status load_linear(clio_context *ctx, struct linear *l, enum weight_type kind, const char *key, int out, int in, int kernel,
                               bool optional, const struct weights *weights)
{
    const struct state_dict_row table[] = {
        {".weight", offsetof(struct linear, w), kind, 1, 2, kind == WEIGHT_CONV_LARGE ? 3 : 0, 0, 1, false},
        {".bias", offsetof(struct linear, bias), WEIGHT_VECTOR, 1, 0, 0, 0, 1, optional},
    };
    l->kernel = kernel;
    return state_dict_load(ctx, l, table, COUNT(table), key, (int[]){1, out, in, kernel}, weights);
}

clio_status linear_load(clio_context *ctx, struct linear *l, const char *key, int out, int in, int kernel, bool optional,
                        const struct weights *weights)
{
    return load_linear(ctx, l, WEIGHT_CONV_LARGE, key, out, in, kernel, optional, weights);
}

clio_status linear_load_few(clio_context *ctx, struct linear *l, const char *key, int out, int in, const struct weights *weights)
{
    return load_linear(ctx, l, WEIGHT_MATRIX_FEW, key, out, in, 1, false, weights);
}

void linear_free(clio_context *ctx, struct linear *l)
{
    matrix_free(ctx, &l->w);
    tensor_free(ctx, &l->bias);
}

const struct tensor *linear_bias(const struct linear *l)
{
    return l->bias.mem ? &l->bias : NULL;
}

clio_status linear_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, const struct linear *l, int act,
                       const struct tensor *residual)
{
    struct gemm_epilogue e = {.bias = linear_bias(l), .act = act, .residual = residual};
    return op_gemm_fwd(ctx, out, in, &l->w, (int)(tensor_count(in) / (size_t)l->w.k), &e);
}

clio_status linear_conv_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                            const struct linear *l, const struct tensor *bias, int act, const struct tensor *residual)
{
    if (l->kernel == 1 && !bias)
        return linear_fwd(ctx, out, in, l, act, residual);
    struct gemm_epilogue e = {.bias = bias ? bias : linear_bias(l), .act = act, .residual = residual};
    struct conv2d_window window = {.taps = l->kernel, .stride = 1, .before = l->kernel / 2, .after = l->kernel / 2, .upsample = 1};
    return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
}

clio_status downsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                           const struct linear *l, int padding)
{
    struct gemm_epilogue e = {.bias = linear_bias(l)};
    struct conv2d_window window = {.taps = l->kernel, .stride = 2, .before = padding, .after = 1, .upsample = 1};
    return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
}

/* Nearest neighbour: pixel (y, x) of out [B, H', W', C] is pixel (y H / H', x W / W') of in [B, H, W, C], an embedding lookup of rows. */
static clio_status resize_nearest(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in)
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

clio_status upsample_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct linear *l)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct gemm_epilogue e = {.bias = linear_bias(l)};
    struct conv2d_window window = {.taps = l->kernel, .stride = 1, .before = l->kernel / 2, .after = l->kernel / 2, .upsample = 2};
    if (out->dim[1] == 2 * in->dim[1] && out->dim[2] == 2 * in->dim[2])
        return op_conv2d_fwd(ctx, arena, out, in, &l->w, window, &e);
    struct tensor large = tensor_shape(DTYPE_F32, 4, in->dim[0], out->dim[1], out->dim[2], in->dim[3]);
    TRY(tensor_take(ctx, arena, &large));
    TRY(resize_nearest(ctx, arena, &large, in));
    TRY(linear_conv_fwd(ctx, arena, out, &large, l, NULL, ACT_NONE, NULL));
fail:
    arena_release(arena, mark);
    return st;
}

clio_status tensor_renew(clio_context *ctx, struct arena *arena, struct tensor *t)
{
    return ctx->tape ? tensor_take(ctx, arena, t) : CLIO_OK;
}
