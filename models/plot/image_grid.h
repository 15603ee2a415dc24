/* image_grid.h - a sheet of images: what a network drew, or images beside their reconstructions, in rows with thin gaps. Host only.
 *
 *     struct sheet sheet = {.pixels = samples, .count = 64, .height = 28, .width = 28, .channels = 1, .low = -1, .high = 1};
 *     TRY(image_grid_draw(ctx, &image, &sheet));
 *
 * Images fill the rows from the left; the last row may be shorter. Small images are enlarged by a whole factor without smoothing, so
 * that every pixel of the network is seen as it is: the largest factor with which the sheet is at most 1000 pixels wide, or one more where
 * it would be narrower than 600 and then is at most 1200. Images are never made smaller. */
#ifndef CLIO_MODELS_PLOT_IMAGE_GRID_H
#define CLIO_MODELS_PLOT_IMAGE_GRID_H

#include "../image/image.h"

struct sheet {
    const float *pixels; /* f32 [count, height, width, channels] */
    int count, height, width;
    int channels;              /* 1: grey, 3: red, green, blue */
    float low, high;           /* black and white: -1, 1 or 0, 1; what lies outside is held there, and what is no number is black */
    int columns;               /* images in a row; 0: the square root of count, rounded up */
    int enlarge;               /* 0: as told above */
    const char *const *labels; /* one below each row, left, UTF-8 (see canvas.h), entries may be NULL; NULL: no labels */
};

/* How many rows and so how many labels there are. */
int image_grid_rows(const struct sheet *sheet);
/* A fresh image, for image_free. CLIO_ERROR_ARGUMENT: a number that cannot be; CLIO_ERROR_UNSUPPORTED: larger than images can be. */
clio_status image_grid_draw(clio_context *ctx, struct image *out, const struct sheet *sheet);

#endif
