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
#include <stdio.h>
#include <stdlib.h>

#define BATCH_SIZE 64 /* images per forward pass */
#define MAX_IMAGES 65536

struct clio_generator {
    clio_context *ctx;
    struct learner learner;
    char *folder;
};

clio_status clio_generator_load(clio_context *ctx, const char *path, clio_generator **out)
{
    clio_status st = CLIO_OK;
    clio_generator *g = NULL;
    char *folder = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, path, "path");
    REQUIRE(ctx, out, "out");
    TRY(context_need_device(ctx));
    TRY(checkpoint_folder(ctx, path, &folder));
    TRY(checkpoint_check_model(ctx, folder));
    TRY(mem_alloc(ctx, &g, 1, sizeof *g));
    g->ctx = ctx;
    TRY(learner_load(ctx, &g->learner, folder));
    g->folder = folder;
    folder = NULL;
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
    free(g->folder);
    free(g);
}

clio_generator_info clio_generator_get_info(const clio_generator *g)
{
    if (!g)
        return (clio_generator_info){0};
    const struct learner *l = &g->learner;
    return (clio_generator_info){.model = l->type->name,
                                 .width = l->shape.width,
                                 .height = l->shape.height,
                                 .channels = l->shape.channels,
                                 .latent = l->type->has_latents ? l->latent : 0,
                                 .classes = learner_labels(l),
                                 .encodes = l->type->encode && l->type->sample && !learner_labels(l),
                                 .class_names = (const char *const *)l->class_names};
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
    float low = l->type->unit_range ? 0.0f : -1.0f;
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

static clio_status check_finite(const clio_generator *g, const char *what, const float *values, size_t n)
{
    clio_status st = CLIO_OK;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            FAIL(g->ctx, CLIO_ERROR_FORMAT, "the %s of %s %s that are not finite: its weights are damaged, use another checkpoint",
                 g->learner.type->name, g->folder, what);
fail:
    return st;
}

/* Say that classes are sampled which training had no sample of. */
static void note_unseen(const clio_generator *g, const int *labels, size_t count)
{
    const struct learner *l = &g->learner;
    size_t images = 0;
    int first = -1;
    for (size_t i = 0; labels && l->class_names && !learner_needs_captions(l->type, l->config) && i < count; i++)
        if (l->class_unseen[labels[i]])
            first = images++ ? first : labels[i];
    if (images)
        context_notice(g->ctx,
                       "%zu of the %zu images are of classes that %s was trained without a sample of, class %s for instance: they show "
                       "nothing that it learned",
                       images, count, g->folder, l->class_names[first]);
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
    note_unseen(g, labels, count);
    for (size_t i = 0; i < count; i += BATCH_SIZE) {
        size_t n = MIN(count - i, BATCH_SIZE);
        TRY(context_progress(g->ctx, "generating", (double)i, (double)count));
        TRY(l->type->sample(g->ctx, l, (int)n, latents + i * (size_t)l->latent, labels ? labels + i : NULL, pixels));
        TRY(check_finite(g, "gives pixels", pixels, n * one));
        for (size_t j = 0; j < n; j++)
            TRY(pixels_to_image(g, pixels + j * one, &out[(i + j) * stride]));
    }
    TRY(context_progress(g->ctx, "generating", (double)count, (double)count));
fail:
    free(pixels);
    return st;
}

static clio_status require_label(const clio_generator *g, struct caller at, int label, const char *name)
{
    clio_status st = CLIO_OK;
    int labels = learner_labels(&g->learner);
    REQUIRE_THAT(g->ctx, at, labels > 0, "%s is %d, but this model has no classes", name, label);
    TRY(require_int(g->ctx, at, label, 0, labels - 1, name));
fail:
    return st;
}

static clio_status require_latents(const clio_generator *g, struct caller at)
{
    clio_status st = CLIO_OK;
    REQUIRE_THAT(g->ctx, at, g->learner.type->has_latents,
                 "generator is a %s model, which has no latents to sample from: use it to reconstruct images", g->learner.type->name);
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
    char name[40];
    SET_NULL(out);
    REQUIRE(NULL, g, "generator");
    REQUIRE_INT(g->ctx, count, 1, MAX_IMAGES, "count");
    for (int i = 0; labels && i < count; i++) {
        snprintf(name, sizeof name, "labels[%d]", i);
        TRY(require_label(g, CALLER, labels[i], name));
    }
    REQUIRE(g->ctx, out, "out");
    TRY(require_latents(g, CALLER));
    g->ctx->cancelled = 0;
    TRY(images_new(g->ctx, (size_t)count, &images, &list));
    TRY(fill_labels(g, count, labels, &filled));
    TRY(mem_alloc(g->ctx, &latents, (size_t)count * (size_t)g->learner.latent, sizeof *latents));
    for (int i = 0; i < count; i++) { /* image n of a seed does not depend on count */
        random_seed(&r, RANDOM_TORCH_CUDA, seed + (uint64_t)i);
        random_normal(&r, latents + (size_t)i * (size_t)g->learner.latent, (size_t)g->learner.latent);
        list[i].seed = seed + (uint64_t)i;
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
    int *labels = NULL, n = 0;
    struct random r;
    SET_NULL(out);
    REQUIRE(NULL, g, "generator");
    REQUIRE_INT(g->ctx, frames, 2, MAX_IMAGES, "frames");
    if (learner_labels(&g->learner))
        TRY(require_label(g, CALLER, label, "label"));
    REQUIRE(g->ctx, out, "out");
    TRY(require_latents(g, CALLER));
    g->ctx->cancelled = 0;
    n = g->learner.latent;
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
        list[i].seed = from;
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
    float low = l->type->unit_range ? 0.0f : -1.0f;
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
    struct learner *l = NULL;
    size_t one = 0;
    clio_image_list *result = NULL;
    clio_imagine_result *list;
    float *pixels = NULL, *latents = NULL;
    char name[40];
    SET_NULL(out);
    REQUIRE(NULL, g, "generator");
    REQUIRE(g->ctx, images, "images");
    REQUIRE_SIZE(g->ctx, count, 1, MAX_IMAGES, "count");
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "images[%zu]", i);
        TRY(image_require(g->ctx, CALLER, &images[i], name));
    }
    REQUIRE(g->ctx, out, "out");
    l = &g->learner;
    one = image_size(l);
    REQUIRE_THAT(g->ctx, CALLER, l->type->encode && l->type->sample && !learner_labels(l),
                 "generator is a %s model, which cannot reconstruct images: use a model with an encoder", l->type->name);
    g->ctx->cancelled = 0;
    TRY(images_new(g->ctx, 2 * count, &result, &list));
    TRY(mem_alloc(g->ctx, &pixels, count * one, sizeof *pixels));
    TRY(mem_alloc(g->ctx, &latents, count * (size_t)MAX(l->latent, 1), sizeof *latents));
    for (size_t i = 0; i < count; i++) {
        TRY(image_to_pixels(g, &images[i], pixels + i * one));
        TRY(pixels_to_image(g, pixels + i * one, &list[2 * i]));
    }
    for (size_t i = 0; i < count; i += BATCH_SIZE)
        TRY(l->type->encode(g->ctx, l, (int)MIN(count - i, BATCH_SIZE), pixels + i * one, NULL, latents + i * (size_t)l->latent));
    TRY(check_finite(g, "encodes images to values", latents, count * (size_t)l->latent));
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
    const clio_image *first;
    size_t one;
    struct image_grid grid = {.channels = 3, .high = 1, .columns = columns};
    struct image image = {0};
    float *pixels = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    TRY(images_require(ctx, CALLER, images, MAX_IMAGES));
    REQUIRE_INT(ctx, columns, 0, MAX_IMAGES, "columns");
    REQUIRE(ctx, out, "out");
    first = &images->list[0].image;
    one = 3 * (size_t)first->width * (size_t)first->height;
    TRY(mem_alloc(ctx, &pixels, images->count * one, sizeof *pixels));
    for (size_t i = 0; i < images->count; i++)
        for (size_t j = 0; j < one; j++)
            pixels[i * one + j] = (float)images->list[i].image.rgb[j] / 255.0f;
    grid.count = (int)images->count;
    grid.height = first->height;
    grid.width = first->width;
    grid.pixels = pixels;
    TRY(image_grid_draw(ctx, &image, &grid));
    TRY(image_give(ctx, &image, out));
fail:
    image_free(&image);
    free(pixels);
    return st;
}
