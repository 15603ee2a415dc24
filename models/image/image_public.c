/* image_public.c - image files in the public interface, over image.h. */
#include "image.h"

#include <stdlib.h>

struct image_file {
    clio_image public; /* first: the caller's pointer is this one */
    struct image image;
};

clio_status clio_image_read(clio_context *ctx, const char *path, clio_image **out)
{
    clio_status st = CLIO_OK;
    struct image image = {0};
    *out = NULL;
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
        free((void *)(uintptr_t)p->list[i].image.rgb);
        free((void *)(uintptr_t)p->list[i].parameters);
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

/* The caller's metadata as the writers take it: borrowed, but for the list itself. */
static clio_status borrow(clio_context *ctx, struct metadata *metadata, const clio_metadata_entry *notes, size_t count)
{
    clio_status st = CLIO_OK;
    TRY(mem_alloc(ctx, &metadata->list, count + 1, sizeof *metadata->list));
    metadata->count = count;
    for (size_t i = 0; i < count; i++)
        metadata->list[i] = (struct metadata_entry){(char *)(uintptr_t)notes[i].key, (char *)(uintptr_t)notes[i].text};
fail:
    return st;
}

struct image image_view(const clio_image *image)
{
    return (struct image){.width = image->width, .height = image->height, .rgb = (unsigned char *)(uintptr_t)image->rgb};
}

clio_status clio_image_write(clio_context *ctx, const clio_image *image, const char *path, const clio_metadata_entry *notes, size_t count)
{
    clio_status st = CLIO_OK;
    struct metadata metadata = {0};
    struct image whole = image_view(image);
    TRY(borrow(ctx, &metadata, notes, count));
    TRY(image_write(ctx, &whole, path, &metadata));
fail:
    free(metadata.list);
    return st;
}

clio_status clio_image_write_apng(clio_context *ctx, const clio_image_list *images, const char *path, int milliseconds,
                                  const clio_metadata_entry *notes, size_t count)
{
    clio_status st = CLIO_OK;
    struct metadata metadata = {0};
    struct animation a = {0};
    if (!images->count)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an animation needs at least one image");
    TRY(borrow(ctx, &metadata, notes, count));
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
    *out = NULL;
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

void clio_metadata_free(clio_metadata *notes)
{
    struct metadata_list *n = (struct metadata_list *)(void *)notes;
    if (!n)
        return;
    metadata_free(&n->metadata);
    free(n->list);
    free(n);
}
