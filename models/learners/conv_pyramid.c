/* conv_pyramid.c - layer tables of DCGAN (Radford et al. 2016) for any image size: strided convolutions halve the image down to a base of 4
 * to 7 pixels, which one kernel covers; transposed convolutions do the reverse. */
#include "conv_pyramid.h"

clio_status pyramid_fit(clio_context *ctx, const struct learner *l, struct pyramid *p)
{
    clio_status st = CLIO_OK;
    int side = l->shape.width;
    p->base = side;
    p->levels = 0;
    while (p->base > 7 && p->base % 2 == 0) {
        p->base /= 2;
        p->levels++;
    }
    if (l->shape.height != side || p->base < 4 || p->base > 7 || p->levels < 1 || p->levels > LEARNER_LEVELS)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "a convolutional %s takes square images of 28, 32, 48, 64, 96, 128 or another 4 to 7 times a power of 2 pixels, and these are "
             "%d x %d: set image_size to one of them",
             l->type->name, l->shape.width, l->shape.height);
fail:
    return st;
}

static struct layer_row *add(struct layer_rows *rows, enum layer_kind kind)
{
    struct layer_row *row = &rows->row[rows->count++];
    *row = (struct layer_row){.kind = kind};
    return row;
}

void rows_linear(struct layer_rows *rows, const char *name, int out)
{
    struct layer_row *row = add(rows, LAYER_LINEAR);
    row->name = name;
    row->out = out;
    row->bias = true;
}

void rows_act(struct layer_rows *rows, int act, float slope)
{
    struct layer_row *row = add(rows, LAYER_ACTIVATION);
    row->act = act;
    row->slope = slope;
}

static void add_conv(struct layer_rows *rows, enum layer_kind kind, int out, int taps, bool downsample, bool bias)
{
    struct layer_row *row = add(rows, kind);
    row->out = out;
    row->taps = taps;
    row->stride = downsample ? 2 : 1;
    row->padding = downsample ? 1 : 0;
    row->bias = bias;
}

static void add_norm_act(struct layer_rows *rows, const struct pyramid *p, bool norm)
{
    if (norm)
        add(rows, LAYER_BATCH_NORM);
    rows_act(rows, p->act, p->slope);
}

void rows_down(struct layer_rows *rows, const struct pyramid *p, int out)
{
    for (int i = 0; i < p->levels; i++) {
        add_conv(rows, LAYER_CONV, p->width << i, 4, true, !p->norm);
        add_norm_act(rows, p, p->norm && i > 0); /* no batch norm after the first convolution, as in DCGAN */
    }
    if (out)
        add_conv(rows, LAYER_CONV, out, p->base, false, !p->norm);
}

void rows_up(struct layer_rows *rows, const struct pyramid *p, int channels, int act)
{
    for (int i = p->levels - 1; i >= 0; i--) {
        bool first = i == p->levels - 1;
        add_conv(rows, LAYER_TRANSPOSED, p->width << i, first ? p->base : 4, !first, !p->norm);
        add_norm_act(rows, p, p->norm);
    }
    add_conv(rows, LAYER_TRANSPOSED, channels, 4, true, !p->norm);
    if (act != ACT_NONE)
        rows_act(rows, act, 0);
}
