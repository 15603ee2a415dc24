/* image_png.c - reading PNG with libpng, of every colour type, depth and interlacing, and the text chunks of one.
 *
 * libpng leaves by longjmp: only on_error jumps, only `guarded` catches, and what is to be freed lies in struct reader, so that no local
 * variable is needed after the jump. Limits: the image's size is checked before memory is allocated; libpng may hold LARGEST_MEMORY bytes
 * in all, of which a chunk has LARGEST_CHUNK at most and there are MOST_CHUNKS of texts. Texts beyond that are ignored, and so are all of
 * them where nobody asked for the metadata: a few bytes of a zTXt chunk unpack to a thousand times as many. */
#include "image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_CHUNK 8000000
#define MOST_CHUNKS 1000
#define LARGEST_MEMORY ((size_t)20 << 20)
#define MEMORY_OF_ROWS ((size_t)2 << 20) /* and this for a few rows of IMAGE_SIDE_MAX pixels, once their turn comes */
#define ALIGNMENT 16

struct reader {
    clio_context *ctx;
    const char *path;
    const struct file_content *map;
    size_t at;
    size_t memory, most_memory; /* bytes that libpng holds, and may hold */
    png_structp png;
    png_infop info;
    bool is_cut;       /* the file ended too early */
    bool no_memory;    /* the host had none: what libpng left out is not the file's fault */
    char message[128]; /* libpng's */
};

static void on_error(png_structp png, png_const_charp message)
{
    struct reader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message; /* about ancillary chunks, which are then ignored */
}

/* Memory of libpng, counted; each block has its size before it. Without memory for a text libpng goes on without it; from then on it need
 * not even unpack the next ones. */
static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    struct reader *r = png_get_mem_ptr(png);
    unsigned char *block = NULL;
    if (size <= r->most_memory && r->memory <= r->most_memory - size)
        block = malloc(ALIGNMENT + size);
    else if (r->png)
        png_set_chunk_cache_max(png, 1); /* no more texts */
    r->no_memory = r->no_memory || (!block && size <= r->most_memory && r->memory <= r->most_memory - size);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    r->memory += size;
    return block + ALIGNMENT;
}

static void on_free(png_structp png, png_voidp memory)
{
    struct reader *r = png_get_mem_ptr(png);
    unsigned char *block = (unsigned char *)memory - ALIGNMENT;
    png_alloc_size_t size;
    memcpy(&size, block, sizeof size);
    r->memory -= size;
    free(block);
}

static void on_read(png_structp png, png_bytep to, size_t size)
{
    struct reader *r = png_get_io_ptr(png);
    if (size > r->map->size - r->at) {
        r->is_cut = true;
        png_error(png, "unexpected end");
    }
    memcpy(to, r->map->data + r->at, size);
    r->at += size;
}

static void read_header(struct reader *r, bool with_texts)
{
    png_set_read_fn(r->png, r, on_read);
    png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff); /* image_new says no, with a sentence */
    png_set_chunk_malloc_max(r->png, LARGEST_CHUNK);
    png_set_chunk_cache_max(r->png, with_texts ? MOST_CHUNKS : 1);
    png_read_info(r->png, r->info);
}

/* From here on libpng gives 8-bit RGB. */
static void ask_for_rgb(struct reader *r)
{
    png_set_expand(r->png); /* palettes, depths below 8, tRNS */
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    png_set_gray_to_rgb(r->png);
}

static void read_pixels(struct reader *r, struct image *image)
{
    int passes = png_set_interlace_handling(r->png);
    size_t row_size = (size_t)image->width * 3;
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != row_size)
        png_error(r->png, "rows of an unexpected size");
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < (size_t)image->height; y++)
            png_read_row(r->png, image->rgb + y * row_size, NULL);
}

enum step { STEP_HEADER, STEP_HEADER_AND_TEXTS, STEP_PIXELS, STEP_END };

static clio_status fail_reading(const struct reader *r)
{
    clio_status st = CLIO_OK;
    if (r->is_cut)
        FAIL(r->ctx, CLIO_ERROR_FORMAT, "%s is cut short: download or copy it again", r->path);
    FAIL(r->ctx, CLIO_ERROR_FORMAT, "%s is a broken PNG file (%s): download or copy it again", r->path, r->message);
fail:
    return st;
}

static clio_status guarded(struct reader *r, enum step step, struct image *image)
{
    if (setjmp(png_jmpbuf(r->png)))
        return fail_reading(r);
    if (step == STEP_HEADER || step == STEP_HEADER_AND_TEXTS)
        read_header(r, step == STEP_HEADER_AND_TEXTS);
    else if (step == STEP_PIXELS) {
        ask_for_rgb(r);
        read_pixels(r, image);
    } else
        png_read_end(r->png, r->info);
    return CLIO_OK;
}

static clio_status keep_metadata(struct reader *r, struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    png_textp list = NULL;
    int count = 0;
    char *key = NULL, *text = NULL;
    png_get_text(r->png, r->info, &list, &count);
    for (int i = 0; i < count; i++) {
        const char *stored = list[i].text ? list[i].text : "";
        bool is_utf8 = list[i].compression >= PNG_ITXT_COMPRESSION_NONE && text_is_utf8(stored);
        TRY(text_from_latin1(r->ctx, &key, list[i].key));
        TRY(is_utf8 ? mem_string(r->ctx, &text, stored) : text_from_latin1(r->ctx, &text, stored));
        TRY(metadata_add(r->ctx, metadata, key, text));
        free(key);
        free(text);
        key = text = NULL;
    }
fail:
    free(key);
    free(text);
    return st;
}

static void keep_orientation(struct reader *r, int *orientation)
{
    png_uint_32 size = 0;
    png_bytep exif = NULL;
    if (png_get_eXIf_1(r->png, r->info, &size, &exif) && exif)
        *orientation = image_exif_orientation(exif, size);
}

bool image_is_png(const struct file_content *map)
{
    return map->size >= 8 && !memcmp(map->data, "\x89PNG\r\n\x1a\n", 8);
}

clio_status image_png_read(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path,
                           const struct file_content *map)
{
    clio_status st = CLIO_OK;
    struct reader r = {.ctx = ctx, .path = path, .map = map, .most_memory = LARGEST_MEMORY};
    *orientation = 1;
    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning, &r, on_alloc, on_free);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for reading %s; close other programs", path);
    TRY(guarded(&r, metadata ? STEP_HEADER_AND_TEXTS : STEP_HEADER, NULL));
    TRY(image_new_from(ctx, image, path, map->size, png_get_image_width(r.png, r.info), png_get_image_height(r.png, r.info)));
    image->has_alpha = (png_get_color_type(r.png, r.info) & PNG_COLOR_MASK_ALPHA) || png_get_valid(r.png, r.info, PNG_INFO_tRNS);
    r.most_memory += MEMORY_OF_ROWS;
    TRY(guarded(&r, STEP_PIXELS, image));
    TRY(guarded(&r, STEP_END, NULL));
    if (r.no_memory)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for reading %s; close other programs", path);
    keep_orientation(&r, orientation);
    if (metadata)
        TRY(keep_metadata(&r, metadata));
fail:
    png_destroy_read_struct(r.png ? &r.png : NULL, r.info ? &r.info : NULL, NULL);
    return st;
}
