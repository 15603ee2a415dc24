/* image.h - image files: PNG, JPEG and WebP read as 8-bit RGB and written, animated PNG written, resizing, conversion to and from tensors.
 *
 * The result of reading is that of diffusers' load_image, which is Pillow's exif_transpose and convert("RGB"): EXIF orientation is applied,
 * the alpha channel dropped (not blended), grey repeated, 16-bit samples truncated to their upper byte, of an animation the first frame
 * taken, colour profiles and gamma ignored. Rejected: Pillow's I;16 conversion, which turns every 16-bit grey above 255 white.
 *
 * image_read.c reading of any format; image_processor.c tensors; image_png.c, image_jpeg.c, image_webp.c decoders; image_write.c writing of
 * any format and PNG, image_jpeg_write.c, image_webp_write.c, image_apng.c encoders; image_text.c, image_exif.c metadata; image_resize.c.
 */
#ifndef CLIO_MODELS_IMAGE_H
#define CLIO_MODELS_IMAGE_H

#include "../../host/core/file_out.h"
#include "../../host/core/require.h"
#include "../../host/core/text.h"

/* Larger images are refused: a hostile file of a few bytes may promise any size. */
#define IMAGE_SIDE_MAX 32768
#define IMAGE_PIXELS_MAX ((size_t)1 << 27)
/* Of what a file promises, this many are believed without a look at its size; of a larger image a file has at least a byte for 64 pixels,
 * far less than any photograph. */
#define IMAGE_PIXELS_FREE ((size_t)1 << 24)
#define IMAGE_PIXELS_PER_BYTE 64

struct image {
    int width, height;
    unsigned char *rgb; /* u8 [height, width, 3], fresh memory */
    bool has_alpha;     /* the file had transparency, which was dropped */
};

/* Metadata in the file's order: the text chunks of a PNG; of a JPEG or WebP file the EXIF UserComment under the key "parameters", which is
 * where web UIs store it. Keys and texts are UTF-8. */
struct metadata_entry {
    char *key, *text;
};
struct metadata {
    struct metadata_entry *list;
    size_t count;
};

/* Checks at the head of a public function (require.h): an image of a size that can be, with its pixels. */
clio_status image_require(clio_context *ctx, struct caller at, const clio_image *image, const char *name);
/* The parameter `images`: 1 to `most` images of one size. */
clio_status images_require(clio_context *ctx, struct caller at, const clio_image_list *images, size_t most);
/* A caller's image as one of these, which is only read and not freed. */
struct image image_view(const clio_image *image);
/* Hand an image to a caller, for clio_image_free: takes over what *image owns. */
clio_status image_give(clio_context *ctx, struct image *image, clio_image **out);
/* `count` empty images for clio_image_list_free; *list is where to fill them in, with memory of malloc. */
clio_status images_new(clio_context *ctx, size_t count, clio_image_list **out, clio_imagine_result **list);
/* Whether a file of `bytes` bytes may hold an image of this size, both sides at least 1. */
bool image_may_hold(size_t bytes, uint64_t width, uint64_t height);
/* image_new for what a file at `path` promises: CLIO_ERROR_UNSUPPORTED, too, where the file is too small for it. */
clio_status image_new_from(clio_context *ctx, struct image *image, const char *path, size_t bytes, int64_t width, int64_t height);
/* A black image; both sides from 1 to IMAGE_SIDE_MAX, at most IMAGE_PIXELS_MAX pixels. `what` begins the error message. */
clio_status image_new(clio_context *ctx, struct image *image, const char *what, int64_t width, int64_t height);
void image_free(struct image *image);

/* Decode a PNG, JPEG or WebP file, recognised by its content and not by its name. On failure *image is empty. */
clio_status image_read(clio_context *ctx, struct image *image, const char *path);
/* The metadata of such a file; without any, an empty list. */
clio_status image_metadata_read(clio_context *ctx, struct metadata *metadata, const char *path);
/* Append an entry. key: 1 to 79 Latin-1 characters; text: any valid UTF-8. Checked when written. */
clio_status metadata_add(clio_context *ctx, struct metadata *metadata, const char *key, const char *text);
void metadata_free(struct metadata *metadata);

enum image_format { IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP };
#define IMAGE_QUALITY 90 /* of JPEG and WebP, out of 100 */

/* The format that a file of this name is written in: .png, .jpg or .jpeg, .webp in any case of letters; PNG for "-" and for what is there
 * and no regular file, a pipe or a device. CLIO_ERROR_ARGUMENT: another extension or none. */
clio_status image_format_of(clio_context *ctx, enum image_format *format, const char *path);
/* Write an image in the format of its extension, to a temporary file that is renamed when complete; "-": PNG to standard output. JPEG and
 * WebP are lossy, of quality IMAGE_QUALITY. metadata may be NULL; PNG keeps all entries, JPEG and WebP the one called "parameters". */
clio_status image_write(clio_context *ctx, const struct image *image, const char *path, const struct metadata *metadata);

/* An animated PNG that loops forever, each frame shown for `milliseconds`. Frames are written as they come; the file appears under its name
 * when the last of `count` has been added and animation_commit is called. animation_abandon in every cleanup path. */
struct animation {
    struct file_out out;
    const struct metadata *metadata; /* borrowed until the first frame is added; or NULL */
    int width, height, count, milliseconds;
    int added;
    uint32_t sequence;
};
clio_status animation_open(clio_context *ctx, struct animation *a, const char *path, int width, int height, int count, int milliseconds,
                           const struct metadata *metadata);
clio_status animation_add(clio_context *ctx, struct animation *a, const struct image *frame);
clio_status animation_commit(clio_context *ctx, struct animation *a);
void animation_abandon(struct animation *a);

/* Resize by the antialiased Lanczos filter, bit for bit as Pillow, which diffusers calls. */
clio_status image_resize(clio_context *ctx, struct image *out, const struct image *in, int64_t width, int64_t height);

/* f32 [3, height, width] in -1 .. 1, as VaeImageProcessor.preprocess gives. */
void image_to_floats(const struct image *image, float *out);
/* The inverse, as VaeImageProcessor.postprocess: x / 2 + 0.5 clamped to 0 .. 1, times 255, rounded half to even. Values that are
 * not finite are an error. */
clio_status image_from_floats(clio_context *ctx, struct image *image, const float *chw, int width, int height);
/* Where the mask is black, the pixels of `original`; where it is grey, a mixture by its luma, as Pillow's Image.paste. All of one size. */
void image_overlay(struct image *image, const struct image *original, const struct image *mask);
/* Luma of an RGB pixel, as Pillow's convert("L"). */
unsigned char image_luma(const unsigned char *rgb);
/* f32 [height, width]: 1 where the image is at least half bright (to be repainted), else 0, as in diffusers' inpainting pipeline. */
void image_to_mask(const struct image *image, float *out);
/* Every factor-th pixel of every factor-th row: f32 [height / factor, width / factor], the mask of the latent. */
void image_mask_shrink(const float *mask, int width, int height, int factor, float *out);

/* ---- between the files named above ---- */

/* Whether a file begins as one of this format. */
bool image_is_png(const struct file_content *map);
bool image_is_jpeg(const struct file_content *map);
bool image_is_webp(const struct file_content *map);
/* Decoders: the image as it is stored, its EXIF orientation (1 where there is none), and its metadata unless that is NULL. */
clio_status image_png_read(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path,
                           const struct file_content *map);
clio_status image_jpeg_read(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path,
                            const struct file_content *map);
clio_status image_webp_read(clio_context *ctx, struct image *image, struct metadata *metadata, int *orientation, const char *path,
                            const struct file_content *map);
/* The size of a WebP file after its orientation is applied, without decoding it. False: it is incomplete, or must be decoded to tell. */
bool image_webp_probe(const struct file_content *map, int *width, int *height);
/* Encoders: a whole file appended to *out. metadata may be NULL. */
clio_status image_png_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct metadata *metadata);
clio_status image_jpeg_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct metadata *metadata);
clio_status image_webp_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct metadata *metadata);

/* EXIF data with or without the "Exif\0\0" that a JPEG has before it. The orientation, 1 to 8; 1 where there is none or it is invalid. */
int image_exif_orientation(const unsigned char *exif, size_t size);
/* Append the UserComment as the entry "parameters"; without one, nothing is appended. */
clio_status image_exif_comment(clio_context *ctx, struct metadata *metadata, const unsigned char *exif, size_t size);
/* "Exif\0\0" and EXIF data with the entry "parameters" as UserComment, appended to *out; without such an entry nothing is. */
clio_status image_exif_encode(clio_context *ctx, struct bytes *out, const struct metadata *metadata);

/* Fail with a message where the text of an entry is not UTF-8. */
clio_status metadata_check(clio_context *ctx, const struct metadata_entry *entry);
/* UTF-16 of either byte order to UTF-8 in fresh memory; what is no character becomes U+FFFD. Ends at a zero. */
clio_status text_from_utf16(clio_context *ctx, char **out, const unsigned char *utf16, size_t size, bool big_endian);
/* Big-endian UTF-16 of valid UTF-8, appended. */
clio_status text_to_utf16(clio_context *ctx, struct bytes *out, const char *utf8);
/* Both in fresh memory. *out is NULL, without an error, where the text has characters outside printable Latin-1 and the line feed. */
clio_status text_to_latin1(clio_context *ctx, char **out, const char *utf8);
clio_status text_from_latin1(clio_context *ctx, char **out, const char *latin1);

#endif
