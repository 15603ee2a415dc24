/* pool.h - device memory: buffers that are kept for reuse, and arenas for one call's scratch.
 *
 * A pool hands out whole buffers (weights, caches) and counts bytes in use and their peak.
 * An arena is one buffer from which a call takes tensors in order; arena_mark and arena_release give back the latest. A forward pass
 * is first run with ctx->planning set: nothing is launched, the arena only counts, and its peak is what arena_commit then
 * allocates, so a step that would not fit is refused before it starts.
 *
 * A growing arena plans nothing: every tensor is a buffer of the pool, and releasing gives back those taken since the mark, except what was
 * held (arena_hold), which stays until arena_drop or arena_reset. It serves training, where some of what a forward pass makes is needed
 * until its gradient was computed; the pool's peak says what that took. */
#ifndef CLIO_CORE_POOL_H
#define CLIO_CORE_POOL_H

#include "mem.h"

struct pool_entry {
    cl_mem mem;
    uint64_t bytes;
};
struct pool {
    struct pool_entry *idle;
    size_t idle_count, idle_capacity;
    uint64_t now, peak, idle_bytes;               /* bytes handed out, their maximum, bytes kept */
    int growing;                                  /* arenas that grow: while there are any, what is given back is kept for the next step */
    void (*taken)(clio_context *ctx, cl_mem mem); /* told of every buffer handed out, or NULL: the tapes (ops/tape.h) forget what it was */
};
/* A buffer of at least `bytes`; too large a wish fails with need, limit and way out. `what` names it in that sentence. */
clio_status pool_get(clio_context *ctx, cl_mem *out, uint64_t bytes, const char *what);
void pool_put(clio_context *ctx, cl_mem mem);
void pool_close(clio_context *ctx);

struct arena_view {
    cl_mem mem;
    uint64_t offset, bytes;
};
struct arena_piece {
    cl_mem mem; /* NULL: given back already */
    bool held;
};
struct arena {
    cl_mem mem;
    uint64_t capacity, used, peak;
    struct arena_view *views; /* sub-buffers made so far, kept for the next step that asks for the same place */
    size_t view_count, view_capacity;
    clio_context *growing; /* a growing arena: whose pool it takes from; NULL otherwise */
    struct arena_piece *pieces;
    size_t piece_count, piece_capacity;
};
/* Take `bytes`; while planning *out is NULL. The cl_mem belongs to the arena. */
clio_status arena_take(clio_context *ctx, struct arena *arena, cl_mem *out, uint64_t bytes);
uint64_t arena_mark(const struct arena *arena);
void arena_release(struct arena *arena, uint64_t mark);
/* After planning: allocate the peak (if the present buffer is smaller) and start empty. */
clio_status arena_commit(clio_context *ctx, struct arena *arena, const char *what);
void arena_free(clio_context *ctx, struct arena *arena);

/* Make an empty arena a growing one. */
void arena_grow(clio_context *ctx, struct arena *arena);
/* Keep what was taken from a growing arena over the releases to come; nothing for memory that is not the arena's. */
void arena_hold(struct arena *arena, cl_mem mem);
/* Give one of its buffers back at once, held or not. */
void arena_drop(struct arena *arena, cl_mem mem);
/* Give all of them back. */
void arena_reset(struct arena *arena);

#endif
