/* test_planes.h - what the tests of gradients share: fresh numbers, golden pictures as NHWC, sums that were added to, arenas. */
#ifndef CLIO_TEST_PLANES_H
#define CLIO_TEST_PLANES_H

#include "test.h"

static inline float *fresh(size_t n)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    return x;
}

static inline float *fresh_random(size_t n, uint32_t seed)
{
    float *x = fresh(n);
    test_random(x, n, seed);
    return x;
}

/* The golden tensor `name`, stored [batch, channels, pixels], as [batch, pixels, channels]. */
static inline float *golden_pictures(const struct weights *golden, const char *name, int batch, int channels, int pixels)
{
    size_t b = (size_t)batch, c = (size_t)channels, p = (size_t)pixels;
    float *planes = test_floats(golden, name, b * c * p), *x = fresh(b * c * p);
    for (size_t i = 0; i < b; i++)
        for (size_t j = 0; j < c; j++)
            for (size_t k = 0; k < p; k++)
                x[(i * p + k) * c + j] = planes[(i * c + j) * p + k];
    free(planes);
    return x;
}

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
