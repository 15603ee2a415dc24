/* elementwise.cl - operations on each element alone: activations, limits, sums, gates, two tensors side by side. LANES neighbouring elements per
 * work-item: 1 where each work-item is a lane of its own (neighbours then read neighbouring words), 16 on CPUs. */
// isa:
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 1 /* elements per work-item: 1 or 16 */
#endif

/* out = act(in). Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory. out may be in. */
LANES_KERNEL void activation(__global float *out, __global const float *in, struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
#if LANES == 16
    if (first + 16 <= n) {
        vstore16(activate_v16(vload16(0, in + first), args.act, args.slope), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++)
        out[i] = activate(in[i], args.act, args.slope);
}

/* out[i] = in[i], but at least alpha and at most beta. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local
 * memory. out may be in. */
LANES_KERNEL void clamp_all(__global float *out, __global const float *in, struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
#if LANES == 16
    if (first + 16 <= n) {
        vstore16(clamp(vload16(0, in + first), args.alpha, args.beta), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++)
        out[i] = clamp(in[i], args.alpha, args.beta);
}

/* out[i] = alpha a[i] + beta b[i % nb]. Work-item: LANES elements from get_global_id(0) * LANES on. Any group size, no local memory.
 * out may be a, and may be b when nb = n. */
LANES_KERNEL void add(__global float *out, __global const float *a, __global const float *b, int nb, struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n;
    int j = (int)(first % (size_t)nb);
#if LANES == 16
    if (first + 16 <= n && j + 16 <= nb) {
        vstore16(args.alpha * vload16(0, a + first) + args.beta * vload16(0, b + j), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        out[i] = args.alpha * a[i] + args.beta * b[j];
        j = j + 1 < nb ? j + 1 : 0;
    }
}

/* out[r][n] = in[r][n] act(in[r][width + n]), in [rows, 2 width]. Work-item: LANES elements of out from get_global_id(0) * LANES on. Any
 * group size, no local memory. */
LANES_KERNEL void gated(__global float *out, __global const float *in, int width, struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n, row = (uint)first / (uint)width;
    int j = (int)(first - row * width);
    in += first + row * width;
#if LANES == 16
    if (first + 16 <= n && j + 16 <= width) {
        vstore16(vload16(0, in) * activate_v16(vload16(0, in + width), args.act, args.slope), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        out[i] = in[0] * activate(in[width], args.act, args.slope);
        in += ++j < width ? 1 : 1 + width;
        j = j < width ? j : 0;
    }
}

/* out[r] = a[r], b[r]: rows of na and of nb elements. Work-item: LANES elements of out from get_global_id(0) * LANES on. Any group size, no
 * local memory. */
LANES_KERNEL void concat(__global float *out, __global const float *a, __global const float *b, int na, int nb,
                         struct elementwise_args args)
{
    size_t first = get_global_id(0) * LANES, n = args.n, row = (uint)first / (uint)(na + nb);
    int j = (int)(first - row * (na + nb));
#if LANES == 16
    if (first + 16 <= n && j + 16 <= na) {
        vstore16(vload16(0, a + row * na + j), 0, out + first);
        return;
    }
    if (first + 16 <= n && j >= na && j + 16 <= na + nb) {
        vstore16(vload16(0, b + row * nb + j - na), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, n); i++) {
        out[i] = j < na ? a[row * na + j] : b[row * nb + j - na];
        if (++j == na + nb) {
            j = 0;
            row++;
        }
    }
}
