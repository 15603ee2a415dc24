/* mem.c - host memory; see mem.h. */
#include "mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_AT_LEAST 64

clio_status mem_alloc(clio_context *ctx, void *out, size_t count, size_t size)
{
    clio_status st = CLIO_OK;
    void *memory = NULL;
    if (size && count > SIZE_MAX / size)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory: %zu elements of %zu bytes are more than this machine can address", count, size);
    memory = calloc(count && size ? count : 1, count && size ? size : 1); /* never NULL for nothing */
    if (!memory)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory: %zu bytes could not be allocated; close other programs", count * size);
fail:
    memcpy(out, &memory, sizeof memory); /* `out` is the address of a pointer of any type */
    return st;
}

clio_status mem_grow(clio_context *ctx, void *list, size_t count, size_t *capacity, size_t size)
{
    clio_status st = CLIO_OK;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *memory;
    if (count < *capacity)
        return CLIO_OK;
    memcpy(&memory, list, sizeof memory);
    memory = more > SIZE_MAX / size ? NULL : realloc(memory, more * size);
    if (!memory)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory: %zu elements of %zu bytes could not be allocated; close other programs",
             more, size);
    memcpy(list, &memory, sizeof memory);
    *capacity = more;
fail:
    return st;
}

clio_status mem_string(clio_context *ctx, char **out, const char *text)
{
    clio_status st = CLIO_OK;
    *out = NULL;
    if (text) {
        size_t size = strlen(text) + 1;
        TRY(mem_alloc(ctx, out, size, 1));
        memcpy(*out, text, size);
    }
fail:
    return st;
}

/* Room for `more` bytes and the zero behind them. */
static clio_status bytes_reserve(clio_context *ctx, struct bytes *b, size_t more)
{
    clio_status st = CLIO_OK;
    size_t capacity = MAX(b->capacity, BYTES_AT_LEAST);
    char *data;
    if (more >= SIZE_MAX / 2 - b->size)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory: %zu bytes are more than this machine can address", more);
    if (b->size + more + 1 <= b->capacity)
        return CLIO_OK;
    while (capacity < b->size + more + 1)
        capacity *= 2;
    data = realloc(b->data, capacity);
    if (!data)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory: %zu bytes could not be allocated; close other programs", capacity);
    b->data = data;
    b->capacity = capacity;
fail:
    return st;
}

uint64_t mem_hash(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

clio_status bytes_add(clio_context *ctx, struct bytes *b, const void *data, size_t size)
{
    clio_status st = CLIO_OK;
    TRY(bytes_reserve(ctx, b, size));
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = 0;
fail:
    return st;
}

clio_status bytes_print(clio_context *ctx, struct bytes *b, const char *format, ...)
{
    clio_status st = CLIO_OK;
    va_list list;
    int size;
    va_start(list, format);
    size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (size < 0)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a text could not be formatted; this is a bug in clio, please report it");
    TRY(bytes_reserve(ctx, b, (size_t)size));
    va_start(list, format);
    vsnprintf(b->data + b->size, (size_t)size + 1, format, list);
    va_end(list);
    b->size += (size_t)size;
fail:
    return st;
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}
