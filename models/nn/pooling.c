/* pooling.c - a pooling is a sum over the tokens with a weight for each, out[b] = sum over t of weights[b][t] states[b][t], which is a
 * matmul; the maximum alone is not, and is taken on the host. See pooling.h. */
#include "pooling.h"

#include <math.h>
#include <stdlib.h>

/* The weight of token t of n. */
static float weight(enum pooling pooling, int t, int n)
{
    switch (pooling) {
    case POOLING_CLS:
        return t == 0 ? 1.0f : 0.0f;
    case POOLING_LAST:
        return t == n - 1 ? 1.0f : 0.0f;
    case POOLING_MEAN_SQRT:
        return (float)(1 / sqrt(n));
    case POOLING_WEIGHTED_MEAN:
        return (float)((t + 1) / (0.5 * n * (n + 1.0)));
    default:
        return (float)(1.0 / n);
    }
}

static clio_status weighted_sum(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *states,
                                const int *lengths, enum pooling pooling)
{
    clio_status st = CLIO_OK;
    int batch = states->dim[0], length = states->dim[1];
    uint64_t mark = arena_mark(arena);
    struct tensor weights = tensor_shape(DTYPE_F32, 3, batch, 1, length, 0), rows = tensor_reshape(out, 3, batch, 1, states->dim[2], 0);
    float *w = NULL;
    TRY(mem_alloc(ctx, &w, (size_t)batch * (size_t)length, sizeof *w));
    for (int b = 0; b < batch; b++)
        for (int t = 0; t < lengths[b]; t++)
            w[(size_t)b * (size_t)length + (size_t)t] = weight(pooling, t, lengths[b]);
    TRY(tensor_take(ctx, arena, &weights));
    TRY(tensor_write(ctx, &weights, 0, (size_t)batch * (size_t)length, w));
    TRY(op_matmul_fwd(ctx, &rows, &weights, states, false));
fail:
    free(w);
    arena_release(arena, mark);
    return st;
}

static clio_status maximum(clio_context *ctx, const struct tensor *out, const struct tensor *states, const int *lengths)
{
    clio_status st = CLIO_OK;
    size_t length = (size_t)states->dim[1], width = (size_t)states->dim[2], batch = (size_t)states->dim[0];
    float *x = NULL, *best = NULL;
    if (ctx->tape)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "max pooling has no gradient yet: train with the pooling mean");
    TRY(mem_alloc(ctx, &x, length * width, sizeof *x));
    TRY(mem_alloc(ctx, &best, width, sizeof *best));
    for (size_t b = 0; b < batch; b++) {
        TRY(tensor_read(ctx, states, b * length * width, length * width, x));
        for (size_t j = 0; j < width; j++)
            best[j] = x[j];
        for (size_t t = 1; t < (size_t)lengths[b]; t++)
            for (size_t j = 0; j < width; j++)
                best[j] = fmaxf(best[j], x[t * width + j]);
        TRY(tensor_write(ctx, out, b * width, width, best));
    }
fail:
    free(x);
    free(best);
    return st;
}

clio_status pooling_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *states, const int *lengths,
                        enum pooling pooling)
{
    clio_status st = CLIO_OK;
    TRY(op_check(ctx, "pooling", "states", states, DTYPE_F32, 3, -1, -1, -1, 0));
    TRY(op_check(ctx, "pooling", "out", out, DTYPE_F32, 2, states->dim[0], states->dim[2], 0, 0));
    if (pooling == POOLING_POOLER)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "pooling: the pooled vector is the network's");
    TRY(pooling == POOLING_MAX ? maximum(ctx, out, states, lengths) : weighted_sum(ctx, arena, out, states, lengths, pooling));
fail:
    return st;
}
