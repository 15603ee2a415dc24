/* plot_private.h - shared by the files of a plot: plot.c ranges and what is drawn in which order; plot_frame.c layout, axes, title and
 * legend; plot_axis.c ticks; plot_lines.c the series. */
#ifndef CLIO_MODELS_PLOT_PRIVATE_H
#define CLIO_MODELS_PLOT_PRIVATE_H

#include "plot.h"
#include "surface.h"

#define PLOT_TICKS_MAX 32

struct plot_axis {
    bool log;
    bool whole;       /* values are whole numbers, and so are the ticks */
    double low, high; /* ends in data units; low < high, and both positive where log */
    struct plot_tick {
        double value;
        char label[24]; /* "": a small tick */
    } ticks[PLOT_TICKS_MAX];
    int count;
};

/* What is known while a plot is drawn. */
struct drawing {
    const struct plot *plot;
    struct surface surface;
    struct plot_axis x, y;
    double unit;                  /* 1 where the image is PLOT_WIDTH wide */
    int left, top, right, bottom; /* the plot area */
    bool empty;                   /* there is no value */
    double *px, *py;              /* a series in pixels, py is NAN where it has no value; later its smoothed line, a point a column */
    double *low, *high;           /* range of the series in each column of pixels; low > high where it has a gap */
};

/* The style of series k. */
struct colour plot_colour(size_t k);
bool plot_is_dashed(size_t k);
extern const struct colour plot_ink, plot_grey;

/* ---- plot_axis.c ---- */

/* 0 at axis->low, 1 at axis->high. */
double plot_place(const struct plot_axis *axis, double value);
/* Round values within low .. high, about `most` of them with a label. */
void plot_ticks(struct plot_axis *axis, int most);
/* How a round value is written where ticks are `step` apart and reach to `largest`: "0.05", "12.5k", "2e-6". */
void plot_label(char label[24], double value, double step, double largest);

/* ---- plot_frame.c ---- */

/* Where the plot area lies, not before d->left, and which ticks there are. */
void plot_lay_out(struct drawing *d);
/* Grid, axes, tick labels, title, legend. */
void plot_frame(struct drawing *d);

/* ---- plot_lines.c ---- */

double plot_px(const struct drawing *d, double x);
/* Clipped values lie on the edge; NAN stays. */
double plot_py(const struct drawing *d, double y);
/* Whether this value appears at all. */
bool plot_usable(const struct plot *plot, double y);
double plot_x(const struct plot_series *s, size_t i);
/* Series k. */
clio_status plot_line(clio_context *ctx, struct drawing *d, size_t k);
/* The ring and the label of its best point, which lie above all lines. */
void plot_best_point(struct drawing *d, size_t k);

#endif
