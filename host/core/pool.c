/* pool.c - device buffers with reuse, and arenas. Freed buffers are kept up to a quarter of the memory in use (at least 64 MiB) and 256
 * buffers, so that repeated calls allocate nothing and idle memory stays bounded. While an arena grows all are kept, because the next
 * training step asks for the same sizes again. */
#include "context.h"

#include <stdio.h>
#include <stdlib.h>

#define IDLE_AT_LEAST (64u << 20)
#define IDLE_MOST 256 /* buffers: they are looked through for each new one */

/* Bytes in MiB: "51", "0.3". */
static const char *mib(char text[24], uint64_t bytes)
{
    double n = (double)bytes / 1048576.0;
    snprintf(text, 24, n < 9.95 ? "%.2g" : "%.0f", n);
    return text;
}

static clio_status check_fits(clio_context *ctx, uint64_t bytes, const char *what)
{
    clio_status st = CLIO_OK;
    const struct device *d = &ctx->device;
    char needs[24], used[24], limit[24];
    if (bytes > d->max_allocation)
        FAIL(ctx, CLIO_ERROR_MEMORY, "%s needs %s MiB in one piece, %s allows %s MiB: use a smaller model, or another device", what,
             mib(needs, bytes), d->name, mib(limit, d->max_allocation));
    if (ctx->pool.now + bytes > d->memory_limit)
        FAIL(ctx, CLIO_ERROR_MEMORY,
             "%s needs %s MiB beside the %s MiB in use, of %s MiB that %s offers: use a smaller model, or another device", what,
             mib(needs, bytes), mib(used, ctx->pool.now), mib(limit, d->memory_limit), d->name);
fail:
    return st;
}

static uint64_t mem_bytes(cl_mem mem)
{
    size_t bytes = 0;
    clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof bytes, &bytes, NULL);
    return bytes;
}

static void pool_trim(clio_context *ctx, uint64_t keep, size_t most)
{
    struct pool *p = &ctx->pool;
    while (p->idle_count && (p->idle_bytes > keep || p->idle_count > most)) {
        struct pool_entry *e = &p->idle[--p->idle_count];
        p->idle_bytes -= e->bytes;
        clReleaseMemObject(e->mem);
    }
}

/* Unless an arena grows. */
static void trim_idle(clio_context *ctx)
{
    if (!ctx->pool.growing)
        pool_trim(ctx, MAX(ctx->pool.now / 4, IDLE_AT_LEAST), IDLE_MOST);
}

clio_status pool_get(clio_context *ctx, cl_mem *out, uint64_t bytes, const char *what)
{
    clio_status st = CLIO_OK;
    struct pool *p = &ctx->pool;
    size_t best = SIZE_MAX;
    cl_int cle = CL_SUCCESS;
    *out = NULL;
    TRY(context_need_device(ctx));
    bytes = ROUND_UP(MAX(bytes, 1), 256);
    TRY(check_fits(ctx, bytes, what));
    for (size_t i = 0; i < p->idle_count; i++)
        if (p->idle[i].bytes >= bytes && p->idle[i].bytes <= bytes + bytes / 4 &&
            (best == SIZE_MAX || p->idle[i].bytes < p->idle[best].bytes))
            best = i;
    if (best != SIZE_MAX) {
        *out = p->idle[best].mem;
        bytes = p->idle[best].bytes;
        p->idle_bytes -= bytes;
        p->idle[best] = p->idle[--p->idle_count];
    } else {
        pool_trim(ctx, ctx->device.memory_limit - p->now - bytes, SIZE_MAX); /* what waits for reuse counts as taken, too */
        *out = clCreateBuffer(ctx->cl, CL_MEM_READ_WRITE, bytes, NULL, &cle);
        if (cle != CL_SUCCESS) { /* give back what only waits for reuse, and try once more */
            pool_trim(ctx, 0, 0);
            *out = clCreateBuffer(ctx->cl, CL_MEM_READ_WRITE, bytes, NULL, &cle);
        }
        CL_CHECK(ctx, cle, "clCreateBuffer");
    }
    p->now += bytes;
    p->peak = MAX(p->peak, p->now);
    if (p->taken)
        p->taken(ctx, *out);
fail:
    if (st)
        *out = NULL;
    return st;
}

void pool_put(clio_context *ctx, cl_mem mem)
{
    struct pool *p = &ctx->pool;
    uint64_t bytes = mem_bytes(mem);
    p->now -= MIN(bytes, p->now);
    if (p->idle_count == p->idle_capacity) {
        size_t capacity = p->idle_capacity ? 2 * p->idle_capacity : 32;
        struct pool_entry *grown = realloc(p->idle, capacity * sizeof *grown);
        if (!grown) {
            clReleaseMemObject(mem);
            return;
        }
        p->idle = grown;
        p->idle_capacity = capacity;
    }
    p->idle[p->idle_count++] = (struct pool_entry){mem, bytes};
    p->idle_bytes += bytes;
    trim_idle(ctx);
}

void pool_close(clio_context *ctx)
{
    pool_trim(ctx, 0, 0);
    free(ctx->pool.idle);
    ctx->pool = (struct pool){0};
}

static void drop_views(struct arena *a)
{
    for (size_t i = 0; i < a->view_count; i++)
        clReleaseMemObject(a->views[i].mem);
    a->view_count = 0;
}

static clio_status find_view(clio_context *ctx, struct arena *a, cl_mem *out, uint64_t offset, uint64_t bytes)
{
    clio_status st = CLIO_OK;
    cl_int cle = CL_SUCCESS;
    cl_buffer_region region = {(size_t)offset, (size_t)bytes};
    for (size_t i = 0; i < a->view_count; i++)
        if (a->views[i].offset == offset && a->views[i].bytes == bytes) {
            *out = a->views[i].mem;
            return CLIO_OK;
        }
    TRY(mem_grow(ctx, &a->views, a->view_count, &a->view_capacity, sizeof *a->views));
    *out = clCreateSubBuffer(a->mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &cle);
    CL_CHECK(ctx, cle, "clCreateSubBuffer");
    a->views[a->view_count++] = (struct arena_view){*out, offset, bytes};
fail:
    return st;
}

static clio_status take_piece(clio_context *ctx, struct arena *a, cl_mem *out, uint64_t bytes)
{
    clio_status st = CLIO_OK;
    TRY(mem_grow(ctx, &a->pieces, a->piece_count, &a->piece_capacity, sizeof *a->pieces));
    TRY(pool_get(ctx, out, MAX(bytes, 1), "training"));
    a->pieces[a->piece_count++] = (struct arena_piece){.mem = *out};
fail:
    return st;
}

clio_status arena_take(clio_context *ctx, struct arena *a, cl_mem *out, uint64_t bytes)
{
    clio_status st = CLIO_OK;
    uint64_t offset = a->used;
    *out = NULL;
    if (a->growing)
        return take_piece(ctx, a, out, bytes);
    bytes = ROUND_UP(MAX(bytes, 1), (uint64_t)ctx->device.address_alignment);
    a->used += bytes;
    a->peak = MAX(a->peak, a->used);
    if (ctx->planning)
        return CLIO_OK;
    if (a->used > a->capacity)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "an arena of %llu bytes was asked for %llu", (unsigned long long)a->capacity,
             (unsigned long long)a->used);
    TRY(find_view(ctx, a, out, offset, bytes));
fail:
    return st;
}

uint64_t arena_mark(const struct arena *a)
{
    return a->growing ? a->piece_count : a->used;
}

static void give_back(struct arena *a, struct arena_piece *piece)
{
    if (piece->mem)
        pool_put(a->growing, piece->mem);
    *piece = (struct arena_piece){0};
}

/* Pieces keep their place, so that marks stay true; those at the end are forgotten once they are empty. */
static void forget_empty(struct arena *a)
{
    while (a->piece_count > 0 && !a->pieces[a->piece_count - 1].mem)
        a->piece_count--;
}

void arena_release(struct arena *a, uint64_t mark)
{
    if (!a->growing) {
        a->used = mark;
        return;
    }
    for (size_t i = (size_t)mark; i < a->piece_count; i++)
        if (!a->pieces[i].held)
            give_back(a, &a->pieces[i]);
    forget_empty(a);
}

void arena_grow(clio_context *ctx, struct arena *a)
{
    a->growing = ctx;
    ctx->pool.growing++;
}

/* From the end: what is asked about was mostly taken lately. */
static struct arena_piece *find_piece(struct arena *a, cl_mem mem)
{
    for (size_t i = a->piece_count; mem && i-- > 0;)
        if (a->pieces[i].mem == mem)
            return &a->pieces[i];
    return NULL;
}

void arena_hold(struct arena *a, cl_mem mem)
{
    struct arena_piece *piece = find_piece(a, mem);
    if (piece)
        piece->held = true;
}

void arena_drop(struct arena *a, cl_mem mem)
{
    struct arena_piece *piece = find_piece(a, mem);
    if (piece)
        give_back(a, piece);
}

void arena_reset(struct arena *a)
{
    for (size_t i = 0; i < a->piece_count; i++)
        give_back(a, &a->pieces[i]);
    a->piece_count = 0;
}

clio_status arena_commit(clio_context *ctx, struct arena *a, const char *what)
{
    clio_status st = CLIO_OK;
    a->used = 0;
    if (a->peak > a->capacity) {
        drop_views(a);
        if (a->mem)
            pool_put(ctx, a->mem);
        a->mem = NULL;
        a->capacity = 0;
        TRY(pool_get(ctx, &a->mem, a->peak, what));
        a->capacity = a->peak;
    }
fail:
    return st;
}

void arena_free(clio_context *ctx, struct arena *a)
{
    arena_reset(a);
    free(a->pieces);
    if (a->growing) {
        ctx->pool.growing--;
        trim_idle(ctx);
    }
    drop_views(a);
    free(a->views);
    if (a->mem)
        pool_put(ctx, a->mem);
    *a = (struct arena){0};
}
