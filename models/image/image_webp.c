/* image_webp.c - reading WebP with libwebp: lossy, lossless, of an animation the first frame, and the EXIF data.
 *
 * The container is parsed by libwebpdemux, which also says whether the file is complete. As with Pillow the alpha channel is dropped and
 * not blended. Limit: the image's size, which the header has, is checked before memory is allocated. */
#include "image.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#define HEADER_SIZE 12 /* "RIFF", size of what follows, "WEBP" */

bool image_is_webp(const struct file_content *map)
{
    return map->size >= HEADER_SIZE && !memcmp(map->data, "RIFF", 4) && !memcmp(map->data + 8, "WEBP", 4);
}

/* Whether the file ends before the size in its header. */
static bool is_cut(const struct file_content *map)
{
    const unsigned char *p = map->data + 4;
    return ((uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24) + 8 > map->size;
}

static clio_status fail_reading(clio_context *ctx, const char *path, VP8StatusCode code)
{
    clio_status st = CLIO_OK;
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory for reading %s; close other programs", path);
    if (code == VP8_STATUS_UNSUPPORTED_FEATURE)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is a WebP file of a kind that libwebp does not decode: convert it", path);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s is a broken WebP file (libwebp status %d): download or copy it again", path, (int)code);
fail:
    return st;
}

static clio_status read_still(clio_context *ctx, struct image *image, const char *path, const struct file_content *map)
{
    clio_status st = CLIO_OK;
    WebPDecoderConfig config;
    VP8StatusCode code;
    if (!WebPInitDecoderConfig(&config))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "libwebp is of another version than clio was built with: build clio again");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->rgb;
    config.output.u.RGBA.stride = 3 * image->width;
    config.output.u.RGBA.size = (size_t)image->width * (size_t)image->height * 3;
    code = WebPDecode(map->data, map->size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK)
        TRY(fail_reading(ctx, path, code == VP8_STATUS_SUSPENDED ? VP8_STATUS_NOT_ENOUGH_DATA : code));
fail:
    return st;
}

/* A frame may cover a part of the canvas: WebPAnimDecoder puts it in its place. */
static clio_status read_first_frame(clio_context *ctx, struct image *image, const char *path, const WebPData *data)
{
    clio_status st = CLIO_OK;
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(data, NULL); /* RGBA, one thread */
    WebPAnimInfo info;
    uint8_t *rgba = NULL;
    int time;
    if (!decoder || !WebPAnimDecoderGetInfo(decoder, &info) || (int)info.canvas_width != image->width ||
        (int)info.canvas_height != image->height || !WebPAnimDecoderGetNext(decoder, &rgba, &time) || !rgba)
        TRY(fail_reading(ctx, path, VP8_STATUS_BITSTREAM_ERROR));
    for (size_t i = 0; i < (size_t)image->width * (size_t)image->height; i++)
        memcpy(image->rgb + 3 * i, rgba + 4 * i, 3);
fail:
    WebPAnimDecoderDelete(decoder);
    return st;
}

static clio_status keep_exif(clio_context *ctx, const WebPDemuxer *demuxer, int *orientation, struct metadata *metadata)
{
    clio_status st = CLIO_OK;
    WebPChunkIterator exif;
    *orientation = 1;
    if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &exif))
        return CLIO_OK;
    *orientation = image_exif_orientation(exif.chunk.bytes, exif.chunk.size);
    if (metadata)
        TRY(image_exif_comment(ctx, metadata, exif.chunk.bytes, exif.chunk.size));
fail:
    WebPDemuxReleaseChunkIterator(&exif);
    return st;
}

clio_status image_webp_read(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path,
                            const struct file_content *map)
{
    clio_status st = CLIO_OK;
    WebPData data = {map->data, map->size};
    WebPDemuxer *demuxer = NULL;
    WebPBitstreamFeatures features;
    VP8StatusCode code;
    if (is_cut(map))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is cut short: download or copy it again", path);
    code = WebPGetFeatures(map->data, map->size, &features);
    if (code != VP8_STATUS_OK)
        TRY(fail_reading(ctx, path, code));
    TRY(image_new_from(ctx, image, path, map->size, features.width, features.height));
    image->has_alpha = features.has_alpha;
    demuxer = WebPDemux(&data);
    if (!demuxer)
        TRY(fail_reading(ctx, path, VP8_STATUS_BITSTREAM_ERROR));
    if (features.has_animation)
        TRY(read_first_frame(ctx, image, path, &data));
    else
        TRY(read_still(ctx, image, path, map));
    TRY(keep_exif(ctx, demuxer, orientation, metadata));
fail:
    WebPDemuxDelete(demuxer);
    return st;
}

bool image_webp_probe(const struct file_content *map, int *width, int *height)
{
    WebPData data = {map->data, map->size};
    WebPBitstreamFeatures features;
    WebPDemuxer *demuxer;
    int orientation;
    if (!image_is_webp(map) || is_cut(map) || WebPGetFeatures(map->data, map->size, &features) != VP8_STATUS_OK || features.width < 1 ||
        features.height < 1 || !image_may_hold(map->size, (uint64_t)features.width, (uint64_t)features.height))
        return false;
    demuxer = WebPDemux(&data);
    if (!demuxer)
        return false;
    (void)keep_exif(NULL, demuxer, &orientation, NULL); /* without metadata it cannot fail */
    *width = orientation >= 5 ? features.height : features.width;
    *height = orientation >= 5 ? features.width : features.height;
    WebPDemuxDelete(demuxer);
    return true;
}
