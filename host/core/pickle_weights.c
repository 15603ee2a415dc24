/* pickle_weights.c - see pickle_weights.h. Checked of each tensor: sizes and strides are not negative, their product is not above the
 * storage's numbers, and its last number lies in the storage; the storage is as long as the file says. Source: PyTorch, torch/_utils.py
 * (_rebuild_tensor), docs/source/notes/serialization.rst. */
#include "pickle_weights.h"
#include "pickle.h"
#include "text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define TENSORS_MAX ((size_t)1 << 17)
#define NAMES_MAX ((size_t)16 << 20) /* bytes of all names: a dictionary may be in many others, and its keys in as many names */
#define DIMENSIONS_MAX 64
#define GATHERED_MAX 2 /* times the file: bytes that are collected */
#define SPANNED_MAX 16 /* times the file: bytes that are read for it */
#define PREFIX "module."

struct reader {
    clio_context *ctx;
    const struct pickle *p;
    struct weights *w;
    size_t capacity, name_bytes;
    uint64_t gathered, spanned;
};

/* A tensor's place. */
struct layout {
    const char *name;
    const struct stored_type *type;
    int ndim;
    uint64_t size[DIMENSIONS_MAX], step[DIMENSIONS_MAX]; /* numbers between neighbours of each dimension */
    uint64_t count, first, last;                         /* numbers; the first and the last one in the storage */
    uint64_t stored;                                     /* numbers of the storage */
    const char *memory;                                  /* the storage; NULL: in the file from `at` on */
    uint64_t at;
};

static clio_status bad_tensor(const struct reader *r, const char *name, const char *what)
{
    clio_status st = CLIO_OK;
    FAIL(r->ctx, CLIO_ERROR_FORMAT, "%s: tensor %.200s %s: the file is damaged, download it again", r->p->in->path, name, what);
fail:
    return st;
}

/* ---- where a tensor lies ---- */

/* Of numpy: the byte string. */
static clio_status find_bytes(const struct reader *r, const struct pickle_value *v, struct layout *l)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *bytes = &r->p->values[v->tensor.storage];
    if (!v->tensor.storage || bytes->text.size % (uint64_t)v->type->bytes)
        TRY(bad_tensor(r, l->name, "has not the bytes of its numbers"));
    l->type = v->type;
    l->stored = bytes->text.size / (uint64_t)v->type->bytes;
    l->memory = pickle_text(r->p, bytes);
    l->at = bytes->text.at;
fail:
    return st;
}

static clio_status find_storage(const struct reader *r, const struct pickle_value *v, struct layout *l)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *storage = &r->p->values[v->tensor.storage];
    if (storage->kind != PICKLE_STORAGE)
        return find_bytes(r, v, l);
    const struct pickle_record *record = pickle_record_find(r->p, pickle_text(r->p, &r->p->values[storage->storage.key]));
    l->type = v->type ? v->type : storage->type;
    uint64_t unit = (uint64_t)storage->type->bytes, stored = (uint64_t)storage->storage.count;
    if (!record || !record->first)
        TRY(bad_tensor(r, l->name, "has a storage that is not in the file"));
    if (stored > record->size / unit || stored * unit != record->size)
        TRY(bad_tensor(r, l->name, "has a storage of another size than the file says"));
    l->stored = record->size / (uint64_t)l->type->bytes;
    l->at = record->first;
fail:
    return st;
}

/* Integer i of a tuple, not negative. */
static bool size_at(const struct pickle *p, const struct pickle_value *tuple, size_t i, uint64_t *out)
{
    const struct pickle_value *v = pickle_item(p, tuple, i);
    *out = v && v->kind == PICKLE_INTEGER && v->integer >= 0 ? (uint64_t)v->integer : 0;
    return v && v->kind == PICKLE_INTEGER && v->integer >= 0;
}

/* Steps of a numpy array, which has no strides of its own; none above the storage's numbers but where an array is empty. */
static void set_steps(struct layout *l, bool is_fortran)
{
    uint64_t step = 1;
    for (int i = 0; i < l->ndim; i++) {
        int k = is_fortran ? i : l->ndim - 1 - i;
        l->step[k] = step;
        step = l->size[k] && step <= l->stored / l->size[k] ? step * l->size[k] : 0;
    }
}

static clio_status read_sizes(const struct reader *r, const struct pickle_value *v, struct layout *l)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *sizes = &r->p->values[v->tensor.sizes], *strides = &r->p->values[v->tensor.strides];
    bool is_sized = sizes->kind == PICKLE_TUPLE && (!v->tensor.strides || strides->list.count == sizes->list.count);
    if (!is_sized || sizes->list.count > DIMENSIONS_MAX)
        TRY(bad_tensor(r, l->name, "has no shape, or too many dimensions"));
    l->ndim = (int)sizes->list.count;
    l->count = 1;
    for (size_t i = 0; i < (size_t)l->ndim; i++) {
        if (!size_at(r->p, sizes, i, &l->size[i]) || (v->tensor.strides && !size_at(r->p, strides, i, &l->step[i])))
            TRY(bad_tensor(r, l->name, "has a size or stride that is negative or no integer"));
        if (l->count && l->size[i] > l->stored / l->count)
            TRY(bad_tensor(r, l->name, "has more numbers than its storage"));
        l->count *= l->size[i];
    }
    if (!v->tensor.strides)
        set_steps(l, v->is_fortran);
fail:
    return st;
}

/* l->first and last, which lie in the storage. */
static clio_status read_range(const struct reader *r, const struct pickle_value *v, struct layout *l)
{
    clio_status st = CLIO_OK;
    uint64_t first = (uint64_t)v->tensor.first; /* one that is negative becomes large */
    if (first > l->stored || (l->count && first == l->stored))
        TRY(bad_tensor(r, l->name, "begins outside its storage"));
    l->first = l->last = first;
    for (int i = 0; i < l->ndim && l->count; i++) {
        uint64_t more = l->size[i] - 1, left = l->stored - 1 - l->last;
        if (more && l->step[i] > left / more)
            TRY(bad_tensor(r, l->name, "ends outside its storage"));
        l->last += more * l->step[i];
    }
fail:
    return st;
}

/* Whether the numbers lie in the storage in the order of the tensor. */
static bool is_contiguous(const struct layout *l)
{
    uint64_t step = 1;
    for (int i = l->ndim; i-- > 0;) {
        if (l->size[i] > 1 && l->step[i] != step)
            return false;
        step *= l->size[i];
    }
    return true;
}

/* ---- numbers ---- */

static void gather(const struct layout *l, const unsigned char *from, unsigned char *to)
{
    size_t bytes = (size_t)l->type->bytes;
    for (uint64_t k = 0; k < l->count; k++) {
        uint64_t index = 0, rest = k;
        for (int i = l->ndim; i-- > 0; rest /= l->size[i])
            index += rest % l->size[i] * l->step[i];
        memcpy(to + k * bytes, from + index * bytes, bytes);
    }
}

/* Collect the numbers in the order of the tensor. */
static clio_status read_numbers(struct reader *r, const struct layout *l, struct weight *w)
{
    clio_status st = CLIO_OK;
    uint64_t unit = (uint64_t)l->type->bytes, span = (l->last - l->first + 1) * unit, at = l->first * unit;
    unsigned char *part = NULL;
    r->gathered += l->count * unit;
    r->spanned += span;
    if (r->gathered > GATHERED_MAX * r->p->in->size || r->spanned > SPANNED_MAX * r->p->in->size)
        TRY(bad_tensor(r, l->name, "is one of too many views of the same numbers"));
    TRY(mem_alloc(r->ctx, &w->owned, (size_t)l->count, (size_t)unit));
    if (!l->memory) {
        TRY(mem_alloc(r->ctx, &part, (size_t)span, 1));
        TRY(file_in_read(r->ctx, r->p->in, l->at + at, (size_t)span, part));
    }
    gather(l, l->memory ? (const unsigned char *)l->memory + at : part, w->owned);
    w->data = w->owned;
fail:
    free(part);
    return st;
}

static clio_status read_tensor(struct reader *r, const struct pickle_value *v, struct weight *w)
{
    clio_status st = CLIO_OK;
    struct layout l = {.name = w->name};
    TRY(find_storage(r, v, &l));
    TRY(read_sizes(r, v, &l));
    TRY(read_range(r, v, &l));
    bool is_large = l.ndim > TENSOR_DIMS;
    for (int i = 0; i < TENSOR_DIMS; i++) {
        uint64_t size = i < l.ndim ? l.size[i] : 1;
        is_large = is_large || size > INT_MAX;
        w->dim[i] = is_large ? 1 : (int)size;
    }
    w->ndim = (int)MIN(l.ndim, TENSOR_DIMS);
    w->count = (size_t)l.count;
    w->file = r->p->in;
    w->first = l.at + l.first * (uint64_t)l.type->bytes;
    TRY(stored_set_type(r->ctx, w, l.type, is_large));
    if (w->count && (l.memory || !is_contiguous(&l)))
        TRY(read_numbers(r, &l, w));
fail:
    return st;
}

/* ---- names ---- */

static clio_status add_tensor(struct reader *r, const struct pickle_value *v, const char *name)
{
    clio_status st = CLIO_OK;
    struct weights *w = r->w;
    if (w->count >= TENSORS_MAX)
        TRY(bad_tensor(r, name, "is one of too many"));
    if ((r->name_bytes += strlen(name)) > NAMES_MAX)
        TRY(bad_tensor(r, name, "has too long a name, as others have"));
    TRY(mem_grow(r->ctx, &w->list, w->count, &r->capacity, sizeof *w->list));
    w->list[w->count] = (struct weight){0};
    w->count++; /* before reading: weights_close releases a half-read one */
    TRY(mem_string(r->ctx, &w->list[w->count - 1].name, *name ? name : "tensor"));
    TRY(read_tensor(r, v, &w->list[w->count - 1]));
fail:
    return st;
}

/* Append "." and the key of item i of `v` to a name. */
static clio_status add_key(struct reader *r, const struct pickle_value *v, size_t i, struct bytes *name)
{
    clio_status st = CLIO_OK;
    const struct pickle_value *key = v->kind == PICKLE_DICT ? pickle_item(r->p, v, i) : NULL;
    const char *text = key && key->kind == PICKLE_TEXT ? pickle_text(r->p, key) : NULL, *dot = name->size ? "." : "";
    if (key && !text && key->kind != PICKLE_INTEGER)
        TRY(bad_tensor(r, name->size ? name->data : "", "has a key that is neither a text nor an integer"));
    if (text && (strlen(text) != key->text.size || !text_is_utf8(text)))
        TRY(bad_tensor(r, name->size ? name->data : "", "has a key that is not UTF-8"));
    if (text)
        TRY(bytes_print(r->ctx, name, "%s%s", dot, text));
    else
        TRY(bytes_print(r->ctx, name, "%s%lld", dot, key ? key->integer : (long long)i));
fail:
    return st;
}

/* The tensors in `v`, whose name so far is `name`: pickle_check has limited how deep that is. */
static clio_status collect(struct reader *r, const struct pickle_value *v, const char *name)
{
    clio_status st = CLIO_OK;
    struct bytes key = {0};
    if (v->kind == PICKLE_TENSOR)
        return add_tensor(r, v, name);
    size_t step = v->kind == PICKLE_DICT ? 2 : 1;
    const struct pickle_value *item;
    for (size_t i = 0; v->has_tensor && (item = pickle_item(r->p, v, i + step - 1)); i += step) {
        if (!item->has_tensor)
            continue;
        key.size = 0;
        TRY(bytes_add(r->ctx, &key, name, strlen(name)));
        TRY(add_key(r, v, i, &key));
        TRY(collect(r, item, key.data));
    }
fail:
    bytes_free(&key);
    return st;
}

/* ---- wrappers ---- */

/* The dictionary in `v` that is the checkpoint; NULL: v itself. */
static const struct pickle_value *inner_checkpoint(const struct pickle *p, const struct pickle_value *v)
{
    static const char *const keys[] = {"state_dict", "model_state_dict", "model_state", "model",  "params_ema",
                                       "params",     "network",          "net",         "weights"};
    const struct pickle_value *found, *item;
    for (size_t i = 1; v->kind == PICKLE_DICT && (item = pickle_item(p, v, i)); i += 2)
        if (item->kind == PICKLE_TENSOR)
            return NULL;
    for (size_t i = 0; i < COUNT(keys); i++) {
        found = pickle_find(p, v, keys[i]);
        if (found && found->kind == PICKLE_DICT && found->has_tensor)
            return found;
    }
    return NULL;
}

static void drop_prefix(struct weights *w, size_t first)
{
    size_t n = strlen(PREFIX), with = 0;
    for (size_t i = first; i < w->count; i++)
        with += !strncmp(w->list[i].name, PREFIX, n) && w->list[i].name[n];
    for (size_t i = first; i < w->count && with == w->count - first; i++)
        memmove(w->list[i].name, w->list[i].name + n, strlen(w->list[i].name + n) + 1);
}

clio_status pickle_weights_read(clio_context *ctx, struct weights *w, const struct file_in *in)
{
    clio_status st = CLIO_OK;
    struct pickle p = {0};
    struct reader r = {.ctx = ctx, .p = &p, .w = w, .capacity = w->count};
    size_t first = w->count;
    TRY(pickle_read(ctx, &p, in));
    const struct pickle_value *root = pickle_root(&p), *inner = NULL;
    if (!root->has_tensor)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s contains no tensor: name a file of weights", in->path);
    while ((inner = inner_checkpoint(&p, root)))
        root = inner;
    TRY(collect(&r, root, ""));
    drop_prefix(w, first);
fail:
    pickle_close(&p);
    return st;
}
