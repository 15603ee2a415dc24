/* dataset_metadata.c - read metadata.jsonl, a JSON object per line. */
#include "dataset_private.h"

#include "../../host/core/file.h"
#include "../../host/core/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_SIZE 32

/* Memory of a row's texts, besides the JSON itself. */
struct row_texts {
    char (*numbers)[NUMBER_SIZE];
    size_t number_count;
    const char **lists;
    size_t list_count;
};

/* A number as it would be written: 1984, 0.5. */
static const char *number_text(char out[NUMBER_SIZE], const json_t *value)
{
    if (json_is_integer(value))
        snprintf(out, NUMBER_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(out, NUMBER_SIZE, "%.*g", digits, json_real_value(value));
            if (!(strtod(out, NULL) < json_real_value(value)) && !(strtod(out, NULL) > json_real_value(value)))
                break;
        }
    return out;
}

/* A number, or a list of texts and numbers, as texts; anything else is no text. */
static void add_texts(struct row_texts *t, const json_t *value, struct field *f)
{
    const char **first = t->lists + t->list_count;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; first && i < count; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_string(item) && !json_is_number(item))
            return;
        first[i] = json_is_string(item) ? json_string_value(item) : number_text(t->numbers[t->number_count++], item);
    }
    t->list_count += count;
    f->texts = first;
    f->count = count;
}

static clio_status json_row(clio_context *ctx, struct dataset *ds, struct metadata_file *m, size_t line, json_t *row)
{
    clio_status st = CLIO_OK;
    struct row_texts texts = {0};
    size_t n = 0, items = 0;
    const char *key;
    json_t *value;
    json_object_foreach(row, key, value) items += 1 + json_array_size(value);
    TRY(mem_alloc(ctx, &texts.numbers, items, sizeof *texts.numbers));
    TRY(mem_alloc(ctx, &texts.lists, items, sizeof *texts.lists));
    json_object_foreach(row, key, value)
    {
        struct field f = {.name = key, .text = json_string_value(value)};
        if (json_is_number(value) || json_is_array(value))
            add_texts(&texts, value, &f);
        if (json_is_number(value) || json_is_boolean(value)) {
            f.is_number = true;
            f.number = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
        }
        if (!f.text && !f.is_number && !f.texts)
            continue; /* null, objects, other lists */
        if (n == DATASET_FIELDS_MAX)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s, line %zu, has more than %d columns: remove those that are not needed", m->path, line,
                 DATASET_FIELDS_MAX);
        m->fields[n++] = f;
    }
    TRY(dataset_metadata_row(ctx, ds, m, line, n));
fail:
    free(texts.numbers);
    free(texts.lists);
    return st;
}

static clio_status read_jsonl(clio_context *ctx, struct dataset *ds, struct metadata_file *m, const struct file_content *map)
{
    clio_status st = CLIO_OK;
    const char *p = (const char *)map->data, *end = p + map->size;
    json_t *row = NULL;
    if (map->size >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
        p += 3;
    for (size_t line = 1; p < end; line++) {
        const char *next = memchr(p, '\n', (size_t)(end - p)), *stop = next ? next : end;
        json_error_t error;
        while (p < stop && isspace((unsigned char)*p))
            p++;
        if (p < stop) {
            row = json_loadb(p, (size_t)(stop - p), JSON_REJECT_DUPLICATES, &error);
            if (!json_is_object(row)) {
                st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__, "%s, line %zu, is not a JSON object (%s): correct it", m->path,
                               line, row ? "{...} is expected" : error.text);
                TRY(dataset_skip(ctx, ds, st));
                st = CLIO_OK;
            } else {
                TRY(json_row(ctx, ds, m, line, row));
            }
            json_decref(row);
            row = NULL;
        }
        p = next ? next + 1 : end;
    }
fail:
    json_decref(row);
    return st;
}

clio_status dataset_metadata(clio_context *ctx, struct dataset *ds, const char *name)
{
    clio_status st = CLIO_OK;
    struct file_content map = {NULL, 0};
    struct metadata_file *m = NULL;
    char *path = NULL, *slash;
    size_t n = strlen(name);
    TRY(mem_alloc(ctx, &m, 1, sizeof *m));
    TRY(file_join(ctx, &path, ds->root, name));
    TRY(mem_string(ctx, &m->folder, name));
    slash = strrchr(m->folder, '/');
    m->folder[slash ? slash + 1 - m->folder : 0] = 0;
    m->path = path;
    TRY(file_load(ctx, &map, path));
    if (n >= 4 && !strcasecmp(name + n - 4, ".csv"))
        TRY(dataset_csv(ctx, ds, m, (const char *)map.data, map.size));
    else
        TRY(read_jsonl(ctx, ds, m, &map));
fail:
    file_unload(&map);
    free(path);
    if (m) {
        bytes_free(&m->where);
        free(m->folder);
    }
    free(m);
    return st;
}
