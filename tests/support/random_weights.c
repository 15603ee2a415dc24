/* random_weights.c - see random_weights.h. */
#include "random_weights.h"
#include "../../host/core/file_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 65536 /* elements written at a time */

bool random_dtype(const char *name, enum dtype *dtype)
{
    static const char *const names[] = {[DTYPE_F32] = "f32", [DTYPE_F16] = "f16", [DTYPE_BF16] = "bf16"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!strcmp(names[i], name)) {
            *dtype = (enum dtype)i;
            return true;
        }
    return false;
}

double random_scale(int inputs)
{
    return exp2(round(0.5 * log2(3.0 / inputs)));
}

/* ---- the list of tensors ---- */

clio_status random_add(struct random_weights *w, const char *prefix, const char *name, int ndim, const int *dim, double scale, float value)
{
    clio_status st = CLIO_OK;
    if (w->count == w->capacity) {
        struct random_tensor *grown = realloc(w->list, sizeof *grown * (size_t)(w->capacity * 2 + 64));
        if (!grown)
            FAIL(w->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        w->list = grown;
        w->capacity = w->capacity * 2 + 64;
    }
    struct random_tensor *t = &w->list[w->count++];
    *t = (struct random_tensor){.ndim = ndim, .dim = {1, 1, 1, 1}, .scale = scale, .value = value};
    for (int i = 0; i < ndim; i++)
        t->dim[i] = dim[i];
    snprintf(t->key, sizeof t->key, "%s%s%s", w->root, prefix, name);
fail:
    return st;
}

clio_status random_add_linear(struct random_weights *w, const char *prefix, const char *name, int ndim, const int *dim, bool bias)
{
    clio_status st = CLIO_OK;
    char key[96];
    int inputs = 1;
    for (int i = 1; i < ndim; i++)
        inputs *= dim[i];
    snprintf(key, sizeof key, "%s.weight", name);
    TRY(random_add(w, prefix, key, ndim, dim, random_scale(inputs), 0));
    snprintf(key, sizeof key, "%s.bias", name);
    if (bias)
        TRY(random_add(w, prefix, key, 1, dim, 0x1p-6, 0));
fail:
    return st;
}

clio_status random_add_norm(struct random_weights *w, const char *prefix, const char *name, int width)
{
    clio_status st = CLIO_OK;
    char key[96];
    snprintf(key, sizeof key, "%s.weight", name);
    TRY(random_add(w, prefix, key, 1, &width, 0, 1));
    snprintf(key, sizeof key, "%s.bias", name);
    TRY(random_add(w, prefix, key, 1, &width, 0x1p-6, 0));
fail:
    return st;
}

/* ---- files ---- */

size_t random_count(const struct random_tensor *t)
{
    return (size_t)t->dim[0] * (size_t)t->dim[1] * (size_t)t->dim[2] * (size_t)t->dim[3];
}

/* A number as it is stored, in the lowest bytes. */
static uint32_t store(enum dtype dtype, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return dtype == DTYPE_F32 ? bits : dtype == DTYPE_BF16 ? bits >> 16 : float_to_half(x); /* exact: see the header */
}

static clio_status write_tensor(const struct random_weights *w, struct file_out *out, const struct random_tensor *t, void *block)
{
    clio_status st = CLIO_OK;
    uint32_t table[256], *wide = block;
    uint16_t *narrow = block;
    uint64_t random = 0xcbf29ce484222325u; /* FNV-1a of the key, then xorshift64 */
    for (const char *c = t->key; *c; c++)
        random = (random ^ (unsigned char)*c) * 0x100000001b3u;
    for (int i = 0; i < 256; i++)
        table[i] = store(w->dtype, t->scale > 0 ? (float)(t->scale * (i - 128) / 128) : t->value);
    for (size_t left = random_count(t), n; left; left -= n) {
        n = MIN(left, BLOCK);
        for (size_t i = 0; i < n; i++) {
            if (i % 8 == 0) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
            }
            uint32_t value = table[random >> (i % 8 * 8) & 255];
            if (w->dtype == DTYPE_F32)
                wide[i] = value;
            else
                narrow[i] = (uint16_t)value;
        }
        TRY(file_out_write(w->ctx, out, block, n * dtype_size(w->dtype)));
    }
fail:
    return st;
}

/* Length, in 8 bytes, and JSON of what lies where; a multiple of 8. */
static clio_status write_header(const struct random_weights *w, struct file_out *out, int first, int last)
{
    clio_status st = CLIO_OK;
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    const char *type = w->dtype == DTYPE_F32 ? "F32" : w->dtype == DTYPE_F16 ? "F16" : "BF16";
    char *text = NULL;
    json_int_t at = 0;
    for (int i = first; i < last; i++) {
        const struct random_tensor *t = &w->list[i];
        json_int_t end = at + (json_int_t)(random_count(t) * dtype_size(w->dtype));
        json_t *dims = json_array();
        for (int d = 0; d < t->ndim; d++)
            json_array_append_new(dims, json_integer(t->dim[d]));
        json_object_set_new(header, t->key, json_pack("{s:s, s:o, s:[I,I]}", "dtype", type, "shape", dims, "data_offsets", at, end));
        at = end;
    }
    text = json_dumps(header, JSON_COMPACT);
    if (!text)
        FAIL(w->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    uint64_t size = strlen(text), padded = ROUND_UP(size, 8);
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(padded >> (8 * i));
    TRY(file_out_write(w->ctx, out, length, 8));
    TRY(file_out_write(w->ctx, out, text, size));
    TRY(file_out_write(w->ctx, out, "       ", padded - size));
fail:
    json_decref(header);
    free(text);
    return st;
}

clio_status random_write(const struct random_weights *w, const char *path, int first, int last)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    void *block = NULL;
    TRY(mem_alloc(w->ctx, &block, BLOCK, 4));
    TRY(file_out_open(w->ctx, &out, path));
    TRY(write_header(w, &out, first, last));
    for (int i = first; i < last; i++)
        TRY(write_tensor(w, &out, &w->list[i], block));
    TRY(file_out_commit(w->ctx, &out));
fail:
    file_out_abandon(&out);
    free(block);
    return st;
}

clio_status write_json(clio_context *ctx, const char *dir, const char *name, json_t *root)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    char *path = NULL, *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    if (!text)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s could not be written as JSON", name);
    TRY(file_join(ctx, &path, dir, name));
    TRY(file_out_open(ctx, &out, path));
    TRY(file_out_write(ctx, &out, text, strlen(text)));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    free(path);
    free(text);
    json_decref(root);
    return st;
}
