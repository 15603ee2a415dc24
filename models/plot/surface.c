/* surface.c - see surface.h. */
#include "surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define FONT "DejaVu Sans"
#define TEXT_MAX 512 /* bytes of one line of text, with the zero */
#define HALO 3.0     /* pixels */

clio_status surface_new(clio_context *ctx, struct surface *s, const char *what, int64_t width, int64_t height, struct colour background)
{
    clio_status st = CLIO_OK;
    struct image limits;
    cairo_font_options_t *options = NULL;
    memset(s, 0, sizeof *s);
    TRY(image_new(ctx, &limits, what, width, height));
    image_free(&limits);
    s->width = (int)width;
    s->height = (int)height;
    s->pixels = cairo_image_surface_create(CAIRO_FORMAT_RGB24, s->width, s->height);
    s->cr = cairo_create(s->pixels);
    options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY); /* the same on every system */
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_ON);
    cairo_set_font_options(s->cr, options);
    cairo_font_options_destroy(options);
    cairo_set_line_join(s->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(s->cr, CAIRO_LINE_CAP_ROUND);
    surface_box(s, 0, 0, s->width, s->height, background);
    if (cairo_status(s->cr))
        FAIL(ctx, CLIO_ERROR_MEMORY, "%s of %d x %d pixels cannot be drawn: %s", what, s->width, s->height,
             cairo_status_to_string(cairo_status(s->cr)));
    return CLIO_OK;
fail:
    surface_free(s);
    return st;
}

void surface_free(struct surface *s)
{
    if (s->cr)
        cairo_destroy(s->cr);
    if (s->pixels)
        cairo_surface_destroy(s->pixels);
    memset(s, 0, sizeof *s);
}

clio_status surface_to_image(clio_context *ctx, const struct surface *s, struct image *out)
{
    clio_status st = CLIO_OK;
    memset(out, 0, sizeof *out);
    if (cairo_status(s->cr))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "an image could not be drawn (cairo: %s); this is a defect of clio, please report it",
             cairo_status_to_string(cairo_status(s->cr)));
    TRY(image_new(ctx, out, "the drawing", s->width, s->height));
    cairo_surface_flush(s->pixels);
    for (int y = 0; y < s->height; y++) {
        const unsigned char *row = cairo_image_surface_get_data(s->pixels) + (size_t)y * (size_t)cairo_image_surface_get_stride(s->pixels);
        for (int x = 0; x < s->width; x++) {
            unsigned char *to = out->rgb + 3 * ((size_t)y * (size_t)s->width + (size_t)x);
            uint32_t pixel; /* 0x00RRGGBB in the host's byte order */
            memcpy(&pixel, row + 4 * (size_t)x, sizeof pixel);
            to[0] = (unsigned char)(pixel >> 16);
            to[1] = (unsigned char)(pixel >> 8);
            to[2] = (unsigned char)pixel;
        }
    }
fail:
    return st;
}

void surface_colour(const struct surface *s, struct colour colour, double alpha)
{
    cairo_set_source_rgba(s->cr, colour.r / 255.0, colour.g / 255.0, colour.b / 255.0, alpha);
}

void surface_box(const struct surface *s, double x0, double y0, double x1, double y1, struct colour colour)
{
    surface_colour(s, colour, 1);
    cairo_rectangle(s->cr, x0, y0, x1 - x0, y1 - y0);
    cairo_fill(s->cr);
}

/* ---- text ---- */

/* One line of valid UTF-8, since cairo takes no other; what is longer than `out` is cut. */
static void clean(char out[TEXT_MAX], const char *text)
{
    size_t n = 0;
    while (*text) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &c);
        bool is_shown = size > 0 && c >= 0x20 && c != 0x7f;
        size_t length = size > 0 ? (size_t)size : 1;
        if (n + length >= TEXT_MAX)
            break;
        if (is_shown)
            memcpy(out + n, text, length);
        else
            out[n] = size > 0 ? ' ' : '?';
        n += is_shown ? length : 1;
        text += length;
    }
    out[n] = 0;
}

static double width_of(const struct surface *s, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(s->cr, text, &extents);
    return extents.x_advance;
}

/* Cut whole characters from the end until the text and three dots are at most `most` pixels long. */
static void shorten(const struct surface *s, char text[TEXT_MAX], double most)
{
    size_t n = strlen(text);
    if (!(most > 0) || width_of(s, text) <= most)
        return;
    n = MIN(n, (size_t)TEXT_MAX - 4);
    do {
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
        memcpy(text + n, "...", 4);
        if (n == 0)
            return;
        n--;
    } while (width_of(s, text) > most);
}

/* Select the font and leave in `out` what will be drawn. */
static void prepare(const struct surface *s, char out[TEXT_MAX], const struct surface_text *t)
{
    cairo_select_font_face(s->cr, FONT, CAIRO_FONT_SLANT_NORMAL, t->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(s->cr, t->size);
    clean(out, t->text);
    shorten(s, out, t->most);
}

double surface_text_width(const struct surface *s, const struct surface_text *t)
{
    char text[TEXT_MAX] = "";
    prepare(s, text, t);
    return width_of(s, text);
}

void surface_write(const struct surface *s, double x, double y, const struct surface_text *t)
{
    static const struct colour white = {255, 255, 255};
    char text[TEXT_MAX] = "";
    prepare(s, text, t);
    cairo_save(s->cr);
    cairo_translate(s->cr, floor(x + 0.5), floor(y + 0.5)); /* whole pixels: sharper, and the same glyphs everywhere */
    if (t->upwards)
        cairo_rotate(s->cr, -acos(0));
    cairo_move_to(s->cr, floor(-t->align * width_of(s, text) + 0.5), 0);
    if (t->halo) {
        surface_colour(s, white, 0.85);
        cairo_set_line_width(s->cr, 2 * HALO);
        cairo_text_path(s->cr, text);
        cairo_stroke(s->cr);
        cairo_move_to(s->cr, floor(-t->align * width_of(s, text) + 0.5), 0);
    }
    surface_colour(s, t->ink, 1);
    cairo_show_text(s->cr, text);
    cairo_restore(s->cr);
}
