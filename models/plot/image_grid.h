/* image_grid.h - an image grid: generated samples, or images beside their reconstructions, in rows with thin gaps. Host only.
 *
 *     struct image_grid grid = {.pixels = samples, .count = 64, .height = 28, .width = 28, .channels = 1, .low = -1, .high = 1};
 *     TRY(image_grid_draw(ctx, &image, &grid));
 *
 * Images fill the rows from the left; the last row may be shorter. Small images are enlarged by a whole factor without interpolation, so
 * that every pixel of the network is seen as it is: the largest factor with which the grid is at most 1000 pixels wide, or one more where
 * it would be narrower than 600 and then is at most 1200. Images are never made smaller. A caption is centred below its image and
 * shortened to the image's width. */
#ifndef CLIO_MODELS_PLOT_IMAGE_GRID_H
#define CLIO_MODELS_PLOT_IMAGE_GRID_H

#include "../image/image.h"

struct image_grid {
    const float *pixels; /* f32 [count, height, width, channels] */
    int count, height, width;
    int channels;                /* 1: grey, 3: red, green, blue */
    float low, high;             /* black and white: -1, 1 or 0, 1; other values are clamped, and NaN is black */
    int columns;                 /* images in a row; 0: the square root of count, rounded up */
    int enlarge;                 /* 0: as described above */
    const char *const *captions; /* [count] UTF-8, see surface.h; entries may be NULL; NULL: no captions */
};

int image_grid_rows(const struct image_grid *grid);
/* A fresh image, for image_free. CLIO_ERROR_ARGUMENT: an invalid number; CLIO_ERROR_UNSUPPORTED: larger than images can be. */
clio_status image_grid_draw(clio_context *ctx, struct image *out, const struct image_grid *grid);

#endif
