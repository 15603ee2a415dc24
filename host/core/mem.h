/* mem.h - host memory: allocation with an error message, and a growing array of bytes. */
#ifndef CLIO_CORE_MEM_H
#define CLIO_CORE_MEM_H

#include "status.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* MIN(a, b), MAX(a, b) of any two numbers, and ROUND_UP(n, to) of integers: in their common type, as a < b ? a : b would have, but each
 * argument is evaluated once. They are no constant expressions. */
#define MEM_INTEGERS(X)                                                                                                                    \
    X(int, int)                                                                                                                            \
    X(unsigned, unsigned) X(long, long) X(unsigned_long, unsigned long) X(long_long, long long) X(unsigned_long_long, unsigned long long)
#define MEM_ORDER(name, type)                                                                                                              \
    static inline type min_##name(type a, type b)                                                                                          \
    {                                                                                                                                      \
        return a < b ? a : b;                                                                                                              \
    }                                                                                                                                      \
    static inline type max_##name(type a, type b)                                                                                          \
    {                                                                                                                                      \
        return a > b ? a : b;                                                                                                              \
    }
#define MEM_ROUND_UP(name, type)                                                                                                           \
    static inline type round_up_##name(type n, type to)                                                                                    \
    {                                                                                                                                      \
        return (n + to - 1) / to * to;                                                                                                     \
    }
MEM_INTEGERS(MEM_ORDER)
MEM_INTEGERS(MEM_ROUND_UP)
MEM_ORDER(float, float)
MEM_ORDER(double, double)
/* clang-format off */
#define MEM_OF_INTEGER(f)                                                                                                                  \
    int: f##_int, unsigned: f##_unsigned, long: f##_long, unsigned long: f##_unsigned_long, long long: f##_long_long,                      \
    unsigned long long: f##_unsigned_long_long
#define MEM_OF_NUMBER(f) MEM_OF_INTEGER(f), float: f##_float, double: f##_double
/* clang-format on */
#define MIN(a, b) _Generic((a) + (b), MEM_OF_NUMBER(min))((a), (b))
#define MAX(a, b) _Generic((a) + (b), MEM_OF_NUMBER(max))((a), (b))
#define ROUND_UP(n, to) _Generic((n) + (to), MEM_OF_INTEGER(round_up))((n), (to))

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
