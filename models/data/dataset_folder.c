/* dataset_folder.c - Hugging Face's imagefolder and audiofolder: list the files, assign splits and classes, check that files are complete
 * and have the same size. Source: datasets, packaged_modules/folder_based_builder and data_files.py. Differences: folders are classes only
 * if there are at least two; files next to the folders train and test are an error. */
#include "dataset_private.h"
#include "../image/image_probe.h"

#include "../../host/core/file_tree.h"
#include "../../audio/sound.h"
#include "../../host/core/context.h"
#include "../../host/core/file.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 16
#define REPORT_EVERY 64

/* ---- the files ---- */

static bool equal_ignoring_case(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
            return false;
    return true;
}

/* The lists also have formats that clio does not read: such files must give an error instead of being ignored. */
static enum entry_type entry_type(const char *name)
{
    static const char *const images[] = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"};
    static const char *const sounds[] = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".aac", ".wma"};
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    if (!strcmp(base, "metadata.jsonl") || !strcmp(base, "metadata.csv"))
        return ENTRY_METADATA;
    for (size_t i = 0; dot && i < COUNT(images); i++)
        if (strlen(dot) == strlen(images[i]) && equal_ignoring_case(dot, images[i], strlen(dot)))
            return ENTRY_IMAGE;
    for (size_t i = 0; dot && i < COUNT(sounds); i++)
        if (strlen(dot) == strlen(sounds[i]) && equal_ignoring_case(dot, sounds[i], strlen(dot)))
            return ENTRY_SOUND;
    return dot && strlen(dot) == 4 && equal_ignoring_case(dot, ".txt", 4) ? ENTRY_TEXT : ENTRY_OTHER;
}

/* The folders from the root to the current one, to detect cycles of links. */
struct visited {
    const struct visited *parent;
    dev_t device;
    ino_t number;
};

static bool is_cycle(const struct visited *visited, const struct stat *info)
{
    for (; visited; visited = visited->parent)
        if (visited->device == info->st_dev && visited->number == info->st_ino)
            return true;
    return false;
}

static clio_status scan(clio_context *ctx, struct entries *entries, const char *root, const char *below, const struct visited *parent,
                        int depth);

/* Scan one name in the folder root/below. */
static clio_status scan_entry(clio_context *ctx, struct entries *entries, const char *root, const char *below, const char *base,
                              const struct visited *visited, int depth)
{
    clio_status st = CLIO_OK;
    char *name = NULL, *path = NULL;
    struct stat info;
    TRY(file_join(ctx, &name, below, base));
    TRY(file_join(ctx, &path, root, name));
    if (stat(path, &info)) {
        if (entry_type(name) == ENTRY_OTHER)
            goto fail;
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read (%s): repair or remove it", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        if (!is_cycle(visited, &info))
            TRY(scan(ctx, entries, root, name, visited, depth + 1));
    } else if (S_ISREG(info.st_mode) && entry_type(name) != ENTRY_OTHER) {
        TRY(mem_grow(ctx, &entries->list, entries->count, &entries->capacity, sizeof *entries->list));
        entries->list[entries->count++] = (struct entry){name, entry_type(name)};
        name = NULL;
    }
fail:
    free(name);
    free(path);
    return st;
}

static clio_status scan(clio_context *ctx, struct entries *entries, const char *root, const char *below, const struct visited *parent,
                        int depth)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    struct file_names names = {0};
    struct stat info;
    struct visited current = {parent, 0, 0};
    TRY(file_join(ctx, &path, root, below));
    if (depth > DEPTH_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is nested deeper than %d folders: use a folder closer to the files", path, DEPTH_MAX);
    if (stat(path, &info))
        TRY(file_fail_read(ctx, path, errno));
    TRY(file_names_read(ctx, &names, path, NULL));
    current.device = info.st_dev;
    current.number = info.st_ino;
    for (size_t i = 0; i < names.count; i++)
        if (names.list[i][0] != '.')
            TRY(scan_entry(ctx, entries, root, below, names.list[i], &current, depth));
fail:
    file_names_free(&names);
    free(path);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

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
        if (strlen(split_names[i].name) == n && equal_ignoring_case(name, split_names[i].name, n))
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

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Labels from texts, one per sample (NULL: none), numbered in sorted order. */
static clio_status labels_from_texts(clio_context *ctx, struct dataset *ds, const char **texts)
{
    clio_status st = CLIO_OK;
    const char **names = NULL, **found;
    size_t n = 0, classes = 0;
    TRY(mem_alloc(ctx, &names, ds->count, sizeof *names));
    for (size_t i = 0; i < ds->count; i++)
        if (texts[i])
            names[n++] = texts[i];
    if (n)
        qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        if (!i || strcmp(names[i], names[classes - 1]) != 0)
            names[classes++] = names[i];
    for (size_t i = 0; i < ds->count; i++)
        if (texts[i]) {
            found = bsearch(&texts[i], names, classes, sizeof *names, by_text);
            ds->samples[i].label = (int)(found - names);
        }
    TRY(dataset_classes(ctx, ds, (int)classes, names));
fail:
    free(names);
    return st;
}

/* The cell of the column `label`, if the sample has one. */
static const struct cell *label_cell(const struct dataset *ds, const struct sample *s)
{
    for (size_t i = 0; i < s->cell_count; i++)
        if (!strcmp(ds->columns[s->cells[i].column].name, "label"))
            return &s->cells[i];
    return NULL;
}

/* Labels from the metadata: integers from 0 on, or texts. */
static clio_status labels_from_cells(clio_context *ctx, struct dataset *ds, const struct column *column)
{
    clio_status st = CLIO_OK;
    enum { CLASSES_MAX = 65536 };
    const char **texts = NULL;
    int classes = 0;
    TRY(mem_alloc(ctx, &texts, ds->count, sizeof *texts));
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        const struct cell *cell = label_cell(ds, s);
        if (cell && column->numbers == column->cells) {
            if (!(cell->number >= 0 && cell->number < CLASSES_MAX) || cell->number != (int)cell->number)
                FAIL(ctx, CLIO_ERROR_FORMAT, "the label of %s is %g, but must be an integer from 0 to %d, or a name", s->path, cell->number,
                     CLASSES_MAX - 1);
            s->label = (int)cell->number;
            classes = MAX(classes, s->label + 1);
        } else if (cell) {
            if (!cell->text)
                FAIL(ctx, CLIO_ERROR_FORMAT, "the label of %s is a number, but others are names: use only numbers or only names", s->path);
            texts[i] = cell->text;
        }
    }
    if (classes)
        TRY(dataset_classes(ctx, ds, classes, NULL));
    else
        TRY(labels_from_texts(ctx, ds, texts));
fail:
    free(texts);
    return st;
}

/* Labels from folders, if all files are in one and there are at least two. */
static clio_status labels_from_folders(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    char **texts = NULL;
    bool differ = false;
    TRY(mem_alloc(ctx, &texts, ds->count, sizeof *texts));
    for (size_t i = 0; i < ds->count; i++) {
        const struct sample *s = &ds->samples[i], *first = ds->samples;
        if (!s->class_length) {
            if (ds->options.need_labels && differ)
                FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not in the folder of a class, but others are: move it into one", s->path);
            goto fail;
        }
        differ = differ || s->class_length != first->class_length || memcmp(s->class_name, first->class_name, s->class_length) != 0;
        TRY(mem_alloc(ctx, &texts[i], s->class_length + 1, 1));
        memcpy(texts[i], s->class_name, s->class_length);
    }
    if (differ)
        TRY(labels_from_texts(ctx, ds, (const char **)texts));
fail:
    for (size_t i = 0; texts && i < ds->count; i++)
        free(texts[i]);
    free(texts);
    return st;
}

static clio_status set_labels(clio_context *ctx, struct dataset *ds)
{
    for (size_t i = 0; i < ds->column_count; i++)
        if (!strcmp(ds->columns[i].name, "label") && ds->columns[i].cells)
            return labels_from_cells(ctx, ds, &ds->columns[i]);
    return labels_from_folders(ctx, ds);
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

static clio_status probe_sound(clio_context *ctx, struct dataset *ds, const struct sample *s)
{
    clio_status st = CLIO_OK;
    struct sound *sound = NULL;
    TRY(sound_open(ctx, &sound, s->path, ds->options.rate));
    ds->info.seconds += sound_duration(sound);
    ds->info.longest = MAX(ds->info.longest, sound_duration(sound));
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
    const struct entry *image = NULL, *sound = NULL;
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *e = &entries->list[i];
        image = !image && e->type == ENTRY_IMAGE ? e : image;
        sound = !sound && e->type == ENTRY_SOUND ? e : sound;
    }
    if (image && sound)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has images (%s) and sounds (%s): use a folder with only one of them", ds->root, image->name,
             sound->name);
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
    TRY(scan(ctx, &entries, ds->root, "", NULL, 0));
    if (entries.count)
        qsort(entries.list, entries.count, sizeof *entries.list, by_name);
    TRY(make_samples(ctx, ds, &entries));
    TRY(set_splits(ctx, ds));
    TRY(dataset_captions(ctx, ds, &entries));
    TRY(set_labels(ctx, ds));
    TRY(set_numbers(ctx, ds));
    TRY(probe_all(ctx, ds));
fail:
    for (size_t i = 0; i < entries.count; i++)
        free(entries.list[i].name);
    free(entries.list);
    return st;
}
