/* plot_lines.c - a plot's lines: brought to pixels first; smoothing and thinning work on what is seen. */
#include "plot_private.h"

#include <math.h>
#include <stdlib.h>

#define MARKS_BELOW 40   /* a series of fewer points has marks */
#define SMOOTH_FROM 120  /* points, from which on a series is smoothed */
#define SMOOTH_WIDTH 160 /* the Gaussian's deviation is this part of the plot's width, or three points */

bool plot_usable(const struct plot *plot, double y)
{
    return isfinite(y) && (plot->y_scale != PLOT_LOG || y > 0);
}

double plot_x(const struct plot_series *s, size_t i)
{
    return s->x ? s->x[i] : (double)i;
}

double plot_px(const struct drawing *d, double x)
{
    return d->left + plot_place(&d->x, x) * (d->right - d->left);
}

double plot_py(const struct drawing *d, double y)
{
    double at = d->bottom - plot_place(&d->y, y) * (d->bottom - d->top);
    return isfinite(y) ? MIN(MAX(at, (double)d->top), (double)d->bottom) : NAN; /* what is cut off runs along the edge */
}

/* One stretch between two points, as the columns it crosses see it. */
static void stretch(struct drawing *d, double x0, double y0, double x1, double y1)
{
    int first = MAX((int)floor(x0) - d->left, 0), last = MIN((int)floor(x1) - d->left, d->right - d->left - 1);
    for (int i = first; i <= last; i++) {
        double from = MAX(x0, (double)(d->left + i)), to = MIN(x1, d->left + i + 1.0);
        double a = x1 > x0 ? y0 + (from - x0) / (x1 - x0) * (y1 - y0) : y0, b = x1 > x0 ? y0 + (to - x0) / (x1 - x0) * (y1 - y0) : y1;
        d->low[i] = MIN(d->low[i], MIN(a, b));
        d->high[i] = MAX(d->high[i], MAX(a, b));
    }
}

static void find_band(struct drawing *d, size_t count)
{
    for (int i = 0; i < d->right - d->left; i++)
        d->low[i] = INFINITY, d->high[i] = -INFINITY;
    for (size_t i = 0; i < count; i++)
        if (isfinite(d->py[i])) {
            bool joined = i > 0 && isfinite(d->py[i - 1]);
            stretch(d, d->px[joined ? i - 1 : i], d->py[joined ? i - 1 : i], d->px[i], d->py[i]);
        }
}

static void draw_line(struct drawing *d, const double *x, const double *y, size_t count, double width, bool marks)
{
    for (size_t i = 0; i < count; i++) {
        bool before = i > 0 && isfinite(y[i - 1]), after = i + 1 < count && isfinite(y[i + 1]);
        if (!isfinite(y[i]))
            continue;
        if (before)
            canvas_line(&d->canvas, x[i - 1], y[i - 1], x[i], y[i], width);
        if (marks || (!before && !after))
            canvas_line(&d->canvas, x[i], y[i], x[i], y[i], 3 * width);
    }
}

/* Sums over the points of one column, x from its middle: of 1, x, x^2, y, xy, y^2. */
struct column {
    double n, x, xx, y, xy, yy;
};

/* Local linear regression: at column i the line a + b (x - i) with the least sum of w(x - i) (y - a - b (x - i))^2, of which a is the
 * smooth line, and the sum over that of w its variance. NAN where the series has a gap. */
static double fit(const struct drawing *d, const struct column *columns, const double *weights, int reach, int i, double *deviation)
{
    struct column sum = {0, 0, 0, 0, 0, 0};
    double square, a, b, rest;
    for (int j = MAX(i - reach, 0); j <= MIN(i + reach, d->right - d->left - 1); j++) {
        const struct column *s = &columns[j];
        double w = weights[abs(j - i)], o = j - i;
        sum.n += w * s->n;
        sum.x += w * (s->x + o * s->n);
        sum.xx += w * (s->xx + 2 * o * s->x + o * o * s->n);
        sum.y += w * s->y;
        sum.xy += w * (s->xy + o * s->y);
        sum.yy += w * s->yy;
    }
    *deviation = 0;
    if (!(sum.n > 0) || d->low[i] > d->high[i])
        return NAN;
    square = sum.n * sum.xx - sum.x * sum.x;
    b = square > 1e-6 * sum.n * sum.n ? (sum.n * sum.xy - sum.x * sum.y) / square : 0;
    a = (sum.y - b * sum.x) / sum.n;
    rest = sum.yy - a * sum.y - b * sum.xy; /* what the line leaves of the squares */
    *deviation = sqrt(MAX(rest, 0.0) / sum.n);
    return MIN(MAX(a, (double)d->top), (double)d->bottom);
}

/* The smooth line into px and py; with `band` one deviation above and below is painted. */
static clio_status smooth(clio_context *ctx, struct drawing *d, size_t count, bool band)
{
    clio_status st = CLIO_OK;
    int width = d->right - d->left, reach;
    double spread = MAX((double)width / SMOOTH_WIDTH, 3.0 * width / (double)count), *weights = NULL, deviation;
    struct column *columns = NULL;
    reach = (int)ceil(3 * spread);
    TRY(mem_alloc(ctx, &columns, (size_t)width, sizeof *columns));
    TRY(mem_alloc(ctx, &weights, (size_t)reach + 1, sizeof *weights));
    for (int i = 0; i <= reach; i++)
        weights[i] = exp(-0.5 * i * i / (spread * spread));
    for (size_t i = 0; i < count; i++) {
        int at = MIN(MAX((int)floor(d->px[i]) - d->left, 0), width - 1);
        double x = d->px[i] - d->left - at - 0.5, y = d->py[i];
        struct column *s = &columns[at];
        if (isfinite(y))
            *s = (struct column){s->n + 1, s->x + x, s->xx + x * x, s->y + y, s->xy + x * y, s->yy + y * y};
    }
    for (int i = 0; i < width; i++) {
        d->px[i] = d->left + i + 0.5;
        d->py[i] = fit(d, columns, weights, reach, i, &deviation);
        if (band && isfinite(d->py[i]))
            canvas_column(&d->canvas, d->left + i, d->py[i] - deviation, d->py[i] + deviation);
    }
fail:
    free(columns);
    free(weights);
    return st;
}

clio_status plot_line(clio_context *ctx, struct drawing *d, const struct plot_series *s, struct colour colour)
{
    clio_status st = CLIO_OK;
    bool smoothed = !s->exact && s->count >= SMOOTH_FROM, dense = s->count > (size_t)(d->right - d->left), marked;
    double run;
    for (size_t i = 0; i < s->count; i++) {
        d->px[i] = plot_px(d, plot_x(s, i));
        d->py[i] = plot_usable(d->plot, s->y[i]) ? plot_py(d, s->y[i]) : NAN;
    }
    run = s->count ? d->px[s->count - 1] - d->px[0] : 0;
    /* marks that do not run into each other; or all at one place, where there is no line to be seen */
    marked = !smoothed && s->count < MARKS_BELOW && (run >= 10 * d->unit * ((double)s->count - 1) || run < 1);
    find_band(d, s->count);
    for (int i = 0; dense && i < d->right - d->left; i++)
        canvas_column(&d->canvas, d->left + i, d->low[i] - 0.5 * d->unit, d->high[i] + 0.5 * d->unit);
    if (!dense)
        draw_line(d, d->px, d->py, s->count, (smoothed ? 1.2 : 2.2) * d->unit, marked);
    canvas_paint(&d->canvas, colour, !smoothed ? 1 : dense ? 0.2 : 0.35);
    if (smoothed) {
        TRY(smooth(ctx, d, s->count, dense));
        canvas_paint(&d->canvas, colour, 0.22);
        draw_line(d, d->px, d->py, (size_t)(d->right - d->left), 2.2 * d->unit, false);
        canvas_paint(&d->canvas, colour, 1);
    }
fail:
    return st;
}
