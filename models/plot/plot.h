/* plot.h - line plots: losses over steps, evaluation metrics with their best point. Drawn by cairo.
 *
 *     struct plot_series series[] = {{"training", steps, losses, count, false}, {"validation", epochs_at, validation, epochs, true}};
 *     struct plot plot = {.title = "Dense VAE", .x_label = "step", .y_label = "-ELBO (nats)", .series = series, .count = 2};
 *     struct image image;
 *     TRY(plot_draw(ctx, &image, &plot));
 *     TRY(image_write(ctx, &image, "losses.png", NULL));
 *     image_free(&image);
 *
 * Axes end at the range of the data, y with a margin, and have round tick labels ("0.05", "20k", "1e-6"). y is logarithmic where that shows
 * more: all values positive, the largest at least 30 times the smallest.
 * A series of many points is drawn pale with a smoothed line over it; where there are more points than pixels, the pale part reaches from
 * the minimum to the maximum of each pixel column, and is darker within one standard deviation. A series of few points has a marker at
 * each. After seven colours, which colour-blind readers can tell apart, they repeat dashed. Smoothing is local linear regression with
 * Gaussian weights (Cleveland 1979 without the robust part) in the coordinates of the plot, thus of logarithms where y is logarithmic; it
 * has no bias at both ends, where a moving average would lag. A few outliers that would squeeze everything else into a third of a linear y
 * axis are clipped at its edge. */
#ifndef CLIO_MODELS_PLOT_H
#define CLIO_MODELS_PLOT_H

#include "../image/image.h"

#define PLOT_WIDTH 960
#define PLOT_HEIGHT 600
#define PLOT_SERIES_MAX 16

enum plot_best { PLOT_BEST_NONE, PLOT_BEST_LOWEST, PLOT_BEST_HIGHEST };

struct plot_series {
    const char *name;    /* in the legend; NULL: not there */
    const double *x;     /* f64 [count], not falling; NULL: 0, 1, 2, ... */
    const double *y;     /* f64 [count]; a value that is not finite leaves a gap */
    size_t count;        /* may be 0: the series is in the legend alone */
    bool exact;          /* never smoothed */
    enum plot_best best; /* a ring around this point (the first of equal ones), labelled with its value and x */
};

enum plot_scale { PLOT_AUTO, PLOT_LINEAR, PLOT_LOG };

struct plot {
    const char *title, *x_label, *y_label; /* UTF-8, see surface.h; NULL: none */
    int width, height;                     /* pixels, at least 320 x 200; 0: PLOT_WIDTH, PLOT_HEIGHT. Text grows with the image */
    enum plot_scale y_scale;               /* PLOT_LOG: values that are not positive count as missing */
    const struct plot_series *series;
    size_t count; /* series, at most PLOT_SERIES_MAX */
};

/* A fresh image, for image_free. Without any finite value the axes are drawn from 0 to 1 and say "no data yet".
 * CLIO_ERROR_ARGUMENT: a size too small, too many series, x that falls or is not finite. CLIO_ERROR_UNSUPPORTED: larger than images can
 * be. */
clio_status plot_draw(clio_context *ctx, struct image *out, const struct plot *plot);
/* `count` plots of one width above each other in one image, their plot areas aligned: metrics of different units. */
clio_status plot_draw_stacked(clio_context *ctx, struct image *out, const struct plot *plots, size_t count);

#endif
