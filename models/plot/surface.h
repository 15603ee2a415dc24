/* surface.h - a cairo image surface to draw on, with text: what plots and the captions of image grids are drawn with.
 *
 * Coordinates are pixels from the upper left corner; the centre of the first pixel is (0.5, 0.5). Errors of cairo stay in its context and
 * are reported by surface_to_image.
 *
 * Text is set in DejaVu Sans, or in what fontconfig substitutes where that is not installed; without any font cairo has a plain built-in
 * one for ASCII (and fontconfig itself prints a line to standard error where even its configuration file is missing). Bytes that are no
 * UTF-8 appear as question marks. */
#ifndef CLIO_MODELS_PLOT_SURFACE_H
#define CLIO_MODELS_PLOT_SURFACE_H

#include "../image/image.h"

#include <cairo.h>

struct colour {
    unsigned char r, g, b;
};

struct surface {
    cairo_surface_t *pixels; /* RGB24 */
    cairo_t *cr;
    int width, height;
};

/* A surface of one colour. CLIO_ERROR_ARGUMENT, CLIO_ERROR_UNSUPPORTED: the size, as image_new; `what` begins the error message. */
clio_status surface_new(clio_context *ctx, struct surface *s, const char *what, int64_t width, int64_t height, struct colour background);
void surface_free(struct surface *s);
/* A fresh image, for image_free, of what was drawn. */
clio_status surface_to_image(clio_context *ctx, const struct surface *s, struct image *out);

/* The colour of what is stroked or filled next; alpha 0 to 1. */
void surface_colour(const struct surface *s, struct colour colour, double alpha);
/* A filled rectangle. */
void surface_box(const struct surface *s, double x0, double y0, double x1, double y1, struct colour colour);

/* Text of `size` pixels per em. */
struct surface_text {
    const char *text;
    double size;
    bool bold;
    bool upwards;      /* rotated by 90 degrees */
    bool halo;         /* with a white outline, readable on top of lines */
    double align;      /* which part of it lies before (x, y): 0 starts there, 0.5 is centred, 1 ends there */
    double most;       /* pixels; what is longer ends in "..."; 0: as long as it is */
    struct colour ink; /* default black */
};
/* (x, y) is on the baseline. */
void surface_write(const struct surface *s, double x, double y, const struct surface_text *t);
double surface_text_width(const struct surface *s, const struct surface_text *t);

#endif
