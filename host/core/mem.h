/* mem.h - host memory: allocation with an error message, and a growing array of bytes. */
#ifndef CLIO_CORE_MEM_H
#define CLIO_CORE_MEM_H

#include "status.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* count x size zeroed bytes, overflow checked; *out is NULL on failure. Free with free(). */
clio_status mem_alloc(clio_context *ctx, void *out, size_t count, size_t size);
/* Make space for one more element after `count` elements of `size` bytes. list: address of a pointer to malloc memory. Capacities double.
 */
clio_status mem_grow(clio_context *ctx, void *list, size_t count, size_t *capacity, size_t size);
/* Copy of a string; NULL stays NULL. */
clio_status mem_string(clio_context *ctx, char **out, const char *text);

/* The same pointer without const: to free memory that its structure shows to others as const, or to lend const data to a structure or a
 * function whose pointer is not const although it only reads. */
static inline void *mem_const_cast(const void *data)
{
    const union {
        const void *from;
        void *to;
    } pointer = {.from = data};
    return pointer.to;
}

/* FNV-1a hash of some bytes, continued from `hash`; start with MEM_HASH_START. */
uint64_t mem_hash(uint64_t hash, const void *data, size_t size);
#define MEM_HASH_START 0xcbf29ce484222325u

/* A growing array of bytes, always followed by a zero. Zero-initialise; release with bytes_free. */
struct bytes {
    char *data;
    size_t size, capacity;
};
clio_status bytes_add(clio_context *ctx, struct bytes *b, const void *data, size_t size);
clio_status bytes_print(clio_context *ctx, struct bytes *b, const char *format, ...) CLIO_PRINTF(3, 4);
void bytes_free(struct bytes *b);

#endif
