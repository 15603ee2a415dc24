/* conv1d.cl - the input of a convolution over time with zeros in front of and behind each batch, so that the convolution becomes a matrix
 * product whose input rows overlap (host/ops/op_conv1d.c). */
// isa:
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 1 /* elements per work-item: 1 or 16 */
#endif

/* out [batch, length + 2 padding, in] from in [batch, length, in]. Work-item: LANES elements of batch get_global_id(1), from
 * get_global_id(0) * LANES on. Any group size, no local memory. */
LANES_KERNEL void pad(__global float *out, __global const float *in, struct conv1d_args args)
{
    size_t edge = (size_t)args.padding * args.in, n = (size_t)args.length * args.in, all = n + 2 * edge;
    size_t first = get_global_id(0) * LANES, batch = get_global_id(1);
    if (batch >= (size_t)args.batch)
        return;
    in += batch * n;
    out += batch * all;
#if LANES == 16
    if (first >= edge && first + 16 <= edge + n) {
        vstore16(vload16(0, in + (first - edge)), 0, out + first);
        return;
    }
#endif
    for (size_t i = first; i < min(first + LANES, all); i++)
        out[i] = i >= edge && i < edge + n ? in[i - edge] : 0.0f;
}
