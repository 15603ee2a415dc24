/* plot_frame.c - everything of a plot around its lines: layout, grid, axes with tick labels, title and legend. */
#include "plot_private.h"

#include <math.h>

#define TEXT_SIZE 13.0
#define TITLE_SIZE 16.5
#define CAPITAL 0.73 /* height of capitals and digits, of the text's size */
#define EDGE 14      /* between the image's edge and what stands there */

static const struct colour grid = {226, 226, 226}, fine = {242, 242, 242};

static struct surface_text label_text(const struct drawing *d, const char *text)
{
    return (struct surface_text){.text = text, .size = TEXT_SIZE * d->unit, .ink = plot_grey};
}

static double text_height(const struct drawing *d)
{
    return CAPITAL * TEXT_SIZE * d->unit;
}

/* The rows of the legend, the first one's baseline at `y`; drawn only where `draw`. Returns how many there are. */
static int legend(struct drawing *d, double left, double y, bool draw)
{
    double u = d->unit, x = left, end = d->surface.width - EDGE * u;
    const double dashes[] = {5 * u, 4 * u};
    int rows = 0;
    for (size_t k = 0; k < d->plot->count; k++) {
        struct surface_text name = label_text(d, d->plot->series[k].name);
        double width;
        if (!name.text || !*name.text)
            continue;
        name.ink = plot_ink;
        name.most = end - left - 30 * u;
        width = 30 * u + surface_text_width(&d->surface, &name);
        if (rows == 0 || x + width > end) {
            x = left;
            rows++;
        }
        if (draw) {
            double baseline = y + (rows - 1) * 20 * u, middle = floor(baseline - text_height(d) / 2) + 0.5;
            cairo_t *cr = d->surface.cr;
            surface_colour(&d->surface, plot_colour(k), 1);
            cairo_set_line_width(cr, 2.6 * u);
            cairo_set_dash(cr, dashes, plot_is_dashed(k) ? 2 : 0, 0);
            cairo_move_to(cr, x + 1.5 * u, middle);
            cairo_line_to(cr, x + 21 * u, middle);
            cairo_stroke(cr);
            cairo_set_dash(cr, dashes, 0, 0);
            surface_write(&d->surface, x + 30 * u, baseline, &name);
        }
        x += width + 24 * u;
    }
    return rows;
}

static double widest_label(const struct drawing *d, const struct plot_axis *axis)
{
    double widest = 0;
    for (int i = 0; i < axis->count; i++) {
        struct surface_text label = label_text(d, axis->ticks[i].label);
        widest = MAX(widest, surface_text_width(&d->surface, &label));
    }
    return widest;
}

/* As many x ticks as have room for their labels side by side. */
static void x_ticks(struct drawing *d)
{
    double length = d->right - d->left;
    for (int most = MAX((int)(length / (70 * d->unit)), 2);; most--) {
        double nearest = length, before = -INFINITY;
        plot_ticks(&d->x, most);
        for (int i = 0; i < d->x.count; i++)
            if (*d->x.ticks[i].label) {
                nearest = MIN(nearest, plot_px(d, d->x.ticks[i].value) - before);
                before = plot_px(d, d->x.ticks[i].value);
            }
        if (most <= 2 || widest_label(d, &d->x) + 14 * d->unit <= nearest)
            return;
    }
}

void plot_lay_out(struct drawing *d)
{
    const struct plot *plot = d->plot;
    double u = d->unit, top = EDGE * u, left = EDGE * u;
    if (plot->title)
        top += (CAPITAL * TITLE_SIZE + 12) * u;
    d->bottom = (int)(d->surface.height - EDGE * u - text_height(d) - 9 * u - (plot->x_label ? 12 * u + text_height(d) : 0));
    plot_ticks(&d->y, MAX((int)((d->bottom - top) / (46 * u)), 2));
    left += (plot->y_label ? text_height(d) + 14 * u : 0) + widest_label(d, &d->y) + 9 * u;
    d->left = MAX(d->left, (int)left);
    d->right = (int)(d->surface.width - 24 * u);
    d->top = (int)(top + legend(d, d->left, 0, false) * 20 * u + 6 * u);
    x_ticks(d);
}

static void draw_y_axis(struct drawing *d)
{
    double u = d->unit;
    int w = MAX((int)(u + 0.3), 1);
    for (int small = 1; small >= 0; small--)
        for (int i = 0; i < d->y.count; i++) {
            struct surface_text label = label_text(d, d->y.ticks[i].label);
            int y = (int)floor(plot_py(d, d->y.ticks[i].value) + 0.5);
            label.align = 1;
            if (!*label.text == (bool)small)
                surface_box(&d->surface, d->left, y, d->right, y + w, small ? fine : grid);
            if (!small)
                surface_write(&d->surface, d->left - 9 * u, y + text_height(d) / 2, &label);
        }
}

static void draw_x_axis(struct drawing *d)
{
    double u = d->unit;
    int w = MAX((int)(u + 0.3), 1);
    for (int i = 0; i < d->x.count; i++) {
        struct surface_text label = label_text(d, d->x.ticks[i].label);
        double x = plot_px(d, d->x.ticks[i].value), half = surface_text_width(&d->surface, &label) / 2;
        int column = MIN((int)floor(x + 0.5), d->right - w);
        label.align = 0.5;
        surface_box(&d->surface, column, d->top, column + w, d->bottom, *label.text ? grid : fine);
        surface_box(&d->surface, column, d->bottom, column + w, d->bottom + floor((*label.text ? 5 : 3) * u), plot_grey);
        x = MIN(MAX(x, half + 2 * u), d->surface.width - half - 2 * u);
        surface_write(&d->surface, x, d->bottom + 9 * u + text_height(d), &label);
    }
    surface_box(&d->surface, d->left, d->bottom, d->right, d->bottom + w, plot_grey);
}

static void draw_titles(struct drawing *d)
{
    const struct plot *plot = d->plot;
    double u = d->unit, x = (d->left + d->right) / 2.0, y = (d->top + d->bottom) / 2.0, first = EDGE * u;
    struct surface_text text = {.size = TEXT_SIZE * u, .align = 0.5, .ink = plot_ink, .most = d->right - d->left};
    if (plot->title) {
        struct surface_text title = {
            .text = plot->title, .size = TITLE_SIZE * u, .bold = true, .ink = plot_ink, .most = d->surface.width - EDGE * u - d->left};
        first += CAPITAL * TITLE_SIZE * u;
        surface_write(&d->surface, d->left, first, &title);
        first += 12 * u;
    }
    legend(d, d->left, first + text_height(d), true);
    text.text = plot->x_label;
    if (plot->x_label)
        surface_write(&d->surface, x, d->surface.height - EDGE * u, &text);
    text.text = "no data yet";
    if (d->empty)
        surface_write(&d->surface, x, y, &text);
    text.text = plot->y_label;
    text.upwards = true;
    text.most = d->bottom - d->top;
    if (plot->y_label)
        surface_write(&d->surface, EDGE * u + text_height(d), y, &text);
}

void plot_frame(struct drawing *d)
{
    draw_y_axis(d);
    draw_x_axis(d);
    draw_titles(d);
}
