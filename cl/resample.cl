/* resample.cl - images [B, H, W, C] to another size, and the gradients: maximum and average of windows, nearest pixel, bilinear.
 * Each gradient is gathered, not scattered: a pixel of dx looks at the windows, or the pixels of dy, that saw it; so nothing is added twice
 * and the order is fixed. Of equal maxima the first counts, as in torch; a NaN is the maximum. */
// isa:
// isa-cpu: -DLANES=16
#include "common.clh"

#ifndef LANES
#define LANES 1 /* channels per work-item: 1, or 16 where a hardware thread is a vector unit and C a multiple */
#endif
#if LANES == 16
typedef float16 numbers;
typedef int16 whole_numbers;
#define LOAD(p) vload16(0, p)
#define STORE(v, p) vstore16(v, 0, p)
#else
typedef float numbers;
typedef int whole_numbers;
#define LOAD(p) (*(p))
#define STORE(v, p) (*(p) = (v))
#endif

/* A pixel (y, x) of image b and the first of LANES channels. */
struct place {
    int b, y, x, c;
};

/* That of work-item get_global_id(0) over images of this size; b >= batch: there is none. */
struct place place_of(int height, int width, const struct resample_args *a)
{
    uint i = (uint)get_global_id(0), each = (uint)a->channels / LANES, pixel = i / each;
    struct place at = {(int)(pixel / (uint)(height * width)), (int)(pixel / (uint)width % (uint)height), (int)(pixel % (uint)width),
                       (int)(i % each) * LANES};
    return at;
}

/* Where the channels c of pixel (y, x) of image b are. */
size_t in_at(int b, int y, int x, int c, const struct resample_args *a)
{
    return (((size_t)b * a->height + y) * a->width + x) * a->channels + c;
}
size_t out_at(int b, int y, int x, int c, const struct resample_args *a)
{
    return (((size_t)b * a->out_height + y) * a->out_width + x) * a->channels + c;
}

/* The windows first .. last that cover place y, of `windows`. */
#define FIRST_WINDOW(y) (max((y) + args.padding - args.taps + args.stride, 0) / args.stride)
#define LAST_WINDOW(y, windows) min(((y) + args.padding) / args.stride, (windows)-1)

void store_gradient(__global float *dx, numbers g, int add)
{
    STORE(add ? LOAD(dx) + g : g, dx);
}

/* Of all kernels. Work-item: LANES channels of a pixel of what is written; channels fastest. Any group size, no local memory. */
__kernel void max_pool(__global float *out, __global const float *in, struct resample_args args)
{
    struct place o = place_of(args.out_height, args.out_width, &args);
    int top = o.y * args.stride - args.padding, left = o.x * args.stride - args.padding;
    numbers greatest = (numbers)(-INFINITY);
    if (o.b >= args.batch)
        return;
    for (int y = max(top, 0); y < min(top + args.taps, args.height); y++)
        for (int x = max(left, 0); x < min(left + args.taps, args.width); x++) {
            numbers v = LOAD(in + in_at(o.b, y, x, o.c, &args));
            greatest = ((v > greatest) | (v != v)) ? v : greatest;
        }
    STORE(greatest, out + out_at(o.b, o.y, o.x, o.c, &args));
}

/* Which pixel of the window (y, x) is its maximum: counted in rows of the image. */
whole_numbers max_pixel(__global const float *in, int b, int wy, int wx, int c, const struct resample_args *a)
{
    int top = wy * a->stride - a->padding, left = wx * a->stride - a->padding;
    whole_numbers at = (whole_numbers)(max(top, 0) * a->width + max(left, 0));
    numbers greatest = (numbers)(-INFINITY);
    for (int y = max(top, 0); y < min(top + a->taps, a->height); y++)
        for (int x = max(left, 0); x < min(left + a->taps, a->width); x++) {
            numbers v = LOAD(in + in_at(b, y, x, c, a));
            at = ((v > greatest) | (v != v)) ? (whole_numbers)(y * a->width + x) : at;
            greatest = ((v > greatest) | (v != v)) ? v : greatest;
        }
    return at;
}

__kernel void max_pool_bwd(__global float *dx, __global const float *dy, __global const float *in, struct resample_args args)
{
    struct place i = place_of(args.height, args.width, &args);
    numbers sum = (numbers)(0.0f);
    if (i.b >= args.batch)
        return;
    for (int y = FIRST_WINDOW(i.y); y <= LAST_WINDOW(i.y, args.out_height); y++)
        for (int x = FIRST_WINDOW(i.x); x <= LAST_WINDOW(i.x, args.out_width); x++) {
            whole_numbers at = max_pixel(in, i.b, y, x, i.c, &args);
            numbers g = LOAD(dy + out_at(i.b, y, x, i.c, &args));
            sum += at == i.y * args.width + i.x ? g : (numbers)(0.0f);
        }
    store_gradient(dx + in_at(i.b, i.y, i.x, i.c, &args), sum, args.add);
}

__kernel void average_pool(__global float *out, __global const float *in, struct resample_args args)
{
    struct place o = place_of(args.out_height, args.out_width, &args);
    int top = o.y * args.stride - args.padding, left = o.x * args.stride - args.padding;
    numbers sum = (numbers)(0.0f);
    if (o.b >= args.batch)
        return;
    for (int y = max(top, 0); y < min(top + args.taps, args.height); y++)
        for (int x = max(left, 0); x < min(left + args.taps, args.width); x++)
            sum += LOAD(in + in_at(o.b, y, x, o.c, &args));
    STORE(sum / (float)(args.taps * args.taps), out + out_at(o.b, o.y, o.x, o.c, &args));
}

__kernel void average_pool_bwd(__global float *dx, __global const float *dy, struct resample_args args)
{
    struct place i = place_of(args.height, args.width, &args);
    numbers sum = (numbers)(0.0f);
    if (i.b >= args.batch)
        return;
    for (int y = FIRST_WINDOW(i.y); y <= LAST_WINDOW(i.y, args.out_height); y++)
        for (int x = FIRST_WINDOW(i.x); x <= LAST_WINDOW(i.x, args.out_width); x++)
            sum += LOAD(dy + out_at(i.b, y, x, i.c, &args));
    store_gradient(dx + in_at(i.b, i.y, i.x, i.c, &args), sum / (float)(args.taps * args.taps), args.add);
}

/* floor(y H / H') */
__kernel void resize_nearest(__global float *out, __global const float *in, struct resample_args args)
{
    struct place o = place_of(args.out_height, args.out_width, &args);
    if (o.b >= args.batch)
        return;
    STORE(LOAD(in + in_at(o.b, (int)((uint)o.y * (uint)args.height / (uint)args.out_height),
                          (int)((uint)o.x * (uint)args.width / (uint)args.out_width), o.c, &args)),
          out + out_at(o.b, o.y, o.x, o.c, &args));
}

/* The first place of `to` that takes place y of `from`, or a later one. */
int first_nearest(int y, int from, int to)
{
    return (int)(((uint)y * (uint)to + (uint)from - 1u) / (uint)from);
}

__kernel void resize_nearest_bwd(__global float *dx, __global const float *dy, struct resample_args args)
{
    struct place i = place_of(args.height, args.width, &args);
    numbers sum = (numbers)(0.0f);
    if (i.b >= args.batch)
        return;
    for (int y = first_nearest(i.y, args.height, args.out_height); y < first_nearest(i.y + 1, args.height, args.out_height); y++)
        for (int x = first_nearest(i.x, args.width, args.out_width); x < first_nearest(i.x + 1, args.width, args.out_width); x++)
            sum += LOAD(dy + out_at(i.b, y, x, i.c, &args));
    store_gradient(dx + in_at(i.b, i.y, i.x, i.c, &args), sum, args.add);
}

/* A place of `to` takes of two places of `from`: `weight` of the second. In whole numbers, so that nothing is lost far from 0. */
struct mix {
    int low, high;
    float weight;
};

/* Where the centre of place y of `to` lies: (y + 1/2) from / to - 1/2, not before the first centre. */
struct mix mix_of(int y, int from, int to)
{
    uint halves = 2u * (uint)to, before = (2u * (uint)y + 1u) * (uint)from, place = max(before, (uint)to) - (uint)to, low = place / halves;
    struct mix m = {(int)low, min((int)low + 1, from - 1), (float)(place - low * halves) / (float)halves};
    return m;
}

__kernel void resize_bilinear(__global float *out, __global const float *in, struct resample_args args)
{
    struct place o = place_of(args.out_height, args.out_width, &args);
    struct mix y = mix_of(o.y, args.height, args.out_height), x = mix_of(o.x, args.width, args.out_width);
    numbers upper, lower;
    if (o.b >= args.batch)
        return;
    upper = LOAD(in + in_at(o.b, y.low, x.low, o.c, &args)) * (1.0f - x.weight) +
            LOAD(in + in_at(o.b, y.low, x.high, o.c, &args)) * x.weight;
    lower = LOAD(in + in_at(o.b, y.high, x.low, o.c, &args)) * (1.0f - x.weight) +
            LOAD(in + in_at(o.b, y.high, x.high, o.c, &args)) * x.weight;
    STORE(upper * (1.0f - y.weight) + lower * y.weight, out + out_at(o.b, o.y, o.x, o.c, &args));
}

/* How much place y of `to` takes of place `of` of `from`. */
float share(int y, int of, int from, int to)
{
    struct mix m = mix_of(y, from, to);
    return (m.low == of ? 1.0f - m.weight : 0.0f) + (m.high == of ? m.weight : 0.0f);
}

/* The places of `to` that may take something of place `of`: those whose centre lies between its neighbours, and one more for rounding. */
int2 takers(int of, int from, int to)
{
    float ratio = (float)to / (float)from;
    return (int2)(max((int)(((float)of - 0.5f) * ratio - 0.5f) - 1, 0), min((int)(((float)of + 1.5f) * ratio - 0.5f) + 2, to));
}

__kernel void resize_bilinear_bwd(__global float *dx, __global const float *dy, struct resample_args args)
{
    struct place i = place_of(args.height, args.width, &args);
    int2 ys = takers(i.y, args.height, args.out_height), xs = takers(i.x, args.width, args.out_width);
    numbers sum = (numbers)(0.0f);
    if (i.b >= args.batch)
        return;
    for (int y = ys.x; y < ys.y; y++) {
        float of_y = share(y, i.y, args.height, args.out_height);
        for (int x = xs.x; of_y > 0.0f && x < xs.y; x++) {
            float of_x = share(x, i.x, args.width, args.out_width);
            if (of_x > 0.0f)
                sum += LOAD(dy + out_at(i.b, y, x, i.c, &args)) * (of_y * of_x);
        }
    }
    store_gradient(dx + in_at(i.b, i.y, i.x, i.c, &args), sum, args.add);
}
