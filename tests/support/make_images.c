/* make_images.c - writes a folder of small images to learn from: a disc or a square of some colour on another, one in a folder for each
 * class ("disc", "square") when CLASSES is given.
 *
 *     make_images DIR COUNT SIDE [CLASSES] */
#include "../../host/core/context.h"
#include "../../models/image/image.h"
#include "../../host/core/random.h"

#include <stdio.h>
#include <stdlib.h>

static int die(clio_context *ctx)
{
    fprintf(stderr, "make_images: %s\n", clio_error(ctx));
    return 1;
}

static void paint(struct image *image, struct random *r, bool disc)
{
    float n[8];
    random_uniform(r, n, 8);
    float size = 0.15f + 0.25f * n[6], x0 = 0.3f + 0.4f * n[7], y0 = 0.5f;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            float dx = (float)x / (float)image->width - x0, dy = (float)y / (float)image->height - y0;
            bool inside = disc ? dx * dx + dy * dy < size * size : dx * dx < size * size && dy * dy < size * size;
            for (int c = 0; c < 3; c++)
                image->rgb[3 * (y * image->width + x) + c] = (unsigned char)(255 * n[inside ? c : 3 + c]);
        }
}

int main(int argc, char **argv)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = clio_create();
    struct random r;
    if (argc < 4 || !ctx) {
        fputs("usage: make_images DIR COUNT SIDE [CLASSES]\n", stderr);
        return 2;
    }
    int count = atoi(argv[2]), side = atoi(argv[3]);
    random_seed(&r, RANDOM_TORCH_CUDA, 1);
    for (int i = 0; i < count && !st; i++) {
        struct image image;
        char folder[512], path[600];
        snprintf(folder, sizeof folder, "%s%s", argv[1], argc < 5 ? "" : i % 2 ? "/square" : "/disc");
        snprintf(path, sizeof path, "%s/%04d.png", folder, i);
        st = file_make_folder(ctx, folder);
        st = st ? st : image_new(ctx, &image, "an image", side, side);
        if (st)
            break;
        paint(&image, &r, i % 2 == 0);
        st = image_write(ctx, &image, path, NULL);
        image_free(&image);
    }
    int code = st ? die(ctx) : 0;
    clio_destroy(ctx);
    return code;
}
