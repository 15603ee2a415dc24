/* image_write.c - writing images in the format that the file's extension names, and the PNG encoder: 8-bit RGB through libpng into memory.
 * Metadata goes into tEXt chunks where Latin-1 can represent it, as with Pillow and so with most programs that show it, else into iTXt. */
#include "image.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct writer {
    clio_context *ctx;
    struct bytes *out;
    clio_status st; /* of bytes_add */
    png_structp png;
    png_infop info;
    png_text *list;
    char **made; /* the Latin-1 metadata: keys and values */
    int count;
    char message[128];
};

static void on_error(png_structp png, png_const_charp message)
{
    struct writer *w = png_get_error_ptr(png);
    snprintf(w->message, sizeof w->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void on_write(png_structp png, png_bytep data, size_t size)
{
    struct writer *w = png_get_io_ptr(png);
    w->st = bytes_add(w->ctx, w->out, data, size);
    if (w->st)
        png_error(png, "out of memory");
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* One entry as libpng takes it. */
static clio_status prepare(struct writer *w, const struct metadata_entry *entry)
{
    clio_status st = CLIO_OK;
    png_text *t = &w->list[w->count];
    char **made = &w->made[2 * w->count];
    TRY(metadata_check(w->ctx, entry));
    TRY(text_to_latin1(w->ctx, &made[0], entry->key));
    if (!made[0] || !*made[0] || strlen(made[0]) > 79 || made[0][0] == ' ' || made[0][strlen(made[0]) - 1] == ' ' ||
        strpbrk(made[0], "\n\xa0") || strstr(made[0], "  "))
        FAIL(w->ctx, CLIO_ERROR_ARGUMENT,
             "an image's metadata cannot have the key \"%.80s\": 1 to 79 Latin-1 characters, single spaces within", entry->key);
    TRY(text_to_latin1(w->ctx, &made[1], entry->text));
    t->key = made[0];
    t->text = made[1] ? made[1] : entry->text;
    t->compression = made[1] ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    *(made[1] ? &t->text_length : &t->itxt_length) = strlen(t->text);
    w->count++;
fail:
    return st;
}

static void write_all(struct writer *w, const struct image *image)
{
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_IHDR(w->png, w->info, (png_uint_32)image->width, (png_uint_32)image->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (w->count)
        png_set_text(w->png, w->info, w->list, w->count);
    png_write_info(w->png, w->info);
    for (size_t y = 0; y < (size_t)image->height; y++)
        png_write_row(w->png, image->rgb + y * (size_t)image->width * 3);
    png_write_end(w->png, NULL);
}

static clio_status fail_writing(const struct writer *w)
{
    clio_status st = CLIO_OK;
    TRY(w->st);
    FAIL(w->ctx, CLIO_ERROR_INTERNAL, "the image could not be encoded as PNG (%s); this is a defect of clio, please report it", w->message);
fail:
    return st;
}

static clio_status guarded(struct writer *w, const struct image *image)
{
    if (setjmp(png_jmpbuf(w->png)))
        return fail_writing(w);
    write_all(w, image);
    return CLIO_OK;
}

clio_status image_png_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    struct writer w = {.ctx = ctx, .out = out};
    size_t count = metadata ? metadata->count : 0;
    TRY(mem_alloc(ctx, &w.list, count, sizeof *w.list));
    TRY(mem_alloc(ctx, &w.made, count, 2 * sizeof *w.made));
    for (size_t i = 0; i < count; i++)
        TRY(prepare(&w, &metadata->list[i]));
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    if (!w.info)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for writing an image; close other programs");
    TRY(guarded(&w, image));
fail:
    png_destroy_write_struct(w.png ? &w.png : NULL, w.info ? &w.info : NULL);
    for (size_t i = 0; w.made && i < 2 * count; i++)
        free(w.made[i]);
    free(w.made);
    free(w.list);
    return st;
}

/* ---- any format ---- */

clio_status image_format_of(clio_context *ctx, enum image_format *format, const char *path)
{
    static const struct {
        const char *extension;
        enum image_format format;
    } formats[] = {{".png", IMAGE_PNG}, {".jpg", IMAGE_JPEG}, {".jpeg", IMAGE_JPEG}, {".webp", IMAGE_WEBP}};
    clio_status st = CLIO_OK;
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    struct stat info;
    *format = IMAGE_PNG;
    for (size_t i = 0; dot && i < COUNT(formats); i++)
        if (!strcasecmp(dot, formats[i].extension)) {
            *format = formats[i].format;
            return CLIO_OK;
        }
    if (strcmp(path, "-") != 0 && (stat(path, &info) || S_ISREG(info.st_mode)))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%s does not end in .png, .jpg, .jpeg or .webp, which are the image formats that can be written",
             path);
fail:
    return st;
}

clio_status image_write(clio_context *ctx, const struct image *image, const char *path, const struct metadata *metadata)
{
    static clio_status (*const encode[])(clio_context *, struct bytes *, const struct image *, const struct metadata *) = {
        [IMAGE_PNG] = image_png_encode, [IMAGE_JPEG] = image_jpeg_encode, [IMAGE_WEBP] = image_webp_encode};
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    struct bytes file = {NULL, 0, 0};
    enum image_format format;
    TRY(file_out_open(ctx, &out, path)); /* first: a name that cannot be written is reported before the work */
    TRY(image_format_of(ctx, &format, path));
    TRY(encode[format](ctx, &file, image, metadata));
    TRY(file_out_write(ctx, &out, file.data, file.size));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    bytes_free(&file);
    return st;
}
