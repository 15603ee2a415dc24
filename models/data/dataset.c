/* dataset.c - open and close a dataset; splits. See dataset.h. */
#include "dataset_private.h"

#include "../../host/core/context.h"
#include "../../host/core/file.h"
#include "../image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SAMPLE_RATE 16000
#define RATE_MAX 768000

struct dataset_options dataset_defaults(void)
{
    return (struct dataset_options){.resize_mode = DATASET_RESIZE_CROP};
}

static void free_sample(struct sample *s)
{
    for (size_t i = 0; i < s->cell_count; i++)
        free(s->cells[i].text);
    free(s->cells);
    free(s->path);
    for (size_t i = 0; i < s->caption_count; i++)
        free(s->captions[i]);
    free(s->captions);
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
    free(ds->class_unseen);
    for (int i = 0; i < ds->info.warning_count; i++)
        free(ds->warnings[i]);
    free(ds->warnings);
    free(ds->first_skipped);
    free(ds->caption_column);
    free(ds->root);
    free(ds);
}

static clio_status check_options(clio_context *ctx, struct dataset_options *o)
{
    clio_status st = CLIO_OK;
    if (o->width < 0 || o->height < 0 || o->width > IMAGE_SIDE_MAX || o->height > IMAGE_SIDE_MAX || !o->width != !o->height)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "an image size of %d x %d is not possible: use a width and a height from 1 to %d, or neither",
             o->width, o->height, IMAGE_SIDE_MAX);
    if (o->channels != 0 && o->channels != 1 && o->channels != 3)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "%d channels are not possible: use 1 (gray) or 3 (color)", o->channels);
    if (o->resize_mode != DATASET_RESIZE_CROP && o->resize_mode != DATASET_RESIZE_STRETCH && o->resize_mode != DATASET_RESIZE_PAD)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "unknown resize_mode: use crop, stretch or pad");
    if (o->rate < 0 || o->rate > RATE_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a sample rate of %d is not possible: use 1 to %d", o->rate, RATE_MAX);
    if (o->samples > INT32_MAX)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "sounds of %zu samples are too long: use at most %d", o->samples, INT32_MAX);
    if (!(o->validation_split >= 0 && o->validation_split < 1))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "a validation_split of %g is not possible: use a fraction from 0 to below 1, such as 0.1",
             o->validation_split);
    if (!o->rate)
        o->rate = DEFAULT_SAMPLE_RATE;
fail:
    return st;
}

/* Remove the samples with errors. */
static void remove_bad(struct dataset *ds)
{
    size_t count = 0;
    for (size_t i = 0; i < ds->count; i++)
        if (ds->samples[i].is_bad)
            free_sample(&ds->samples[i]);
        else
            ds->samples[count++] = ds->samples[i];
    ds->count = count;
}

/* FNV-1a of a text. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

/* A number in [0, 1) that depends on the seed and the sample's name alone (of IDX files: its index), so that other samples do not change
 * which side it is on. */
static float split_draw(const struct dataset *ds, size_t i)
{
    const struct sample *s = &ds->samples[i];
    uint64_t hash = s->name ? hash_text(s->name) : i;
    const struct draws draws = {ds->options.seed, (uint32_t)(hash >> 32), (uint32_t)hash, DRAWS_SPLIT};
    return draws_unit(&draws, 0);
}

/* Move a random part of "train" to "validation": the samples that draw less than the fraction; at least one, and never all. */
static void split_validation(struct dataset *ds)
{
    size_t n = 0, least = ds->count, most = ds->count;
    for (size_t i = 0; i < ds->count; i++) {
        ds->info.has_validation = ds->info.has_validation || ds->samples[i].split == DATASET_VALIDATION;
        n += ds->samples[i].split == DATASET_TRAIN;
    }
    if (ds->info.has_validation || ds->options.validation_split <= 0 || n < 2)
        return;
    for (size_t i = 0; i < ds->count; i++) {
        if (ds->samples[i].split != DATASET_TRAIN)
            continue;
        least = least == ds->count || split_draw(ds, i) < split_draw(ds, least) ? i : least;
        most = most == ds->count || split_draw(ds, i) > split_draw(ds, most) ? i : most;
    }
    for (size_t i = 0; i < ds->count; i++) {
        bool drawn = (double)split_draw(ds, i) < ds->options.validation_split;
        if (ds->samples[i].split != DATASET_TRAIN || !((drawn && i != most) || i == least))
            continue;
        ds->samples[i].split = DATASET_VALIDATION;
    }
}

static clio_status list_splits(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    split_validation(ds);
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

clio_status dataset_open(clio_context *ctx, struct dataset **out, const char *path, const struct dataset_options *options)
{
    clio_status st = CLIO_OK;
    struct dataset *ds = NULL;
    bool is_idx = false, exists;
    *out = NULL;
    TRY(mem_alloc(ctx, &ds, 1, sizeof *ds));
    ds->options = options ? *options : dataset_defaults();
    TRY(check_options(ctx, &ds->options));
    TRY(mem_string(ctx, &ds->caption_column, ds->options.caption));
    ds->options.caption = ds->caption_column;
    TRY(mem_string(ctx, &ds->root, path));
    TRY(file_check_exists(ctx, path, &exists));
    if (!exists)
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: use a folder with a dataset", path);
    if (!file_is_folder(path))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a file: use a folder with a dataset", path);
    TRY(dataset_idx(ctx, ds, &is_idx));
    if (!is_idx)
        TRY(dataset_folder(ctx, ds));
    TRY(dataset_check(ctx, ds));
    remove_bad(ds);
    if (!ds->count)
        FAIL(ctx, CLIO_ERROR_FORMAT, "no file in %s can be used; the first error: %s", path, ds->first_skipped ? ds->first_skipped : "?");
    TRY(list_splits(ctx, ds));
    TRY(dataset_check_splits(ctx, ds));
    ds->info.warnings = (const char *const *)ds->warnings;
    ds->info.first_skipped = ds->first_skipped;
    ds->info.class_names = (const char *const *)ds->class_names;
    ds->info.class_unseen = ds->class_unseen;
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
    return sample_caption(&ds->samples[ds->of[split][i]]);
}

const char *dataset_path(const struct dataset *ds, enum dataset_split split, size_t i)
{
    return ds->samples[ds->of[split][i]].path;
}

int dataset_label(const struct dataset *ds, enum dataset_split split, size_t i)
{
    return ds->samples[ds->of[split][i]].label;
}
