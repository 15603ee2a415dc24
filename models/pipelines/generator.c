/* generator.c - trained models in the public interface: images from latents, interpolation, reconstruction, image grids. */
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

#define AT_ONCE 64 /* images in one pass of the network */
#define COUNT_MAX 65536

struct clio_generator {
    clio_context *ctx;
    struct learner learner;
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
    if (!g)
        return (clio_generator_info){0};
    const struct learner *l = &g->learner;
    return (clio_generator_info){.model = l->type->name,
                                 .width = l->shape.width,
                                 .height = l->shape.height,
                                 .channels = l->shape.channels,
                                 .latent = l->type->has_latents ? l->latent : 0,
                                 .classes = learner_labels(l),
                                 .encodes = l->type->encode && l->type->sample && !learner_labels(l)};
}

/* ---- numbers to images ---- */

static size_t picture_size(const struct learner *l)
{
    return (size_t)l->shape.width * (size_t)l->shape.height * (size_t)l->shape.channels;
}

/* `pixels` f32 [H, W, C] as 8-bit RGB in fresh memory. */
static clio_status to_picture(const clio_generator *g, const float *pixels, clio_imagine_result *out)
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

/* Latents through the network, AT_ONCE at a time, into out[0], out[stride], ... */
static clio_status draw_all(clio_generator *g, size_t count, const float *latents, const int *labels, clio_imagine_result *out,
                            size_t stride)
{
    clio_status st = CLIO_OK;
    struct learner *l = &g->learner;
    size_t one = picture_size(l);
    float *pixels = NULL;
    TRY(mem_alloc(g->ctx, &pixels, MIN(count, AT_ONCE) * one, sizeof *pixels));
    for (size_t i = 0; i < count; i += AT_ONCE) {
        size_t n = MIN(count - i, AT_ONCE);
        TRY(context_progress(g->ctx, "sampling", (double)i, (double)count));
        TRY(l->type->sample(g->ctx, l, (int)n, latents + i * (size_t)l->latent, labels ? labels + i : NULL, pixels));
        for (size_t j = 0; j < n; j++)
            TRY(to_picture(g, pixels + j * one, &out[(i + j) * stride]));
    }
    TRY(context_progress(g->ctx, "sampling", (double)count, (double)count));
fail:
    free(pixels);
    return st;
}

static clio_status require_label(const clio_generator *g, struct caller at, int label, const char *name)
{
    clio_status st = CLIO_OK;
    int labels = learner_labels(&g->learner);
    REQUIRE_THAT(g->ctx, at, labels > 0, "%s is %d, but this model has no labels", name, label);
    TRY(require_int(g->ctx, at, label, 0, labels - 1, name));
fail:
    return st;
}

static clio_status require_latents(const clio_generator *g, struct caller at)
{
    clio_status st = CLIO_OK;
    REQUIRE_THAT(g->ctx, at, g->learner.type->has_latents,
                 "generator is a model %s, which makes no images from latents: let it reconstruct images", g->learner.type->name);
fail:
    return st;
}

/* The labels asked for, or each in turn; NULL without. Fresh memory. */
static clio_status fill_labels(clio_generator *g, int count, const int *asked, int **labels)
{
    clio_status st = CLIO_OK;
    *labels = NULL;
    if (!learner_labels(&g->learner))
        return CLIO_OK;
    TRY(mem_alloc(g->ctx, labels, (size_t)count, sizeof **labels));
    for (int i = 0; i < count; i++)
        (*labels)[i] = asked ? asked[i] : i % learner_labels(&g->learner);
fail:
    return st;
}

clio_status clio_generator_sample(clio_generator *g, int count, uint64_t seed, const int *labels, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    clio_image_list *images = NULL;
    clio_imagine_result *list;
    float *latents = NULL;
    int *all = NULL;
    struct random r;
    char name[40];
    SET_NULL(out);
    REQUIRE(NULL, g, "generator");
    REQUIRE_INT(g->ctx, count, 1, COUNT_MAX, "count");
    for (int i = 0; labels && i < count; i++) {
        snprintf(name, sizeof name, "labels[%d]", i);
        TRY(require_label(g, CALLER, labels[i], name));
    }
    REQUIRE(g->ctx, out, "out");
    TRY(require_latents(g, CALLER));
    g->ctx->cancelled = 0;
    TRY(images_new(g->ctx, (size_t)count, &images, &list));
    TRY(fill_labels(g, count, labels, &all));
    TRY(mem_alloc(g->ctx, &latents, (size_t)count * (size_t)g->learner.latent, sizeof *latents));
    for (int i = 0; i < count; i++) { /* image n of a seed is the same, however many are drawn */
        random_seed(&r, RANDOM_TORCH_CUDA, seed + (uint64_t)i);
        random_normal(&r, latents + (size_t)i * (size_t)g->learner.latent, (size_t)g->learner.latent);
        list[i].seed = (int64_t)(seed + (uint64_t)i);
    }
    TRY(draw_all(g, (size_t)count, latents, all, list, 1));
    *out = images;
    images = NULL;
fail:
    clio_image_list_free(images);
    free(latents);
    free(all);
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
    REQUIRE_INT(g->ctx, frames, 2, COUNT_MAX, "frames");
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
        list[i].seed = (int64_t)from;
    }
    TRY(draw_all(g, (size_t)frames, latents, labels, list, 1));
    *out = images;
    images = NULL;
fail:
    clio_image_list_free(images);
    free(ends);
    free(latents);
    free(labels);
    return st;
}

/* ---- images to numbers ---- */

/* An image at the network's size, as its numbers [H, W, C]. */
static clio_status to_pixels(const clio_generator *g, const clio_image *picture, float *pixels)
{
    clio_status st = CLIO_OK;
    const struct learner *l = &g->learner;
    struct image view = image_view(picture), scaled = {0};
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

clio_status clio_generator_reconstruct(clio_generator *g, const clio_image *given, size_t count, clio_image_list **out)
{
    clio_status st = CLIO_OK;
    struct learner *l = NULL;
    size_t one = 0;
    clio_image_list *images = NULL;
    clio_imagine_result *list;
    float *pixels = NULL, *latents = NULL;
    char name[40];
    SET_NULL(out);
    REQUIRE(NULL, g, "generator");
    REQUIRE(g->ctx, given, "images");
    REQUIRE_SIZE(g->ctx, count, 1, COUNT_MAX, "count");
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "images[%zu]", i);
        TRY(image_require(g->ctx, CALLER, &given[i], name));
    }
    REQUIRE(g->ctx, out, "out");
    l = &g->learner;
    one = picture_size(l);
    REQUIRE_THAT(g->ctx, CALLER, l->type->encode && l->type->sample && !learner_labels(l),
                 "generator is a model %s, which does not encode images: it only samples them", l->type->name);
    g->ctx->cancelled = 0;
    TRY(images_new(g->ctx, 2 * count, &images, &list));
    TRY(mem_alloc(g->ctx, &pixels, count * one, sizeof *pixels));
    TRY(mem_alloc(g->ctx, &latents, count * (size_t)MAX(l->latent, 1), sizeof *latents));
    for (size_t i = 0; i < count; i++) {
        TRY(to_pixels(g, &given[i], pixels + i * one));
        TRY(to_picture(g, pixels + i * one, &list[2 * i]));
    }
    for (size_t i = 0; i < count; i += AT_ONCE)
        TRY(l->type->encode(g->ctx, l, (int)MIN(count - i, AT_ONCE), pixels + i * one, NULL, latents + i * (size_t)l->latent));
    TRY(draw_all(g, count, latents, NULL, list + 1, 2));
    *out = images;
    images = NULL;
fail:
    clio_image_list_free(images);
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
    TRY(images_require(ctx, CALLER, images, COUNT_MAX));
    REQUIRE_INT(ctx, columns, 0, COUNT_MAX, "columns");
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
