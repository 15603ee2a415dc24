/* image_processor.c - images to and from tensors. Source: diffusers' VaeImageProcessor (pil_to_numpy, normalize, denormalize, numpy_to_pil,
 * binarize) and Pillow's L conversion, (19595 R + 38470 G + 7471 B + 32768) / 65536. */
#include "image.h"

#include <math.h>

void image_to_floats(const struct image *image, float *out)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            out[c * pixels + i] = 2.0f * ((float)image->rgb[3 * i + c] / 255.0f) - 1.0f;
}

clio_status image_from_floats(clio_context *ctx, struct image *image, const float *chw, int width, int height)
{
    clio_status st = CLIO_OK;
    size_t pixels;
    TRY(image_new(ctx, image, "the image", width, height));
    pixels = (size_t)width * (size_t)height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) {
            float x = chw[c * pixels + i] * 0.5f + 0.5f;
            if (!isfinite(x))
                FAIL(ctx, CLIO_ERROR_FORMAT,
                     "the image has values that are not finite: the weights of the decoder are damaged, or too large for half precision; "
                     "use weights of type f32 or another checkpoint");
            x = x > 0 ? MIN(x, 1.0f) : 0;
            image->rgb[3 * i + c] = (unsigned char)rintf(x * 255.0f);
        }
fail:
    if (st)
        image_free(image);
    return st;
}

unsigned char image_luma(const unsigned char *rgb)
{
    return (unsigned char)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

void image_to_mask(const struct image *image, float *out)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++)
        out[i] = image_luma(image->rgb + 3 * i) >= 128 ? 1.0f : 0.0f; /* luma / 255 >= 0.5 */
}

void image_overlay(struct image *image, const struct image *original, const struct image *mask)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < 3 * pixels; i++) {
        unsigned m = image_luma(mask->rgb + i / 3 * 3), sum = m * image->rgb[i] + (255 - m) * original->rgb[i] + 128;
        image->rgb[i] = (unsigned char)((sum + (sum >> 8)) >> 8); /* sum / 255, rounded */
    }
}

void image_mask_shrink(const float *mask, int width, int height, int factor, float *out)
{
    for (int y = 0; y < height / factor; y++)
        for (int x = 0; x < width / factor; x++)
            out[(size_t)y * (size_t)(width / factor) + (size_t)x] = mask[(size_t)(y * factor) * (size_t)width + (size_t)(x * factor)];
}
