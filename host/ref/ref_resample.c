/* ref_resample.c - images [B, H, W, C] to another size and the gradients, each number of the result after the other. The gradients
 * scatter: what a number was made of gets its share of dy. */
#include "ref_bwd.h"

#include <math.h>
#include <string.h>

/* A number of out. */
struct spot {
    int b, y, x, c;
};

static size_t results(const struct resample_args *a)
{
    return (size_t)a->batch * (size_t)a->out_height * (size_t)a->out_width * (size_t)a->channels;
}

static struct spot spot_of(size_t i, const struct resample_args *a)
{
    size_t channels = (size_t)a->channels, width = (size_t)a->out_width, height = (size_t)a->out_height;
    return (struct spot){(int)(i / channels / width / height), (int)(i / channels / width % height), (int)(i / channels % width),
                         (int)(i % channels)};
}

static size_t in_at(const struct resample_args *a, int b, int y, int x, int c)
{
    return (((size_t)b * (size_t)a->height + (size_t)y) * (size_t)a->width + (size_t)x) * (size_t)a->channels + (size_t)c;
}

static bool inside(const struct resample_args *a, int y, int x)
{
    return y >= 0 && y < a->height && x >= 0 && x < a->width;
}

static void clear(float *dx, const struct resample_args *a)
{
    memset(dx, 0, in_at(a, a->batch, 0, 0, 0) * sizeof *dx);
}

/* Where the maximum of a window is: the first of equal ones, a NaN before all. */
static size_t max_at(const float *in, const struct resample_args *a, struct spot s)
{
    bool any = false;
    size_t best = 0;
    for (int i = 0; i < a->taps; i++)
        for (int j = 0; j < a->taps; j++) {
            int from_y = s.y * a->stride - a->padding + i, from_x = s.x * a->stride - a->padding + j;
            if (!inside(a, from_y, from_x))
                continue;
            size_t at = in_at(a, s.b, from_y, from_x, s.c);
            if (!any || in[at] > in[best] || isnan(in[at]))
                best = at;
            any = true;
        }
    return best;
}

void ref_max_pool(float *out, const float *in, const struct resample_args *args)
{
    for (size_t i = 0; i < results(args); i++)
        out[i] = in[max_at(in, args, spot_of(i, args))];
}

void ref_max_pool_bwd(float *dx, const float *dy, const float *x, const struct resample_args *args)
{
    clear(dx, args);
    for (size_t i = 0; i < results(args); i++)
        dx[max_at(x, args, spot_of(i, args))] += dy[i];
}

void ref_average_pool(float *out, const float *in, const struct resample_args *args)
{
    int taps = args->taps;
    for (size_t i = 0; i < results(args); i++) {
        struct spot s = spot_of(i, args);
        double sum = 0;
        for (int tap = 0; tap < taps * taps; tap++) {
            int from_y = s.y * args->stride - args->padding + tap / taps, from_x = s.x * args->stride - args->padding + tap % taps;
            sum += inside(args, from_y, from_x) ? (double)in[in_at(args, s.b, from_y, from_x, s.c)] : 0;
        }
        out[i] = (float)(sum / (taps * taps));
    }
}

void ref_average_pool_bwd(float *dx, const float *dy, const struct resample_args *args)
{
    int taps = args->taps;
    clear(dx, args);
    for (size_t i = 0; i < results(args); i++)
        for (int tap = 0; tap < taps * taps; tap++) {
            struct spot s = spot_of(i, args);
            int from_y = s.y * args->stride - args->padding + tap / taps, from_x = s.x * args->stride - args->padding + tap % taps;
            if (inside(args, from_y, from_x))
                dx[in_at(args, s.b, from_y, from_x, s.c)] += dy[i] / (float)(taps * taps);
        }
}

/* Which two of `from` places a place of `to` takes of, and how much of the second. */
struct mix {
    int low, high;
    double weight;
};

static struct mix mix_of(int at, int from, int to, bool bilinear)
{
    struct mix m = {(int)((long long)at * from / to), 0, 0};
    if (bilinear) {
        double place = fmax((at + 0.5) * from / to - 0.5, 0);
        m.low = (int)place;
        m.weight = place - m.low;
    }
    m.high = m.low + 1 < from ? m.low + 1 : m.low;
    return m;
}

void ref_resize(float *out, const float *in, const struct resample_args *args, bool bilinear)
{
    for (size_t i = 0; i < results(args); i++) {
        struct spot s = spot_of(i, args);
        struct mix v = mix_of(s.y, args->height, args->out_height, bilinear), h = mix_of(s.x, args->width, args->out_width, bilinear);
        double upper =
            (double)in[in_at(args, s.b, v.low, h.low, s.c)] * (1 - h.weight) + (double)in[in_at(args, s.b, v.low, h.high, s.c)] * h.weight;
        double lower = (double)in[in_at(args, s.b, v.high, h.low, s.c)] * (1 - h.weight) +
                       (double)in[in_at(args, s.b, v.high, h.high, s.c)] * h.weight;
        out[i] = (float)(upper * (1 - v.weight) + lower * v.weight);
    }
}

void ref_resize_bwd(float *dx, const float *dy, const struct resample_args *args, bool bilinear)
{
    clear(dx, args);
    for (size_t i = 0; i < results(args); i++) {
        struct spot s = spot_of(i, args);
        struct mix v = mix_of(s.y, args->height, args->out_height, bilinear), h = mix_of(s.x, args->width, args->out_width, bilinear);
        double g = (double)dy[i];
        dx[in_at(args, s.b, v.low, h.low, s.c)] += (float)(g * (1 - v.weight) * (1 - h.weight));
        dx[in_at(args, s.b, v.low, h.high, s.c)] += (float)(g * (1 - v.weight) * h.weight);
        dx[in_at(args, s.b, v.high, h.low, s.c)] += (float)(g * v.weight * (1 - h.weight));
        dx[in_at(args, s.b, v.high, h.high, s.c)] += (float)(g * v.weight * h.weight);
    }
}
