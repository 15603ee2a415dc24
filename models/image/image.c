/* image.c - images in memory: allocation. */
#include "image.h"

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

bool image_may_hold(size_t bytes, uint64_t width, uint64_t height)
{
    return width <= IMAGE_SIDE_MAX && height <= IMAGE_SIDE_MAX && width * height <= IMAGE_PIXELS_MAX &&
           (width * height <= IMAGE_PIXELS_FREE || width * height / IMAGE_PIXELS_PER_BYTE <= bytes);
}

clio_status image_new_from(clio_context *ctx, struct image *image, const char *path, size_t bytes, int64_t width, int64_t height)
{
    clio_status st = CLIO_OK;
    memset(image, 0, sizeof *image);
    if (width > 0 && height > 0 && width <= IMAGE_SIDE_MAX && height <= IMAGE_SIDE_MAX &&
        (uint64_t)width * (uint64_t)height <= IMAGE_PIXELS_MAX && !image_may_hold(bytes, (uint64_t)width, (uint64_t)height))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has %lld x %lld pixels in %zu bytes, an almost empty image: make it smaller, at most %zu million pixels", path,
             (long long)width, (long long)height, bytes, IMAGE_PIXELS_FREE / 1000000);
    TRY(image_new(ctx, image, path, width, height));
fail:
    return st;
}

void image_free(struct image *image)
{
    free(image->rgb);
    memset(image, 0, sizeof *image);
}
