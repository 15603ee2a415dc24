/* dataset_labels.c - the classes of images and sounds: from the column label of the metadata, or from the names of folders. */
#include "dataset_private.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 12 /* of classes, in a message */
#define CLASSES_MAX 65536

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 10 && !text[digits];
}

/* By name; numbers by value, and before names: 2 comes before 10. */
static int by_class_name(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    bool x_number = is_number(x), y_number = is_number(y);
    if (x_number && y_number && atol(x) != atol(y))
        return atol(x) < atol(y) ? -1 : 1;
    return x_number != y_number ? (x_number ? -1 : 1) : strcmp(x, y);
}

static int class_number(const struct dataset_options *o, const char *name)
{
    for (int i = 0; i < o->classes; i++)
        if (!strcmp(o->class_names[i], name))
            return i;
    return -1;
}

/* Append "disc, square, star"; of many classes the first and the last ones: "a, b, c, d, e ... y, z". */
static clio_status add_class_names(clio_context *ctx, const struct dataset_options *o, struct bytes *out)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < o->classes; i++) {
        bool gap = o->classes > NAMES_SHOWN && i == NAMES_SHOWN - 2;
        i = gap ? o->classes - 2 : i;
        TRY(bytes_print(ctx, out, "%s%.60s", !i ? "" : gap ? " ... " : ", ", o->class_names[i]));
    }
fail:
    return st;
}

/* Labels by the class names of a trained model. */
static clio_status labels_of_model(clio_context *ctx, struct dataset *ds, const char **texts)
{
    clio_status st = CLIO_OK;
    struct bytes names = {0};
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        if (!texts[i])
            continue;
        s->label = class_number(&ds->options, texts[i]);
        if (s->label >= 0)
            continue;
        TRY(add_class_names(ctx, &ds->options, &names));
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has the class %s, which the model does not know: its classes are %s", s->path, texts[i],
             names.data);
    }
    TRY(dataset_classes(ctx, ds, ds->options.classes, ds->options.class_names));
fail:
    bytes_free(&names);
    return st;
}

/* Labels from texts, one per sample (NULL: none), numbered in the order of the names. */
static clio_status labels_from_texts(clio_context *ctx, struct dataset *ds, const char **texts)
{
    clio_status st = CLIO_OK;
    const char **names = NULL, **found;
    size_t n = 0, classes = 0;
    if (ds->options.class_names)
        return labels_of_model(ctx, ds, texts);
    TRY(mem_alloc(ctx, &names, ds->count, sizeof *names));
    for (size_t i = 0; i < ds->count; i++)
        if (texts[i])
            names[n++] = texts[i];
    if (n)
        qsort(names, n, sizeof *names, by_class_name);
    for (size_t i = 0; i < n; i++)
        if (!i || strcmp(names[i], names[classes - 1]) != 0)
            names[classes++] = names[i];
    for (size_t i = 0; i < ds->count; i++)
        if (texts[i]) {
            found = bsearch(&texts[i], names, classes, sizeof *names, by_class_name);
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

clio_status dataset_number_label(clio_context *ctx, const struct dataset *ds, struct sample *s, double number)
{
    clio_status st = CLIO_OK;
    const char *path = s->path ? s->path : ds->root;
    if (!(number >= 0 && number < CLASSES_MAX) || number != (int)number)
        FAIL(ctx, CLIO_ERROR_FORMAT, "the label of %s is %g, but must be an integer from 0 to %d, or a name", path, number,
             CLASSES_MAX - 1);
    if (ds->options.class_names && number >= ds->options.classes)
        FAIL(ctx, CLIO_ERROR_FORMAT, "the label of %s is %g, but the model knows only %d classes, from 0 on", path, number,
             ds->options.classes);
    s->label = (int)number;
fail:
    return st;
}

/* Labels from the metadata: integers from 0 on, or texts. */
static clio_status labels_from_cells(clio_context *ctx, struct dataset *ds, const struct column *column)
{
    clio_status st = CLIO_OK;
    const char **texts = NULL;
    int classes = 0;
    TRY(mem_alloc(ctx, &texts, ds->count, sizeof *texts));
    for (size_t i = 0; i < ds->count; i++) {
        struct sample *s = &ds->samples[i];
        const struct cell *cell = label_cell(ds, s);
        if (cell && column->numbers == column->cells) {
            TRY(dataset_number_label(ctx, ds, s, cell->number));
            classes = MAX(classes, s->label + 1);
        } else if (cell) {
            if (!cell->text)
                FAIL(ctx, CLIO_ERROR_FORMAT, "the label of %s is a number, but others are names: use only numbers or only names", s->path);
            texts[i] = cell->text;
        }
    }
    if (classes && ds->options.class_names)
        TRY(dataset_classes(ctx, ds, ds->options.classes, ds->options.class_names));
    else if (classes)
        TRY(dataset_classes(ctx, ds, classes, NULL));
    else
        TRY(labels_from_texts(ctx, ds, texts));
fail:
    free(texts);
    return st;
}

/* Labels from folders, if all files are in one and there are at least two, or a model says which classes there are. */
static clio_status labels_from_folders(clio_context *ctx, struct dataset *ds)
{
    clio_status st = CLIO_OK;
    char **texts = NULL;
    bool differ = ds->options.class_names != NULL;
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

clio_status dataset_labels(clio_context *ctx, struct dataset *ds)
{
    for (size_t i = 0; i < ds->column_count; i++)
        if (!strcmp(ds->columns[i].name, "label") && ds->columns[i].cells)
            return labels_from_cells(ctx, ds, &ds->columns[i]);
    return labels_from_folders(ctx, ds);
}
