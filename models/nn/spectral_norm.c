/* spectral_norm.c - bound each layer's Lipschitz constant by 1: after each optimizer step, W /= max(1, s), s the greatest singular value of
 * W (Gouk et al. 2021, "Regularisation of neural networks by enforcing Lipschitz continuity"). A power iteration estimates s from step to
 * step, as in spectral normalization (Miyato et al. 2018), where s is part of the forward pass. A convolution is the matrix of its weights,
 * as there. Nothing waits for the host. */
#include "spectral_norm.h"

#include <stdio.h>
#include <stdlib.h>

#define TINY 0x1p-40f /* op_clip_scale to 1 with this loss scale gives 1 / norm for any norm above it */
#define FIRST_TIMES 10

struct spectral {
    const struct sequential *net;
    struct spectral_row {
        struct tensor v; /* f32 [1, k]: right singular vector of s, not normalized */
        size_t parameter;
    } * rows; /* one per layer; without memory for layers without weights */
    struct tensor sums, scale;
};

clio_status spectral_new(clio_context *ctx, struct spectral **out, const struct sequential *net, const char *prefix)
{
    clio_status st = CLIO_OK;
    struct spectral *s;
    char key[128];
    TRY(mem_alloc(ctx, out, 1, sizeof **out));
    s = *out;
    s->net = net;
    TRY(mem_alloc(ctx, &s->rows, net->count, sizeof *s->rows));
    s->sums = s->scale = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
    TRY(tensor_new(ctx, &s->sums, "the model"));
    TRY(tensor_new(ctx, &s->scale, "the model"));
    for (size_t i = 0; i < net->count; i++) {
        struct spectral_row *row = &s->rows[i];
        int k = net->list[i].w.k;
        if (!k)
            continue;
        row->v = tensor_shape(DTYPE_F32, 2, 1, k, 0, 0);
        TRY(tensor_new(ctx, &row->v, "the model"));
        row->parameter = net->parameters->count;
        snprintf(key, sizeof key, "%s%zu.weight_v", prefix, i);
        TRY(parameters_add(ctx, net->parameters, key, 1, &k, &row->v, NULL, false, false));
    }
fail:
    return st;
}

void spectral_free(clio_context *ctx, struct spectral *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->rows && i < s->net->count; i++)
        tensor_free(ctx, &s->rows[i].v);
    tensor_free(ctx, &s->sums);
    tensor_free(ctx, &s->scale);
    free(s->rows);
    free(s);
}

clio_status spectral_init(clio_context *ctx, const struct spectral *s, uint64_t seed)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    for (size_t i = 0; i < s->net->count; i++)
        if (s->rows[i].v.mem)
            TRY(parameter_init(ctx, &s->net->parameters->list[s->rows[i].parameter], INIT_NORMAL, 1, seed));
    TRY(spectral_bound(ctx, &arena, s, FIRST_TIMES));
fail:
    arena_free(ctx, &arena);
    return st;
}

/* v /= |v|; u = W v; W /= max(1, |u|); v = W^T u */
static clio_status bound_layer(clio_context *ctx, struct arena *arena, const struct spectral *s, const struct matrix *w,
                               const struct tensor *v)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    struct tensor u = tensor_shape(DTYPE_F32, 2, 1, w->n, 0, 0);
    TRY(tensor_take(ctx, arena, &u));
    TRY(op_norm2(ctx, arena, &s->sums, 0, v));
    TRY(op_clip_scale(ctx, &s->scale, &s->sums, 1, 1, TINY));
    TRY(op_multiply_fwd(ctx, v, v, &s->scale));
    TRY(op_gemm_fwd(ctx, &u, v, w, 1, NULL));
    TRY(op_norm2(ctx, arena, &s->sums, 0, &u));
    TRY(op_clip_scale(ctx, &s->scale, &s->sums, 1, 1, 1));
    TRY(op_multiply_fwd(ctx, &w->data, &w->data, &s->scale));
    TRY(op_gemm_bwd_data(ctx, arena, v, &u, w, 1, false));
fail:
    arena_release(arena, mark);
    return st;
}

/* The same for the f32 weights of a layer that reads f16 copies, which are updated. */
static clio_status bound_weights(clio_context *ctx, struct arena *arena, const struct spectral *s, const struct matrix *w,
                                 const struct tensor *v)
{
    clio_status st = CLIO_OK;
    const struct parameter *p = parameters_find(s->net->parameters, &w->data);
    struct matrix whole = *w;
    whole.data = p->value;
    TRY(bound_layer(ctx, arena, s, &whole, v));
    TRY(parameter_store(ctx, p));
fail:
    return st;
}

clio_status spectral_bound(clio_context *ctx, struct arena *arena, const struct spectral *s, int times)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < s->net->count; i++)
        for (int j = 0; s->rows[i].v.mem && j < times; j++)
            TRY(bound_weights(ctx, arena, s, &s->net->list[i].w, &s->rows[i].v));
fail:
    return st;
}
