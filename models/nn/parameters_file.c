/* parameters_file.c - parameters to and from safetensors files. */
#include "parameters.h"
#include "../../host/core/safetensors_write.h"

#include <stdio.h>
#include <stdlib.h>

static struct tensor *part_of(struct parameter *p, enum parameter_part part)
{
    return part == PART_VALUE ? &p->value : part == PART_M ? &p->m : part == PART_V ? &p->v : &p->average;
}

static const char *const part_names[] = {[PART_VALUE] = "", [PART_M] = "m.", [PART_V] = "v.", [PART_AVERAGE] = "average."};

size_t parameter_key_count(const struct parameter *p)
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
                             struct safetensors_writer *out)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    struct bytes name = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct parameter *p = &list->list[i];
        const struct tensor *t = part_of(p, part);
        size_t count = parameter_key_count(p);
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
            TRY(safetensors_writer_add(ctx, out, name.data, p->ndim, p->dim, data + (size_t)j * count));
        }
        free(data);
        data = NULL;
    }
fail:
    bytes_free(&name);
    free(data);
    return st;
}

clio_status parameter_read_key(clio_context *ctx, const struct parameter *p, struct tensor *t, int key, const struct weight *w)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    struct matrix m = p->matrix;
    size_t count = parameter_key_count(p);
    if (m.n) {
        m.data = *t;
        return p->swapped ? matrix_fill_swapped(ctx, &m, w) : matrix_fill(ctx, &m, key * (m.n / p->keys), w);
    }
    TRY(mem_alloc(ctx, &data, count, sizeof *data));
    TRY(weight_floats(ctx, w, 0, count, data));
    TRY(tensor_write(ctx, t, (size_t)key * count, count, data));
fail:
    free(data);
    return st;
}

/* part: what is read; as: the part whose names it has in the file. */
static clio_status read_as(clio_context *ctx, const struct parameters *list, enum parameter_part part, enum parameter_part as,
                           const char *start, const struct weights *from)
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
            TRY(key_name(ctx, &name, start, as, p->names[j]));
            w = weights_find(from, name.data);
            if (w && w->ndim == 2 && p->ndim == 4 && p->dim[2] == 1 && p->dim[3] == 1) /* a 1x1 convolution may be stored as a matrix */
                p->ndim = 2;
            TRY(weights_need(ctx, from, name.data, p->ndim, p->dim, &w));
            TRY(parameter_read_key(ctx, p, t, j, w));
        }
        if (part == PART_VALUE)
            TRY(parameter_store(ctx, p));
    }
fail:
    bytes_free(&name);
    return st;
}

clio_status parameters_read(clio_context *ctx, const struct parameters *list, enum parameter_part part, const char *start,
                            const struct weights *from)
{
    return read_as(ctx, list, part, part, start, from);
}

clio_status parameters_read_ema(clio_context *ctx, const struct parameters *list, const struct weights *from)
{
    return read_as(ctx, list, PART_AVERAGE, PART_VALUE, "", from);
}

bool parameters_stored(const struct parameters *list, enum parameter_part part, const char *start, const struct weights *from)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct parameter *p = &list->list[i];
        char name[512];
        if (!p->trained || (p->absent & 1u))
            continue;
        snprintf(name, sizeof name, "%s%s%s", start, part_names[part], p->names[0]);
        return weights_find(from, name) != NULL;
    }
    return false;
}
