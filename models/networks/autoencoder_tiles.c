/* autoencoder_tiles.c - run and blend tiles. Two rows of tiles are in memory: the current one and the one above it. */
#include "autoencoder_tiles.h"

#include <stdlib.h>
#include <string.h>

struct tile {
    float *data; /* [out_channels, h, w] */
    int h, w;
};

static int outputs(const struct tiles *t, int inputs)
{
    return inputs * t->up / t->down;
}

/* Copy h x w pixels from row y and column x on, of each channel. */
static void crop(float *to, const float *from, int channels, int height, int width, int y, int x, int h, int w)
{
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < h; i++, to += w)
            memcpy(to, from + ((size_t)c * (size_t)height + (size_t)(y + i)) * (size_t)width + x, sizeof *to * (size_t)w);
}

/* Blend the last rows (or columns) of a into the first ones of b, with linear weights. */
static void fade(const struct tile *b, const struct tile *a, int channels, int blend, bool across)
{
    int extent = MIN(blend, across ? MIN(a->w, b->w) : MIN(a->h, b->h));
    int h = across ? MIN(a->h, b->h) : extent, w = across ? extent : MIN(a->w, b->w);
    int dy = across ? 0 : a->h - extent, dx = across ? a->w - extent : 0;
    for (int c = 0; c < channels; c++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                float share = (float)(across ? x : y) / (float)extent;
                float *to = b->data + ((size_t)c * (size_t)b->h + (size_t)y) * (size_t)b->w + x;
                float before = a->data[((size_t)c * (size_t)a->h + (size_t)(y + dy)) * (size_t)a->w + (size_t)(x + dx)];
                *to = before * (1 - share) + *to * share;
            }
}

/* Copy the part of a tile that is kept to row y and column x of the result. */
static void paste(const struct tiles *t, float *out, int height, int width, const struct tile *tile, int y, int x)
{
    int h = MIN(MIN(tile->h, t->limit), height - y), w = MIN(MIN(tile->w, t->limit), width - x);
    for (int c = 0; c < t->out_channels; c++)
        for (int i = 0; i < h; i++)
            memcpy(out + ((size_t)c * (size_t)height + (size_t)(y + i)) * (size_t)width + x,
                   tile->data + ((size_t)c * (size_t)tile->h + (size_t)i) * (size_t)tile->w, sizeof *out * (size_t)w);
}

static clio_status make(clio_context *ctx, const struct tiles *t, struct tile *tile, float *cut, const float *in, int height, int width,
                        int y, int x)
{
    clio_status st = CLIO_OK;
    int h = MIN(t->size, height - y), w = MIN(t->size, width - x);
    tile->h = outputs(t, h);
    tile->w = outputs(t, w);
    free(tile->data);
    TRY(mem_alloc(ctx, &tile->data, (size_t)t->out_channels * (size_t)tile->h * (size_t)tile->w, sizeof *tile->data));
    crop(cut, in, t->in_channels, height, width, y, x, h, w);
    TRY(t->make(t->user, tile->data, cut, h, w));
fail:
    return st;
}

clio_status tiles_run(clio_context *ctx, const struct tiles *t, float *out, const float *in, int h, int w)
{
    clio_status st = CLIO_OK;
    int columns = (w + t->step - 1) / t->step;
    struct tile *above = NULL, *row = NULL, *swap;
    float *cut = NULL;
    TRY(mem_alloc(ctx, &above, (size_t)columns, sizeof *above));
    TRY(mem_alloc(ctx, &row, (size_t)columns, sizeof *row));
    TRY(mem_alloc(ctx, &cut, (size_t)t->in_channels * (size_t)t->size * (size_t)t->size, sizeof *cut));
    for (int i = 0; i * t->step < h; i++) {
        for (int j = 0; j < columns; j++) {
            TRY(make(ctx, t, &row[j], cut, in, h, w, i * t->step, j * t->step));
            if (i > 0)
                fade(&row[j], &above[j], t->out_channels, t->blend, false);
            if (j > 0)
                fade(&row[j], &row[j - 1], t->out_channels, t->blend, true);
            paste(t, out, outputs(t, h), outputs(t, w), &row[j], i * t->limit, j * t->limit);
        }
        swap = above;
        above = row;
        row = swap;
    }
fail:
    for (int j = 0; above && row && j < columns; j++) {
        free(above[j].data);
        free(row[j].data);
    }
    free(above);
    free(row);
    free(cut);
    return st;
}
