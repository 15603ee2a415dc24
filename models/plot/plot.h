/* plot.h - a line plot as an image: losses over steps and the like, as it would stand in a paper. Host only.
 *
 *     struct plot_series series[] = {{"training", steps, losses, count, false}, {"validation", epochs_at, validation, epochs, true}};
 *     struct plot plot = {.title = "Dense VAE", .x_label = "step", .y_label = "-ELBO (nats)", .series = series, .count = 2};
 *     struct image image;
 *     TRY(plot_draw(ctx, &image, &plot));
 *     TRY(image_write(ctx, &image, "losses.png", NULL));
 *     image_free(&image);
 *
 * Axes end at the data's range, y with a little air, and carry round numbers ("0.05", "20k", "1e-6"). y is logarithmic where that shows
 * more: all values positive, the largest at least 30 times the smallest.
 * A series of many points is drawn pale with a smoothed line over it; where there are more points than pixels, the pale part reaches from
 * the least to the greatest at each pixel, and is darker within one standard deviation. One of few points has a mark at each. Colours
 * repeat after seven. Smoothing is local linear regression with Gaussian weights (Cleveland 1979 without the robust part) of what is seen,
 * thus of logarithms where y is logarithmic; it stays true at both ends, where a moving average would lag. A few outliers that would
 * squeeze everything else into a third of a linear y axis are cut off at its edge. */
#ifndef CLIO_MODELS_PLOT_PLOT_H
#define CLIO_MODELS_PLOT_PLOT_H

#include "../image/image.h"

#define PLOT_WIDTH 960
#define PLOT_HEIGHT 600
#define PLOT_SERIES_MAX 16

struct plot_series {
    const char *name; /* in the legend; NULL: not there */
    const double *x;  /* f64 [count], not falling; NULL: 0, 1, 2, ... */
    const double *y;  /* f64 [count]; where it is not finite, the line is broken */
    size_t count;     /* may be 0: the series is in the legend alone */
    bool exact;       /* never smoothed */
};

enum plot_scale { PLOT_AUTO, PLOT_LINEAR, PLOT_LOG };

struct plot {
    const char *title, *x_label, *y_label; /* UTF-8, see canvas.h; NULL: none */
    int width, height;                     /* pixels, at least 320 x 200; 0: PLOT_WIDTH, PLOT_HEIGHT. Text grows with the image */
    enum plot_scale y_scale;               /* PLOT_LOG: values that are not positive count as missing */
    const struct plot_series *series;
    size_t count; /* series, at most PLOT_SERIES_MAX */
};

/* A fresh image, for image_free. Without any finite value the axes are drawn from 0 to 1 and say "no data yet".
 * CLIO_ERROR_ARGUMENT: a size too small, too many series, x that falls or is not finite. CLIO_ERROR_UNSUPPORTED: larger than images can
 * be. */
clio_status plot_draw(clio_context *ctx, struct image *out, const struct plot *plot);

#endif
