/* image.c - images in memory: made, turned as their EXIF orientation says, and changed into a network's numbers and back.
 * Source of the numbers: diffusers' VaeImageProcessor (pil_to_numpy, normalize, denormalize, numpy_to_pil, binarize) and Pillow's L
 * conversion, (19595 R + 38470 G + 7471 B + 32768) / 65536. */
#include "image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

clio_status image_new(clio_context *ctx, struct image *image, const char *what, int64_t width, int64_t height)
{
    clio_status st = CLIO_OK;
    memset(image, 0, sizeof *image);
    if (width < 1 || height < 1)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s would be %lld x %lld pixels: both must be at least 1", what, (long long)width,
             (long long)height);
    if (width > IMAGE_SIDE_MAX || height > IMAGE_SIDE_MAX || (uint64_t)width * (uint64_t)height > IMAGE_PIXELS_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has %lld x %lld pixels, and clio takes at most %d on a side and %zu million in all: make it smaller", what,
             (long long)width, (long long)height, IMAGE_SIDE_MAX, IMAGE_PIXELS_MAX / 1000000);
    TRY(mem_alloc(ctx, &image->rgb, (size_t)width * (size_t)height, 3));
    image->width = (int)width;
    image->height = (int)height;
fail:
    return st;
}

void image_free(struct image *image)
{
    free(image->rgb);
    memset(image, 0, sizeof *image);
}

/* ---- reading ---- */

static unsigned number(const unsigned char *p, int size, bool big)
{
    unsigned value = 0;
    for (int i = 0; i < size; i++)
        value |= (unsigned)p[i] << 8 * (big ? size - 1 - i : i);
    return value;
}

int image_exif_orientation(const unsigned char *tiff, size_t size)
{
    bool big;
    size_t at, count;
    if (size < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0))
        return 1;
    big = tiff[0] == 'M';
    at = number(tiff + 4, 4, big);
    if (at > size - 2)
        return 1;
    count = number(tiff + at, 2, big);
    at += 2;
    for (size_t i = 0; i < count && size - at >= 12; i++, at += 12) { /* tag, type, count, value */
        unsigned type = number(tiff + at + 2, 2, big);
        if (number(tiff + at, 2, big) == 0x0112 && (type == 3 || type == 4)) {
            unsigned value = number(tiff + at + 8, type == 3 ? 2 : 4, big);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

/* Turn and mirror the image as it is to be seen. Orientations from 5 on exchange rows and columns. */
static clio_status turn(clio_context *ctx, struct image *image, int orientation)
{
    clio_status st = CLIO_OK;
    struct image turned = {0, 0, NULL, false};
    int width = image->width, height = image->height;
    bool exchange = orientation >= 5, from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    if (orientation < 2 || orientation > 8)
        return CLIO_OK;
    TRY(image_new(ctx, &turned, "the image", exchange ? height : width, exchange ? width : height));
    for (int y = 0; y < turned.height; y++)
        for (int x = 0; x < turned.width; x++) {
            int column = exchange ? y : x, row = exchange ? x : y;
            column = from_right ? width - 1 - column : column;
            row = from_below ? height - 1 - row : row;
            memcpy(turned.rgb + ((size_t)y * (size_t)turned.width + (size_t)x) * 3,
                   image->rgb + ((size_t)row * (size_t)width + (size_t)column) * 3, 3);
        }
    turned.has_alpha = image->has_alpha;
    free(image->rgb);
    *image = turned;
fail:
    return st;
}

/* What a file that is neither PNG nor JPEG is, as far as its first bytes tell. */
static const char *kind_of(const struct file_map *map)
{
    static const struct {
        const char *bytes;
        size_t at, size;
        const char *name;
    } kinds[] = {{"GIF8", 0, 4, "a GIF"},   {"BM", 0, 2, "a BMP"},         {"WEBP", 8, 4, "a WebP"},     {"II*\0", 0, 4, "a TIFF"},
                 {"MM\0*", 0, 4, "a TIFF"}, {"ftypavif", 4, 8, "an AVIF"}, {"ftypheic", 4, 8, "a HEIC"}, {"%PDF", 0, 4, "a PDF"}};
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (map->size >= kinds[i].at + kinds[i].size && !memcmp(map->data + kinds[i].at, kinds[i].bytes, kinds[i].size))
            return kinds[i].name;
    return NULL;
}

static bool is_png(const struct file_map *map)
{
    return map->size >= 8 && !memcmp(map->data, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_jpeg(const struct file_map *map)
{
    return map->size >= 3 && !memcmp(map->data, "\xff\xd8\xff", 3);
}

static clio_status fail_kind(clio_context *ctx, const char *path, const struct file_map *map)
{
    clio_status st = CLIO_OK;
    const char *kind = kind_of(map);
    if (kind)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is %s file, and clio reads PNG and JPEG: convert it", path, kind);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s is no image that clio reads: name a PNG or JPEG file", path);
fail:
    return st;
}

clio_status image_read(clio_context *ctx, struct image *image, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_map map;
    int orientation = 1;
    memset(image, 0, sizeof *image);
    TRY(file_map(ctx, &map, path));
    if (is_png(&map))
        TRY(image_png_read(ctx, image, NULL, &orientation, path, &map));
    else if (is_jpeg(&map))
        TRY(image_jpeg_read(ctx, image, &orientation, path, &map));
    else
        TRY(fail_kind(ctx, path, &map));
    TRY(turn(ctx, image, orientation));
fail:
    if (st)
        image_free(image);
    file_unmap(&map);
    return st;
}

clio_status image_texts_read(clio_context *ctx, struct image_texts *texts, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_map map;
    struct image image = {0, 0, NULL, false};
    int orientation;
    memset(texts, 0, sizeof *texts);
    TRY(file_map(ctx, &map, path));
    if (is_jpeg(&map))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a JPEG file, and clio keeps its notes in PNG files alone: name the PNG it was made from",
             path);
    if (!is_png(&map))
        TRY(fail_kind(ctx, path, &map));
    TRY(image_png_read(ctx, &image, texts, &orientation, path, &map));
fail:
    if (st)
        image_texts_free(texts);
    image_free(&image);
    file_unmap(&map);
    return st;
}

/* ---- numbers ---- */

void image_to_floats(const struct image *image, float *out)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            out[c * pixels + i] = 2.0f * ((float)image->rgb[3 * i + c] / 255.0f) - 1.0f;
}

clio_status image_from_floats(clio_context *ctx, struct image *image, const float *chw, int width, int height)
{
    clio_status st = CLIO_OK;
    size_t pixels;
    TRY(image_new(ctx, image, "the image", width, height));
    pixels = (size_t)width * (size_t)height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) {
            float x = chw[c * pixels + i] * 0.5f + 0.5f;
            x = x > 0 ? MIN(x, 1.0f) : 0; /* NaN is not above 0 */
            image->rgb[3 * i + c] = (unsigned char)rintf(x * 255.0f);
        }
fail:
    return st;
}

void image_to_mask(const struct image *image, float *out)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++) {
        const unsigned char *p = image->rgb + 3 * i;
        unsigned grey = (19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16;
        out[i] = grey >= 128 ? 1.0f : 0.0f; /* grey / 255 >= 0.5 */
    }
}

void image_mask_shrink(const float *mask, int width, int height, int factor, float *out)
{
    for (int y = 0; y < height / factor; y++)
        for (int x = 0; x < width / factor; x++)
            out[(size_t)y * (size_t)(width / factor) + (size_t)x] = mask[(size_t)(y * factor) * (size_t)width + (size_t)(x * factor)];
}
