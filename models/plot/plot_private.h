/* plot_private.h - between the files of a plot: plot.c ranges, axes and words; plot_axis.c ticks; plot_lines.c the lines. */
#ifndef CLIO_MODELS_PLOT_PLOT_PRIVATE_H
#define CLIO_MODELS_PLOT_PLOT_PRIVATE_H

#include "plot.h"
#include "canvas.h"

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
    struct canvas canvas;
    struct plot_axis x, y;
    double unit;                  /* 1 where the image is PLOT_WIDTH wide */
    int left, top, right, bottom; /* the field of the lines */
    bool empty;                   /* no value is there */
    double *px, *py;              /* a series in pixels, py is NAN where it has no value; later its smooth line, a point a column */
    double *low, *high;           /* of the series in each column of pixels; low > high where it has a gap */
};

/* ---- plot_axis.c ---- */

/* 0 at axis->low, 1 at axis->high. */
double plot_place(const struct plot_axis *axis, double value);
/* Round values within low .. high, at most `most` of them with a label. */
void plot_ticks(struct plot_axis *axis, int most);
/* How a round value is written where ticks are `step` apart and reach to `largest`: "0.05", "12.5k", "2e-6". */
void plot_label(char label[24], double value, double step, double largest);

/* ---- plot_lines.c ---- */

double plot_px(const struct drawing *d, double x);
/* What is cut off runs along the edge; NAN stays. */
double plot_py(const struct drawing *d, double y);
/* Whether this value appears at all. */
bool plot_usable(const struct plot *plot, double y);
double plot_x(const struct plot_series *s, size_t i);
clio_status plot_line(clio_context *ctx, struct drawing *d, const struct plot_series *s, struct colour colour);

#endif
