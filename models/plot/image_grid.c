/* image_grid.c - see image_grid.h. */
#include "image_grid.h"
#include "surface.h"

#include <math.h>
#include <string.h>

#define WIDEST 1000
#define NARROWEST 600
#define WIDEST_AT_ALL 1200
#define CAPTION_HEIGHT 24 /* pixels below each image */
#define CAPTION_BELOW 9   /* of which are below the baseline */
#define CAPTION_SIZE 12

static const struct colour white = {255, 255, 255}, ink = {60, 60, 60};

static int columns_of(const struct image_grid *grid)
{
    int columns = grid->columns ? grid->columns : (int)ceil(sqrt((double)grid->count));
    return MAX(MIN(columns, grid->count), 1);
}

int image_grid_rows(const struct image_grid *grid)
{
    int columns = columns_of(grid);
    return grid->count > 0 ? (grid->count - 1) / columns + 1 : 0;
}

/* Between images and around them. */
static int gap_of(int factor)
{
    return MIN(MAX(factor, 2), 4);
}

static int64_t grid_width(const struct image_grid *grid, int factor)
{
    return (int64_t)columns_of(grid) * ((int64_t)grid->width * factor + gap_of(factor)) + gap_of(factor);
}

static int factor_of(const struct image_grid *grid)
{
    int factor = 1;
    if (grid->enlarge)
        return grid->enlarge;
    while (grid_width(grid, factor + 1) <= WIDEST)
        factor++;
    return grid_width(grid, factor) < NARROWEST && grid_width(grid, factor + 1) <= WIDEST_AT_ALL ? factor + 1 : factor;
}

static unsigned char level(const struct image_grid *grid, float value)
{
    double x = ((double)value - (double)grid->low) / ((double)grid->high - (double)grid->low);
    return x >= 0 ? (unsigned char)lrint(MIN(x, 1.0) * 255) : 0; /* half to even, as image_from_floats; NaN is not >= 0 */
}

/* Image `index` with its upper left corner at (x0, y0). */
static void place(const struct image_grid *grid, struct image *image, int index, int x0, int y0, int factor)
{
    const float *from = grid->pixels + (size_t)index * (size_t)grid->height * (size_t)grid->width * (size_t)grid->channels;
    size_t row = (size_t)image->width * 3, length = (size_t)grid->width * (size_t)factor * 3;
    for (int y = 0; y < grid->height; y++) {
        unsigned char *first = image->rgb + ((size_t)y0 + (size_t)y * (size_t)factor) * row + (size_t)x0 * 3, *to = first;
        for (int x = 0; x < grid->width; x++, from += grid->channels) {
            unsigned char rgb[3];
            for (int c = 0; c < 3; c++)
                rgb[c] = level(grid, from[grid->channels == 3 ? c : 0]);
            for (int i = 0; i < factor; i++, to += 3)
                memcpy(to, rgb, 3);
        }
        for (int i = 1; i < factor; i++)
            memcpy(first + (size_t)i * row, first, length);
    }
}

/* Captions of one row of images, drawn on a strip that is copied to the row `y` of the grid. */
static clio_status write_captions(clio_context *ctx, const struct image_grid *grid, struct image *image, int first, int64_t y, int factor)
{
    clio_status st = CLIO_OK;
    struct surface strip = {0};
    struct image drawn = {0, 0, NULL, false};
    int gap = gap_of(factor), side = grid->width * factor;
    TRY(surface_new(ctx, &strip, "the captions of an image grid", image->width, CAPTION_HEIGHT, white));
    for (int i = 0; i < columns_of(grid) && first + i < grid->count; i++) {
        struct surface_text text = {.text = grid->captions[first + i], .size = CAPTION_SIZE, .align = 0.5, .most = side, .ink = ink};
        if (text.text)
            surface_write(&strip, gap + i * (side + gap) + side / 2.0, CAPTION_HEIGHT - CAPTION_BELOW, &text);
    }
    TRY(surface_to_image(ctx, &strip, &drawn));
    memcpy(image->rgb + (size_t)y * (size_t)image->width * 3, drawn.rgb, (size_t)drawn.width * (size_t)drawn.height * 3);
fail:
    image_free(&drawn);
    surface_free(&strip);
    return st;
}

static clio_status check(clio_context *ctx, const struct image_grid *grid)
{
    clio_status st = CLIO_OK;
    if (grid->count < 1 || grid->width < 1 || grid->height < 1 || (grid->channels != 1 && grid->channels != 3) || grid->columns < 0 ||
        grid->enlarge < 0 || grid->enlarge > 1024 || grid->width > IMAGE_SIDE_MAX || grid->height > IMAGE_SIDE_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "a grid of %d images of %d x %d pixels and %d channels in %d columns, enlarged %d times, cannot be drawn: at least one image "
             "and "
             "pixel are needed, 1 or 3 channels, and a factor up to 1024",
             grid->count, grid->width, grid->height, grid->channels, grid->columns, grid->enlarge);
    if (!(grid->low < grid->high))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an image grid cannot be drawn with black at %g and white at %g: white must be the larger",
             (double)grid->low, (double)grid->high);
fail:
    return st;
}

clio_status image_grid_draw(clio_context *ctx, struct image *out, const struct image_grid *grid)
{
    clio_status st = CLIO_OK;
    int columns = 1, factor, gap, rows;
    int64_t step_x, step_y, size;
    memset(out, 0, sizeof *out);
    TRY(check(ctx, grid));
    columns = columns_of(grid);
    factor = factor_of(grid);
    gap = gap_of(factor);
    rows = image_grid_rows(grid);
    size = (int64_t)grid->height * factor;
    step_x = (int64_t)grid->width * factor + gap;
    step_y = size + (grid->captions ? CAPTION_HEIGHT : gap);
    TRY(image_new(ctx, out, "the image grid", columns * step_x + gap, rows * step_y + gap));
    memset(out->rgb, 255, (size_t)out->width * (size_t)out->height * 3);
    for (int i = 0; i < grid->count; i++)
        place(grid, out, i, (int)(gap + i % columns * step_x), (int)(gap + i / columns * step_y), factor);
    for (int i = 0; grid->captions && i < rows; i++)
        TRY(write_captions(ctx, grid, out, i * columns, gap + i * step_y + size, factor));
fail:
    if (st)
        image_free(out);
    return st;
}
