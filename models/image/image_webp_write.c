/* image_webp_write.c - the WebP encoder: lossy, of quality IMAGE_QUALITY, by libwebp; EXIF data is added to the container by libwebpmux. */
#include "image.h"

#include <string.h>
#include <webp/encode.h>
#include <webp/mux.h>

/* The file with EXIF data, which in WebP has no "Exif\0\0" before it. */
static clio_status add_exif(clio_context *ctx, struct bytes *out, const WebPMemoryWriter *file, const struct bytes *exif)
{
    clio_status st = CLIO_OK;
    const WebPData image = {file->mem, file->size}, chunk = {(const uint8_t *)exif->data + 6, exif->size - 6};
    WebPData whole = {NULL, 0};
    WebPMux *mux = WebPMuxNew();
    if (!mux || WebPMuxSetImage(mux, &image, 0) != WEBP_MUX_OK || WebPMuxSetChunk(mux, "EXIF", &chunk, 0) != WEBP_MUX_OK ||
        WebPMuxAssemble(mux, &whole) != WEBP_MUX_OK)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for writing an image; close other programs");
    TRY(bytes_add(ctx, out, whole.bytes, whole.size));
fail:
    WebPDataClear(&whole);
    WebPMuxDelete(mux);
    return st;
}

static clio_status fail_encoding(clio_context *ctx, WebPEncodingError error)
{
    clio_status st = CLIO_OK;
    /* Where libwebp gives no reason, or could not write into memory, it had none. */
    if (error == VP8_ENC_ERROR_OUT_OF_MEMORY || error == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY || error == VP8_ENC_ERROR_BAD_WRITE ||
        error == VP8_ENC_OK)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for encoding an image as WebP; close other programs");
    FAIL(ctx, CLIO_ERROR_INTERNAL, "the image could not be encoded as WebP (libwebp error %d): write PNG", (int)error);
fail:
    return st;
}

clio_status image_webp_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    struct bytes exif = {NULL, 0, 0};
    WebPMemoryWriter file;
    WebPPicture picture;
    WebPConfig config;
    WebPMemoryWriterInit(&file);
    memset(&picture, 0, sizeof picture);
    if (!WebPPictureInit(&picture) || !WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, IMAGE_QUALITY))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "libwebp is of another version than clio was built with: build clio again");
    if (image->width > WEBP_MAX_DIMENSION || image->height > WEBP_MAX_DIMENSION)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an image of %d x %d pixels cannot be written as WebP, which takes at most %d a side: write PNG",
             image->width, image->height, WEBP_MAX_DIMENSION);
    TRY(image_exif_encode(ctx, &exif, metadata));
    picture.width = image->width;
    picture.height = image->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = &file;
    if (!WebPPictureImportRGB(&picture, image->rgb, 3 * image->width) || !WebPEncode(&config, &picture))
        TRY(fail_encoding(ctx, picture.error_code));
    if (exif.size)
        TRY(add_exif(ctx, out, &file, &exif));
    else
        TRY(bytes_add(ctx, out, file.mem, file.size));
fail:
    WebPPictureFree(&picture);
    WebPMemoryWriterClear(&file);
    bytes_free(&exif);
    return st;
}
