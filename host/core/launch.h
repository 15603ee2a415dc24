/* launch.h - put one kernel on the queue: grid, arguments, cost for the profile.
 *
 *     struct kernel *k;
 *     TRY(kernel_get(ctx, "norm", "layer_norm", "", &k));
 *     TRY(LAUNCH(ctx, k, GRID1(rows * 64, 64), COST(5.0 * n, 8.0 * n), ARG_TENSOR(out), ARG_TENSOR(in), ARG_VALUE(args)));
 *
 * launch does not wait. While ctx->planning is set, it does nothing. It fails if the context is cancelled or the device lost. */
#ifndef CLIO_CORE_LAUNCH_H
#define CLIO_CORE_LAUNCH_H

#include "program.h"
#include "tensor.h"

struct grid {
    int dims;
    size_t global[3], local[3]; /* global is rounded up to a multiple of local: kernels check their bounds */
};
#define GRID1(g, l)                                                                                                                        \
    (struct grid)                                                                                                                          \
    {                                                                                                                                      \
        1, {(size_t)(g), 1, 1},                                                                                                            \
        {                                                                                                                                  \
            (size_t)(l), 1, 1                                                                                                              \
        }                                                                                                                                  \
    }
#define GRID2(g0, g1, l0, l1)                                                                                                              \
    (struct grid)                                                                                                                          \
    {                                                                                                                                      \
        2, {(size_t)(g0), (size_t)(g1), 1},                                                                                                \
        {                                                                                                                                  \
            (size_t)(l0), (size_t)(l1), 1                                                                                                  \
        }                                                                                                                                  \
    }
#define GRID3(g0, g1, g2, l0, l1, l2)                                                                                                      \
    (struct grid)                                                                                                                          \
    {                                                                                                                                      \
        3, {(size_t)(g0), (size_t)(g1), (size_t)(g2)},                                                                                     \
        {                                                                                                                                  \
            (size_t)(l0), (size_t)(l1), (size_t)(l2)                                                                                       \
        }                                                                                                                                  \
    }

struct cost {
    double flops, bytes;
};
#define COST(f, b)                                                                                                                         \
    (struct cost)                                                                                                                          \
    {                                                                                                                                      \
        (double)(f), (double)(b)                                                                                                           \
    }

struct arg {
    const void *value; /* NULL with a size: that much local memory */
    size_t size;
};
#define ARG_TENSOR(t)                                                                                                                      \
    (struct arg)                                                                                                                           \
    {                                                                                                                                      \
        &(t)->mem, sizeof(cl_mem)                                                                                                          \
    }
#define ARG_VALUE(v)                                                                                                                       \
    (struct arg)                                                                                                                           \
    {                                                                                                                                      \
        &(v), sizeof(v)                                                                                                                    \
    }
#define ARG_LOCAL(bytes)                                                                                                                   \
    (struct arg)                                                                                                                           \
    {                                                                                                                                      \
        NULL, (size_t)(bytes)                                                                                                              \
    }

#define LAUNCH(ctx, kernel, grid, cost, ...)                                                                                               \
    launch(ctx, kernel, grid, cost, (struct arg[]){__VA_ARGS__}, sizeof((struct arg[]){__VA_ARGS__}) / sizeof(struct arg))

clio_status launch(clio_context *ctx, struct kernel *kernel, struct grid grid, struct cost cost, const struct arg *args, size_t count);
/* Wait for the queue; collects the profile. */
clio_status launch_wait(clio_context *ctx);
/* Add finished kernels' times to their profile rows (all of them when `wait`). */
clio_status launch_collect(clio_context *ctx, bool wait);

struct launch_event {
    cl_event event;
    struct kernel *kernel;
};
struct launches {
    struct launch_event *pending;
    size_t count, capacity;
};

#endif
