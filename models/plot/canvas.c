/* canvas.c - lines, rectangles and text into an image.
 * A pixel is covered as far as its middle lies inside the line: clamp(width / 2 + 1/2 - distance, 0, 1). */
#include "canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define CURVE_PIECES 6 /* straight pieces of one quadratic curve of a letter */

clio_status canvas_new(clio_context *ctx, struct canvas *c, const char *what, int64_t width, int64_t height, struct colour paper)
{
    clio_status st = CLIO_OK;
    memset(c, 0, sizeof *c);
    TRY(image_new(ctx, &c->image, what, width, height));
    TRY(mem_alloc(ctx, &c->mask, (size_t)width * (size_t)height, 1));
    canvas_clip(c, 0, 0, (int)width, (int)height);
    c->mx0 = c->my0 = IMAGE_SIDE_MAX;
    canvas_box(c, 0, 0, (int)width, (int)height, paper, 1);
    return CLIO_OK;
fail:
    canvas_free(c);
    return st;
}

void canvas_free(struct canvas *c)
{
    image_free(&c->image);
    free(c->mask);
    memset(c, 0, sizeof *c);
}

void canvas_clip(struct canvas *c, int x0, int y0, int x1, int y1)
{
    c->x0 = MAX(x0, 0);
    c->y0 = MAX(y0, 0);
    c->x1 = MIN(x1, c->image.width);
    c->y1 = MIN(y1, c->image.height);
}

/* ---- the mask ---- */

static void cover(struct canvas *c, int x, int y, double amount)
{
    unsigned char value = (unsigned char)(MIN(amount, 1.0) * 255 + 0.5), *at = c->mask + (size_t)y * (size_t)c->image.width + x;
    if (value > *at)
        *at = value;
}

static void touch(struct canvas *c, int x0, int y0, int x1, int y1)
{
    c->mx0 = MIN(c->mx0, x0);
    c->my0 = MIN(c->my0, y0);
    c->mx1 = MAX(c->mx1, x1);
    c->my1 = MAX(c->my1, y1);
}

/* The whole pixels from floor(low) to ceil(high) that lie in [from, to). Any double is fine: it is held there before it becomes an int. */
static void span(double low, double high, int from, int to, int *first, int *last)
{
    *first = (int)MIN(MAX(floor(low), (double)from), (double)to);
    *last = (int)MAX(MIN(ceil(high), (double)to), (double)from);
}

void canvas_line(struct canvas *c, double x0, double y0, double x1, double y1, double width)
{
    double dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy, reach = width / 2 + 0.5;
    bool steep = fabs(dy) > fabs(dx); /* then it is followed row by row, else column by column */
    double a0 = steep ? y0 : x0, b0 = steep ? x0 : y0, da = steep ? dy : dx, db = steep ? dx : dy;
    double spread = da != 0 ? reach * sqrt(square) / fabs(da) : reach;
    int first, last, low, high;
    if (!isfinite(square))
        return;
    span(MIN(a0, a0 + da) - reach, MAX(a0, a0 + da) + reach, steep ? c->y0 : c->x0, steep ? c->y1 : c->x1, &first, &last);
    for (int a = first; a < last; a++) {
        double t = da != 0 ? MIN(MAX((a + 0.5 - a0) / da, 0.0), 1.0) : 0, middle = b0 + t * db;
        span(middle - spread - 0.5, middle + spread + 0.5, steep ? c->x0 : c->y0, steep ? c->x1 : c->y1, &low, &high);
        for (int b = low; b < high; b++) {
            double pa = a + 0.5 - a0, pb = b + 0.5 - b0, u = square > 0 ? MIN(MAX((pa * da + pb * db) / square, 0.0), 1.0) : 0;
            double far = (pa - u * da) * (pa - u * da) + (pb - u * db) * (pb - u * db);
            if (far < reach * reach)
                cover(c, steep ? b : a, steep ? a : b, reach - sqrt(far));
        }
        if (low < high)
            touch(c, steep ? low : a, steep ? a : low, steep ? high : a + 1, steep ? a + 1 : high);
    }
}

void canvas_column(struct canvas *c, int x, double top, double bottom)
{
    int first, last;
    if (x < c->x0 || x >= c->x1 || !(top < bottom))
        return;
    span(top, bottom, c->y0, c->y1, &first, &last);
    for (int y = first; y < last; y++)
        cover(c, x, y, MIN(bottom, y + 1.0) - MAX(top, (double)y));
    if (first < last)
        touch(c, x, first, x + 1, last);
}

static void blend(unsigned char *pixel, struct colour colour, double alpha)
{
    pixel[0] = (unsigned char)(pixel[0] + alpha * (colour.r - pixel[0]) + 0.5);
    pixel[1] = (unsigned char)(pixel[1] + alpha * (colour.g - pixel[1]) + 0.5);
    pixel[2] = (unsigned char)(pixel[2] + alpha * (colour.b - pixel[2]) + 0.5);
}

void canvas_paint(struct canvas *c, struct colour colour, double alpha)
{
    for (int y = c->my0; y < c->my1; y++)
        for (int x = c->mx0; x < c->mx1; x++) {
            size_t at = (size_t)y * (size_t)c->image.width + (size_t)x;
            if (c->mask[at])
                blend(c->image.rgb + 3 * at, colour, alpha * c->mask[at] / 255);
            c->mask[at] = 0;
        }
    c->mx0 = c->my0 = IMAGE_SIDE_MAX;
    c->mx1 = c->my1 = 0;
}

void canvas_box(struct canvas *c, int x0, int y0, int x1, int y1, struct colour colour, double alpha)
{
    for (int y = MAX(y0, c->y0); y < MIN(y1, c->y1); y++)
        for (int x = MAX(x0, c->x0); x < MIN(x1, c->x1); x++)
            blend(c->image.rgb + 3 * ((size_t)y * (size_t)c->image.width + (size_t)x), colour, alpha);
}

/* ---- text ---- */

/* The next character of a text as one of the font, and the text behind it; 0 at its end. "e" for an e with any accent, "?" for what has no
 * such likeness or is no UTF-8. */
static int next_character(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    utf8proc_int32_t c, parts[8];
    utf8proc_ssize_t size;
    int boundary = UTF8PROC_BOUNDCLASS_START;
    if (!*p)
        return 0;
    size = utf8proc_iterate(p, -1, &c);
    *text += size > 0 ? size : 1;
    if (size <= 0)
        return '?';
    if (c == 0x2019 || c == 0x2018)
        return '\'';
    if (c == 0x2212 || (c >= 0x2010 && c <= 0x2014))
        return '-';
    size = utf8proc_decompose_char(c, parts, COUNT(parts), UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STRIPMARK, &boundary);
    return size >= 1 && parts[0] >= 32 && parts[0] < 127 ? (int)parts[0] : '?';
}

double canvas_text_width(const char *text, double scale)
{
    int width = 0, c;
    while ((c = next_character(&text)) != 0)
        width += font_width(c) + FONT_GAP;
    return MAX(width - FONT_GAP, 0) * scale;
}

/* Where letters are drawn. */
struct pen {
    struct canvas *canvas;
    double x, y, scale, width;
    bool turned;
};

static void pen_line(const struct pen *pen, const double from[2], const double to[2], double width)
{
    double s = pen->scale;
    if (pen->turned)
        canvas_line(pen->canvas, pen->x - from[1] * s, pen->y - from[0] * s, pen->x - to[1] * s, pen->y - to[0] * s, width);
    else
        canvas_line(pen->canvas, pen->x + from[0] * s, pen->y - from[1] * s, pen->x + to[0] * s, pen->y - to[1] * s, width);
}

static void pen_curve(const struct pen *pen, const double from[2], const double control[2], const double to[2])
{
    double last[2] = {from[0], from[1]}, next[2];
    for (int i = 1; i <= CURVE_PIECES; i++) {
        double t = (double)i / CURVE_PIECES, u = 1 - t;
        for (int k = 0; k < 2; k++)
            next[k] = u * u * from[k] + 2 * u * t * control[k] + t * t * to[k];
        pen_line(pen, last, next, pen->width);
        last[0] = next[0], last[1] = next[1];
    }
}

static void draw_character(const struct pen *pen, int character)
{
    double on[2] = {0, 0}, control[2] = {0, 0};
    bool begun = false, curved = false;
    for (const char *p = font_strokes(character); *p; p += *p == ' ' ? 1 : 2) {
        double point[2], middle[2];
        bool is_control;
        if (*p == ' ') {
            begun = false;
            continue;
        }
        is_control = p[1] >= 'a';
        point[0] = p[0] <= '9' ? p[0] - '0' : p[0] - 'a' + 10;
        point[1] = (is_control ? p[1] - 'a' : p[1] - 'A') - 3;
        for (int k = 0; k < 2; k++)
            middle[k] = is_control ? (control[k] + point[k]) / 2 : point[k];
        if (begun && curved)
            pen_curve(pen, on, control, middle);
        else if (begun && !is_control) /* a point upon itself: a dot, larger than a stroke is wide */
            pen_line(pen, on, point, on[0] == point[0] && on[1] == point[1] ? pen->width * 1.3 + 0.2 * pen->scale : pen->width);
        if (!is_control || (begun && curved))
            memcpy(on, middle, sizeof on);
        if (is_control)
            memcpy(control, point, sizeof control);
        curved = is_control;
        begun = true;
    }
}

void canvas_text(struct canvas *c, double x, double y, const char *text, double scale, bool bold, bool turned, struct colour colour)
{
    /* The middle of a stroke is the middle of a pixel. */
    struct pen pen = {c, floor(x) + 0.5, floor(y) - 0.5, scale, scale * (bold ? 1.75 : 1.2), turned};
    int character;
    while ((character = next_character(&text)) != 0) {
        double advance = (font_width(character) + FONT_GAP) * scale;
        draw_character(&pen, character);
        if (turned)
            pen.y -= advance;
        else
            pen.x += advance;
    }
    canvas_paint(c, colour, 1);
}
