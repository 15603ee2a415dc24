/* test_planes.h - what the tests of gradients share: sums that were added to, arenas. */
#ifndef CLIO_TEST_PLANES_H
#define CLIO_TEST_PLANES_H

#include "test.h"

/* want += before: what is to be found where a gradient was added to `before`. */
static inline void plus(float *want, const float *before, size_t n)
{
    for (size_t i = 0; i < n; i++)
        want[i] += before[i];
}

/* `call` planned, its scratch taken, and run. It uses `ctx` and `&arena`. */
#define PLANNED(call)                                                                                                                      \
    do {                                                                                                                                   \
        clio_context *ctx = test_context();                                                                                                \
        struct arena arena = {0};                                                                                                          \
        ctx->planning = true;                                                                                                              \
        clio_status planned = (call);                                                                                                      \
        ctx->planning = false;                                                                                                             \
        assert_ok(planned);                                                                                                                \
        assert_ok(arena_commit(ctx, &arena, "scratch"));                                                                                   \
        assert_ok(call);                                                                                                                   \
        arena_free(ctx, &arena);                                                                                                           \
    } while (0)

#endif
