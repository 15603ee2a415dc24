/* image_jpeg.c - reading JPEG with libjpeg: grey, YCbCr, RGB, CMYK and YCCK, baseline and progressive, with orientation and comment of
 * EXIF.
 *
 * CMYK becomes RGB as in Pillow: the values are stored inverted, as Adobe does, and each colour is white less black less ink. Colour
 * profiles are ignored. libjpeg leaves by longjmp: see image_png.c. A file that ends early, or whose pixels do although an end marker
 * follows, would be filled with grey by libjpeg; here it is an error. Limits: the image's size, MOST_SCANS scans in a progressive file, and
 * MOST_PIXELS in all scans beyond those that every encoder writes. */
#include "image.h"

#include <stdio.h> /* before jpeglib.h, which needs FILE */

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SCANS 200
#define USUAL_SCANS 24 /* libjpeg's own encoder writes 10 */
#define MOST_PIXELS ((double)(1 << 28))
#define EXIF_MARKER (JPEG_APP0 + 1)

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    bool is_cut, has_many_scans;
    char message[JMSG_LENGTH_MAX];
    unsigned char *row; /* of CMYK */
};

static void on_error(j_common_ptr jpeg)
{
    struct reader *r = jpeg->client_data;
    r->errors.format_message(jpeg, r->message);
    longjmp(r->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    struct reader *r = jpeg->client_data;
    r->is_cut = r->is_cut || (level < 0 && (r->errors.msg_code == JWRN_JPEG_EOF || r->errors.msg_code == JWRN_HIT_MARKER));
    if (level < 0 && r->errors.msg_code == JWRN_JPEG_EOF)
        on_error(jpeg);
}

/* Each scan of a progressive file covers the whole image, and a small file may hold thousands. */
static void on_progress(j_common_ptr jpeg)
{
    struct reader *r = jpeg->client_data;
    double scans = r->jpeg.input_scan_number, pixels = scans * (double)r->jpeg.image_width * (double)r->jpeg.image_height;
    if (jpeg->is_decompressor && (scans > MOST_SCANS || (scans > USUAL_SCANS && pixels > MOST_PIXELS))) {
        r->has_many_scans = true;
        longjmp(r->jump, 1);
    }
}

static void read_header(struct reader *r, const struct file_content *map)
{
    jpeg_create_decompress(&r->jpeg);
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, map->data, (unsigned long)map->size);
    jpeg_save_markers(&r->jpeg, EXIF_MARKER, 0xffff);
    jpeg_read_header(&r->jpeg, TRUE);
}

/* cmyk stored inverted: 255 is no ink. */
static void cmyk_to_rgb(const unsigned char *cmyk, unsigned char *rgb, int width)
{
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++) {
            unsigned product = (255u - cmyk[c]) * cmyk[3] + 128, ink = ((product >> 8) + product) >> 8; /* by 255, rounded */
            rgb[c] = (unsigned char)(cmyk[3] > ink ? cmyk[3] - ink : 0);
        }
}

static void read_pixels(struct reader *r, struct image *image)
{
    bool is_cmyk = r->jpeg.num_components == 4;
    r->jpeg.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&r->jpeg);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        unsigned char *to = image->rgb + (size_t)r->jpeg.output_scanline * (size_t)image->width * 3, *row = is_cmyk ? r->row : to;
        if (jpeg_read_scanlines(&r->jpeg, &row, 1) == 1 && is_cmyk)
            cmyk_to_rgb(row, to, image->width);
    }
}

static clio_status fail_reading(clio_context *ctx, const struct reader *r, const char *path)
{
    clio_status st = CLIO_OK;
    if (r->is_cut && !r->has_many_scans)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is cut short: download or copy it again", path);
    if (r->has_many_scans)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s has more than %d progressive scans, which no camera writes: save it again as a baseline JPEG or PNG", path,
             r->jpeg.input_scan_number > MOST_SCANS ? MOST_SCANS : USUAL_SCANS);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s is a JPEG file that cannot be read (%s): save it again as a baseline JPEG or PNG", path, r->message);
fail:
    return st;
}

/* The header, or with an image its pixels. */
static clio_status guarded(clio_context *ctx, struct reader *r, const char *path, const struct file_content *map, struct image *image)
{
    if (setjmp(r->jump))
        return fail_reading(ctx, r, path);
    if (image)
        read_pixels(r, image);
    else
        read_header(r, map);
    return r->is_cut ? fail_reading(ctx, r, path) : CLIO_OK;
}

static clio_status keep_exif(clio_context *ctx, const struct reader *r, int *orientation, struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length > 6 && !memcmp(m->data, "Exif\0\0", 6)) {
            *orientation = image_exif_orientation(m->data, m->data_length);
            if (metadata)
                TRY(image_exif_comment(ctx, metadata, m->data, m->data_length));
            break;
        }
fail:
    return st;
}

bool image_is_jpeg(const struct file_content *map)
{
    return map->size >= 3 && !memcmp(map->data, "\xff\xd8\xff", 3);
}

clio_status image_jpeg_read(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path,
                            const struct file_content *map)
{
    clio_status st = CLIO_OK;
    struct reader *r = NULL;
    *orientation = 1;
    TRY(mem_alloc(ctx, &r, 1, sizeof *r));
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    TRY(guarded(ctx, r, path, map, NULL));
    TRY(image_new_from(ctx, image, path, map->size, r->jpeg.image_width, r->jpeg.image_height));
    TRY(mem_alloc(ctx, &r->row, (size_t)image->width, 4));
    TRY(keep_exif(ctx, r, orientation, metadata));
    TRY(guarded(ctx, r, path, map, image));
fail:
    if (r) {
        jpeg_destroy_decompress(&r->jpeg);
        free(r->row);
    }
    free(r);
    return st;
}
