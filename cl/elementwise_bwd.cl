/* elementwise_bwd.cl - gradients of activations, gates and tensors side by side (cl/elementwise.cl), and the product of two tensors: one
 * pass over memory each. LANES neighbouring elements per work-item: 1 where each work-item is a lane of its own, 16 on CPUs. `more`: the
 * result is added to what is there. Derivatives: cl/common.clh. */
// isa:
// isa-cpu: -DLANES=16
#define ACTIVATION_BACKWARD
#include "common.clh"

#ifndef LANES
#define LANES 1 /* elements per work-item: 1 or 16 */
#endif

#define DEFINE_HELPERS(TYPE, V, ACTIVATE)                                                                                                  \
    TYPE slope_##V(TYPE seen, int act, float slope)                                                                                        \
    {                                                                                                                                      \
        TYPE y;                                                                                                                            \
        return ACT_BY_RESULT(act) ? slope_by_result_##V(seen, act, slope) : slope_by_input_##V(seen, &y, act);                             \
    }                                                                                                                                      \
    /* the activation's slope at x, and its result */                                                                                      \
    TYPE slope_and_result_##V(TYPE x, TYPE *y, int act, float slope)                                                                       \
    {                                                                                                                                      \
        if (!ACT_BY_RESULT(act))                                                                                                           \
            return slope_by_input_##V(x, y, act);                                                                                          \
        *y = ACTIVATE(x, act, slope);                                                                                                      \
        return slope_by_result_##V(*y, act, slope);                                                                                        \
    }
DEFINE_HELPERS(float, v1, activate)
DEFINE_HELPERS(float16, v16, activate_v16)

/* dx = dy act'(seen). Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory. dx may be dy. */
LANES_KERNEL void activation_bwd(__global float *dx, __global const float *dy, __global const float *seen, int more,
                                 struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
#if LANES == 16
    if (first + 16 <= n) {
        float16 d = vload16(0, dy + first) * slope_v16(vload16(0, seen + first), args.act, args.slope);
        vstore16(more ? vload16(0, dx + first) + d : d, 0, dx + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        float d = dy[i] * slope_v1(seen[i], args.act, args.slope);
        dx[i] = more ? dx[i] + d : d;
    }
}

/* x[r] = a, b, each of `width`: dx[r] = dy[r] act(b), dy[r] a act'(b). Work-item: LANES elements of dy from get_global_id(0) * LANES on. Any
 * group size, no local memory. */
LANES_KERNEL void gated_bwd(__global float *dx, __global const float *dy, __global const float *x, int width, int more,
                            struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n, row = (uint)first / (uint)width;
    int j = (int)(first - row * width);
    x += first + row * width;
    dx += first + row * width;
#if LANES == 16
    if (first + 16 <= n && j + 16 <= width) {
        float16 d = vload16(0, dy + first), y, slope = slope_and_result_v16(vload16(0, x + width), &y, args.act, args.slope);
        float16 da = d * y, db = d * vload16(0, x) * slope;
        vstore16(more ? vload16(0, dx) + da : da, 0, dx);
        vstore16(more ? vload16(0, dx + width) + db : db, 0, dx + width);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        float d = dy[i], y, slope = slope_and_result_v1(x[width], &y, args.act, args.slope);
        float da = d * y, db = d * x[0] * slope;
        dx[0] = more ? dx[0] + da : da;
        dx[width] = more ? dx[width] + db : db;
        int step = ++j < width ? 1 : 1 + width;
        x += step;
        dx += step;
        j = j < width ? j : 0;
    }
}

/* dx[r][j] = dy[r][from + j], rows of na elements out of rows of `width`. Work-item: LANES elements of dx from get_global_id(0) * LANES on.
 * Any group size, no local memory. */
LANES_KERNEL void concat_bwd(__global float *dx, __global const float *dy, int na, int width, int from, int more,
                             struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n, row = (uint)first / (uint)na;
    int j = (int)(first - row * na);
    dy += row * width + from + j;
#if LANES == 16
    if (first + 16 <= n && j + 16 <= na) {
        float16 d = vload16(0, dy);
        vstore16(more ? vload16(0, dx + first) + d : d, 0, dx + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        dx[i] = more ? dx[i] + dy[0] : dy[0];
        dy += ++j < na ? 1 : 1 + width - na;
        j = j < na ? j : 0;
    }
}

/* out[i] = a[i] b[i % nb]. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory. out may be a. */
LANES_KERNEL void multiply(__global float *out, __global const float *a, __global const float *b, int nb, int more,
                           struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
    int j = (int)(first % (size_t)nb);
#if LANES == 16
    if (first + 16 <= n && j + 16 <= nb) {
        float16 y = vload16(0, a + first) * vload16(0, b + j);
        vstore16(more ? vload16(0, out + first) + y : y, 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        float y = a[i] * b[j];
        out[i] = more ? out[i] + y : y;
        j = j + 1 < nb ? j + 1 : 0;
    }
}
