/* parameters.c - see parameters.h. */
#include "parameters.h"
#include "../../host/core/random.h"
#include "../../host/core/safetensors_write.h"

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

/* What the network reads: value, or its rounded copy. */
static const struct tensor *read_by_network(const struct parameter *p)
{
    return p->half.mem ? &p->half : &p->value;
}

struct parameter *parameters_find(const struct parameters *list, const struct tensor *t)
{
    for (size_t i = 0; i < list->count; i++)
        if (read_by_network(&list->list[i])->mem == t->mem)
            return &list->list[i];
    return NULL;
}

clio_status parameters_join(clio_context *ctx, struct parameters *list, const struct tensor *t, const char *name)
{
    clio_status st = CLIO_OK;
    struct parameter *p = parameters_find(list, t);
    if (!p)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s is part of what is not listed", name);
    TRY(add_name(ctx, p, name));
fail:
    return st;
}

void parameters_still(struct parameters *list, const struct tensor *t)
{
    struct parameter *p = parameters_find(list, t);
    if (p)
        p->trained = false;
}

void parameters_absent(struct parameters *list, const struct tensor *t)
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

clio_status parameters_prepare(clio_context *ctx, struct parameters *list, bool average)
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

clio_status parameters_halve(clio_context *ctx, struct parameters *list)
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

clio_status parameters_swap_average(clio_context *ctx, const struct parameters *list)
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

/* ---- in files ---- */

static struct tensor *part_of(struct parameter *p, enum parameter_part part)
{
    return part == PART_VALUE ? &p->value : part == PART_M ? &p->m : part == PART_V ? &p->v : &p->average;
}

static const char *const part_names[] = {[PART_VALUE] = "", [PART_M] = "m.", [PART_V] = "v.", [PART_AVERAGE] = "average."};

/* Numbers of one key. */
static size_t key_count(const struct parameter *p)
{
    size_t count = 1;
    for (int i = 0; i < p->ndim; i++)
        count *= (size_t)p->dim[i];
    return count;
}

static clio_status key_name(clio_context *ctx, struct bytes *out, const char *start, enum parameter_part part, const char *name)
{
    out->size = 0;
    return bytes_print(ctx, out, "%s%s%s", start, part_names[part], name);
}

clio_status parameters_write(clio_context *ctx, const struct parameters *list, enum parameter_part part, const char *start,
                             struct tensors_out *out)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    struct bytes name = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        const struct tensor *t = part_of(p, part);
        size_t count = key_count(p);
        if (!t->mem)
            continue;
        TRY(mem_alloc(ctx, &data, count * (size_t)p->keys, sizeof *data));
        if (p->matrix.n) {
            struct matrix m = p->matrix;
            m.data = *t;
            TRY(matrix_read(ctx, &m, p->channels, p->swapped, data));
        } else {
            TRY(tensor_read(ctx, t, 0, count * (size_t)p->keys, data));
        }
        for (int j = 0; j < p->keys; j++) {
            if (p->absent & (1u << j))
                continue;
            TRY(key_name(ctx, &name, start, part, p->names[j]));
            TRY(tensors_out_add(ctx, out, name.data, p->ndim, p->dim, data + (size_t)j * count));
        }
        free(data);
        data = NULL;
    }
fail:
    bytes_free(&name);
    free(data);
    return st;
}

static clio_status read_key(clio_context *ctx, const struct parameter *p, struct tensor *t, int key, const struct weight *w)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    struct matrix m = p->matrix;
    size_t count = key_count(p);
    if (m.n) {
        m.data = *t;
        return p->swapped ? matrix_fill_swapped(ctx, &m, w) : matrix_fill(ctx, &m, key * (m.n / p->keys), w);
    }
    TRY(mem_alloc(ctx, &data, count, sizeof *data));
    weight_floats(w, 0, count, data);
    TRY(tensor_write(ctx, t, (size_t)key * count, count, data));
fail:
    free(data);
    return st;
}

clio_status parameters_read(clio_context *ctx, const struct parameters *list, enum parameter_part part, const char *start,
                            const struct weights *from)
{
    clio_status st = CLIO_OK;
    struct bytes name = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        struct tensor *t = part_of(p, part);
        for (int j = 0; t->mem && j < p->keys; j++) {
            const struct weight *w;
            if (p->absent & (1u << j))
                continue;
            TRY(key_name(ctx, &name, start, part, p->names[j]));
            w = weights_find(from, name.data);
            if (w && w->ndim == 2 && p->ndim == 4 && p->dim[2] == 1 && p->dim[3] == 1) /* a product over channels is stored as either */
                p->ndim = 2;
            TRY(weights_need(ctx, from, name.data, p->ndim, p->dim, &w));
            TRY(read_key(ctx, p, t, j, w));
        }
        if (part == PART_VALUE)
            TRY(parameter_store(ctx, p));
    }
fail:
    bytes_free(&name);
    return st;
}

/* ---- the beginning ---- */

clio_status parameter_init(clio_context *ctx, const struct parameter *p, enum init_rule rule, double value, uint64_t seed)
{
    clio_status st = CLIO_OK;
    size_t count = key_count(p);
    float *data = NULL;
    struct tensor t = p->value;
    TRY(mem_alloc(ctx, &data, count, sizeof *data));
    for (int j = 0; j < p->keys; j++) {
        struct random r;
        random_seed(&r, RANDOM_TORCH_CUDA, seed ^ mem_hash(MEM_HASH_START, p->names[j], strlen(p->names[j])));
        if (rule == INIT_NORMAL || rule == INIT_ONE_NORMAL)
            random_normal(&r, data, count);
        else
            random_uniform(&r, data, count);
        for (size_t i = 0; i < count; i++)
            data[i] = rule == INIT_CONSTANT ? (float)value
                      : rule == INIT_TORCH  ? (float)((2.0 * (double)data[i] - 1.0) / sqrt(value))
                                            : (float)value * data[i] + (rule == INIT_ONE_NORMAL ? 1.0f : 0.0f);
        struct weight w = {.name = p->names[j], .dtype = DTYPE_F32, .ndim = p->ndim, .count = count, .data = (const unsigned char *)data};
        for (int i = 0; i < TENSOR_DIMS; i++)
            w.dim[i] = i < p->ndim ? p->dim[i] : 1;
        TRY(read_key(ctx, p, &t, j, &w));
    }
    TRY(parameter_store(ctx, p));
fail:
    free(data);
    return st;
}

/* The parameter called `stem`weight, or NULL. */
static const struct parameter *find_weight(const struct parameters *list, const char *stem, size_t length)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->list[i].names[0];
        if (strncmp(name, stem, length) == 0 && strcmp(name + length, "weight") == 0)
            return &list->list[i];
    }
    return NULL;
}

/* Numbers that go into one output. */
static double inputs_of(const struct parameter *p)
{
    double count = 1;
    for (int i = 1; i < p->ndim; i++)
        count *= p->dim[i];
    return count;
}

clio_status parameters_init(clio_context *ctx, const struct parameters *list, uint64_t seed)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < list->count; i++) {
        const struct parameter *p = &list->list[i];
        const char *name = p->names[0], *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
        if (p->matrix.n) {
            TRY(parameter_init(ctx, p, INIT_TORCH, inputs_of(p), seed));
        } else if (p->ndim > 1) {
            TRY(parameter_init(ctx, p, INIT_NORMAL, 1, seed));
        } else if (strcmp(last, "bias") != 0) {
            TRY(parameter_init(ctx, p, INIT_CONSTANT, 1, seed));
        } else {
            const struct parameter *w = find_weight(list, name, (size_t)(last - name));
            bool product = w && w->matrix.n;
            TRY(parameter_init(ctx, p, product ? INIT_TORCH : INIT_CONSTANT, product ? inputs_of(w) : 0, seed));
        }
    }
fail:
    return st;
}
