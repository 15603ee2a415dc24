/* plot.c - see plot.h: the ranges of both axes, where everything lies, axes, title and legend. */
#include "plot_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_FROM 30 /* largest over smallest value from which on an axis is logarithmic */

static const struct colour paper = {255, 255, 255}, ink = {38, 38, 38}, grey = {110, 110, 110}, grid = {228, 228, 228},
                           fine = {242, 242, 242};
/* Okabe and Ito's colours, which the colour-blind can tell apart, the strong ones first. */
static const struct colour colours[] = {{0, 105, 180}, {213, 84, 0},   {0, 150, 110}, {190, 90, 160},
                                        {225, 150, 0}, {70, 165, 220}, {90, 90, 90}};

static clio_status check(clio_context *ctx, const struct plot *plot, int width, int height)
{
    clio_status st = CLIO_OK;
    if (width < 320 || height < 200)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a plot of %d x %d pixels has no room for its axes: at least 320 x 200 are needed", width, height);
    if (plot->count > PLOT_SERIES_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a plot takes at most %d lines, not %zu: draw two plots", PLOT_SERIES_MAX, plot->count);
    for (size_t k = 0; k < plot->count; k++)
        for (size_t i = 0; i < plot->series[k].count; i++)
            if (!isfinite(plot_x(&plot->series[k], i)) || (i && plot_x(&plot->series[k], i) < plot_x(&plot->series[k], i - 1)))
                FAIL(ctx, CLIO_ERROR_ARGUMENT, "the line \"%s\" of a plot cannot be drawn: x of its point %zu is %g, after %g",
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

/* The ends of a linear axis: where less than one value in 200 on either side takes two thirds of the height, it is cut off. */
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

static clio_status y_range(clio_context *ctx, struct drawing *d)
{
    clio_status st = CLIO_OK;
    const struct plot *plot = d->plot;
    double *values = NULL, low = INFINITY, high = -INFINITY;
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
    if (d->y.log) {
        double air = high > low ? pow(high / low, 0.04) : 2;
        d->y.low = low / air;
        d->y.high = high * air;
    } else {
        double air;
        if (!d->empty)
            without_outliers(values, count, &low, &high);
        air = high > low ? 0.04 * (high - low) : fabs(high) > 0 ? 0.1 * fabs(high) : 1;
        air = d->empty ? 0 : air;
        d->y.low = low >= 0 && low < 0.15 * high ? 0 : low - air; /* nearly at 0: begin there */
        d->y.high = high + air;
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

/* ---- axes ---- */

static double text_height(const struct drawing *d)
{
    return FONT_CAPITAL * d->unit;
}

/* The legend's rows, from `left` on; drawn only where `draw`. Returns how many they are. */
static int legend(struct drawing *d, double left, double first_line, bool draw)
{
    double u = d->unit, x = left, step = 20 * u;
    int rows = 0;
    for (size_t k = 0; k < d->plot->count; k++) {
        const char *name = d->plot->series[k].name;
        double width;
        if (!name || !*name)
            continue;
        width = 32 * u + canvas_text_width(name, u);
        if (rows == 0 || x + width > d->canvas.image.width - 10 * u) {
            x = left;
            rows++;
        }
        if (draw) {
            double y = first_line + (rows - 1) * step;
            canvas_line(&d->canvas, x + u, floor(y - 5 * u) + 0.5, x + 22 * u, floor(y - 5 * u) + 0.5, 2.6 * u);
            canvas_paint(&d->canvas, colours[k % COUNT(colours)], 1);
            canvas_text(&d->canvas, x + 32 * u, y, name, u, false, false, ink);
        }
        x += width + 24 * u;
    }
    return rows;
}

static double widest_label(const struct plot_axis *axis, double scale)
{
    double widest = 0;
    for (int i = 0; i < axis->count; i++)
        widest = MAX(widest, canvas_text_width(axis->ticks[i].label, scale));
    return widest;
}

/* Where the field lies, which ticks there are, and where the words stand. */
static void lay_out(struct drawing *d)
{
    const struct plot *plot = d->plot;
    double u = d->unit, top = 16 * u, left = 16 * u;
    if (plot->title)
        top += 14 * u + 12 * u;
    d->bottom = (int)(d->canvas.image.height - 22 * u - text_height(d) - (plot->x_label ? 25 * u : 0));
    plot_ticks(&d->y, MAX((int)((d->bottom - top) / (48 * u)), 2));
    left += (plot->y_label ? 24 * u : 0) + widest_label(&d->y, u) + 9 * u;
    d->left = (int)left;
    d->right = (int)(d->canvas.image.width - 24 * u);
    d->top = (int)(top + legend(d, d->left, 0, false) * 20 * u + 4 * u);
    plot_ticks(&d->x, MAX((int)((d->right - d->left) / (80 * u)), 2));
}

static void draw_axes(struct drawing *d)
{
    struct canvas *c = &d->canvas;
    double u = d->unit;
    int w = MAX((int)(u + 0.3), 1);
    for (int small = 1; small >= 0; small--)
        for (int i = 0; i < d->y.count; i++) {
            const struct plot_tick *t = &d->y.ticks[i];
            int y = (int)floor(plot_py(d, t->value) + 0.5);
            if (!*t->label == (bool)small)
                canvas_box(c, d->left, y, d->right, y + w, small ? fine : grid, 1);
            if (!small)
                canvas_text(c, d->left - 9 * u - canvas_text_width(t->label, u), y + text_height(d) / 2 + 1, t->label, u, false, false,
                            grey);
        }
    for (int i = 0; i < d->x.count; i++) {
        const struct plot_tick *t = &d->x.ticks[i];
        double x = plot_px(d, t->value), half = canvas_text_width(t->label, u) / 2;
        int column = MIN((int)floor(x + 0.5), d->right - w);
        canvas_box(c, column, d->top, column + w, d->bottom, grid, 1);
        canvas_box(c, column, d->bottom, column + w, d->bottom + (int)(5 * u), grey, 1);
        x = MIN(MAX(x - half, 2 * u), c->image.width - 2 * half - 2 * u);
        canvas_text(c, x, d->bottom + 10 * u + text_height(d), t->label, u, false, false, grey);
    }
    canvas_box(c, d->left, d->bottom, d->right, d->bottom + w, grey, 1);
}

static void draw_words(struct drawing *d)
{
    const struct plot *plot = d->plot;
    struct canvas *c = &d->canvas;
    double u = d->unit, middle_y = (d->top + d->bottom) / 2.0, y = 18 * u;
    if (plot->title) {
        y += 14 * u;
        canvas_text(c, d->left, y, plot->title, 1.3 * u, true, false, ink);
        y += 10 * u;
    }
    legend(d, d->left, y + text_height(d) + 3 * u, true);
    if (plot->x_label)
        canvas_text(c, (d->left + d->right - canvas_text_width(plot->x_label, u)) / 2, c->image.height - 13 * u, plot->x_label, u, false,
                    false, ink);
    if (plot->y_label)
        canvas_text(c, 16 * u + text_height(d), middle_y + canvas_text_width(plot->y_label, u) / 2, plot->y_label, u, false, true, ink);
    if (d->empty)
        canvas_text(c, (d->left + d->right - canvas_text_width("no data yet", u)) / 2, middle_y, "no data yet", u, false, false, grey);
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
    draw_axes(d);
    draw_words(d);
    canvas_clip(&d->canvas, d->left, d->top - (int)(4 * d->unit), d->right + (int)(4 * d->unit), d->bottom + (int)(4 * d->unit));
    for (size_t k = 0; k < plot->count; k++)
        TRY(plot_line(ctx, d, &plot->series[k], colours[k % COUNT(colours)]));
fail:
    free(d->px);
    free(d->py);
    free(d->low);
    free(d->high);
    return st;
}

clio_status plot_draw(clio_context *ctx, struct image *out, const struct plot *plot)
{
    clio_status st = CLIO_OK;
    struct drawing d = {.plot = plot};
    int width = plot->width ? plot->width : PLOT_WIDTH, height = plot->height ? plot->height : PLOT_HEIGHT;
    memset(out, 0, sizeof *out);
    TRY(check(ctx, plot, width, height));
    TRY(canvas_new(ctx, &d.canvas, "the plot", width, height, paper));
    /* Text at whole and half sizes is sharpest; a small image has text of the usual size. */
    d.unit = MAX(floor(2.0 * MIN((double)width / PLOT_WIDTH, (double)height / PLOT_HEIGHT)) / 2, 1);
    TRY(y_range(ctx, &d));
    x_range(&d);
    lay_out(&d);
    TRY(draw_all(ctx, &d));
    *out = d.canvas.image;
    d.canvas.image.rgb = NULL;
fail:
    canvas_free(&d.canvas);
    return st;
}
