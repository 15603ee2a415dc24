/* fault_memory.c - allocations and threads: the point "memory.MODULE" counts malloc, calloc and realloc of one module. */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* dlsym may allocate while it looks for malloc: these bytes serve then, and are never given back. */
static struct {
    _Alignas(16) unsigned char bytes[16384];
    size_t used;
    int depth;
} early;

static void *early_allocate(size_t size)
{
    void *p = early.bytes + early.used;
    early.used += (size + 15) / 16 * 16;
    if (early.used > sizeof early.bytes)
        abort();
    return p;
}

static bool is_early(const void *p)
{
    uintptr_t at = (uintptr_t)p, begin = (uintptr_t)early.bytes;
    return at >= begin && at < begin + sizeof early.bytes;
}

static bool find(void *function, const char *name)
{
    void *found;
    memcpy(&found, function, sizeof found);
    if (found)
        return true;
    if (early.depth)
        return false;
    early.depth++;
    fault_next(function, name);
    early.depth--;
    return true;
}

static bool is_refused(const void *caller)
{
    static struct {
        const char *module;
        char point[24];
    } names[32];
    const char *module = fault_module(caller);
    int i = 0;
    if (!module)
        return false;
    while (names[i].module && names[i].module != module)
        i++;
    if (!names[i].module) { /* two threads may write the same text here */
        snprintf(names[i].point, sizeof names[i].point, "memory.%s", module);
        names[i].module = module;
    }
    if (!fault_due(FAULT_MEMORY, names[i].point))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (!find(&next, "malloc"))
        return early_allocate(size);
    return is_refused(FAULT_CALLER) ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
    static void *(*next)(size_t, size_t);
    if (!find(&next, "calloc"))
        return early_allocate(count * size); /* static bytes are zero */
    return is_refused(FAULT_CALLER) ? NULL : next(count, size);
}

void *realloc(void *p, size_t size)
{
    static void *(*next)(void *, size_t);
    if (!find(&next, "realloc"))
        return early_allocate(size);
    return is_refused(FAULT_CALLER) ? NULL : next(p, size);
}

void free(void *p)
{
    static void (*next)(void *);
    if (p && !is_early(p) && find(&next, "free"))
        next(p);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *user)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    fault_next(&next, "pthread_create");
    if (fault_module(FAULT_CALLER) && fault_due(FAULT_MEMORY, "pthread_create"))
        return EAGAIN;
    return next(thread, attributes, start, user);
}
