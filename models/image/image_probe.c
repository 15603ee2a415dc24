/* image_probe.c - the size of an image file, and whether it is complete, without decoding it: a folder of many thousands is checked
 * before training begins, since an image that turns out to be broken hours later is found too late. PNG: chunks from IHDR to IEND, each
 * with its checksum (PNG specification, 5.3). JPEG: markers up to the first scan, and an end marker behind it (ITU T.81, B.1; within coded
 * data FF D9 means nothing else). WebP: the chunks of the container, which have no checksums. Whatever is unusual or wrong is passed to
 * image_read, which decodes it and has the error messages. */
#include "image_probe.h"
#include "image.h"

#include <string.h>
#include <zlib.h>

static uint32_t big32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_usual(const struct file_content *map, uint32_t width, uint32_t height)
{
    return width && height && image_may_hold(map->size, width, height);
}

static bool png_is_whole(const struct file_content *map, int *width, int *height)
{
    size_t at = 8;
    bool has_pixels = false;
    if (map->size < 8 + 25 || memcmp(map->data, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16) != 0)
        return false;
    if (!is_usual(map, big32(map->data + 16), big32(map->data + 20)))
        return false;
    *width = (int)big32(map->data + 16);
    *height = (int)big32(map->data + 20);
    while (map->size - at >= 12) { /* length, type, data, checksum */
        const unsigned char *chunk = map->data + at;
        size_t length = big32(chunk);
        if (length > map->size - at - 12 || big32(chunk + 8 + length) != crc32(0, chunk + 4, (uInt)(length + 4)))
            return false;
        if (!memcmp(chunk + 4, "eXIf", 4)) /* it may have an orientation */
            return false;
        if (!memcmp(chunk + 4, "IEND", 4))
            return has_pixels;
        has_pixels = has_pixels || !memcmp(chunk + 4, "IDAT", 4);
        at += length + 12;
    }
    return false;
}

/* Markers that tell the size: SOF0 to SOF15, but for DHT, JPG and DAC between them. */
static bool is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool has_end(const unsigned char *data, size_t size)
{
    for (size_t i = size; i >= 2; i--)
        if (data[i - 2] == 0xff && data[i - 1] == 0xd9)
            return true;
    return false;
}

static bool jpeg_is_whole(const struct file_content *map, int *width, int *height)
{
    const unsigned char *data = map->data;
    size_t at = 2;
    int orientation = 0, kept; /* 0: not known yet */
    *width = *height = 0;
    if (map->size < 4 || data[0] != 0xff || data[1] != 0xd8)
        return false;
    while (map->size - at >= 4 && data[at] == 0xff) {
        unsigned marker = data[at + 1];
        size_t length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9) || length < 2 ||
            length + 2 > map->size - at) /* fill bytes, RSTn, SOI, EOI */
            return false;
        if (marker == 0xda) {
            if (!*width || !has_end(data + at, map->size - at))
                return false;
            kept = *width;
            *width = orientation >= 5 ? *height : *width;
            *height = orientation >= 5 ? kept : *height;
            return true;
        }
        if (marker == 0xe1 && length > 8 && !memcmp(data + at + 4, "Exif\0\0", 6) && !orientation)
            orientation = image_exif_orientation(data + at + 10, length - 8);
        if (is_frame(marker)) {
            if (length < 8 || !is_usual(map, (uint32_t)data[at + 7] << 8 | data[at + 8], (uint32_t)data[at + 5] << 8 | data[at + 6]))
                return false;
            *height = data[at + 5] << 8 | data[at + 6];
            *width = data[at + 7] << 8 | data[at + 8];
        }
        at += length + 2;
    }
    return false;
}

clio_status image_probe(clio_context *ctx, const char *path, int *width, int *height)
{
    clio_status st = CLIO_OK;
    struct file_content map = {NULL, 0};
    struct image image = {0, 0, NULL, false};
    TRY(file_load(ctx, &map, path));
    if (!png_is_whole(&map, width, height) && !jpeg_is_whole(&map, width, height) && !image_webp_probe(&map, width, height)) {
        TRY(image_read(ctx, &image, path));
        *width = image.width;
        *height = image.height;
    }
fail:
    image_free(&image);
    file_unload(&map);
    return st;
}
