/* image_public.c - image files in the public interface, over image.h. */
#include "image.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTRIES_MAX 10000 /* of metadata */
#define FRAMES_MAX 65536  /* of an animation */
#define MILLISECONDS_MAX 65535

struct image_file {
    clio_image public; /* first: the caller's pointer is this one */
    struct image image;
};

clio_status clio_image_read(clio_context *ctx, const char *path, clio_image **out)
{
    clio_status st = CLIO_OK;
    struct image image = {0};
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, path, "path");
    REQUIRE(ctx, out, "out");
    TRY(image_read(ctx, &image, path));
    TRY(image_give(ctx, &image, out));
fail:
    image_free(&image);
    return st;
}

void clio_image_free(clio_image *image)
{
    struct image_file *f = (struct image_file *)(void *)image;
    if (f)
        image_free(&f->image);
    free(f);
}

/* ---- several images ---- */

struct image_list {
    clio_image_list public; /* first: the caller's pointer is this one */
    clio_imagine_result *list;
};

clio_status images_new(clio_context *ctx, size_t count, clio_image_list **out, clio_imagine_result **list)
{
    clio_status st = CLIO_OK;
    struct image_list *p = NULL;
    *out = NULL;
    TRY(mem_alloc(ctx, &p, 1, sizeof *p));
    TRY(mem_alloc(ctx, &p->list, count, sizeof *p->list));
    p->public = (clio_image_list){p->list, count};
    *out = &p->public;
    *list = p->list;
    return CLIO_OK;
fail:
    free(p);
    return st;
}

void clio_image_list_free(clio_image_list *images)
{
    struct image_list *p = (struct image_list *)(void *)images;
    if (!p)
        return;
    for (size_t i = 0; i < p->public.count; i++) {
        free(mem_const_cast(p->list[i].image.rgb));
        free(mem_const_cast(p->list[i].parameters));
    }
    free(p->list);
    free(p);
}

clio_status image_give(clio_context *ctx, struct image *image, clio_image **out)
{
    clio_status st = CLIO_OK;
    struct image_file *f = NULL;
    *out = NULL;
    TRY(mem_alloc(ctx, &f, 1, sizeof *f));
    f->image = *image;
    f->public = (clio_image){image->width, image->height, image->rgb};
    *image = (struct image){0};
    *out = &f->public;
fail:
    return st;
}

/* ---- writing ---- */

clio_status image_require(clio_context *ctx, struct caller at, const clio_image *image, const char *name)
{
    clio_status st = CLIO_OK;
    char field[100];
    REQUIRE_AT(ctx, at, image, name);
    snprintf(field, sizeof field, "%s.width", name);
    TRY(require_int(ctx, at, image->width, 1, IMAGE_SIDE_MAX, field));
    snprintf(field, sizeof field, "%s.height", name);
    TRY(require_int(ctx, at, image->height, 1, IMAGE_SIDE_MAX, field));
    REQUIRE_THAT(ctx, at, (size_t)image->width * (size_t)image->height <= IMAGE_PIXELS_MAX,
                 "%s has %d x %d pixels: an image has at most %zu", name, image->width, image->height, IMAGE_PIXELS_MAX);
    snprintf(field, sizeof field, "%s.rgb", name);
    REQUIRE_AT(ctx, at, image->rgb, field);
fail:
    return st;
}

clio_status images_require(clio_context *ctx, struct caller at, const clio_image_list *images, size_t most)
{
    clio_status st = CLIO_OK;
    char field[60];
    REQUIRE_AT(ctx, at, images, "images");
    TRY(require_size(ctx, at, images->count, 1, most, "images.count"));
    REQUIRE_AT(ctx, at, images->list, "images.list");
    for (size_t i = 0; i < images->count; i++) {
        const clio_image *one = &images->list[i].image, *first = &images->list[0].image;
        snprintf(field, sizeof field, "images.list[%zu].image", i);
        TRY(image_require(ctx, at, one, field));
        REQUIRE_THAT(ctx, at, one->width == first->width && one->height == first->height,
                     "%s has %d x %d pixels, and the first image %d x %d: all images must have the same size", field, one->width,
                     one->height, first->width, first->height);
    }
fail:
    return st;
}

static clio_status require_entries(clio_context *ctx, struct caller at, const clio_metadata_entry *entries, size_t count)
{
    clio_status st = CLIO_OK;
    char field[60];
    TRY(require_list(ctx, at, entries, count, ENTRIES_MAX, "entries", "count"));
    for (size_t i = 0; i < count; i++) {
        snprintf(field, sizeof field, "entries[%zu].key", i);
        TRY(require_text(ctx, at, entries[i].key, field));
        snprintf(field, sizeof field, "entries[%zu].text", i);
        REQUIRE_AT(ctx, at, entries[i].text, field);
    }
fail:
    return st;
}

/* The caller's entries as the writers take them: borrowed, but for the list itself. */
static clio_status borrow(clio_context *ctx, struct metadata *metadata, const clio_metadata_entry *entries, size_t count)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(ctx, &metadata->list, count + 1, sizeof *metadata->list));
    metadata->count = count;
    for (size_t i = 0; i < count; i++)
        metadata->list[i] = (struct metadata_entry){mem_const_cast(entries[i].key), mem_const_cast(entries[i].text)};
fail:
    return st;
}

struct image image_view(const clio_image *image)
{
    return (struct image){.width = image->width, .height = image->height, .rgb = mem_const_cast(image->rgb)};
}

clio_status clio_image_write(clio_context *ctx, const clio_image *image, const char *path, const clio_metadata_entry *entries, size_t count)
{
    clio_status st = CLIO_OK;
    struct metadata metadata = {0};
    struct image whole;
    REQUIRE(ctx, ctx, "ctx");
    TRY(image_require(ctx, CALLER, image, "image"));
    REQUIRE_TEXT(ctx, path, "path");
    TRY(require_entries(ctx, CALLER, entries, count));
    whole = image_view(image);
    TRY(borrow(ctx, &metadata, entries, count));
    TRY(image_write(ctx, &whole, path, &metadata));
fail:
    free(metadata.list);
    return st;
}

clio_status clio_image_write_apng(clio_context *ctx, const clio_image_list *images, const char *path, int milliseconds,
                                  const clio_metadata_entry *entries, size_t count)
{
    clio_status st = CLIO_OK;
    struct metadata metadata = {0};
    struct animation a = {0};
    REQUIRE(ctx, ctx, "ctx");
    TRY(images_require(ctx, CALLER, images, FRAMES_MAX));
    REQUIRE_TEXT(ctx, path, "path");
    REQUIRE_INT(ctx, milliseconds, 1, MILLISECONDS_MAX, "milliseconds");
    TRY(require_entries(ctx, CALLER, entries, count));
    TRY(borrow(ctx, &metadata, entries, count));
    TRY(animation_open(ctx, &a, path, images->list[0].image.width, images->list[0].image.height, (int)images->count, milliseconds,
                       &metadata));
    for (size_t i = 0; i < images->count; i++) {
        struct image frame = image_view(&images->list[i].image);
        TRY(animation_add(ctx, &a, &frame));
    }
    TRY(animation_commit(ctx, &a));
fail:
    animation_abandon(&a);
    free(metadata.list);
    return st;
}

/* ---- metadata ---- */

struct metadata_list {
    clio_metadata public; /* first: the caller's pointer is this one */
    struct metadata metadata;
    clio_metadata_entry *list;
};

clio_status clio_image_metadata(clio_context *ctx, const char *path, clio_metadata **out)
{
    clio_status st = CLIO_OK;
    struct metadata_list *n = NULL;
    SET_NULL(out);
    REQUIRE(ctx, ctx, "ctx");
    REQUIRE_TEXT(ctx, path, "path");
    REQUIRE(ctx, out, "out");
    TRY(mem_alloc(ctx, &n, 1, sizeof *n));
    TRY(image_metadata_read(ctx, &n->metadata, path));
    TRY(mem_alloc(ctx, &n->list, n->metadata.count + 1, sizeof *n->list));
    for (size_t i = 0; i < n->metadata.count; i++)
        n->list[i] = (clio_metadata_entry){n->metadata.list[i].key, n->metadata.list[i].text};
    n->public = (clio_metadata){n->list, n->metadata.count};
    *out = &n->public;
    return CLIO_OK;
fail:
    if (n)
        clio_metadata_free(&n->public);
    return st;
}

void clio_metadata_free(clio_metadata *metadata)
{
    struct metadata_list *n = (struct metadata_list *)(void *)metadata;
    if (!n)
        return;
    metadata_free(&n->metadata);
    free(n->list);
    free(n);
}
