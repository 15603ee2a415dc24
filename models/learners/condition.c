/* condition.c - what the kinds of learner.h share: settings, labels, noise, and the way from host to host. */
#include "captions.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 64 /* pictures on their way at a time */

/* ---- settings: checked when the learner was made ---- */

int learner_int(const struct learner *l, const char *name)
{
    return (int)json_integer_value(json_object_get(l->config, name));
}

double learner_number(const struct learner *l, const char *name)
{
    return json_number_value(json_object_get(l->config, name));
}

int learner_word(const struct learner *l, const char *name)
{
    const struct learner_setting *s = learner_setting_find(l->kind->settings, name);
    return MAX(learner_word_index(s->words, json_string_value(json_object_get(l->config, name))), 0);
}

/* ---- tensors ---- */

clio_status learner_room(clio_context *ctx, struct tensor *t, int rows, int columns)
{
    clio_status st = CLIO_OK;
    struct tensor wanted = tensor_shape(DTYPE_F32, 2, rows, columns, 0, 0);
    if (t->mem && tensor_count(t) == tensor_count(&wanted))
        return CLIO_OK;
    tensor_free(ctx, t);
    *t = wanted;
    TRY(tensor_new(ctx, t, "training"));
fail:
    return st;
}

clio_status learner_scalar(clio_context *ctx, struct tensor *t, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    if (!t->mem) {
        *t = tensor_shape(DTYPE_F32, 1, 1, 0, 0, 0);
        TRY(tensor_new(ctx, t, "training"));
    }
    if (!batch->count)
        TRY(tensor_zero(ctx, t));
fail:
    return st;
}

uint64_t learner_stream(const struct learner *l, int which)
{
    uint64_t batches = (uint64_t)l->step * (uint64_t)MAX(l->accumulate, 1) + (uint64_t)l->micro;
    return batches * LEARNER_STREAMS + (uint64_t)which;
}

clio_status learner_noise(clio_context *ctx, struct arena *arena, const struct learner *l, const struct learner_batch *batch,
                          uint64_t stream, int width, struct tensor *noise)
{
    clio_status st = CLIO_OK;
    *noise = tensor_shape(DTYPE_F32, 2, batch->count, width, 0, 0);
    TRY(tensor_take(ctx, arena, noise));
    if (batch->first == 0)
        return op_random_fwd(ctx, noise, l->seed, stream, true);
    uint64_t mark = arena_mark(arena);
    struct tensor all = tensor_shape(DTYPE_F32, 2, batch->first + batch->count, width, 0, 0);
    TRY(tensor_take(ctx, arena, &all));
    TRY(op_random_fwd(ctx, &all, l->seed, stream, true));
    TRY(tensor_copy(ctx, noise, 0, &all, (size_t)batch->first * (size_t)width, tensor_count(noise)));
    arena_release(arena, mark);
fail:
    return st;
}

clio_status learner_read(clio_context *ctx, const struct tensor *const *losses, int count, double *out)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < count; i++) {
        float value;
        TRY(tensor_read(ctx, losses[i], 0, 1, &value));
        out[i] = (double)value;
    }
fail:
    return st;
}

/* ---- labels ---- */

int learner_labels(const struct learner *l)
{
    return learner_needs_captions(l->kind, l->config) ? captions_prompts(l) : l->shape.classes;
}

/* The identity matrix of a row for each class. */
static clio_status new_table(clio_context *ctx, struct label_input *in, int classes)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    size_t n = (size_t)classes;
    in->table = tensor_shape(DTYPE_F32, 2, classes, classes, 0, 0);
    TRY(mem_alloc(ctx, &data, n * n, sizeof *data));
    for (size_t i = 0; i < n; i++)
        data[i * n + i] = 1;
    TRY(tensor_new(ctx, &in->table, "the model"));
    TRY(tensor_write(ctx, &in->table, 0, n * n, data));
fail:
    free(data);
    return st;
}

clio_status label_input_new(clio_context *ctx, struct label_input *in, const struct learner *l)
{
    clio_status st = CLIO_OK;
    *in = (struct label_input){.width = l->shape.classes};
    if (learner_needs_captions(l->kind, l->config)) {
        TRY(mem_alloc(ctx, &in->captions, 1, sizeof *in->captions));
        TRY(captions_find(ctx, in->captions, l, NULL));
        in->captions->pools = true;
        in->width = captions_size(in->captions);
    } else if (in->width) {
        TRY(new_table(ctx, in, in->width));
    }
fail:
    return st;
}

void label_input_free(clio_context *ctx, struct label_input *in)
{
    if (in->captions)
        captions_close(ctx, in->captions);
    free(in->captions);
    tensor_free(ctx, &in->table);
    tensor_free(ctx, &in->rows);
}

/* From ids i32 [count]. */
static clio_status set_labels(clio_context *ctx, struct label_input *in, const struct tensor *ids, int count)
{
    clio_status st = CLIO_OK;
    TRY(learner_room(ctx, &in->rows, count, in->width));
    struct tensor rows = tensor_reshape(&in->rows, 2, count, in->width, 0, 0), list = tensor_reshape(ids, 1, count, 0, 0, 0);
    TRY(op_embed_fwd(ctx, &rows, &in->table, &list, NULL, 0));
fail:
    return st;
}

static clio_status set_captions(clio_context *ctx, struct label_input *in, const char *const *texts, int count)
{
    clio_status st = CLIO_OK;
    TRY(learner_room(ctx, &in->rows, count, in->width));
    struct tensor rows = tensor_reshape(&in->rows, 2, count, in->width, 0, 0);
    TRY(captions_encode(ctx, NULL, in->captions, &rows, texts));
fail:
    return st;
}

clio_status label_input_set(clio_context *ctx, struct label_input *in, const struct learner_batch *batch)
{
    clio_status st = CLIO_OK;
    if (!in->width || !batch->count)
        return CLIO_OK;
    if (in->captions)
        TRY(captions_need(ctx, batch));
    TRY(in->captions ? set_captions(ctx, in, batch->captions, batch->count) : set_labels(ctx, in, &batch->labels, batch->count));
fail:
    return st;
}

clio_status label_input_describe(clio_context *ctx, const struct label_input *in, const char *path)
{
    return in->captions ? captions_describe(ctx, in->captions, path) : CLIO_OK;
}

clio_status label_input_join(clio_context *ctx, struct arena *arena, const struct label_input *in, const struct tensor *x,
                             struct tensor *joined)
{
    clio_status st = CLIO_OK;
    *joined = *x;
    if (!in->width)
        return CLIO_OK;
    int b = x->dim[0], h = x->dim[1], w = x->dim[2], c = x->dim[3];
    struct tensor rows = tensor_reshape(&in->rows, 4, b, 1, 1, in->width), planes = tensor_shape(DTYPE_F32, 4, b, h, w, in->width);
    *joined = tensor_shape(DTYPE_F32, 4, b, h, w, c + in->width);
    TRY(tensor_take(ctx, arena, joined));
    if (h > 1 || w > 1) {
        TRY(tensor_take(ctx, arena, &planes));
        TRY(op_resize_fwd(ctx, &planes, &rows, false));
    } else {
        planes = rows;
    }
    TRY(op_concat_fwd(ctx, joined, x, &planes));
fail:
    return st;
}

/* ---- host to host ---- */

/* Rows of what pictures are asked for by. */
static clio_status set_asked(clio_context *ctx, struct arena *arena, const struct learner *l, struct label_input *in, const int *labels,
                             int count)
{
    clio_status st = CLIO_OK;
    struct tensor ids = tensor_shape(DTYPE_I32, 1, count, 0, 0, 0);
    char *texts[AT_ONCE] = {NULL};
    if (in->captions) {
        for (int i = 0; i < count; i++)
            TRY(captions_prompt(ctx, l, labels[i], &texts[i]));
        TRY(set_captions(ctx, in, (const char *const *)texts, count));
    } else {
        TRY(tensor_take(ctx, arena, &ids));
        TRY(tensor_write(ctx, &ids, 0, (size_t)count, labels));
        TRY(set_labels(ctx, in, &ids, count));
    }
fail:
    for (int i = 0; i < count; i++)
        free(texts[i]);
    return st;
}

clio_status learner_through(clio_context *ctx, struct learner *l, struct label_input *input, int count, const float *in, int in_width,
                            const int *labels, float *out, int out_width, learner_forward forward)
{
    clio_status st = CLIO_OK;
    struct arena arena = {0};
    arena_grow(ctx, &arena);
    if (input && input->width && !labels)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a model %s wants a label for each picture", l->kind->name);
    for (int at = 0; at < count; at += AT_ONCE) {
        int n = MIN(AT_ONCE, count - at);
        struct tensor x = tensor_shape(DTYPE_F32, 2, n, in_width, 0, 0), y = tensor_shape(DTYPE_F32, 2, n, out_width, 0, 0);
        TRY(tensor_take(ctx, &arena, &x));
        TRY(tensor_take(ctx, &arena, &y));
        TRY(tensor_write(ctx, &x, 0, tensor_count(&x), in + (size_t)at * (size_t)in_width));
        if (input && input->width)
            TRY(set_asked(ctx, &arena, l, input, labels + at, n));
        TRY(forward(ctx, &arena, l, &y, &x));
        TRY(tensor_read(ctx, &y, 0, tensor_count(&y), out + (size_t)at * (size_t)out_width));
        arena_reset(&arena);
    }
fail:
    arena_free(ctx, &arena);
    return st;
}
