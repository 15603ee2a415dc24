/* pickle_tensors.c - the tensors in what the stack machine built. See pickle_tensors.h. */
#include "pickle_tensors.h"
#include "pickle_machine.h"
#include "pickle_zip.h"
#include "../../host/core/dtype.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16
#define VISITS_MAX 20000
#define NAMES_MAX ((size_t)4 << 20)   /* bytes of all names: a dictionary may be in many others, and its keys in as many names */
#define NUMBERS_MAX ((size_t)1 << 26) /* of a tensor */
#define KEY_SIZE 32

/* Element `index` of `storage` as a float. */
static float number_at(const unsigned char *storage, enum dtype dtype, size_t index)
{
    uint16_t half;
    float value;
    if (dtype == DTYPE_F32) {
        memcpy(&value, storage + 4 * index, sizeof value);
        return value;
    }
    memcpy(&half, storage + 2 * index, sizeof half);
    return dtype == DTYPE_F16 ? half_to_float(half) : bfloat_to_float(half);
}

/* The shape of a tensor, and the distance in its storage between neighbours of each dimension. */
static clio_status read_shape(struct pickle_machine *m, const struct pickle_value *v, struct pickle_tensor *t)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *sizes = &m->values[v->sizes], *strides = &m->values[v->strides];
    PICKLE_NEED(sizes->kind == PICKLE_LIST && strides->kind == PICKLE_LIST && sizes->count == strides->count &&
                    sizes->count <= COUNT(t->dim),
                "a tensor of more than four dimensions");
    t->ndim = (int)sizes->count;
    t->count = 1;
    for (size_t i = 0; i < sizes->count; i++) {
        long long size = m->values[sizes->items[i]].number, stride = m->values[strides->items[i]].number;
        PICKLE_NEED(size >= 1 && size <= INT_MAX && stride >= 0 && stride <= INT_MAX, "a tensor of an impossible size");
        t->dim[i] = (int)size;
        t->step[i] = (size_t)stride;
        PICKLE_NEED(t->count <= NUMBERS_MAX / (size_t)size, "a tensor that is too large");
        t->count *= (size_t)size;
    }
fail:
    return st;
}

static clio_status read_tensor(struct pickle_machine *m, const struct pickle_value *v, struct pickle_tensor *t)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *storage = &m->values[v->storage];
    TRY(read_shape(m, v, t));
    PICKLE_NEED(storage->kind == PICKLE_STORAGE && storage->size < KEY_SIZE, "a tensor without a storage");
    t->first = v->number;
    t->key = storage->text;
    t->key_size = storage->size;
    t->dtype = storage->number;
fail:
    return st;
}

clio_status pickle_tensor_floats(clio_context *ctx, const struct file_content *file, const char *path, const struct pickle_tensor *t,
                                 float **out)
{
    clio_status st = CLIO_OK;
    struct pickle_machine named = {.ctx = ctx, .path = path}, *m = &named; /* for its messages */
    struct zip_entry entry;
    char key[KEY_SIZE + 8];
    if (t->dtype < 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %s is not of float32, float16 or bfloat16: convert it", path, t->name);
    enum dtype dtype = (enum dtype)t->dtype;
    snprintf(key, sizeof key, "/data/%.*s", (int)t->key_size, t->key);
    TRY(zip_find(ctx, file, path, key, &entry));
    size_t last = t->first >= 0 ? (size_t)t->first : SIZE_MAX / 2, stored = entry.size / dtype_size(dtype);
    for (int i = 0; i < t->ndim; i++)
        last += (size_t)(t->dim[i] - 1) * t->step[i];
    PICKLE_NEED(entry.data && last < stored && t->count <= stored, "a tensor that is longer than its storage");
    TRY(mem_alloc(ctx, out, t->count, sizeof **out));
    for (size_t k = 0; k < t->count; k++) {
        size_t index = (size_t)t->first, rest = k;
        for (int i = t->ndim - 1; i >= 0; rest /= (size_t)t->dim[i--])
            index += rest % (size_t)t->dim[i] * t->step[i];
        (*out)[k] = number_at(entry.data, dtype, index);
    }
fail:
    return st;
}

/* Read the tensors in `value`, whose keys so far are `name`. */
static clio_status collect(struct pickle_machine *m, size_t value, const char *name, int depth, struct pickle_tensors *out)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *v = &m->values[value];
    struct bytes key = {0};
    if (v->kind == PICKLE_TENSOR) {
        TRY(mem_grow(m->ctx, &out->list, out->count, &out->capacity, sizeof *out->list));
        struct pickle_tensor *t = &out->list[out->count++];
        *t = (struct pickle_tensor){0};
        TRY(mem_string(m->ctx, &t->name, name));
        TRY(read_tensor(m, v, t));
    }
    PICKLE_NEED(++m->visits < VISITS_MAX && depth < DEPTH_MAX, "too many dictionaries in each other");
    for (size_t i = 0; v->kind == PICKLE_DICT && i + 1 < v->count; i += 2) {
        const struct pickle_value *text = &m->values[v->items[i]];
        key.size = 0;
        bool hidden = pickle_is_text(text, "_parameters"); /* of a ParameterDict */
        TRY(bytes_print(m->ctx, &key, "%s%s%.*s", name, *name && !hidden ? "/" : "",
                        text->kind == PICKLE_TEXT && !hidden ? (int)MIN(text->size, 500) : 0, text->kind == PICKLE_TEXT ? text->text : ""));
        m->name_bytes += key.size;
        PICKLE_NEED(m->name_bytes <= NAMES_MAX, "names that are too long");
        TRY(collect(m, v->items[i + 1], key.data, depth + 1, out));
    }
    if (v->kind == PICKLE_OBJECT && v->state)
        TRY(collect(m, v->state, name, depth + 1, out));
fail:
    bytes_free(&key);
    return st;
}

bool pickle_is_archive(const struct file_content *file)
{
    return file->size >= 4 && !memcmp(file->data, "PK\3\4", 4);
}

clio_status pickle_tensors_read(clio_context *ctx, const struct file_content *file, const char *path, struct pickle_tensors *t)
{
    clio_status st = CLIO_OK;
    struct pickle_machine state = {.ctx = ctx, .path = path}, *m = &state;
    struct zip_entry program, order;
    *t = (struct pickle_tensors){0};
    TRY(zip_find(ctx, file, path, "/byteorder", &order)); /* absent in files of older versions */
    if (order.data && (order.size != 6 || memcmp(order.data, "little", 6) != 0))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s was written on a computer of another byte order: save it as .safetensors", path);
    TRY(zip_find(ctx, file, path, "/data.pkl", &program));
    PICKLE_NEED(program.data, "there is no data.pkl in it");
    m->at = program.data;
    m->end = program.data + program.size;
    TRY(pickle_run(m));
    TRY(collect(m, m->stack[0], "", 0, t));
fail:
    pickle_machine_free(m);
    if (st)
        pickle_tensors_free(t);
    return st;
}

void pickle_tensors_free(struct pickle_tensors *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->list[i].name);
    free(t->list);
    *t = (struct pickle_tensors){0};
}
