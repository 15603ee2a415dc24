/* sequential.c - build, initialize and run a sequential network. */
#include "sequential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_NORM_EPS 1e-5f /* torch's defaults */
#define BATCH_NORM_MOMENTUM 0.1f

/* ---- building ---- */

/* A network under construction. */
struct building {
    clio_context *ctx;
    struct sequential *net;
    const char *prefix, *name;
    char number[24];
    int at[3]; /* height, width, channels of the last layer's output */
};

static int pixels_of(const int shape[3])
{
    return shape[0] * shape[1] * shape[2];
}

static clio_status add_parameter(const struct building *b, const char *what, int ndim, const int *shape, const struct tensor *t,
                                 struct matrix *m, bool swapped, bool trained)
{
    char key[128];
    snprintf(key, sizeof key, "%s%s.%s", b->prefix, b->name, what);
    return parameters_add(b->ctx, b->net->parameters, key, ndim, shape, t, m, swapped, trained);
}

static clio_status add_vector(const struct building *b, const char *what, struct tensor *t, int n, bool trained)
{
    clio_status st = CLIO_OK;
    *t = tensor_shape(DTYPE_F32, 1, n, 0, 0, 0);
    TRY(tensor_new(b->ctx, t, "the model"));
    TRY(add_parameter(b, what, 1, &n, t, NULL, false, trained));
fail:
    return st;
}

static clio_status add_weights(const struct building *b, struct layer *l, const struct layer_row *row)
{
    clio_status st = CLIO_OK;
    bool linear = row->kind == LAYER_LINEAR, swapped = row->kind == LAYER_TRANSPOSED;
    int in = linear ? pixels_of(l->in) : l->in[2], taps = linear ? 1 : row->taps;
    int shape[4] = {swapped ? in : row->out, swapped ? row->out : in, taps, taps};
    TRY(matrix_new(b->ctx, &l->w, row->out, taps * taps * in, MATRIX_EXACT, "the model"));
    TRY(add_parameter(b, "weight", linear ? 2 : 4, shape, &l->w.data, &l->w, swapped, true));
    if (row->bias)
        TRY(add_vector(b, "bias", &l->bias, row->out, true));
fail:
    return st;
}

/* Output size of a convolution: H' = (H + 2 padding - kernel) / stride + 1. */
static clio_status place_window(const struct building *b, struct layer *l, const struct layer_row *row)
{
    clio_status st = CLIO_OK;
    l->window =
        (struct conv2d_window){.taps = row->taps, .stride = row->stride, .before = row->padding, .after = row->padding, .upsample = 1};
    for (int i = 0; i < 2; i++) {
        int room = l->in[i] + 2 * row->padding - row->taps;
        l->out[i] = row->kind == LAYER_TRANSPOSED ? (l->in[i] - 1) * row->stride + row->taps - 2 * row->padding
                    : room < 0                    ? 0
                                                  : room / row->stride + 1;
        if (l->out[i] < 1)
            FAIL(b->ctx, CLIO_ERROR_INTERNAL, "%s%s: a window of %d over %d x %d", b->prefix, b->name, row->taps, l->in[0], l->in[1]);
    }
    l->out[2] = row->out;
fail:
    return st;
}

static clio_status add_batch_norm(const struct building *b, struct layer *l)
{
    clio_status st = CLIO_OK;
    int n = l->in[2];
    TRY(add_vector(b, "weight", &l->gamma, n, true));
    TRY(add_vector(b, "bias", &l->beta, n, true));
    TRY(add_vector(b, "running_mean", &l->running_mean, n, false));
    TRY(add_vector(b, "running_var", &l->running_var, n, false));
fail:
    return st;
}

static clio_status add_activation(const struct building *b, const struct layer_row *row)
{
    clio_status st = CLIO_OK;
    struct layer *last = b->net->count ? &b->net->list[b->net->count - 1] : NULL;
    if (!last || last->act != ACT_NONE)
        FAIL(b->ctx, CLIO_ERROR_INTERNAL, "%s%s: an activation with no layer before it", b->prefix, b->name);
    last->act = row->act;
    last->slope = row->slope;
fail:
    return st;
}

static clio_status add_layer(struct building *b, const struct layer_row *row)
{
    clio_status st = CLIO_OK;
    struct layer *l;
    if (row->kind == LAYER_FLATTEN)
        return CLIO_OK;
    if (row->kind == LAYER_ACTIVATION)
        return add_activation(b, row);
    l = &b->net->list[b->net->count++];
    *l = (struct layer){.kind = row->kind, .act = ACT_NONE, .first = b->net->parameters->count};
    memcpy(l->in, b->at, sizeof b->at);
    if (row->kind == LAYER_LINEAR) {
        l->out[0] = l->out[1] = 1;
        l->out[2] = row->out;
    } else if (row->kind == LAYER_BATCH_NORM) {
        memcpy(l->out, l->in, sizeof l->in);
    } else {
        TRY(place_window(b, l, row));
    }
    TRY(row->kind == LAYER_BATCH_NORM ? add_batch_norm(b, l) : add_weights(b, l, row));
    memcpy(b->at, l->out, sizeof b->at);
fail:
    return st;
}

clio_status sequential_new(clio_context *ctx, struct sequential *net, const char *prefix, const struct layer_row *rows, size_t count,
                           int height, int width, int channels, struct parameters *list)
{
    clio_status st = CLIO_OK;
    struct building b = {.ctx = ctx, .net = net, .prefix = prefix, .at = {height, width, channels}};
    *net = (struct sequential){.in = {height, width, channels}, .parameters = list};
    TRY(mem_alloc(ctx, &net->list, count, sizeof *net->list));
    for (size_t i = 0; i < count; i++) {
        snprintf(b.number, sizeof b.number, "%zu", i);
        b.name = rows[i].name ? rows[i].name : b.number;
        TRY(add_layer(&b, &rows[i]));
    }
    memcpy(net->out, b.at, sizeof b.at);
fail:
    return st; /* the caller frees what was built: the list of parameters refers to it */
}

void sequential_free(clio_context *ctx, struct sequential *net)
{
    for (size_t i = 0; i < net->count; i++) {
        struct layer *l = &net->list[i];
        struct tensor *const owned[] = {&l->bias, &l->gamma, &l->beta, &l->running_mean, &l->running_var};
        for (size_t j = 0; j < COUNT(owned); j++)
            tensor_free(ctx, owned[j]);
        matrix_free(ctx, &l->w);
    }
    free(net->list);
    *net = (struct sequential){0};
}

clio_status sequential_init(clio_context *ctx, const struct sequential *net, enum sequential_init init, uint64_t seed)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < net->count; i++) {
        const struct layer *l = &net->list[i];
        const struct parameter *p = &net->parameters->list[l->first];
        bool dcgan = init == INIT_RULE_DCGAN;
        if (l->kind == LAYER_BATCH_NORM) {
            TRY(parameter_init(ctx, &p[0], dcgan ? INIT_ONE_NORMAL : INIT_CONSTANT, dcgan ? 0.02 : 1, seed));
            TRY(parameter_init(ctx, &p[1], INIT_CONSTANT, 0, seed));
            TRY(parameter_init(ctx, &p[2], INIT_CONSTANT, 0, seed));
            TRY(parameter_init(ctx, &p[3], INIT_CONSTANT, 1, seed));
            continue;
        }
        /* fan_in of a transposed convolution, as torch computes it: of the convolution with these weights */
        double inputs = l->kind == LAYER_TRANSPOSED ? (double)l->w.n * l->window.taps * l->window.taps : (double)l->w.k;
        TRY(parameter_init(ctx, &p[0], dcgan ? INIT_NORMAL : INIT_TORCH, dcgan ? 0.02 : inputs, seed));
        if (l->bias.mem)
            TRY(parameter_init(ctx, &p[1], dcgan ? INIT_CONSTANT : INIT_TORCH, dcgan ? 0 : inputs, seed));
    }
fail:
    return st;
}

/* ---- forward ---- */

struct tensor sequential_shape(const struct sequential *net, int batch)
{
    return tensor_shape(DTYPE_F32, 4, batch, net->out[0], net->out[1], net->out[2]);
}

static clio_status batch_norm_fwd(clio_context *ctx, struct arena *arena, const struct layer *l, const struct tensor *out,
                                  const struct tensor *in, bool training)
{
    clio_status st = CLIO_OK;
    struct tensor statistics = tensor_shape(DTYPE_F32, 2, 2, l->in[2], 0, 0); /* of this call: a tape may record several */
    if (training)
        TRY(tensor_take(ctx, arena, &statistics));
    TRY(op_batch_norm_fwd(ctx, arena, out, in, &l->gamma, &l->beta, &l->running_mean, &l->running_var, training ? &statistics : NULL,
                          BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, training));
    if (l->act != ACT_NONE)
        TRY(op_activation_fwd(ctx, out, out, l->act, l->slope));
fail:
    return st;
}

static clio_status layer_fwd(clio_context *ctx, struct arena *arena, const struct layer *l, const struct tensor *out,
                             const struct tensor *in, bool training)
{
    struct gemm_epilogue e = {.bias = l->bias.mem ? &l->bias : NULL, .act = l->act, .slope = l->slope};
    switch (l->kind) {
    case LAYER_LINEAR:
        return op_gemm_fwd(ctx, out, in, &l->w, in->dim[0], &e);
    case LAYER_CONV:
        return op_conv2d_fwd(ctx, arena, out, in, &l->w, l->window, &e);
    case LAYER_TRANSPOSED:
        return op_conv2d_transposed_fwd(ctx, arena, out, in, &l->w, l->window, &e);
    default:
        return batch_norm_fwd(ctx, arena, l, out, in, training);
    }
}

clio_status sequential_fwd(clio_context *ctx, struct arena *arena, const struct sequential *net, const struct tensor *out,
                           const struct tensor *in, bool training)
{
    clio_status st = CLIO_OK;
    uint64_t mark = arena_mark(arena);
    char a[96], b[96];
    size_t each = (size_t)pixels_of(net->in);
    int batch = (int)(tensor_count(in) / each);
    struct tensor x = *in, last = sequential_shape(net, batch);
    if (tensor_count(in) % each || tensor_count(out) != tensor_count(&last) || net->count == 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a network of %d x %d x %d to %d x %d x %d from %s into %s", net->in[0], net->in[1], net->in[2],
             net->out[0], net->out[1], net->out[2], tensor_describe(in, a), tensor_describe(out, b));
    for (size_t i = 0; i < net->count; i++) {
        const struct layer *l = &net->list[i];
        struct tensor y = tensor_shape(DTYPE_F32, 4, batch, l->out[0], l->out[1], l->out[2]);
        x = tensor_reshape(&x, 4, batch, l->in[0], l->in[1], l->in[2]);
        if (i + 1 < net->count)
            TRY(tensor_take(ctx, arena, &y));
        else
            y.mem = out->mem;
        TRY(layer_fwd(ctx, arena, l, &y, &x, training));
        x = y;
    }
fail:
    arena_release(arena, mark);
    return st;
}
