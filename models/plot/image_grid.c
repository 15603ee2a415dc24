/* image_grid.c - see sheet.h. */
#include "image_grid.h"
#include "canvas.h"

#include <math.h>
#include <string.h>

#define WIDEST 1000
#define NARROWEST 600
#define WIDEST_AT_ALL 1200
#define LABEL_HEIGHT 32 /* pixels for a row's label */
#define LABEL_BELOW 12  /* of which are below the line that its letters stand on */

static const struct colour paper = {255, 255, 255}, ink = {70, 70, 70};

static int columns_of(const struct sheet *sheet)
{
    int columns = sheet->columns ? sheet->columns : (int)ceil(sqrt((double)sheet->count));
    return MAX(MIN(columns, sheet->count), 1);
}

int image_grid_rows(const struct sheet *sheet)
{
    int columns = columns_of(sheet);
    return sheet->count > 0 ? (sheet->count - 1) / columns + 1 : 0;
}

/* Between images and around them. */
static int gap_of(int factor)
{
    return MIN(MAX(factor, 2), 4);
}

static int64_t image_grid_width(const struct sheet *sheet, int factor)
{
    return (int64_t)columns_of(sheet) * ((int64_t)sheet->width * factor + gap_of(factor)) + gap_of(factor);
}

static int factor_of(const struct sheet *sheet)
{
    int factor = 1;
    if (sheet->enlarge)
        return sheet->enlarge;
    while (image_grid_width(sheet, factor + 1) <= WIDEST)
        factor++;
    return image_grid_width(sheet, factor) < NARROWEST && image_grid_width(sheet, factor + 1) <= WIDEST_AT_ALL ? factor + 1 : factor;
}

static unsigned char level(const struct sheet *sheet, float value)
{
    double x = ((double)value - (double)sheet->low) / ((double)sheet->high - (double)sheet->low);
    return x >= 0 ? (unsigned char)lrint(MIN(x, 1.0) * 255) : 0; /* half to even, as image_from_floats; NaN is not >= 0 */
}

/* Image `index` with its upper left corner at (x0, y0). */
static void place(const struct sheet *sheet, struct image *image, int index, int x0, int y0, int factor)
{
    const float *from = sheet->pixels + (size_t)index * (size_t)sheet->height * (size_t)sheet->width * (size_t)sheet->channels;
    size_t row = (size_t)image->width * 3, length = (size_t)sheet->width * (size_t)factor * 3;
    for (int y = 0; y < sheet->height; y++) {
        unsigned char *first = image->rgb + ((size_t)y0 + (size_t)y * (size_t)factor) * row + (size_t)x0 * 3, *to = first;
        for (int x = 0; x < sheet->width; x++, from += sheet->channels) {
            unsigned char rgb[3];
            for (int c = 0; c < 3; c++)
                rgb[c] = level(sheet, from[sheet->channels == 3 ? c : 0]);
            for (int i = 0; i < factor; i++, to += 3)
                memcpy(to, rgb, 3);
        }
        for (int i = 1; i < factor; i++)
            memcpy(first + (size_t)i * row, first, length);
    }
}

clio_status image_grid_draw(clio_context *ctx, struct image *out, const struct sheet *sheet)
{
    clio_status st = CLIO_OK;
    struct canvas canvas;
    int columns, factor, gap, rows;
    int64_t step_x, step_y;
    memset(&canvas, 0, sizeof canvas);
    memset(out, 0, sizeof *out);
    if (sheet->count < 1 || sheet->width < 1 || sheet->height < 1 || (sheet->channels != 1 && sheet->channels != 3) || sheet->columns < 0 ||
        sheet->enlarge < 0 || sheet->enlarge > 1024 || sheet->width > IMAGE_SIDE_MAX || sheet->height > IMAGE_SIDE_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "a sheet of %d images of %d x %d pixels and %d channels in %d columns, enlarged %d times, cannot be drawn: at least one "
             "image and pixel are needed, 1 or 3 channels, and a factor up to 1024",
             sheet->count, sheet->width, sheet->height, sheet->channels, sheet->columns, sheet->enlarge);
    if (!(sheet->low < sheet->high))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a sheet of images cannot be drawn with black at %g and white at %g: white must be the larger",
             (double)sheet->low, (double)sheet->high);
    columns = columns_of(sheet);
    factor = factor_of(sheet);
    gap = gap_of(factor);
    rows = image_grid_rows(sheet);
    step_x = (int64_t)sheet->width * factor + gap;
    step_y = (int64_t)sheet->height * factor + gap + (sheet->labels ? LABEL_HEIGHT - gap : 0);
    TRY(canvas_new(ctx, &canvas, "the sheet of images", columns * step_x + gap, rows * step_y + gap, paper));
    for (int i = 0; i < sheet->count; i++)
        place(sheet, &canvas.image, i, (int)(gap + i % columns * step_x), (int)(gap + i / columns * step_y), factor);
    for (int i = 0; sheet->labels && i < rows; i++)
        if (sheet->labels[i])
            canvas_text(&canvas, gap + 2, (double)((i + 1) * step_y - LABEL_BELOW), sheet->labels[i], 1, false, false, ink);
    *out = canvas.image;
    canvas.image.rgb = NULL;
fail:
    canvas_free(&canvas);
    return st;
}
