/* image_jpeg_write.c - the JPEG encoder: baseline, 4:2:0, of quality IMAGE_QUALITY, by libjpeg, with EXIF data in an APP1 segment.
 * libjpeg leaves by longjmp: see image_png.c. */
#include "image.h"

#include <stdio.h> /* before jpeglib.h, which needs FILE */

#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>

struct writer {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
    unsigned char *file; /* grows in libjpeg */
    unsigned long size;
};

static void on_error(j_common_ptr jpeg)
{
    struct writer *w = jpeg->client_data;
    w->errors.format_message(jpeg, w->message);
    longjmp(w->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    (void)jpeg, (void)level;
}

static void write_all(struct writer *w, const struct image *image, const struct bytes *exif)
{
    jpeg_create_compress(&w->jpeg);
    jpeg_mem_dest(&w->jpeg, &w->file, &w->size);
    w->jpeg.image_width = (JDIMENSION)image->width;
    w->jpeg.image_height = (JDIMENSION)image->height;
    w->jpeg.input_components = 3;
    w->jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->jpeg);
    jpeg_set_quality(&w->jpeg, IMAGE_QUALITY, TRUE);
    jpeg_start_compress(&w->jpeg, TRUE);
    if (exif->size)
        jpeg_write_marker(&w->jpeg, JPEG_APP0 + 1, (const JOCTET *)exif->data, (unsigned)exif->size);
    while (w->jpeg.next_scanline < w->jpeg.image_height) {
        JSAMPROW row = image->rgb + (size_t)w->jpeg.next_scanline * (size_t)image->width * 3;
        jpeg_write_scanlines(&w->jpeg, &row, 1);
    }
    jpeg_finish_compress(&w->jpeg);
}

static clio_status guarded(clio_context *ctx, struct writer *w, const struct image *image, const struct bytes *exif)
{
    clio_status st = CLIO_OK;
    if (setjmp(w->jump))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "the image could not be encoded as JPEG (%s): write PNG", w->message);
    write_all(w, image, exif);
fail:
    return st;
}

clio_status image_jpeg_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    struct bytes exif = {NULL, 0, 0};
    struct writer *w = NULL;
    TRY(image_exif_encode(ctx, &exif, metadata));
    TRY(mem_alloc(ctx, &w, 1, sizeof *w));
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->jpeg.client_data = w;
    w->errors.error_exit = on_error;
    w->errors.emit_message = on_message;
    TRY(guarded(ctx, w, image, &exif));
    TRY(bytes_add(ctx, out, w->file, w->size));
fail:
    if (w) {
        jpeg_destroy_compress(&w->jpeg);
        free(w->file);
    }
    free(w);
    bytes_free(&exif);
    return st;
}
