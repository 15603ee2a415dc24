/* image_read.c - read an image file of any format: recognised by its content, EXIF orientation applied. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

/* Apply an EXIF orientation. Those from 5 on exchange rows and columns. */
static clio_status apply_orientation(clio_context *ctx, struct image *image, int orientation)
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

/* What a file that clio does not read is, as far as its first bytes tell. */
static const char *other_format(const struct file_content *map)
{
    static const struct {
        const char *bytes;
        size_t at, size;
        const char *name;
    } others[] = {{"GIF8", 0, 4, "a GIF"},       {"BM", 0, 2, "a BMP"},        {"II*\0", 0, 4, "a TIFF"}, {"MM\0*", 0, 4, "a TIFF"},
                  {"ftypavif", 4, 8, "an AVIF"}, {"ftypheic", 4, 8, "a HEIC"}, {"%PDF", 0, 4, "a PDF"}};
    for (size_t i = 0; i < COUNT(others); i++)
        if (map->size >= others[i].at + others[i].size && !memcmp(map->data + others[i].at, others[i].bytes, others[i].size))
            return others[i].name;
    return NULL;
}

static clio_status fail_format(clio_context *ctx, const char *path, const struct file_content *map)
{
    clio_status st = CLIO_OK;
    const char *name = other_format(map);
    if (name)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is %s file, and clio reads PNG, JPEG and WebP: convert it", path, name);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not an image file that clio reads: use PNG, JPEG or WebP", path);
fail:
    return st;
}

/* metadata may be NULL. */
static clio_status read_any(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_content map;
    memset(image, 0, sizeof *image);
    *orientation = 1;
    TRY(file_load(ctx, &map, path));
    if (image_is_png(&map))
        TRY(image_png_read(ctx, image, metadata, orientation, path, &map));
    else if (image_is_jpeg(&map))
        TRY(image_jpeg_read(ctx, image, metadata, orientation, path, &map));
    else if (image_is_webp(&map))
        TRY(image_webp_read(ctx, image, metadata, orientation, path, &map));
    else
        TRY(fail_format(ctx, path, &map));
fail:
    if (st)
        image_free(image);
    file_unload(&map);
    return st;
}

clio_status image_read(clio_context *ctx, struct image *image, const char *path)
{
    clio_status st = CLIO_OK;
    int orientation;
    TRY(read_any(ctx, image, NULL, &orientation, path));
    TRY(apply_orientation(ctx, image, orientation));
fail:
    if (st)
        image_free(image);
    return st;
}

clio_status image_metadata_read(clio_context *ctx, struct metadata *metadata, const char *path)
{
    clio_status st = CLIO_OK;
    struct image image;
    int orientation;
    memset(metadata, 0, sizeof *metadata);
    TRY(read_any(ctx, &image, metadata, &orientation, path));
fail:
    if (st)
        metadata_free(metadata);
    image_free(&image);
    return st;
}
