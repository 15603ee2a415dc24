/* dataset_checks.c - what a dataset must have (captions, labels, sounds that fit), and warnings of what is allowed but probably not meant.
 */
#include "dataset_private.h"

#include "../../host/core/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *thing(const struct dataset *ds)
{
    return ds->info.type == DATASET_SOUNDS ? "sound" : "image";
}

/* The sample cannot be used, which clio_fail has explained with st. */
static clio_status reject(clio_context *ctx, struct dataset *ds, struct sample *s, clio_status st)
{
    s->is_bad = true;
    return dataset_skip(ctx, ds, st);
}

static clio_status check_captions(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    struct sample *first = NULL;
    size_t missing = 0;
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        if (s->is_bad || s->caption_count)
            continue;
        missing++;
        first = first ? first : s;
    }
    if (!missing || !ds->options.need_captions)
        return CLIO_OK;
    if (ds->options.allow_empty_captions)
        return dataset_warn(ctx, ds, "%zu of %zu %ss have no caption and are trained on the empty text; the first: %s", missing, ds->count,
                            thing(ds), first->path);
    st =
        clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                  "%zu of %zu %ss have no caption, the first is %s: add metadata.jsonl or .txt files with captions, or set skip_corrupt to "
                  "leave such %ss out, or allow_empty_captions to train on the empty text",
                  missing, ds->count, thing(ds), first->path, thing(ds));
    for (size_t i = 0; i < ds->count; i++)
        if (!ds->samples[i].is_bad && !ds->samples[i].caption_count)
            TRY(reject(ctx, ds, &ds->samples[i], st));
    st = CLIO_OK;
fail:
    return st;
}

static bool has_captions(const struct dataset *ds)
{
    for (size_t i = 0; i < ds->count; i++)
        if (!ds->samples[i].is_bad && ds->samples[i].caption_count)
            return true;
    return false;
}

static clio_status check_labels(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    if (!ds->options.need_labels)
        return CLIO_OK;
    if (!ds->info.classes && ds->options.takes_captions && has_captions(ds))
        FAIL(
            ctx, CLIO_ERROR_FORMAT,
            "%s has captions and no labels: set text_encoder to the folder of a CLIP text encoder to train on the captions, or put the %ss "
            "into one subfolder per class",
            ds->root, thing(ds));
    if (!ds->info.classes)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no labels: put the %ss into one subfolder per class, or labels into metadata.jsonl", ds->root,
             thing(ds));
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        if (s->is_bad || s->label >= 0)
            continue;
        st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__, "the %s %s has no label: add one, as for the others", thing(ds),
                       s->path ? s->path : ds->root);
        TRY(reject(ctx, ds, s, st));
        st = CLIO_OK;
    }
fail:
    return st;
}

/* Of a sound that is too long only a part would be used, with the caption of the whole. */
static clio_status check_lengths(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    double longest = ds->options.seconds_max;
    for (size_t i = 0; longest > 0 && i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        if (s->is_bad || !(s->seconds > longest + 1e-3))
            continue;
        st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                       "%s lasts %.1f s, longer than the %.1f s that the model takes: split it together with its text", s->path, s->seconds,
                       longest);
        TRY(reject(ctx, ds, s, st));
        st = CLIO_OK;
    }
fail:
    return st;
}

/* Find the classes without samples, and warn of them, or of only one class. */
static clio_status check_classes(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    int used = 0, empty = -1, last = 0;
    TRY(mem_alloc(ctx, &ds->class_unseen, (size_t)ds->info.classes, sizeof *ds->class_unseen));
    memset(ds->class_unseen, true, (size_t)ds->info.classes * sizeof *ds->class_unseen);
    for (size_t i = 0; i < ds->count; i++)
        if (!ds->samples[i].is_bad && ds->samples[i].label >= 0)
            ds->class_unseen[ds->samples[i].label] = false;
    for (int i = 0; i < ds->info.classes; i++) {
        used += !ds->class_unseen[i];
        last = ds->class_unseen[i] ? last : i;
        empty = ds->class_unseen[i] && empty < 0 ? i : empty;
    }
    if (used == 1)
        TRY(dataset_warn(ctx, ds, "all %ss in %s have the same label, %s", thing(ds), ds->root, ds->class_names[last]));
    if (used < ds->info.classes && !ds->options.class_names)
        TRY(dataset_warn(ctx, ds, "%d of the %d classes in %s have no %s, class %d for instance: labels are numbers from 0 on",
                         ds->info.classes - used, ds->info.classes, ds->root, thing(ds), empty));
fail:
    return st;
}

clio_status dataset_check(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    if (ds->options.need_captions && ds->info.type == DATASET_IDX)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s has IDX files, which have no captions: use a folder of images with captions, or a model without captions", ds->root);
    TRY(check_captions(ctx, ds));
    TRY(check_labels(ctx, ds));
    TRY(check_lengths(ctx, ds));
    if (ds->options.need_labels)
        TRY(check_classes(ctx, ds));
    for (size_t i = 0; i < ds->count; i++)
        ds->info.has_metadata = ds->info.has_metadata || ds->samples[i].is_described;
    ds->info.has_captions = has_captions(ds);
fail:
    return st;
}

/* ---- the same file in two splits ---- */

/* A file by its size, its samples' split and path. */
struct sized {
    long long size;
    const struct sample *sample;
};

/* -1: it cannot be read any more. */
static long long file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) ? -1 : (long long)info.st_size;
}

static int by_size(const void *a, const void *b)
{
    const struct sized *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size ? -1 : 1) : strcmp(x->sample->path, y->sample->path);
}

static clio_status is_same(clio_context *ctx, const struct sample *a, const struct sample *b, bool *out)
{
    clio_status st = CLIO_OK;
    struct file_content x = {NULL, 0}, y = {NULL, 0};
    TRY(file_load(ctx, &x, a->path));
    TRY(file_load(ctx, &y, b->path));
    *out = x.size == y.size && !memcmp(x.data, y.data, x.size);
fail:
    file_unload(&x);
    file_unload(&y);
    return st;
}

#define COMPARED_MAX 4 /* files of the same size that each file is compared with: uncompressed ones all have the same */

clio_status dataset_check_splits(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    struct sized *files = NULL;
    size_t same = 0;
    const struct sample *first[2] = {NULL, NULL};
    if (ds->info.type == DATASET_IDX || !ds->info.count[DATASET_VALIDATION])
        return CLIO_OK;
    TRY(mem_alloc(ctx, &files, ds->count, sizeof *files));
    for (size_t i = 0; i < ds->count; i++)
        files[i] = (struct sized){file_size(ds->samples[i].path), &ds->samples[i]};
    qsort(files, ds->count, sizeof *files, by_size);
    for (size_t i = 0; i < ds->count; i++) {
        const struct sample *s = files[i].sample;
        for (size_t k = i + 1; k < ds->count && k <= i + COMPARED_MAX && files[k].size == files[i].size && files[i].size > 0; k++) {
            const struct sample *t = files[k].sample;
            bool equal = false;
            if (s->split == t->split || (s->split != DATASET_VALIDATION && t->split != DATASET_VALIDATION))
                continue;
            TRY(is_same(ctx, s, t, &equal));
            if (equal && !same++) {
                first[0] = s;
                first[1] = t;
            }
        }
    }
    if (same)
        TRY(dataset_warn(ctx, ds, "%zu %ss are both in the validation data and in other data; the first: %s is the same file as %s", same,
                         thing(ds), first[0]->path, first[1]->path));
fail:
    free(files);
    return st;
}
