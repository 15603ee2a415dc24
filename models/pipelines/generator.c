/* generator.c - images from a trained model (GAN, VAE, diffusion model): sample from latents, interpolate between two latents, reconstruct
 * images; image grids. */
#include "slerp.h"
#include "../plot/image_grid.h"
#include "../image/image.h"
#include "../../host/core/random.h"
#include "../train/train.h"
#include "../learners/generate.h"
#include "../learners/pretrained.h"

#include <math.h>
#include <stdlib.h>

#define BATCH_SIZE 64 /* images per forward pass */
#define MAX_IMAGES 65536

struct clio_generator {
    clio_context *ctx;
    struct learner learner;
};

clio_status clio_generator_load(clio_context *ctx, const char *path, clio_generator **out)
{
    clio_status st = CLIO_OK;
    clio_generator *g = NULL;
    char *folder = NULL;
    *out = NULL;
    TRY(context_need_device(ctx));
    TRY(checkpoint_folder(ctx, path, &folder));
    TRY(mem_alloc(ctx, &g, 1, sizeof *g));
    g->ctx = ctx;
    TRY(learner_load(ctx, &g->learner, folder));
    *out = g;
    g = NULL;
fail:
    clio_generator_free(g);
    free(folder);
    return st;
}

void clio_generator_free(clio_generator *g)
{
    if (!g)
        return;
    learner_close(g->ctx, &g->learner);
    free(g);
}

clio_generator_info clio_generator_get_info(const clio_generator *g)
{
    const struct learner *l = &g->learner;
    return (clio_generator_info){.model = l->kind->name,
                                 .width = l->shape.width,
                                 .height = l->shape.height,
                                 .channels = l->shape.channels,
                                 .latent = l->kind->has_latents ? l->latent : 0,
                                 .classes = learner_labels(l),
                                 .encodes = l->kind->encode && l->kind->sample && !learner_labels(l)};
}

/* ---- latents to images ---- */

static size_t image_size(const struct learner *l)
{
    return (size_t)l->shape.width * (size_t)l->shape.height * (size_t)l->shape.channels;
}

/* pixels: f32 [H, W, C]. out->image: 8-bit RGB, allocated. */
static clio_status pixels_to_image(const clio_generator *g, const float *pixels, clio_imagine_result *out)
{
    clio_status st = CLIO_OK;
    const struct learner *l = &g->learner;
    size_t count = (size_t)l->shape.width * (size_t)l->shape.height;
    int channels = l->shape.channels;
    float low = l->kind->unit_range ? 0.0f : -1.0f;
    unsigned char *rgb = NULL;
    TRY(mem_alloc(g->ctx, &rgb, 3 * count, 1));
    for (size_t i = 0; i < 3 * count; i++) {
        float x = (pixels[i / 3 * (size_t)channels + (channels == 3 ? i % 3 : 0)] - low) / (1 - low);
        rgb[i] = (unsigned char)(x > 0 ? lrintf(fminf(x, 1) * 255.0f) : 0);
    }
    out->image = (clio_image){l->shape.width, l->shape.height, rgb};
fail:
    return st;
}

/* Images of all latents into out[0], out[stride], ...; latents: f32 [count, latent size]. */
static clio_status sample_all(clio_generator *g, size_t count, const float *latents, const int *labels, clio_imagine_result *out,
                              size_t stride)
{
    clio_status st = CLIO_OK;
    struct learner *l = &g->learner;
    size_t one = image_size(l);
    float *pixels = NULL;
    TRY(mem_alloc(g->ctx, &pixels, MIN(count, BATCH_SIZE) * one, sizeof *pixels));
    for (size_t i = 0; i < count; i += BATCH_SIZE) {
        size_t n = MIN(count - i, BATCH_SIZE);
        TRY(context_progress(g->ctx, "generating", (double)i, (double)count));
        TRY(l->kind->sample(g->ctx, l, (int)n, latents + i * (size_t)l->latent, labels ? labels + i : NULL, pixels));
        for (size_t j = 0; j < n; j++)
            TRY(pixels_to_image(g, pixels + j * one, &out[(i + j) * stride]));
    }
    TRY(context_progress(g->ctx, "generating", (double)count, (double)count));
fail:
    free(pixels);
    return st;
}

static clio_status check_sample(clio_generator *g, int count, const int *labels)
{
    clio_status st = CLIO_OK;
    const struct learner *l = &g->learner;
    if (!l->kind->has_latents)
        FAIL(g->ctx, CLIO_ERROR_ARGUMENT, "a %s model has no latents to sample from: use it to reconstruct images", l->kind->name);
    if (count < 1 || count > MAX_IMAGES)
        FAIL(g->ctx, CLIO_ERROR_ARGUMENT, "the number of images must be from 1 to %d, not %d", MAX_IMAGES, count);
    for (int i = 0; labels && i < count; i++)
        if (labels[i] < 0 || labels[i] >= learner_labels(l))
            FAIL(g->ctx, CLIO_ERROR_ARGUMENT, "label %d does not exist: this model has %d labels, numbered from 0", labels[i],
                 learner_labels(l));
fail:
    return st;
}

/* The chosen labels, or 0, 1, 2, ... in turn; NULL for a model without labels. Allocated. */
static clio_status fill_labels(clio_generator *g, int count, const int *chosen, int **labels)
{
    clio_status st = CLIO_OK;
    *labels = NULL;
    if (!learner_labels(&g->learner))
        return CLIO_OK;
    TRY(mem_alloc(g->ctx, labels, (size_t)count, sizeof **labels));
    for (int i = 0; i < count; i++)
        (*labels)[i] = chosen ? chosen[i] : i % learner_labels(&g->learner);
fail:
    return st;
}

clio_status clio_generator_sample(clio_generator *g, int count, uint64_t seed, const int *labels, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_image_list *images = NULL;
    clio_imagine_result *list;
    float *latents = NULL;
    int *filled = NULL;
    struct random r;
    *out = NULL;
    g->ctx->cancelled = 0;
    TRY(check_sample(g, count, labels));
    TRY(images_new(g->ctx, (size_t)count, &images, &list));
    TRY(fill_labels(g, count, labels, &filled));
    TRY(mem_alloc(g->ctx, &latents, (size_t)count * (size_t)g->learner.latent, sizeof *latents));
    for (int i = 0; i < count; i++) { /* image n of a seed does not depend on count */
        random_seed(&r, RANDOM_TORCH_CUDA, seed + (uint64_t)i);
        random_normal(&r, latents + (size_t)i * (size_t)g->learner.latent, (size_t)g->learner.latent);
        list[i].seed = (int64_t)(seed + (uint64_t)i);
    }
    TRY(sample_all(g, (size_t)count, latents, filled, list, 1));
    *out = images;
    images = NULL;
fail:
    clio_image_list_free(images);
    free(latents);
    free(filled);
    return st;
}

clio_status clio_generator_interpolate(clio_generator *g, uint64_t from, uint64_t to, int frames, int label, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_image_list *images = NULL;
    clio_imagine_result *list;
    float *latents = NULL, *ends = NULL;
    int *labels = NULL, n = g->learner.latent;
    struct random r;
    *out = NULL;
    g->ctx->cancelled = 0;
    TRY(check_sample(g, frames, NULL));
    if (learner_labels(&g->learner))
        TRY(check_sample(g, 1, &label));
    if (frames < 2)
        FAIL(g->ctx, CLIO_ERROR_ARGUMENT, "interpolation needs at least 2 frames, not %d", frames);
    TRY(images_new(g->ctx, (size_t)frames, &images, &list));
    TRY(fill_labels(g, frames, NULL, &labels));
    TRY(mem_alloc(g->ctx, &ends, 2 * (size_t)n, sizeof *ends));
    TRY(mem_alloc(g->ctx, &latents, (size_t)frames * (size_t)n, sizeof *latents));
    for (int i = 0; i < 2; i++) {
        random_seed(&r, RANDOM_TORCH_CUDA, i ? to : from);
        random_normal(&r, ends + i * n, (size_t)n);
    }
    for (int i = 0; i < frames; i++) {
        slerp(latents + (size_t)i * (size_t)n, ends, ends + n, (size_t)n, (double)i / (frames - 1));
        if (labels)
            labels[i] = label;
        list[i].seed = (int64_t)from;
    }
    TRY(sample_all(g, (size_t)frames, latents, labels, list, 1));
    *out = images;
    images = NULL;
fail:
    clio_image_list_free(images);
    free(ends);
    free(latents);
    free(labels);
    return st;
}

/* ---- images to latents ---- */

/* Resize an image to the network's size; pixels: f32 [H, W, C] in the network's range. */
static clio_status image_to_pixels(const clio_generator *g, const clio_image *image, float *pixels)
{
    clio_status st = CLIO_OK;
    const struct learner *l = &g->learner;
    struct image view = image_view(image), scaled = {0};
    float low = l->kind->unit_range ? 0.0f : -1.0f;
    TRY(image_resize(g->ctx, &scaled, &view, l->shape.width, l->shape.height));
    for (size_t i = 0; i < (size_t)l->shape.width * (size_t)l->shape.height; i++) {
        const unsigned char *p = scaled.rgb + 3 * i;
        float grey = (0.299f * (float)p[0] + 0.587f * (float)p[1] + 0.114f * (float)p[2]) / 255.0f; /* ITU-R 601, as Pillow's "L" */
        for (int c = 0; c < l->shape.channels; c++)
            *pixels++ = low + (1 - low) * (l->shape.channels == 1 ? grey : (float)p[c] / 255.0f);
    }
fail:
    image_free(&scaled);
    return st;
}

clio_status clio_generator_reconstruct(clio_generator *g, const clio_image *images, size_t count, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    struct learner *l = &g->learner;
    size_t one = image_size(l);
    clio_image_list *result = NULL;
    clio_imagine_result *list;
    float *pixels = NULL, *latents = NULL;
    *out = NULL;
    g->ctx->cancelled = 0;
    if (!l->kind->encode || !l->kind->sample || learner_labels(l))
        FAIL(g->ctx, CLIO_ERROR_ARGUMENT, "a %s model cannot reconstruct images: use a model with an encoder", l->kind->name);
    if (count < 1 || count > MAX_IMAGES)
        FAIL(g->ctx, CLIO_ERROR_ARGUMENT, "the number of images must be from 1 to %d", MAX_IMAGES);
    TRY(images_new(g->ctx, 2 * count, &result, &list));
    TRY(mem_alloc(g->ctx, &pixels, count * one, sizeof *pixels));
    TRY(mem_alloc(g->ctx, &latents, count * (size_t)MAX(l->latent, 1), sizeof *latents));
    for (size_t i = 0; i < count; i++) {
        TRY(image_to_pixels(g, &images[i], pixels + i * one));
        TRY(pixels_to_image(g, pixels + i * one, &list[2 * i]));
    }
    for (size_t i = 0; i < count; i += BATCH_SIZE)
        TRY(l->kind->encode(g->ctx, l, (int)MIN(count - i, BATCH_SIZE), pixels + i * one, NULL, latents + i * (size_t)l->latent));
    TRY(sample_all(g, count, latents, NULL, list + 1, 2));
    *out = result;
    result = NULL;
fail:
    clio_image_list_free(result);
    free(latents);
    free(pixels);
    return st;
}

/* ---- image grids ---- */

clio_status clio_image_grid(clio_context *ctx, const clio_image_list *images, int columns, clio_image **out)
{
    clio_status st = CLIO_OK;
    const clio_image *first = &images->list[0].image;
    size_t one = 3 * (size_t)first->width * (size_t)first->height;
    struct image_grid grid = {
        .count = (int)images->count, .height = first->height, .width = first->width, .channels = 3, .high = 1, .columns = columns};
    struct image image = {0};
    float *pixels = NULL;
    *out = NULL;
    if (images->count < 1 || images->count > MAX_IMAGES)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an image grid needs from 1 to %d images", MAX_IMAGES);
    TRY(mem_alloc(ctx, &pixels, images->count * one, sizeof *pixels));
    for (size_t i = 0; i < images->count; i++) {
        const clio_image *p = &images->list[i].image;
        if (p->width != first->width || p->height != first->height)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "all images of an image grid must have the same size");
        for (size_t j = 0; j < one; j++)
            pixels[i * one + j] = (float)p->rgb[j] / 255.0f;
    }
    grid.pixels = pixels;
    TRY(image_grid_draw(ctx, &image, &grid));
    TRY(image_give(ctx, &image, out));
fail:
    image_free(&image);
    free(pixels);
    return st;
}
