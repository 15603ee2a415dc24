/* conv2d.cl - convolution of images, direct: out[b][y][x][o] = act(sum w[o][i][j][c] in[b][y s - p + i d][x s - p + j d][c] + bias[o])
 * over the window (i, j) and the channels c of o's group; outside the image in is 0. NHWC; any stride s, padding p, dilation d, groups.
 * OUTPUTS neighbouring output channels share each input that is read; with 4, out / groups is a multiple of 4. */
// isa:
// isa: -DOUTPUTS=4
#include "common.clh"

#ifndef OUTPUTS
#define OUTPUTS 1 /* output channels per work-item: 1 or 4 */
#endif

/* Work-item: pixel get_global_id(0) of [out_height * out_width], channels get_global_id(1) * OUTPUTS and on, image get_global_id(2).
 * Neighbouring work-items read the same weights. Any group size, no local memory. bias is read only if args.has_bias. */
__kernel void conv2d(__global float *out, __global const float *in, __global const float *w, __global const float *bias,
                     struct conv2d_args args)
{
    int pixel = get_global_id(0), o = get_global_id(1) * OUTPUTS, b = get_global_id(2);
    int inner = args.in / args.groups, window = args.kernel_h * args.kernel_w;
    int top, left;
    if (pixel >= args.out_height * args.out_width || o >= args.out || b >= args.batch)
        return;
    top = pixel / args.out_width * args.stride - args.padding;
    left = pixel % args.out_width * args.stride - args.padding;
    in += (size_t)b * args.height * args.width * args.in + o / (args.out / args.groups) * inner;
    w += (size_t)o * window * inner;

#if OUTPUTS == 4
    float4 sum = (float4)(0.0f);
    size_t step = (size_t)window * inner; /* from one output channel's weights to the next one's */
#else
    float sum = 0.0f;
#endif
    for (int tap = 0; tap < window; tap++) {
        int y = top + tap / args.kernel_w * args.dilation, x = left + tap % args.kernel_w * args.dilation;
        if (y < 0 || y >= args.height || x < 0 || x >= args.width)
            continue;
        __global const float *source = in + ((size_t)y * args.width + x) * args.in;
        __global const float *row = w + (size_t)tap * inner;
        for (int c = 0; c < inner; c++)
#if OUTPUTS == 4
            sum += source[c] * (float4)(row[c], row[c + step], row[c + 2 * step], row[c + 3 * step]);
#else
            sum += source[c] * row[c];
#endif
    }

    out += (((size_t)b * args.out_height * args.out_width) + pixel) * args.out + o;
#if OUTPUTS == 4
    if (args.has_bias)
        sum += vload4(0, bias + o);
    vstore4(activate_v4(sum, args.act, args.slope), 0, out);
#else
    *out = activate(args.has_bias ? sum + bias[o] : sum, args.act, args.slope);
#endif
}
