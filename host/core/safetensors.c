/* safetensors.c - one file of the format: 8 bytes little-endian header length N, N bytes of JSON, then the tensors' bytes.
 *
 * Checked before use, each with its own message:
 *   - the file has 8 bytes, the header lies within it and is below 100 MB (the reference's limit)
 *   - the header is a JSON object without duplicate keys; "__metadata__" is passed over
 *   - an entry has a type of the format, a shape of non-negative integers and two offsets in order, within the data
 *   - the shape's bytes do not overflow and are what the offsets say
 *   - the tensors cover the data without overlap or gap, as the format demands
 * A tensor that is sound but of a type or rank clio does not read is kept with its `problem`: most such are counters nobody needs. */
#include "safetensors.h"

#include "json.h"
#include "stored_type.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_HEADER 100000000u
#define AGAIN "the file is damaged, download it again"

/* One entry of a header while it is checked. */
struct entry {
    const char *path, *name;
    const struct stored_type *type;
    uint64_t begin, end;
};

static clio_status read_type(clio_context *ctx, struct entry *e, const json_t *value)
{
    clio_status st = CLIO_OK;
    const char *name = json_string_value(value);
    if (!name)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s has no type (dtype): " AGAIN, e->path, e->name);
    if (!(e->type = stored_type_find(name)))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s: tensor %.200s has the type %.40s, which safetensors does not know: convert it to F32, F16 or BF16", e->path, e->name,
             name);
fail:
    return st;
}

/* Shape into w->ndim, dim and count, as far as it fits there; *fits says whether it did. */
static clio_status read_shape(clio_context *ctx, const struct entry *e, const json_t *shape, struct weight *w, bool *fits)
{
    clio_status st = CLIO_OK;
    size_t ndim = json_array_size(shape);
    uint64_t count = 1, bytes;
    if (!json_is_array(shape))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s has no shape: " AGAIN, e->path, e->name);
    *fits = ndim <= TENSOR_DIMS;
    for (size_t i = 0; i < TENSOR_DIMS; i++)
        w->dim[i] = 1;
    for (size_t i = 0; i < ndim; i++) {
        const json_t *value = json_array_get(shape, i);
        json_int_t d = json_integer_value(value);
        if (!json_is_integer(value) || d < 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s has a dimension that is not a positive integer: " AGAIN, e->path, e->name);
        if (d && count > UINT64_MAX / 16 / (uint64_t)d) /* 16: the largest element */
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s is larger than any memory by its shape: " AGAIN, e->path, e->name);
        count *= (uint64_t)d;
        *fits = *fits && d <= INT_MAX;
        if (*fits)
            w->dim[i] = (int)d;
    }
    bytes = count * (uint64_t)e->type->bytes;
    if (e->type->bytes && bytes != e->end - e->begin)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s needs %llu bytes by its shape and type %s but has %llu: " AGAIN, e->path, e->name,
             (unsigned long long)bytes, e->type->name, (unsigned long long)(e->end - e->begin));
    w->ndim = (int)MIN(ndim, TENSOR_DIMS);
    w->count = (size_t)count; /* where bytes are not checked there is a problem, and the count is cleared */
fail:
    return st;
}

static clio_status read_offsets(clio_context *ctx, struct entry *e, const json_t *offsets, uint64_t size)
{
    clio_status st = CLIO_OK;
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) || json_integer_value(begin) < 0 ||
        json_integer_value(end) < json_integer_value(begin))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s has no valid data_offsets (two integers in order): " AGAIN, e->path, e->name);
    e->begin = (uint64_t)json_integer_value(begin);
    e->end = (uint64_t)json_integer_value(end);
    if (e->end > size)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s is cut short: tensor %.200s ends at byte %llu of the data, of which there are %llu; download it again", e->path, e->name,
             (unsigned long long)e->end, (unsigned long long)size);
fail:
    return st;
}

/* data: where the tensors' bytes begin in the file */
static clio_status read_entry(clio_context *ctx, struct entry *e, const json_t *value, const struct file_in *in, uint64_t data,
                              struct weight *w)
{
    clio_status st = CLIO_OK;
    bool fits = false;
    if (!json_is_object(value))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s has no description: " AGAIN, e->path, e->name);
    TRY(read_type(ctx, e, json_object_get(value, "dtype")));
    TRY(read_offsets(ctx, e, json_object_get(value, "data_offsets"), in->size - data));
    TRY(read_shape(ctx, e, json_object_get(value, "shape"), w, &fits));
    TRY(mem_string(ctx, &w->name, e->name));
    w->file = in;
    w->first = data + e->begin;
    TRY(stored_set_type(ctx, w, e->type, !fits));
fail:
    return st;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Tensors in the order of their bytes: each begins where the one before it ends, and the last ends with the data. */
static clio_status check_cover(clio_context *ctx, const char *path, struct entry *entries, size_t count, uint64_t size)
{
    clio_status st = CLIO_OK;
    uint64_t at = 0;
    if (count)
        qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin < at)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensors %.200s and %.200s overlap: " AGAIN, path, entries[i - 1].name, entries[i].name);
        if (entries[i].begin > at)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: %llu bytes before tensor %.200s belong to no tensor: " AGAIN, path,
                 (unsigned long long)(entries[i].begin - at), entries[i].name);
        at = entries[i].end;
    }
    if (at != size)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the last %llu bytes belong to no tensor: " AGAIN, path, (unsigned long long)(size - at));
fail:
    return st;
}

/* The number of bytes of the header, from the first 8 of the file. */
static clio_status read_length(clio_context *ctx, const struct file_in *in, size_t *out)
{
    clio_status st = CLIO_OK;
    unsigned char start[8];
    uint64_t length = 0;
    if (in->size < 8)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is cut short: it has %llu bytes, and a safetensors file at least 8; download it again", in->path,
             (unsigned long long)in->size);
    TRY(file_in_read(ctx, in, 0, 8, start));
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)start[i] << (8 * i);
    if (length > LARGEST_HEADER)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s is not a safetensors file: its header would have %llu bytes, and 100 MB is the limit; download it again", in->path,
             (unsigned long long)length);
    if (length > in->size - 8)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is cut short: its header has %llu bytes, the file %llu; download it again", in->path,
             (unsigned long long)length, (unsigned long long)in->size);
    *out = (size_t)length;
fail:
    return st;
}

/* The header of an open file; *data: where its tensors' bytes begin. */
static clio_status read_header(clio_context *ctx, json_t **out, const struct file_in *in, uint64_t *data)
{
    clio_status st = CLIO_OK;
    size_t length;
    char *text = NULL;
    struct bytes what = {0};
    *out = NULL;
    TRY(read_length(ctx, in, &length));
    TRY(mem_alloc(ctx, &text, length, 1));
    TRY(file_in_read(ctx, in, 8, length, text));
    TRY(bytes_print(ctx, &what, "%s: the header", in->path));
    TRY(json_parse(ctx, text, length, JSON_REJECT_DUPLICATES, what.data, out));
    if (!json_is_object(*out))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: the header does not contain a JSON object: " AGAIN, in->path);
    *data = 8 + (uint64_t)length;
fail:
    bytes_free(&what);
    free(text);
    return st;
}

clio_status weights_note(clio_context *ctx, const struct weights *w, const char *key, char **out)
{
    clio_status st = CLIO_OK;
    json_t *header = NULL;
    uint64_t data;
    *out = NULL;
    if (w->file_count && !w->is_pickle) {
        TRY(read_header(ctx, &header, &w->files[0], &data));
        TRY(mem_string(ctx, out, json_string_value(json_object_get(json_object_get(header, "__metadata__"), key))));
    }
fail:
    json_decref(header);
    return st;
}

clio_status safetensors_read(clio_context *ctx, struct weights *w, const struct file_in *in)
{
    clio_status st = CLIO_OK;
    struct entry *entries = NULL;
    struct weight *list = NULL;
    json_t *header = NULL, *value;
    const char *name;
    size_t count = 0;
    uint64_t data;
    TRY(read_header(ctx, &header, in, &data));
    TRY(mem_alloc(ctx, &entries, json_object_size(header), sizeof *entries));
    TRY(mem_alloc(ctx, &list, w->count + json_object_size(header), sizeof *list));
    if (w->count)
        memcpy(list, w->list, w->count * sizeof *list);
    free(w->list);
    w->list = list;
    json_object_foreach(header, name, value)
    {
        struct entry *e = &entries[count];
        if (!strcmp(name, "__metadata__"))
            continue;
        e->path = in->path;
        e->name = name;
        count++;
        w->count++; /* before reading: weights_close releases a half-read one */
        TRY(read_entry(ctx, e, value, in, data, &w->list[w->count - 1]));
    }
    TRY(check_cover(ctx, in->path, entries, count, in->size - data));
fail:
    free(entries);
    json_decref(header);
    return st;
}
