/* dataset_decode.c - decode a sample: an image decoded and resized, a sound decoded and resampled. The result does not depend on the epoch,
 * so a loader can cache it. */
#include "dataset_private.h"

#include "../../audio/sound.h"
#include "../image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 3600 /* of a sound without a length limit */
#define BLOCK 65536

/* ---- images ---- */

/* Decode a sample's file, or copy its bytes of an IDX file. */
static clio_status decode(clio_context *ctx, const struct sample *s, struct image *image)
{
    clio_status st = CLIO_OK;
    size_t pixels = (size_t)s->width * (size_t)s->height;
    if (!s->pixels)
        return image_read(ctx, image, s->path);
    TRY(image_new(ctx, image, "an image of the IDX file", s->width, s->height));
    for (size_t i = 0; i < pixels; i++)
        memset(image->rgb + 3 * i, s->pixels[i], 3);
fail:
    return st;
}

/* Size after scaling, for a crop of width x height. */
static void scaled_size(const struct image *image, enum dataset_resize_mode fit, int width, int height, double *w, double *h)
{
    double x = (double)width / image->width, y = (double)height / image->height;
    double scale = fit == DATASET_RESIZE_PAD ? MIN(MIN(x, y), 1.0) : MAX(x, y);
    *w = fit == DATASET_RESIZE_STRETCH ? width : MAX(floor(image->width * scale + 0.5), 1.0);
    *h = fit == DATASET_RESIZE_STRETCH ? height : MAX(floor(image->height * scale + 0.5), 1.0);
}

/* Center crop or pad with black to width x height. */
static void crop_or_pad(const struct image *image, unsigned char *to, int width, int height, int channels)
{
    int left = (image->width - width) / 2, top = (image->height - height) / 2;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += channels) {
            int column = x + left, row = y + top;
            if (column < 0 || row < 0 || column >= image->width || row >= image->height) {
                memset(to, 0, (size_t)channels);
                continue;
            }
            const unsigned char *from = image->rgb + 3 * ((size_t)row * (size_t)image->width + (size_t)column);
            if (channels == 1)
                *to = image_luma(from);
            else
                memcpy(to, from, 3);
        }
}

clio_status dataset_prepare(clio_context *ctx, const struct dataset *ds, const struct sample *sample, const struct augment *augment,
                            struct prepared *out)
{
    clio_status st = CLIO_OK;
    struct image image = {0, 0, NULL, false}, scaled = {0, 0, NULL, false};
    double scale = 1.0 + (double)augment->random_resized_crop, w, h;
    int width = (int)floor(ds->info.width * scale + 0.5), height = (int)floor(ds->info.height * scale + 0.5);
    memset(out, 0, sizeof *out);
    if (sample->pixels && ds->info.channels == 1 && sample->width == width && sample->height == height) {
        *out = (struct prepared){sample->pixels, NULL, width, height};
        return CLIO_OK;
    }
    TRY(decode(ctx, sample, &image));
    if (!ds->options.width && !sample->pixels && (image.width != sample->width || image.height != sample->height))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has changed since the dataset was opened: it had %d x %d pixels and has %d x %d now", sample->path,
             sample->width, sample->height, image.width, image.height);
    scaled_size(&image, ds->options.resize_mode, width, height, &w, &h);
    if (w > IMAGE_SIDE_MAX || h > IMAGE_SIDE_MAX || w * h > (double)IMAGE_PIXELS_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has %d x %d pixels, too narrow to fill %d x %d: remove it, or use the resize_mode stretch or pad",
             sample->path ? sample->path : "an image of the IDX file", image.width, image.height, width, height);
    TRY(image_resize(ctx, &scaled, &image, (int64_t)w, (int64_t)h));
    /* A random crop needs the whole scaled image, a center crop only its center. */
    out->width = augment->random_resized_crop > 0 ? MAX(scaled.width, width) : width;
    out->height = augment->random_resized_crop > 0 ? MAX(scaled.height, height) : height;
    TRY(mem_alloc(ctx, &out->own, (size_t)out->width * (size_t)out->height, (size_t)ds->info.channels));
    out->data = out->own;
    crop_or_pad(&scaled, out->own, out->width, out->height, ds->info.channels);
fail:
    image_free(&image);
    image_free(&scaled);
    return st;
}

/* ---- sounds ---- */

/* Read a sound to its end. */
static clio_status read_whole(clio_context *ctx, const char *path, struct sound *sound, int rate, float **out, size_t *count)
{
    clio_status st = CLIO_OK;
    size_t capacity = 0, n = 0, got = BLOCK;
    while (got == BLOCK) {
        if (n + BLOCK > capacity) {
            capacity = MAX(2 * capacity, (size_t)2 * BLOCK);
            float *grown = realloc(*out, capacity * sizeof **out);
            if (!grown)
                FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory for %s: limit the length of sounds", path);
            *out = grown;
        }
        TRY(sound_read(sound, n, BLOCK, *out + n, &got));
        n += got;
        if (n > (size_t)SECONDS_MAX * (size_t)rate)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is longer than an hour: limit the length of sounds, or split it", path);
    }
    *count = n;
fail:
    return st;
}

/* A recording whose end is missing does not match its caption, and is an error like an image whose end is. */
static clio_status check_end(clio_context *ctx, const struct sound *sound)
{
    clio_status st = CLIO_OK;
    char problem[SOUND_PROBLEM];
    if (sound_is_cut(sound) && sound_problem(sound, problem))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s", problem);
fail:
    return st;
}

clio_status dataset_sound(clio_context *ctx, const struct dataset *ds, const struct sample *sample, const struct augment *augment,
                          const struct draws *draws, float **out, size_t *count)
{
    clio_status st = CLIO_OK;
    struct sound *sound = NULL;
    uint64_t start = 0;
    *out = NULL;
    *count = 0;
    TRY(sound_open(ctx, &sound, sample->path, ds->options.rate));
    if (!ds->options.samples) {
        TRY(read_whole(ctx, sample->path, sound, ds->options.rate, out, count));
        TRY(check_end(ctx, sound));
        goto fail;
    }
    if (augment->random_time_crop) {
        double spare = sound_duration(sound) * ds->options.rate - (double)ds->options.samples;
        start = spare >= 1 ? draws_below(draws, 0, (uint32_t)MIN(spare, 4e9)) : 0;
    }
    TRY(mem_alloc(ctx, out, ds->options.samples, sizeof **out));
    TRY(sound_read(sound, start, ds->options.samples, *out, count));
    if (!*count && start) { /* the sound is shorter than its header says */
        sound_close(sound);
        sound = NULL;
        TRY(sound_open(ctx, &sound, sample->path, ds->options.rate));
        TRY(sound_read(sound, 0, ds->options.samples, *out, count));
    }
    TRY(check_end(ctx, sound));
fail:
    sound_close(sound);
    if (st) {
        free(*out);
        *out = NULL;
    }
    return st;
}
