/* plot_lines.c - the series of a plot: converted to pixels first; smoothing and thinning work on pixels. */
#include "plot_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MARKS_BELOW 40   /* a series of fewer points has markers */
#define SMOOTH_FROM 120  /* points, from which on a series is smoothed */
#define SMOOTH_WIDTH 160 /* the Gaussian's standard deviation is this part of the plot area's width, or three points */

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
    return isfinite(y) ? MIN(MAX(at, (double)d->top), (double)d->bottom) : (double)NAN; /* clipped values lie on the edge */
}

/* Add one line between two points to the range of the columns that it crosses. */
static void widen_band(struct drawing *d, double x0, double y0, double x1, double y1)
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
            widen_band(d, d->px[joined ? i - 1 : i], d->py[joined ? i - 1 : i], d->px[i], d->py[i]);
        }
}

/* Add columns of pixels to the path: those from low[i] to high[i], where low is above high. */
static void add_columns(struct drawing *d, const double *low, const double *high, double margin)
{
    for (int i = 0; i < d->right - d->left; i++)
        if (low[i] <= high[i])
            cairo_rectangle(d->surface.cr, d->left + i, low[i] - margin, 1, high[i] - low[i] + 2 * margin);
}

static void add_dot(struct drawing *d, double x, double y, double radius)
{
    cairo_new_sub_path(d->surface.cr);
    cairo_arc(d->surface.cr, x, y, radius, 0, 4 * acos(0));
}

/* Stroke what is between finite points, then fill a dot at each one that has no neighbour, or with `markers` at each one. */
static void draw_line(struct drawing *d, const double *x, const double *y, size_t count, double width, bool markers, bool dashed)
{
    const double dashes[] = {3.5 * width, 2.5 * width};
    cairo_t *cr = d->surface.cr;
    for (size_t i = 0; i < count; i++)
        if (isfinite(y[i]) && i > 0 && isfinite(y[i - 1]))
            cairo_line_to(cr, x[i], y[i]);
        else if (isfinite(y[i]))
            cairo_move_to(cr, x[i], y[i]);
    cairo_set_line_width(cr, width);
    cairo_set_dash(cr, dashes, dashed ? 2 : 0, 0);
    cairo_stroke(cr);
    cairo_set_dash(cr, dashes, 0, 0);
    for (size_t i = 0; i < count; i++) {
        bool before = i > 0 && isfinite(y[i - 1]), after = i + 1 < count && isfinite(y[i + 1]);
        if (isfinite(y[i]) && (markers || (!before && !after)))
            add_dot(d, x[i], y[i], 1.5 * width);
    }
    cairo_fill(cr);
}

/* Sums over the points of one column, x from its middle: of 1, x, x^2, y, xy, y^2. */
struct column {
    double n, x, xx, y, xy, yy;
};

/* Local linear regression: at column i the line a + b (x - i) with the least sum of w(x - i) (y - a - b (x - i))^2, of which a is the
 * smoothed value, and that sum over the sum of w its variance. NAN where the series has a gap. */
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
    rest = sum.yy - a * sum.y - b * sum.xy; /* residual sum of squares */
    *deviation = sqrt(MAX(rest, 0.0) / sum.n);
    return MIN(MAX(a, (double)d->top), (double)d->bottom);
}

/* The smoothed line to px and py, one standard deviation above and below it to low and high. */
static clio_status smooth(clio_context *ctx, struct drawing *d, size_t count)
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
        d->low[i] = isfinite(d->py[i]) ? d->py[i] - deviation : (double)INFINITY;
        d->high[i] = isfinite(d->py[i]) ? d->py[i] + deviation : (double)-INFINITY;
    }
fail:
    free(columns);
    free(weights);
    return st;
}

clio_status plot_line(clio_context *ctx, struct drawing *d, size_t k)
{
    clio_status st = CLIO_OK;
    const struct plot_series *s = &d->plot->series[k];
    bool smoothed = !s->exact && s->count >= SMOOTH_FROM, dense = s->count > (size_t)(d->right - d->left), marked, dashed;
    double run;
    for (size_t i = 0; i < s->count; i++) {
        d->px[i] = plot_px(d, plot_x(s, i));
        d->py[i] = plot_usable(d->plot, s->y[i]) ? plot_py(d, s->y[i]) : (double)NAN;
    }
    run = s->count ? d->px[s->count - 1] - d->px[0] : 0;
    /* markers that do not touch each other; or all at one place, where there is no line to be seen */
    marked = !smoothed && s->count < MARKS_BELOW && (run >= 10 * d->unit * ((double)s->count - 1) || run < 1);
    dashed = plot_is_dashed(k);
    find_band(d, s->count);
    surface_colour(&d->surface, plot_colour(k), !smoothed ? 1 : dense ? 0.2 : 0.35);
    if (dense) {
        add_columns(d, d->low, d->high, 0.5 * d->unit);
        cairo_fill(d->surface.cr);
    } else {
        draw_line(d, d->px, d->py, s->count, (smoothed ? 1.2 : 2.2) * d->unit, marked, dashed && !smoothed);
    }
    if (smoothed) {
        TRY(smooth(ctx, d, s->count));
        if (dense) {
            surface_colour(&d->surface, plot_colour(k), 0.22);
            add_columns(d, d->low, d->high, 0);
            cairo_fill(d->surface.cr);
        }
        surface_colour(&d->surface, plot_colour(k), 1);
        draw_line(d, d->px, d->py, (size_t)(d->right - d->left), 2.2 * d->unit, false, dashed);
    }
fail:
    return st;
}

/* The index of the best value; s->count where there is none. */
static size_t find_best(const struct drawing *d, const struct plot_series *s)
{
    size_t best = s->count;
    for (size_t i = 0; i < s->count && s->best; i++) {
        bool better = best == s->count || (s->best == PLOT_BEST_LOWEST ? s->y[i] < s->y[best] : s->y[i] > s->y[best]);
        if (plot_usable(d->plot, s->y[i]) && better)
            best = i;
    }
    return best;
}

void plot_best_point(struct drawing *d, size_t k)
{
    const struct plot_series *s = &d->plot->series[k];
    static const struct colour white = {255, 255, 255};
    char words[160];
    struct surface_text text = {.text = words, .size = 12.5 * d->unit, .align = 0.5, .halo = true, .ink = plot_ink};
    size_t best = find_best(d, s);
    double u = d->unit, x, y, half, above;
    if (best == s->count)
        return;
    x = plot_px(d, plot_x(s, best));
    y = plot_py(d, s->y[best]);
    add_dot(d, x, y, 5.5 * u);
    surface_colour(&d->surface, white, 1);
    cairo_fill_preserve(d->surface.cr);
    surface_colour(&d->surface, plot_colour(k), 1);
    cairo_set_line_width(d->surface.cr, 2.4 * u);
    cairo_stroke(d->surface.cr);
    snprintf(words, sizeof words, "best %.4g at %.40s%s%.10g", s->y[best], d->plot->x_label ? d->plot->x_label : "",
             d->plot->x_label ? " " : "", plot_x(s, best));
    half = surface_text_width(&d->surface, &text) / 2;
    x = MIN(MAX(x, d->left + half + 6 * u), d->right - half - 6 * u);
    above = y - 14 * u; /* that of a lowest point stands below the line where there is room, that of a highest one above it */
    if (s->best == PLOT_BEST_LOWEST ? y + 25 * u < d->bottom : above - 10 * u < d->top)
        above = y + 23 * u;
    surface_write(&d->surface, x, above, &text);
}
