/* image_apng.c - animated PNG around frames that libpng has compressed; libpng itself knows nothing of animation.
 * Source: PNG specification, third edition, sections 11.3.6 (acTL, fcTL, fdAT) and 4.9:
 *     signature IHDR tEXt acTL fcTL(0) IDAT... { fcTL(n) fdAT(n + 1)... } IEND
 * An fdAT chunk is a frame's IDAT chunk with a number before its data; fcTL and fdAT chunks are numbered through. The first frame is also
 * the image that programs without animation show. Every frame covers the whole image: rejected was writing only what changed, since
 * between two steps of an interpolation every pixel does. */
#include "image.h"

#include <string.h>
#include <zlib.h>

static void put_number(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static uint32_t get_number(const char *from)
{
    const unsigned char *p = (const unsigned char *)from;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A chunk of `head` followed by `data`. */
static clio_status put_chunk(clio_context *ctx, struct animation *a, const char *type, const void *head, size_t head_size, const void *data,
                             size_t size)
{
    clio_status st = CLIO_OK;
    unsigned char start[8], end[4];
    uLong crc = crc32(0, (const Bytef *)type, 4);
    put_number(start, (uint32_t)(head_size + size));
    memcpy(start + 4, type, 4);
    if (head_size)
        crc = crc32(crc, head, (uInt)head_size);
    if (size)
        crc = crc32(crc, data, (uInt)size);
    put_number(end, (uint32_t)crc);
    TRY(file_out_write(ctx, &a->out, start, sizeof start));
    TRY(file_out_write(ctx, &a->out, head, head_size));
    TRY(file_out_write(ctx, &a->out, data, size));
    TRY(file_out_write(ctx, &a->out, end, sizeof end));
fail:
    return st;
}

/* How many frames there are, and that they go round without end. */
static clio_status put_animation_control(clio_context *ctx, struct animation *a)
{
    unsigned char control[8] = {0};
    put_number(control, (uint32_t)a->count);
    return put_chunk(ctx, a, "acTL", control, sizeof control, NULL, 0);
}

static clio_status put_frame_control(clio_context *ctx, struct animation *a)
{
    unsigned char control[26] = {0}; /* number, width, height, x, y, delay / unit, disposal and blending: none */
    put_number(control, a->sequence++);
    put_number(control + 4, (uint32_t)a->width);
    put_number(control + 8, (uint32_t)a->height);
    control[20] = (unsigned char)(a->milliseconds >> 8);
    control[21] = (unsigned char)a->milliseconds;
    control[22] = 1000 >> 8;
    control[23] = 1000 & 255;
    return put_chunk(ctx, a, "fcTL", control, sizeof control, NULL, 0);
}

clio_status animation_open(clio_context *ctx, struct animation *a, const char *path, int width, int height, int count, int milliseconds,
                           const struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    memset(a, 0, sizeof *a);
    if (count < 1)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an animation of %d frames cannot be: ask for at least 1", count);
    if (milliseconds < 1 || milliseconds > 65535)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an animation's frames cannot be shown for %d milliseconds each: from 1 to 65535", milliseconds);
    a->metadata = metadata;
    a->width = width;
    a->height = height;
    a->count = count;
    a->milliseconds = milliseconds;
    TRY(file_out_open(ctx, &a->out, path));
fail:
    return st;
}

clio_status animation_add(clio_context *ctx, struct animation *a, const struct image *frame)
{
    clio_status st = CLIO_OK;
    struct bytes file = {NULL, 0, 0};
    bool is_first = a->added == 0, in_data = false;
    size_t at = 8;
    if (frame->width != a->width || frame->height != a->height || a->added >= a->count)
        FAIL(ctx, CLIO_ERROR_INTERNAL,
             "frame %d of %d has %d x %d pixels in an animation of %d x %d; this is a defect of clio, please report it", a->added + 1,
             a->count, frame->width, frame->height, a->width, a->height);
    TRY(image_png_encode(ctx, &file, frame, is_first ? a->metadata : NULL));
    if (is_first)
        TRY(file_out_write(ctx, &a->out, file.data, at));
    while (at < file.size) {
        size_t size = get_number(file.data + at), whole = size + 12;
        const char *chunk = file.data + at, *type = chunk + 4, *data = chunk + 8;
        unsigned char sequence[4];
        bool is_data = !memcmp(type, "IDAT", 4);
        at += whole;
        if (is_data && !in_data) {
            in_data = true;
            if (is_first)
                TRY(put_animation_control(ctx, a));
            TRY(put_frame_control(ctx, a));
        }
        if (is_data && !is_first) {
            put_number(sequence, a->sequence++);
            TRY(put_chunk(ctx, a, "fdAT", sequence, sizeof sequence, data, size));
        } else if (is_first && memcmp(type, "IEND", 4) != 0)
            TRY(file_out_write(ctx, &a->out, chunk, whole));
    }
    a->added++;
fail:
    bytes_free(&file);
    return st;
}

clio_status animation_commit(clio_context *ctx, struct animation *a)
{
    clio_status st = CLIO_OK;
    if (a->added != a->count)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "an animation has %d frames of %d; this is a defect of clio, please report it", a->added, a->count);
    TRY(put_chunk(ctx, a, "IEND", NULL, 0, NULL, 0));
    TRY(file_out_commit(ctx, &a->out));
fail:
    animation_abandon(a);
    return st;
}

void animation_abandon(struct animation *a)
{
    file_out_abandon(&a->out);
    memset(a, 0, sizeof *a);
}
