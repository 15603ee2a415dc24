/* weights.c - a checkpoint as a list of named tensors, from one file or from the shards of an index. The files are checked in
 * safetensors.c and pickle_weights.c; here, of a sharded checkpoint: shards are plain names in the same folder, and each holds what the
 * index says. */
#include "safetensors.h"

#include "json.h"
#include "pickle.h"
#include "pickle_weights.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_AT_ONCE ((size_t)1 << 14)

/* Drop the tensors from `first` on that the index does not place in `shard`. */
static void keep_indexed(struct weights *w, size_t first, const json_t *index, const char *shard)
{
    size_t kept = first;
    for (size_t i = first; i < w->count; i++) {
        const char *place = json_string_value(json_object_get(index, w->list[i].name));
        if (place && !strcmp(place, shard))
            w->list[kept++] = w->list[i];
        else
            weight_free(&w->list[i]);
    }
    w->count = kept;
}

static int compare_weights(const void *a, const void *b)
{
    return strcmp(((const struct weight *)a)->name, ((const struct weight *)b)->name);
}

static void sort_weights(struct weights *w)
{
    if (w->count)
        qsort(w->list, w->count, sizeof *w->list, compare_weights);
}

/* ---- views ---- */

clio_status weights_view(clio_context *ctx, struct weights *view, const char *path, size_t capacity)
{
    clio_status st = CLIO_OK;
    memset(view, 0, sizeof *view);
    TRY(mem_string(ctx, &view->path, path));
    TRY(mem_alloc(ctx, &view->list, capacity, sizeof *view->list));
fail:
    if (st)
        weights_close(view);
    return st;
}

clio_status weights_add(clio_context *ctx, struct weights *view, const char *name, const struct weight *as, struct weight **out)
{
    clio_status st = CLIO_OK;
    struct weight *added = &view->list[view->count];
    memset(added, 0, sizeof *added);
    TRY(mem_string(ctx, &added->name, name));
    view->count++; /* from here on weights_close releases it */
    added->dtype = as->dtype;
    added->ndim = as->ndim;
    memcpy(added->dim, as->dim, sizeof added->dim);
    added->count = as->count;
    added->data = as->data;
    added->file = as->file;
    added->first = as->first;
    TRY(mem_string(ctx, &added->problem, as->problem));
    if (out)
        *out = added;
fail:
    return st;
}

clio_status weights_sort(clio_context *ctx, struct weights *view)
{
    clio_status st = CLIO_OK;
    sort_weights(view);
    for (size_t i = 1; i < view->count; i++)
        if (!strcmp(view->list[i].name, view->list[i - 1].name))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s contains the tensor %s twice, under two names: download it again", view->path,
                 view->list[i].name);
fail:
    return st;
}

/* ---- files ---- */

/* Open the file as w->files[w->file_count], for which there is room, and append its tensors to w->list, unsorted. */
static clio_status read_file(clio_context *ctx, struct weights *w, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_in *in = &w->files[w->file_count];
    bool is_pickle;
    TRY(file_in_open(ctx, in, path));
    w->file_count++;
    TRY(pickle_recognize(ctx, in, &is_pickle));
    w->is_pickle = w->is_pickle || is_pickle;
    TRY(is_pickle ? pickle_weights_read(ctx, w, in) : safetensors_read(ctx, w, in));
fail:
    return st;
}

/* ---- shards ---- */

/* The set of shard names that a weight map mentions. */
static clio_status list_shards(clio_context *ctx, json_t *shards, const char *path, json_t *index)
{
    clio_status st = CLIO_OK;
    const char *name;
    json_t *value;
    if (!json_is_object(index))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no weight_map: the file is damaged, download it again", path);
    json_object_foreach(index, name, value)
    {
        const char *shard = json_string_value(value);
        if (!shard)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s has no file: the index is damaged, download it again", path, name);
        if (!*shard || strchr(shard, '/') || strstr(shard, ".."))
            FAIL(ctx, CLIO_ERROR_FORMAT,
                 "%s: tensor %.200s is placed in \"%.200s\", but shards must be in the same folder: do not trust this file", path, name,
                 shard);
        TRY(json_put(ctx, shards, shard, json_true()));
    }
fail:
    return st;
}

static clio_status read_shards(clio_context *ctx, struct weights *w, const char *dir, const char *index_name)
{
    clio_status st = CLIO_OK;
    struct json_file file = {NULL, NULL};
    json_t *shards = NULL, *index, *value;
    char *path = NULL;
    const char *name;
    TRY(json_made(ctx, &shards, json_object()));
    TRY(json_open(ctx, &file, dir, index_name));
    index = json_object_get(file.root, "weight_map");
    TRY(list_shards(ctx, shards, file.path, index));
    TRY(mem_alloc(ctx, &w->files, json_object_size(shards), sizeof *w->files));
    json_object_foreach(shards, name, value)
    {
        size_t first = w->count;
        bool exists;
        TRY(file_join(ctx, &path, dir, name));
        TRY(file_check_exists(ctx, path, &exists));
        if (!exists)
            FAIL(ctx, CLIO_ERROR_FILE, "%s is missing, and %s needs it: download it into the same folder", path, file.path);
        TRY(read_file(ctx, w, path));
        keep_indexed(w, first, index, name);
        free(path);
        path = NULL;
    }
    sort_weights(w);
    json_object_foreach(index, name, value)
    {
        if (!weights_find(w, name))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s should be in %.200s, which does not hold it: download both files again",
                 file.path, name, json_string_value(value));
    }
fail:
    free(path);
    json_decref(shards);
    json_close(&file);
    return st;
}

/* transformers calls the files of "model" that PyTorch wrote pytorch_model.bin; model.bin is CTranslate2's. */
const char *weights_bin_stem(const char *stem)
{
    return strcmp(stem, "model") ? stem : "pytorch_model";
}

/* *path: of the names that the weights `stem` have, the first that is there. */
static clio_status find_file(clio_context *ctx, const char *dir, const char *stem, char **path)
{
    static const char *const endings[] = {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json"};
    clio_status st = CLIO_OK;
    struct bytes name = {0};
    bool exists = false;
    for (size_t i = 0; i < COUNT(endings) && !exists; i++) {
        name.size = 0;
        TRY(bytes_print(ctx, &name, "%s%s", i >= 2 ? weights_bin_stem(stem) : stem, endings[i]));
        free(*path);
        *path = NULL;
        TRY(file_join(ctx, path, dir, name.data));
        TRY(file_check_exists(ctx, *path, &exists));
    }
    if (!exists)
        FAIL(ctx, CLIO_ERROR_FILE, "%s holds neither %s.safetensors nor %s.safetensors.index.json: name the folder of a downloaded model",
             dir, stem, stem);
fail:
    bytes_free(&name);
    return st;
}

/* A file of weights, or an index of shards. */
static clio_status open_file(clio_context *ctx, struct weights *w, const char *path)
{
    clio_status st = CLIO_OK;
    size_t length = strlen(path);
    const char *slash = strrchr(path, '/');
    char *dir = NULL;
    TRY(mem_string(ctx, &w->path, path));
    if (length > 5 && !strcmp(path + length - 5, ".json")) {
        TRY(mem_string(ctx, &dir, slash ? path : "."));
        if (slash)
            dir[MAX(slash - path, 1)] = 0;
        TRY(read_shards(ctx, w, dir, slash ? slash + 1 : path));
    } else {
        TRY(mem_alloc(ctx, &w->files, 1, sizeof *w->files));
        TRY(read_file(ctx, w, path));
        TRY(weights_sort(ctx, w));
    }
fail:
    free(dir);
    return st;
}

clio_status weights_open(clio_context *ctx, struct weights *w, const char *path, const char *stem)
{
    clio_status st = CLIO_OK;
    char *file = NULL;
    bool is_folder;
    memset(w, 0, sizeof *w);
    TRY(file_check_folder(ctx, path, &is_folder));
    if (is_folder)
        TRY(find_file(ctx, path, stem, &file));
    TRY(open_file(ctx, w, is_folder ? file : path));
fail:
    free(file);
    if (st)
        weights_close(w);
    return st;
}

void weights_close(struct weights *w)
{
    for (size_t i = 0; i < w->count; i++)
        weight_free(&w->list[i]);
    for (size_t i = 0; i < w->file_count; i++)
        file_in_close(&w->files[i]);
    weights_random_free(w);
    free(w->list);
    free(w->files);
    free(w->path);
    memset(w, 0, sizeof *w);
}

const struct weight *weights_find(const struct weights *w, const char *name)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, w->list[middle].name);
        if (!order)
            return &w->list[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* "[512, 80, 3]" */
static const char *shape_text(char text[64], int ndim, const int *dim)
{
    int used = snprintf(text, 64, "[");
    for (int i = 0; i < ndim && used < 50; i++)
        used += snprintf(text + used, 64 - (size_t)used, i ? ", %d" : "%d", dim[i]);
    snprintf(text + used, 64 - (size_t)used, "]");
    return text;
}

clio_status weights_need(clio_context *ctx, const struct weights *w, const char *name, int ndim, const int *dim, const struct weight **out)
{
    clio_status st = CLIO_OK;
    const struct weight *found = weights_find(w, name);
    bool same;
    char has[64], want[64];
    *out = NULL;
    if (w->random)
        return weights_random_need(ctx, w, name, ndim, dim, out);
    if (!found)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s: tensor %s is missing: this is a checkpoint of another model or its config.json does not belong to it; download it again",
             w->path, name);
    if (found->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %s %s", w->path, name, found->problem);
    if (found->dtype == DTYPE_I32 || found->dtype == DTYPE_I64 || found->dtype == DTYPE_U8)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %s is stored as %s where clio expects F32, F16 or BF16: convert the checkpoint",
             w->path, name,
             found->dtype == DTYPE_I32   ? "I32"
             : found->dtype == DTYPE_I64 ? "I64"
                                         : "U8");
    same = found->ndim == ndim;
    for (int i = 0; same && i < ndim; i++)
        same = found->dim[i] == dim[i];
    if (!same)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s: tensor %s has shape %s, expected %s: this is a checkpoint of another model or its config.json does not belong to it",
             w->path, name, shape_text(has, found->ndim, found->dim), shape_text(want, ndim, dim));
    *out = found;
fail:
    return st;
}

clio_status weight_bytes(clio_context *ctx, const struct weight *w, size_t first, size_t size, void *buffer, const unsigned char **out)
{
    clio_status st = CLIO_OK;
    *out = buffer;
    if (w->data)
        *out = w->data + first;
    else if (size)
        TRY(file_in_read(ctx, w->file, w->first + first, size, buffer));
fail:
    return st;
}

/* One stored number, of any alignment. */
static float read_number(enum dtype dtype, const unsigned char *from)
{
    uint16_t bits;
    int32_t whole;
    int64_t large;
    double wide;
    float number;
    switch (dtype) {
    case DTYPE_F16:
        memcpy(&bits, from, sizeof bits);
        return half_to_float(bits);
    case DTYPE_BF16:
        memcpy(&bits, from, sizeof bits);
        return bfloat_to_float(bits);
    case DTYPE_F64:
        memcpy(&wide, from, sizeof wide);
        return (float)wide;
    case DTYPE_I32:
        memcpy(&whole, from, sizeof whole);
        return (float)whole;
    case DTYPE_I64:
        memcpy(&large, from, sizeof large);
        return (float)large;
    case DTYPE_F8_E4M3:
        return e4m3_to_float(*from);
    case DTYPE_F8_E5M2:
        return e5m2_to_float(*from);
    case DTYPE_U8:
    case DTYPE_Q8:
        return *from;
    case DTYPE_F32:
        break;
    }
    memcpy(&number, from, sizeof number);
    return number;
}

static void convert(enum dtype dtype, const unsigned char *from, size_t count, float *out)
{
    size_t size = dtype_size(dtype);
    if (dtype == DTYPE_F32)
        memcpy(out, from, count * sizeof *out);
    for (size_t i = 0; i < count && dtype != DTYPE_F32; i++)
        out[i] = read_number(dtype, from + i * size);
}

clio_status weight_floats(clio_context *ctx, const struct weight *w, size_t first, size_t count, float *out)
{
    clio_status st = CLIO_OK;
    unsigned char piece[BYTES_AT_ONCE] = {0};
    const unsigned char *from;
    size_t size = dtype_size(w->dtype), most = w->data ? count : BYTES_AT_ONCE / size;
    if (!w->problem && !w->data && w->dtype == DTYPE_F32) /* as they are stored */
        return weight_bytes(ctx, w, first * size, count * size, out, &from);
    for (size_t i = 0; i < count && w->problem; i++)
        out[i] = NAN;
    for (size_t at = 0, n; at < count && !w->problem; at += n) {
        n = MIN(count - at, most);
        TRY(weight_bytes(ctx, w, (first + at) * size, n * size, piece, &from));
        convert(w->dtype, from, n, out + at);
    }
fail:
    return st;
}

clio_status weight_check_range(clio_context *ctx, const struct weight *w, enum dtype storage, enum dtype source, const void *values,
                               size_t count)
{
    clio_status st = CLIO_OK;
    if (dtype_overflows(storage, source, values, count))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s%stensor %s has values that are too large for %s: load them with the weight type f32",
             w->file ? w->file->path : "", w->file ? ": " : "", w->name, dtype_name(storage));
fail:
    return st;
}

void weight_skip(struct weight *w, size_t elements)
{
    size_t bytes = elements * dtype_size(w->dtype);
    if (w->data)
        w->data += bytes;
    else
        w->first += bytes;
}
