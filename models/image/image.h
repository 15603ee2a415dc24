/* image.h - image files: read as 8-bit RGB, resized, turned into a network's numbers and back, written as PNG or animated PNG.
 *
 * What a reading gives is what diffusers gets from load_image, that is from Pillow's exif_transpose and convert("RGB"): the image turned
 * as its EXIF orientation says, transparency dropped (not blended), grey repeated, 16-bit samples cut to their upper byte, colour profiles
 * and gamma passed over. Rejected: Pillow's I;16 conversion, which turns every 16-bit grey above 255 white.
 *
 * image.c orientation and numbers; image_png.c, image_jpeg.c reading; image_write.c, image_apng.c writing; image_text.c; image_resize.c. */
#ifndef CLIO_MODELS_IMAGE_IMAGE_H
#define CLIO_MODELS_IMAGE_IMAGE_H

#include "../../host/core/file.h"
#include "../../host/core/require.h"

/* Larger images are refused: a hostile file of a few bytes may promise any size. */
#define IMAGE_SIDE_MAX 32768
#define IMAGE_PIXELS_MAX ((size_t)1 << 27)

struct image {
    int width, height;
    unsigned char *rgb; /* u8 [height, width, 3], fresh memory */
    bool has_alpha;     /* the file had transparency, which was dropped */
};

/* Notes in a PNG's text chunks, in the file's order: "parameters" and the like. Keys and texts are UTF-8. */
struct image_text {
    char *key, *text;
};
struct image_texts {
    struct image_text *list;
    size_t count;
};

/* Checks at the head of a public function (require.h): an image of a size that can be, with its pixels. */
clio_status image_require(clio_context *ctx, struct caller at, const clio_image *image, const char *name);
/* The parameter `images`: 1 to `most` images of one size. */
clio_status images_require(clio_context *ctx, struct caller at, const clio_image_list *images, size_t most);
/* A caller's image as one of these, which is only read and not freed. */
struct image image_view(const clio_image *image);
/* The way out to a caller, for clio_image_free: takes over what *image owns. */
clio_status image_give(clio_context *ctx, struct image *image, clio_image **out);
/* `count` empty images for clio_image_list_free; *list is where to fill them in, with memory of malloc. */
clio_status images_new(clio_context *ctx, size_t count, clio_image_list **out, clio_imagine_result **list);
/* A black image; both sides from 1 to IMAGE_SIDE_MAX, at most IMAGE_PIXELS_MAX together. `what` begins the sentence of a refusal. */
clio_status image_new(clio_context *ctx, struct image *image, const char *what, int64_t width, int64_t height);
void image_free(struct image *image);

/* A PNG or JPEG file of any kind, told by its content and not by its name. On failure *image is empty. */
clio_status image_read(clio_context *ctx, struct image *image, const char *path);
/* The text chunks of a PNG file; without any, an empty list. */
clio_status image_texts_read(clio_context *ctx, struct image_texts *texts, const char *path);
/* Append a note. key: 1 to 79 Latin-1 characters; text: any valid UTF-8. Checked when written. */
clio_status image_texts_add(clio_context *ctx, struct image_texts *texts, const char *key, const char *text);
void image_texts_free(struct image_texts *texts);

/* Write a PNG, beside its name and renamed when whole; "-": standard output. texts may be NULL. */
clio_status image_write(clio_context *ctx, const struct image *image, const char *path, const struct image_texts *texts);

/* An animated PNG, shown endlessly, each frame for `milliseconds`. Frames are written as they come; the file appears under its name when
 * the last of `count` has been added and animation_commit is called. animation_abandon in every cleanup path. */
struct animation {
    struct file_out out;
    const struct image_texts *texts; /* borrowed until the first frame is added; or NULL */
    int width, height, count, milliseconds;
    int added;
    uint32_t sequence;
};
clio_status animation_open(clio_context *ctx, struct animation *a, const char *path, int width, int height, int count, int milliseconds,
                           const struct image_texts *texts);
clio_status animation_add(clio_context *ctx, struct animation *a, const struct image *frame);
clio_status animation_commit(clio_context *ctx, struct animation *a);
void animation_abandon(struct animation *a);

/* The image at another size, by the antialiased Lanczos filter that diffusers asks Pillow for, to the bit. */
clio_status image_resize(clio_context *ctx, struct image *out, const struct image *in, int64_t width, int64_t height);

/* f32 [3, height, width] in -1 .. 1, as VaeImageProcessor.preprocess gives. */
void image_to_floats(const struct image *image, float *out);
/* The way back, as postprocess does it: x / 2 + 0.5 held in 0 .. 1, times 255, rounded half to even. NaN becomes black. */
clio_status image_from_floats(clio_context *ctx, struct image *image, const float *chw, int width, int height);
/* f32 [height, width]: 1 where the image is at least half bright (to be painted), else 0, as the inpainting pipeline makes its mask. */
void image_to_mask(const struct image *image, float *out);
/* Every factor-th pixel of every factor-th row: f32 [height / factor, width / factor], the mask over the latent. */
void image_mask_shrink(const float *mask, int width, int height, int factor, float *out);

/* ---- between the files named above ---- */

clio_status image_png_read(clio_context *ctx, struct image *image, struct image_texts *texts, int *orientation, const char *path,
                           const struct file_map *map); /* texts may be NULL */
clio_status image_jpeg_read(clio_context *ctx, struct image *image, int *orientation, const char *path, const struct file_map *map);
/* A whole PNG file appended to *out. */
clio_status image_png_encode(clio_context *ctx, struct bytes *out, const struct image *image, const struct image_texts *texts);
/* The orientation, 1 to 8, that a TIFF block (what EXIF is) gives; 1 where it gives none or is broken. */
int image_exif_orientation(const unsigned char *tiff, size_t size);

bool text_is_utf8(const char *text);
/* Both in fresh memory. *out is NULL, without an error, where the text has characters outside printable Latin-1 and the line feed. */
clio_status text_to_latin1(clio_context *ctx, char **out, const char *utf8);
clio_status text_from_latin1(clio_context *ctx, char **out, const char *latin1);

#endif
