/* dataset_rows.c - add one row of metadata (metadata.jsonl, metadata.csv) to its sample: caption and other columns. */
#include "dataset_private.h"
#include "../image/image.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 1024

static int by_name(const void *name, const void *sample)
{
    return strcmp(name, ((const struct sample *)sample)->name);
}

/* The sample called `name`, relative to the folder of the metadata; NULL: none. */
static clio_status find(clio_context *ctx, struct dataset *ds, const char *folder, const char *name, struct sample **out)
{
    clio_status st = CLIO_OK;
    struct bytes path = {NULL, 0, 0};
    while (!strncmp(name, "./", 2))
        name += 2;
    TRY(bytes_print(ctx, &path, "%s%s", folder, name));
    *out = bsearch(path.data, ds->samples, ds->count, sizeof *ds->samples, by_name);
fail:
    bytes_free(&path);
    return st;
}

static const struct field *field_called(const struct field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(fields[i].name, name))
            return &fields[i];
    return NULL;
}

static bool has_text(const struct field *f)
{
    return f && (f->text || f->texts);
}

static const struct field *caption_field(const struct dataset *ds, const struct field *fields, size_t count)
{
    static const char *const names[] = {DATASET_CAPTION_COLUMNS};
    const struct field *found = ds->options.caption ? field_called(fields, count, ds->options.caption) : NULL;
    for (size_t i = 0; !ds->options.caption && !has_text(found) && i < COUNT(names); i++)
        found = field_called(fields, count, names[i]);
    return has_text(found) || ds->options.caption ? found : NULL;
}

static clio_status add_cell(clio_context *ctx, struct dataset *ds, struct sample *s, const struct field *f)
{
    clio_status st = CLIO_OK;
    struct cell *cell;
    size_t at = 0;
    while (at < ds->column_count && strcmp(ds->columns[at].name, f->name) != 0)
        at++;
    if (at == ds->column_count) {
        if (at == COLUMNS_MAX)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "the metadata in %s has more than %d columns: remove those that are not needed", ds->root,
                 COLUMNS_MAX);
        TRY(mem_grow(ctx, &ds->columns, at, &ds->column_capacity, sizeof *ds->columns));
        ds->columns[at] = (struct column){.at = -1};
        TRY(mem_string(ctx, &ds->columns[at].name, f->name));
        ds->column_count++;
    }
    if (s->cell_count == s->cell_capacity) { /* most samples have only a few */
        size_t capacity = s->cell_capacity ? 2 * s->cell_capacity : 4;
        cell = realloc(s->cells, capacity * sizeof *cell);
        if (!cell)
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        s->cells = cell;
        s->cell_capacity = capacity;
    }
    cell = &s->cells[s->cell_count];
    *cell = (struct cell){(int)at, f->is_number, f->number, NULL};
    TRY(mem_string(ctx, &cell->text, f->text));
    s->cell_count++;
    ds->columns[at].cells++;
    ds->columns[at].numbers += f->is_number;
fail:
    return st;
}

/* Add the captions of a field to the sample. */
static clio_status add_captions(clio_context *ctx, struct sample *s, const char *where, const struct field *f)
{
    clio_status st = CLIO_OK;
    size_t count = f->texts ? f->count : 1;
    for (size_t i = 0; i < count; i++) {
        const char *text = f->texts ? f->texts[i] : f->text;
        if (!text || !text_is_utf8(text))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has a caption (%s) that is not a UTF-8 text: put it in quotes, or save the file as UTF-8",
                 where, f->name);
        TRY(dataset_add_caption(ctx, s, text));
    }
fail:
    return st;
}

static bool is_blank(const char *text)
{
    return !text[strspn(text, " \t\r\n\f\v")];
}

clio_status dataset_row(clio_context *ctx, struct dataset *ds, const char *where, const char *folder, const struct field *fields,
                        size_t count)
{
    clio_status st = CLIO_OK;
    const struct field *file = field_called(fields, count, "file_name"), *caption = caption_field(ds, fields, count);
    const char *thing = ds->info.type == DATASET_SOUNDS ? "sound" : "image";
    struct sample *s;
    if (!file || !file->text || is_blank(file->text))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has no file_name: add the name of the %s", where, thing);
    TRY(find(ctx, ds, folder, file->text, &s));
    if (!s)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s names %s, but there is no such %s: add it or remove the line", where, file->text, thing);
    if (s->is_described)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s names %s a second time: remove one of the lines", where, file->text);
    if (caption)
        TRY(add_captions(ctx, s, where, caption));
    s->is_described = true;
    for (size_t i = 0; i < count; i++)
        if (&fields[i] != file && &fields[i] != caption)
            TRY(add_cell(ctx, ds, s, &fields[i]));
fail:
    return st;
}

clio_status dataset_metadata_row(clio_context *ctx, struct dataset *ds, struct metadata_file *m, size_t line, size_t count)
{
    clio_status st = CLIO_OK;
    m->where.size = 0;
    TRY(bytes_print(ctx, &m->where, "%s, line %zu,", m->path, line));
    TRY(dataset_skip(ctx, ds, dataset_row(ctx, ds, m->where.data, m->folder, m->fields, count)));
fail:
    return st;
}
