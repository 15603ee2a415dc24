/* dataset_folder.c - Hugging Face's imagefolder and audiofolder: list the files, assign splits and classes, check that files are complete
 * and have the same size. Source: datasets, packaged_modules/folder_based_builder and data_files.py. Differences: folders are classes only
 * if there are at least two; files next to the folders train and test are an error. */
#include "dataset_private.h"
#include "../image/image_probe.h"

#include "../../audio/sound.h"
#include "../../host/core/context.h"
#include "../../host/core/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REPORT_EVERY 64

/* ---- splits and classes ---- */

static const struct {
    const char *name;
    enum dataset_split split;
} split_names[] = {{"train", DATASET_TRAIN},      {"training", DATASET_TRAIN}, {"validation", DATASET_VALIDATION},
                   {"valid", DATASET_VALIDATION}, {"val", DATASET_VALIDATION}, {"dev", DATASET_VALIDATION},
                   {"test", DATASET_TEST},        {"testing", DATASET_TEST}};

/* The split of a name by its first folder; -1: none. */
static int split_of(const char *name)
{
    size_t n = strcspn(name, "/");
    for (size_t i = 0; name[n] && i < COUNT(split_names); i++)
        if (strlen(split_names[i].name) == n && !strncasecmp(name, split_names[i].name, n))
            return (int)split_names[i].split;
    return -1;
}

static clio_status set_splits(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    bool has_train = false;
    for (size_t i = 0; i < ds->count; i++)
        has_train = has_train || split_of(ds->samples[i].name) == (int)DATASET_TRAIN;
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        const char *rest = s->name, *slash;
        if (has_train && split_of(rest) < 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is next to the folder train: move it into train, validation or test", s->path);
        if (has_train) {
            s->split = (enum dataset_split)split_of(rest);
            rest += strcspn(rest, "/") + 1;
        }
        slash = strrchr(rest, '/');
        if (slash) {
            const char *begin = slash;
            while (begin > rest && begin[-1] != '/')
                begin--;
            s->class_name = begin;
            s->class_length = (size_t)(slash - begin);
        }
    }
fail:
    return st;
}

/* Collect the numeric columns as an array. */
static clio_status set_numbers(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    int n = 0;
    TRY(mem_alloc(ctx, &ds->column_names, ds->column_count, sizeof *ds->column_names));
    for (size_t i = 0; i < ds->column_count; i++) {
        struct column *c = &ds->columns[i];
        bool is_numeric = c->cells && c->numbers == c->cells && strcmp(c->name, "label") != 0;
        c->at = is_numeric ? n : -1;
        if (is_numeric)
            ds->column_names[n++] = c->name;
    }
    ds->info.columns = n;
    TRY(mem_alloc(ctx, &ds->numbers, ds->count * (size_t)n, sizeof *ds->numbers));
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        s->numbers = ds->numbers + i * (size_t)n;
        for (int k = 0; k < n; k++)
            s->numbers[k] = (float)NAN;
        for (size_t k = 0; k < s->cell_count; k++)
            if (ds->columns[s->cells[k].column].at >= 0)
                s->numbers[ds->columns[s->cells[k].column].at] = (float)s->cells[k].number;
    }
fail:
    return st;
}

/* ---- the content ---- */

static clio_status probe_sound(clio_context *ctx, struct dataset *ds, struct sample *s)
{
    clio_status st = CLIO_OK;
    struct sound *sound = NULL;
    TRY(sound_open(ctx, &sound, s->path, ds->options.rate));
    s->seconds = sound_duration(sound);
    ds->info.seconds += s->seconds;
    ds->info.longest = MAX(ds->info.longest, s->seconds);
fail:
    sound_close(sound);
    return st;
}

/* Check that every file is complete and, without a size in the options, that all images have the same size. */
static clio_status probe_all(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    const struct sample *first = NULL;
    bool is_sound = ds->info.type == DATASET_SOUNDS;
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        if (i % REPORT_EVERY == 0)
            TRY(context_progress(ctx, is_sound ? "checking sounds" : "checking images", (double)i, (double)ds->count));
        st = is_sound ? probe_sound(ctx, ds, s) : image_probe(ctx, s->path, &s->width, &s->height);
        s->is_bad = st != CLIO_OK;
        TRY(dataset_skip(ctx, ds, st));
        if (is_sound || s->is_bad)
            continue;
        first = first ? first : s;
        if (!ds->options.width && (s->width != first->width || s->height != first->height))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has %d x %d pixels and %s %d x %d: set image_size to resize all images", first->path,
                 first->width, first->height, s->path, s->width, s->height);
    }
    if (is_sound) {
        ds->info.rate = ds->options.rate;
        ds->info.samples = ds->options.samples;
        return CLIO_OK;
    }
    ds->info.width = ds->options.width ? ds->options.width : first ? first->width : 0;
    ds->info.height = ds->options.height ? ds->options.height : first ? first->height : 0;
    ds->info.channels = ds->options.channels ? ds->options.channels : 3;
fail:
    return st;
}

static clio_status make_samples(clio_context *ctx, struct dataset *ds, const struct entries *entries)
{
    clio_status st = CLIO_OK;
    const struct entry *image = NULL, *sound = NULL, *table = NULL;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *e = &entries->list[i];
        image = !image && e->type == ENTRY_IMAGE ? e : image;
        sound = !sound && e->type == ENTRY_SOUND ? e : sound;
        table = !table && e->type == ENTRY_TABLE ? e : table;
    }
    if (image && sound)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has images (%s) and sounds (%s): use a folder with only one of them", ds->root, image->name,
             sound->name);
    if (!image && !sound && table)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s holds %s, a format that is not read: export the images or sounds as files, and their texts as metadata.jsonl", ds->root,
             table->name);
    if (!image && !sound)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s contains no dataset files: use PNG, JPEG or WebP images, audio (WAV, FLAC and others), or IDX files such as "
             "train-images-idx3-ubyte.gz",
             ds->root);
    ds->info.type = sound ? DATASET_SOUNDS : DATASET_IMAGES;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *e = &entries->list[i];
        struct sample *s;
        if (e->type != (sound ? ENTRY_SOUND : ENTRY_IMAGE))
            continue;
        TRY(dataset_add(ctx, ds, &s));
        TRY(file_join(ctx, &s->path, ds->root, e->name));
        s->name = s->path + strlen(s->path) - strlen(e->name);
    }
fail:
    return st;
}

clio_status dataset_folder(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    struct entries entries = {NULL, 0, 0};
    TRY(dataset_scan(ctx, ds, &entries));
    TRY(make_samples(ctx, ds, &entries));
    TRY(set_splits(ctx, ds));
    TRY(dataset_captions(ctx, ds, &entries));
    TRY(dataset_labels(ctx, ds));
    TRY(set_numbers(ctx, ds));
    TRY(probe_all(ctx, ds));
fail:
    for (size_t i = 0; i < entries.count; i++)
        free(entries.list[i].name);
    free(entries.list);
    return st;
}
