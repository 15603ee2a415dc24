/* parameters.c - the list of parameters, and their memory on the device. */
#include "parameters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

static clio_status add_name(clio_context *ctx, struct parameter *p, const char *name)
{
    clio_status st = CLIO_OK;
    if (p->keys == PARAMETER_KEYS)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "parameter %s has more than %d keys", p->names[0], PARAMETER_KEYS);
    TRY(mem_string(ctx, &p->names[p->keys], name));
    p->keys++;
fail:
    return st;
}

clio_status parameters_add(clio_context *ctx, struct parameters *list, const char *name, int ndim, const int *shape, const struct tensor *t,
                           struct matrix *m, bool swapped, bool trained)
{
    clio_status st = CLIO_OK;
    struct parameter *p;
    if (t->dtype != DTYPE_F32)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s is kept as %s, which cannot be trained", name, dtype_name(t->dtype));
    TRY(mem_grow(ctx, &list->list, list->count, &list->capacity, sizeof *list->list));
    p = &list->list[list->count];
    *p = (struct parameter){.ndim = ndim, .value = *t, .swapped = swapped, .trained = trained};
    memcpy(p->dim, shape, sizeof *shape * (size_t)ndim);
    if (m) {
        p->matrix = *m;
        p->owner = m;
        p->channels = ndim > 2 ? shape[swapped ? 0 : 1] : 0;
    }
    TRY(add_name(ctx, p, name));
    list->count++;
fail:
    return st;
}

/* The tensor that the network reads: value, or its f16 copy. */
static const struct tensor *read_by_network(const struct parameter *p)
{
    return p->half.mem ? &p->half : &p->value;
}

struct parameter *parameters_find(const struct parameters *list, const struct tensor *t)
{
    for (size_t i = list->count; i-- > 0;) /* networks look for what they have just added */
        if (read_by_network(&list->list[i])->mem == t->mem)
            return &list->list[i];
    return NULL;
}

clio_status parameters_add_key(clio_context *ctx, struct parameters *list, const struct tensor *t, const char *name)
{
    clio_status st = CLIO_OK;
    struct parameter *p = parameters_find(list, t);
    if (!p)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s is part of what is not listed", name);
    TRY(add_name(ctx, p, name));
fail:
    return st;
}

void parameters_set_buffer(struct parameters *list, const struct tensor *t)
{
    struct parameter *p = parameters_find(list, t);
    if (p)
        p->trained = false;
}

void parameters_set_absent(struct parameters *list, const struct tensor *t)
{
    struct parameter *p = parameters_find(list, t);
    if (p)
        p->absent |= 1u << (p->keys - 1);
}

void parameters_free(clio_context *ctx, struct parameters *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        struct tensor *const owned[] = {&p->grad, &p->m, &p->v, &p->average, p->half.mem ? &p->value : NULL};
        for (size_t j = 0; j < COUNT(owned); j++)
            if (owned[j])
                tensor_free(ctx, owned[j]);
        for (int j = 0; j < p->keys; j++)
            free(p->names[j]);
    }
    free(list->list);
    *list = (struct parameters){0};
}

/* ---- on the device ---- */

static clio_status like(clio_context *ctx, struct tensor *t, const struct parameter *p)
{
    clio_status st = CLIO_OK;
    if (t->mem)
        return CLIO_OK;
    *t = p->value;
    t->mem = NULL;
    TRY(tensor_new(ctx, t, "training"));
    TRY(tensor_zero(ctx, t));
fail:
    return st;
}

clio_status parameters_alloc(clio_context *ctx, struct parameters *list, bool average)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        if (!p->trained)
            continue;
        TRY(like(ctx, &p->grad, p));
        if (average && !p->average.mem) {
            TRY(like(ctx, &p->average, p));
            TRY(tensor_copy(ctx, &p->average, 0, &p->value, 0, tensor_count(&p->value)));
        }
    }
fail:
    return st;
}

clio_status parameter_store(clio_context *ctx, const struct parameter *p)
{
    return p->half.mem ? op_half(ctx, &p->half, &p->value) : CLIO_OK;
}

clio_status parameters_use_fp16(clio_context *ctx, struct parameters *list)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        bool works = false;
        if (!p->trained || !p->owner || p->half.mem)
            continue;
        struct matrix half = *p->owner;
        half.data.dtype = DTYPE_F16;
        half.data.mem = NULL;
        TRY(matrix_reads(ctx, &half, &works));
        if (!works)
            continue;
        TRY(tensor_new(ctx, &half.data, "the model"));
        p->half = p->owner->data = half.data;
        TRY(parameter_store(ctx, p));
    }
fail:
    return st;
}

clio_status parameters_watch(clio_context *ctx, struct tape *tape, const struct parameters *list, bool add)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++)
        if (list->list[i].trained)
            TRY(tape_watch(ctx, tape, read_by_network(&list->list[i]), &list->list[i].grad, add));
fail:
    return st;
}

size_t parameters_size(const struct parameters *list)
{
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct parameter *p = &list->list[i];
        size_t count = 1;
        for (int j = 0; j < p->ndim; j++)
            count *= (size_t)p->dim[j];
        size += p->trained ? count * (size_t)p->keys : 0;
    }
    return size;
}

clio_status parameters_swap_ema(clio_context *ctx, const struct parameters *list)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++) {
        const struct parameter *p = &list->list[i];
        size_t count = tensor_count(&p->value);
        struct tensor spare = p->value;
        if (!p->average.mem)
            continue;
        spare.mem = NULL;
        TRY(tensor_new(ctx, &spare, "averages"));
        st = tensor_copy(ctx, &spare, 0, &p->value, 0, count);
        st = st ? st : tensor_copy(ctx, &p->value, 0, &p->average, 0, count);
        st = st ? st : tensor_copy(ctx, &p->average, 0, &spare, 0, count);
        tensor_free(ctx, &spare);
        TRY(st);
        TRY(parameter_store(ctx, p));
    }
fail:
    return st;
}

bool parameters_have_ema(const struct parameters *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->list[i].average.mem)
            return true;
    return false;
}

clio_status parameters_restart_ema(clio_context *ctx, const struct parameters *list)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++)
        if (list->list[i].average.mem)
            TRY(tensor_copy(ctx, &list->list[i].average, 0, &list->list[i].value, 0, tensor_count(&list->list[i].value)));
fail:
    return st;
}

clio_status parameters_nonfinite(clio_context *ctx, const struct parameters *list, bool gradients, const char **name)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    *name = NULL;
    for (size_t i = 0; i < list->count && !*name; i++) {
        const struct tensor *t = gradients ? &list->list[i].grad : &list->list[i].value;
        size_t count = tensor_count(t);
        if (!t->mem)
            continue;
        TRY(mem_alloc(ctx, &data, count, sizeof *data));
        TRY(tensor_read(ctx, t, 0, count, data));
        for (size_t j = 0; j < count; j++)
            if (!isfinite(data[j])) {
                *name = list->list[i].names[0];
                break;
            }
        free(data);
        data = NULL;
    }
fail:
    free(data);
    return st;
}
