/* dataset.c - see dataset.h: opening and closing, and which sample belongs to which split. */
#include "dataset_private.h"

#include "../../host/core/context.h"
#include "../../host/core/file.h"
#include "../image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SOUND_RATE_USUAL 16000
#define RATE_MAX 768000

struct dataset_options dataset_defaults(void)
{
    return (struct dataset_options){.fit = DATASET_FIT_CROP};
}

static void free_sample(struct sample *s)
{
    for (size_t i = 0; i < s->cell_count; i++)
        free(s->cells[i].text);
    free(s->cells);
    free(s->path);
    free(s->caption);
    memset(s, 0, sizeof *s);
}

void dataset_close(struct dataset *ds)
{
    if (!ds)
        return;
    for (size_t i = 0; i < ds->count; i++)
        free_sample(&ds->samples[i]);
    for (size_t i = 0; i < ds->column_count; i++)
        free(ds->columns[i].name);
    for (int i = 0; ds->class_names && i < ds->info.classes; i++)
        free(ds->class_names[i]);
    for (int s = 0; s < DATASET_SPLITS; s++) {
        free(ds->of[s]);
        free(ds->pixels[s]);
    }
    free(ds->samples);
    free(ds->columns);
    free(ds->numbers);
    free(ds->column_names);
    free(ds->class_names);
    free(ds->first_skipped);
    free(ds->caption_column);
    free(ds->root);
    free(ds);
}

static clio_status check_options(clio_context *ctx, struct dataset_options *o)
{
    clio_status st = CLIO_OK;
    if (o->width < 0 || o->height < 0 || o->width > IMAGE_SIDE_MAX || o->height > IMAGE_SIDE_MAX || !o->width != !o->height)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "images of %d x %d pixels cannot be made: give width and height, each from 1 to %d, or neither",
             o->width, o->height, IMAGE_SIDE_MAX);
    if (o->channels != 0 && o->channels != 1 && o->channels != 3)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "images of %d channels cannot be made: 1 (grey) or 3 (colour)", o->channels);
    if (o->fit != DATASET_FIT_CROP && o->fit != DATASET_FIT_STRETCH && o->fit != DATASET_FIT_PAD)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the way of fitting images is none that there is: crop, stretch or pad");
    if (o->rate < 0 || o->rate > RATE_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "sound of %d samples a second cannot be made: 1 to %d", o->rate, RATE_MAX);
    if (o->samples > INT32_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "sounds of %zu samples cannot be made: at most %d", o->samples, INT32_MAX);
    if (!(o->validation >= 0 && o->validation < 1))
        FAIL(ctx, CLIO_ERROR_ARGUMENT,
             "%g of the samples cannot be set apart for validation: give a fraction from 0 to below 1, such as 0.1", o->validation);
    if (!o->rate)
        o->rate = SOUND_RATE_USUAL;
fail:
    return st;
}

/* Leave out what was found to be bad. */
static void drop_bad(struct dataset *ds)
{
    size_t kept = 0;
    for (size_t i = 0; i < ds->count; i++)
        if (ds->samples[i].is_bad)
            free_sample(&ds->samples[i]);
        else
            ds->samples[kept++] = ds->samples[i];
    ds->count = kept;
}

/* A drawn part of "train" becomes "validation". */
static clio_status set_apart(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    uint32_t *order = NULL, *train = NULL;
    size_t n = 0, part;
    for (size_t i = 0; i < ds->count; i++) {
        if (ds->samples[i].split == DATASET_VALIDATION)
            return CLIO_OK;
        n += ds->samples[i].split == DATASET_TRAIN;
    }
    if (ds->options.validation <= 0 || n < 2)
        return CLIO_OK;
    part = (size_t)floor(ds->options.validation * (double)n + 0.5);
    part = MIN(MAX(part, 1), n - 1);
    TRY(mem_alloc(ctx, &order, n, sizeof *order));
    TRY(mem_alloc(ctx, &train, n, sizeof *train));
    n = 0;
    for (size_t i = 0; i < ds->count; i++)
        if (ds->samples[i].split == DATASET_TRAIN)
            train[n++] = (uint32_t)i;
    draws_order(&(struct draws){.seed = ds->options.seed, .purpose = DRAWS_SPLIT}, order, n);
    for (size_t i = 0; i < part; i++)
        ds->samples[train[order[i]]].split = DATASET_VALIDATION;
fail:
    free(order);
    free(train);
    return st;
}

static clio_status list_splits(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    TRY(set_apart(ctx, ds));
    for (size_t i = 0; i < ds->count; i++)
        ds->info.count[ds->samples[i].split]++;
    for (int s = 0; s < DATASET_SPLITS; s++) {
        size_t n = 0;
        TRY(mem_alloc(ctx, &ds->of[s], ds->info.count[s], sizeof *ds->of[s]));
        for (size_t i = 0; i < ds->count; i++)
            if ((int)ds->samples[i].split == s)
                ds->of[s][n++] = (uint32_t)i;
    }
fail:
    return st;
}

/* Only what is labelled, or has a caption, when that is needed. */
static clio_status check_needs(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    const char *thing = ds->info.kind == DATASET_SOUNDS ? "sound" : "image";
    if (ds->options.need_captions && ds->info.kind == DATASET_IDX)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s holds IDX files, which have no captions: train a network that needs none, or use a folder of images", ds->root);
    if (ds->options.need_labels && !ds->info.classes)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no labels: put the %ss into one subfolder for each class, or a label into metadata.jsonl",
             ds->root, thing);
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        if (s->is_bad)
            continue;
        ds->info.has_captions = ds->info.has_captions || s->caption;
        if (ds->options.need_captions && !s->caption)
            st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                           "the %s %s has no caption: write one into metadata.jsonl, or into a .txt file of the same name beside it", thing,
                           s->path);
        else if (ds->options.need_labels && s->label < 0)
            st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__, "the %s %s has no label: give it one, as the others have", thing,
                           s->path ? s->path : ds->root);
        s->is_bad = st != CLIO_OK;
        TRY(dataset_skip(ctx, ds, st));
        st = CLIO_OK;
    }
fail:
    return st;
}

clio_status dataset_open(clio_context *ctx, struct dataset **out, const char *path, const struct dataset_options *options)
{
    clio_status st = CLIO_OK;
    struct dataset *ds = NULL;
    bool is_idx = false;
    *out = NULL;
    TRY(mem_alloc(ctx, &ds, 1, sizeof *ds));
    ds->options = options ? *options : dataset_defaults();
    TRY(check_options(ctx, &ds->options));
    TRY(mem_string(ctx, &ds->caption_column, ds->options.caption));
    ds->options.caption = ds->caption_column;
    TRY(mem_string(ctx, &ds->root, path));
    if (!file_exists(path))
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: name the folder that holds what is to be learned", path);
    if (!file_is_folder(path))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a file: name the folder that holds what is to be learned", path);
    TRY(dataset_idx(ctx, ds, &is_idx));
    if (!is_idx)
        TRY(dataset_folder(ctx, ds));
    TRY(check_needs(ctx, ds));
    drop_bad(ds);
    if (!ds->count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "nothing in %s can be used; the first trouble: %s", path, ds->first_skipped ? ds->first_skipped : "?");
    TRY(list_splits(ctx, ds));
    ds->info.first_skipped = ds->first_skipped;
    ds->info.class_names = (const char *const *)ds->class_names;
    ds->info.column_names = ds->column_names;
    *out = ds;
    return CLIO_OK;
fail:
    dataset_close(ds);
    return st;
}

const struct dataset_info *dataset_info(const struct dataset *ds)
{
    return &ds->info;
}

const char *dataset_caption(const struct dataset *ds, enum dataset_split split, size_t i)
{
    const char *caption = ds->samples[ds->of[split][i]].caption;
    return caption ? caption : "";
}

const char *dataset_path(const struct dataset *ds, enum dataset_split split, size_t i)
{
    return ds->samples[ds->of[split][i]].path;
}

int dataset_label(const struct dataset *ds, enum dataset_split split, size_t i)
{
    return ds->samples[ds->of[split][i]].label;
}
