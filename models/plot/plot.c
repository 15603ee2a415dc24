/* plot.c - see plot.h: checks, the ranges of both axes, and the order in which a plot is drawn. */
#include "plot_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN 0.04 /* of the range, above and below the data */
#define LOG_FROM 30 /* largest over smallest value from which on an axis is logarithmic */

static clio_status check(clio_context *ctx, const struct plot *plot, int width, int height)
{
    clio_status st = CLIO_OK;
    if (width < 320 || height < 200)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a plot of %d x %d pixels has no room for its axes: at least 320 x 200 are needed", width, height);
    if (plot->count > PLOT_SERIES_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a plot takes at most %d series, not %zu: draw two plots", PLOT_SERIES_MAX, plot->count);
    for (size_t k = 0; k < plot->count; k++)
        for (size_t i = 0; i < plot->series[k].count; i++)
            if (!isfinite(plot_x(&plot->series[k], i)) || (i && plot_x(&plot->series[k], i) < plot_x(&plot->series[k], i - 1)))
                FAIL(ctx, CLIO_ERROR_ARGUMENT, "the series \"%s\" of a plot cannot be drawn: x of its point %zu is %g, after %g",
                     plot->series[k].name ? plot->series[k].name : "", i, plot_x(&plot->series[k], i),
                     i ? plot_x(&plot->series[k], i - 1) : 0.0);
fail:
    return st;
}

/* ---- ranges ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The ends of a linear axis: where less than one value in 200 on either side takes two thirds of the height, it is clipped. */
static void without_outliers(double *values, size_t count, double *low, double *high)
{
    size_t cut = count / 200;
    double core;
    qsort(values, count, sizeof *values, by_value);
    *low = values[0];
    *high = values[count - 1];
    core = values[count - 1 - cut] - values[cut];
    if (core > 0 && *high - *low > 3 * core) {
        *low = MAX(*low, values[cut] - core / 3);
        *high = MIN(*high, values[count - 1 - cut] + core / 3);
    }
}

/* What part of the range is added at one end of the y axis; there is room for the label of a best value, which no line crosses there. */
static double margin_of(const struct drawing *d, enum plot_best best)
{
    bool has_label = false;
    for (size_t k = 0; k < d->plot->count; k++)
        has_label = has_label || d->plot->series[k].best == best;
    return has_label ? MAX(MARGIN, 45 * d->unit / d->surface.height) : MARGIN;
}

static clio_status y_range(clio_context *ctx, struct drawing *d)
{
    clio_status st = CLIO_OK;
    const struct plot *plot = d->plot;
    double *values = NULL, low = INFINITY, high = -INFINITY, below, above;
    size_t count = 0, all = 0;
    for (size_t k = 0; k < plot->count; k++)
        all += plot->series[k].count;
    TRY(mem_alloc(ctx, &values, all + 1, sizeof *values));
    for (size_t k = 0; k < plot->count; k++)
        for (size_t i = 0; i < plot->series[k].count; i++) {
            double y = plot->series[k].y[i];
            if (!plot_usable(plot, y))
                continue;
            values[count++] = y;
            low = MIN(low, y);
            high = MAX(high, y);
        }
    d->empty = count == 0;
    if (d->empty)
        low = plot->y_scale == PLOT_LOG ? 0.1 : 0, high = 1;
    d->y.log = plot->y_scale == PLOT_LOG || (plot->y_scale == PLOT_AUTO && low > 0 && high / low >= LOG_FROM);
    below = margin_of(d, PLOT_BEST_LOWEST);
    above = margin_of(d, PLOT_BEST_HIGHEST);
    if (d->y.log) {
        double range = high > low ? high / low : pow(2, 1 / MARGIN);
        d->y.low = low / pow(range, below);
        d->y.high = high * pow(range, above);
    } else {
        double range;
        if (!d->empty)
            without_outliers(values, count, &low, &high);
        range = high > low ? high - low : (fabs(high) > 0 ? 0.1 * fabs(high) : 1) / MARGIN;
        range = d->empty ? 0 : range;
        d->y.low = low >= 0 && low < 0.15 * high && below <= MARGIN ? 0 : low - below * range; /* nearly at 0: begin there */
        d->y.high = high + above * range;
    }
    if (!(isfinite(d->y.low) && isfinite(d->y.high) && isfinite(d->y.high - d->y.low) && d->y.low < d->y.high && d->y.high < 1e300) ||
        (d->y.log && d->y.low < 1e-300))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a plot cannot show values from %g to %g: they are too large or too small", low, high);
fail:
    free(values);
    return st;
}

static void x_range(struct drawing *d)
{
    const struct plot *plot = d->plot;
    double low = INFINITY, high = -INFINITY;
    for (size_t k = 0; k < plot->count; k++)
        if (plot->series[k].count) {
            low = MIN(low, plot_x(&plot->series[k], 0));
            high = MAX(high, plot_x(&plot->series[k], plot->series[k].count - 1));
        }
    d->x.whole = low <= high;
    for (size_t k = 0; k < plot->count; k++)
        for (size_t i = 0; d->x.whole && i < plot->series[k].count; i++)
            d->x.whole = plot_x(&plot->series[k], i) == floor(plot_x(&plot->series[k], i));
    if (!(low <= high))
        low = 0, high = 1;
    if (!(high - low > 1e-9 * MAX(fabs(low), fabs(high)))) { /* one point: in the middle, unless it is the first step */
        double half = MAX(fabs(low), 1) / 2;
        low -= half;
        high += half;
    } else if (low > 0 && low < 0.05 * high) { /* from step 1 on: let it be 0 */
        low = 0;
    }
    d->x.low = low;
    d->x.high = high;
}

static clio_status draw_all(clio_context *ctx, struct drawing *d)
{
    clio_status st = CLIO_OK;
    const struct plot *plot = d->plot;
    size_t columns = (size_t)(d->right - d->left), most = columns;
    for (size_t k = 0; k < plot->count; k++)
        most = MAX(most, plot->series[k].count);
    TRY(mem_alloc(ctx, &d->px, most, sizeof *d->px));
    TRY(mem_alloc(ctx, &d->py, most, sizeof *d->py));
    TRY(mem_alloc(ctx, &d->low, columns, sizeof *d->low));
    TRY(mem_alloc(ctx, &d->high, columns, sizeof *d->high));
    plot_frame(d);
    cairo_save(d->surface.cr);
    cairo_rectangle(d->surface.cr, d->left - (int)(4 * d->unit), d->top - (int)(4 * d->unit), d->right - d->left + 2 * (int)(4 * d->unit),
                    d->bottom - d->top + 2 * (int)(4 * d->unit));
    cairo_clip(d->surface.cr);
    for (size_t k = 0; k < plot->count; k++)
        TRY(plot_line(ctx, d, k));
    cairo_restore(d->surface.cr);
    for (size_t k = 0; k < plot->count; k++)
        plot_best_point(d, k);
fail:
    free(d->px);
    free(d->py);
    free(d->low);
    free(d->high);
    return st;
}

/* *left: where the plot area begins at least, and then where it does. */
static clio_status draw_from(clio_context *ctx, struct image *out, const struct plot *plot, int *left)
{
    static const struct colour white = {255, 255, 255};
    clio_status st = CLIO_OK;
    struct drawing d = {.plot = plot, .left = *left};
    int width = plot->width ? plot->width : PLOT_WIDTH, height = plot->height ? plot->height : PLOT_HEIGHT;
    memset(out, 0, sizeof *out);
    TRY(check(ctx, plot, width, height));
    TRY(surface_new(ctx, &d.surface, "the plot", width, height, white));
    /* Text at whole and half sizes is sharpest; a small image has text of the usual size. */
    d.unit = MAX(floor(2.0 * MIN((double)width / PLOT_WIDTH, (double)height / PLOT_HEIGHT)) / 2, 1);
    TRY(y_range(ctx, &d));
    x_range(&d);
    plot_lay_out(&d);
    *left = d.left;
    TRY(draw_all(ctx, &d));
    TRY(surface_to_image(ctx, &d.surface, out));
fail:
    surface_free(&d.surface);
    return st;
}

clio_status plot_draw(clio_context *ctx, struct image *out, const struct plot *plot)
{
    int left = 0;
    return draw_from(ctx, out, plot, &left);
}

clio_status plot_draw_stacked(clio_context *ctx, struct image *out, const struct plot *plots, size_t count)
{
    clio_status st = CLIO_OK;
    struct image one = {0, 0, NULL, false};
    int height = 0, y = 0, width = count && plots[0].width ? plots[0].width : PLOT_WIDTH, left = 0;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < count; i++) { /* the widest tick labels decide where all of them begin */
        image_free(&one);
        TRY(draw_from(ctx, &one, &plots[i], &left));
    }
    for (size_t i = 0; i < count; i++)
        height += plots[i].height ? plots[i].height : PLOT_HEIGHT;
    TRY(image_new(ctx, out, "the stack of plots", width, height));
    for (size_t i = 0; i < count; i++, y += one.height) {
        image_free(&one);
        TRY(draw_from(ctx, &one, &plots[i], &left));
        if (one.width != width)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "plots of %d and %d pixels cannot be stacked: give all one width", width, one.width);
        memcpy(out->rgb + (size_t)y * (size_t)width * 3, one.rgb, (size_t)one.height * (size_t)width * 3);
    }
fail:
    image_free(&one);
    if (st)
        image_free(out);
    return st;
}
