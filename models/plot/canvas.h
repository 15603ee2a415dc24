/* canvas.h - drawing into an image: lines with smooth edges, filled rectangles, text. What plots and sheets of images are drawn with.
 *
 * Coordinates are pixels from the upper left corner; the middle of the first pixel is (0.5, 0.5). Lines are gathered in a mask, where they
 * may cross and join without growing darker, and then painted at once in one colour. Nothing here fails but canvas_new.
 *
 * Text is drawn in an own font of strokes (canvas_font.c), so that it is smooth at every size and can be turned. It has the characters of
 * ASCII; accents are left away, and what then is no ASCII appears as a question mark. At scale 1 capitals are 11 pixels high.
 * Rejected: FreeType and a font file, for two dozen labels; a bitmap font, which looks torn when enlarged. */
#ifndef CLIO_MODELS_PLOT_CANVAS_H
#define CLIO_MODELS_PLOT_CANVAS_H

#include "../image/image.h"

struct colour {
    unsigned char r, g, b;
};

struct canvas {
    struct image image;     /* the image; may be taken over by the caller, who then sets image.rgb to NULL */
    unsigned char *mask;    /* [height, width] coverage, 0 to 255, of what will be painted next; all 0 after canvas_paint */
    int x0, y0, x1, y1;     /* what is drawn stays inside x0 <= x < x1, y0 <= y < y1; at first everything */
    int mx0, my0, mx1, my1; /* the part of the mask that is not all 0 */
};

/* An image of one colour. CLIO_ERROR_ARGUMENT, CLIO_ERROR_UNSUPPORTED: the size, as image_new; `what` begins the sentence. */
clio_status canvas_new(clio_context *ctx, struct canvas *c, const char *what, int64_t width, int64_t height, struct colour paper);
void canvas_free(struct canvas *c);
/* Keep what follows inside this rectangle, which is held inside the image. */
void canvas_clip(struct canvas *c, int x0, int y0, int x1, int y1);

/* Into the mask: a line with round ends; where both ends are the same point, a dot. */
void canvas_line(struct canvas *c, double x0, double y0, double x1, double y1, double width);
/* Into the mask: the part from `top` to `bottom` of one column of pixels. */
void canvas_column(struct canvas *c, int x, double top, double bottom);
/* What is in the mask appears in this colour, as opaque as alpha says (0 to 1). Painting leaves the mask empty. */
void canvas_paint(struct canvas *c, struct colour colour, double alpha);
/* A filled rectangle of whole pixels, painted at once. */
void canvas_box(struct canvas *c, int x0, int y0, int x1, int y1, struct colour colour, double alpha);

/* Text that begins at (x, y), y being the line that letters stand on; turned: it runs upwards from there. */
void canvas_text(struct canvas *c, double x, double y, const char *text, double scale, bool bold, bool turned, struct colour colour);
/* How far canvas_text runs. */
double canvas_text_width(const char *text, double scale);

/* ---- canvas_font.c ---- */

#define FONT_CAPITAL 10 /* height of capitals in units of the font, from middle to middle of the strokes */
#define FONT_GAP 3      /* between two letters */

/* The strokes of an ASCII character: each a list of points, x as a digit ('a': 10 and so on) and y as a letter, D being the line that
 * letters stand on, E one above it; capital letters are points on the stroke, small ones control points of quadratic curves, between two of
 * which a point on the stroke is implied, as in TrueType. A space begins the next stroke. */
const char *font_strokes(int character);
/* How wide it is in units, without the gap. */
int font_width(int character);

#endif
