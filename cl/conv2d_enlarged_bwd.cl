/* conv2d_enlarged_bwd.cl - the gradient of an image whose every pixel stood 2 x 2 times (nearest upsampling before a convolution): the sum of
 * the four. NHWC, f32. */
// isa:
// isa-cpu: -DLANES=16
#ifndef LANES
#define LANES 1 /* channels per work-item: 1 or 16 */
#endif

/* dx [pixels, channels] (+)= sums over large [.., 2 height, 2 width, channels]. Work-item: LANES channels of pixel gid(1) of all images, from
 * LANES * gid(0) on. Any group size. */
__kernel void sum_quarters(__global float *dx, const __global float *large, int pixels, int width, int channels, int add)
{
    int first = get_global_id(0) * LANES, pixel = get_global_id(1);
    if (pixel >= pixels)
        return;
    size_t below = (size_t)2 * width * channels; /* one row further down */
    const __global float *from = large + ((size_t)(pixel / width) * 4 * width + pixel % width * 2) * channels;
    dx += (size_t)pixel * channels;
#if LANES == 16
    if (first + 16 <= channels) {
        float16 sum = vload16(0, from + first) + vload16(0, from + channels + first);
        sum += vload16(0, from + below + first) + vload16(0, from + below + channels + first);
        vstore16(add ? vload16(0, dx + first) + sum : sum, 0, dx + first);
        return;
    }
#endif
    for (int i = first; i < min(first + LANES, channels); i++) {
        float sum = from[i] + from[channels + i] + (from[below + i] + from[below + channels + i]);
        dx[i] = add ? dx[i] + sum : sum;
    }
}
