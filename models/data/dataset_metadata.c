/* dataset_metadata.c - read metadata.jsonl (a JSON object per line) and metadata.csv (RFC 4180: separated by commas, values with commas,
 * quotes or line breaks in quotes; the first line has the names of the columns). */
#include "dataset_private.h"

#include "../../host/core/json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 1024

struct metadata {
    const char *path;
    char *folder; /* relative to the dataset, "" or ending in a slash */
    struct bytes where;
    struct field fields[FIELDS_MAX];
};

/* Add the row in m->fields. */
static clio_status add_row(clio_context *ctx, struct dataset *ds, struct metadata *m, size_t line, size_t count)
{
    clio_status st = CLIO_OK;
    m->where.size = 0;
    TRY(bytes_print(ctx, &m->where, "%s, line %zu,", m->path, line));
    TRY(dataset_skip(ctx, ds, dataset_row(ctx, ds, m->where.data, m->folder, m->fields, count)));
fail:
    return st;
}

/* ---- JSON lines ---- */

static clio_status json_row(clio_context *ctx, struct dataset *ds, struct metadata *m, size_t line, json_t *row)
{
    clio_status st = CLIO_OK;
    size_t n = 0;
    for (void *at = json_object_iter(row); at; at = json_object_iter_next(row, at)) {
        const json_t *value = json_object_iter_value(at);
        struct field f = {json_object_iter_key(at), json_string_value(value), false, 0};
        if (json_is_number(value) || json_is_boolean(value)) {
            f.is_number = true;
            f.number = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
        } else if (!f.text) {
            continue; /* null, lists, objects */
        }
        if (n == FIELDS_MAX)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s, line %zu, has more than %d columns: remove those that are not needed", m->path, line,
                 FIELDS_MAX);
        m->fields[n++] = f;
    }
    TRY(add_row(ctx, ds, m, line, n));
fail:
    return st;
}

static clio_status read_jsonl(clio_context *ctx, struct dataset *ds, struct metadata *m, const struct file_content *map)
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
            row = json_loadb(p, (size_t)(stop - p), JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
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

/* ---- comma-separated values ---- */

/* One record: its values in `text`, zero-terminated, and the begin of each. */
struct record {
    struct bytes text;
    size_t begin[FIELDS_MAX], count, line;
};

/* Advances *at and *line to the next record. */
static clio_status read_record(clio_context *ctx, const char *path, struct record *r, const char **at, const char *end, size_t *line)
{
    clio_status st = CLIO_OK;
    const char *p = *at;
    bool is_quoted = false, ended = false;
    r->text.size = 0;
    r->count = 0;
    r->line = *line;
    while (!ended) {
        if (r->count == FIELDS_MAX)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s, line %zu, has more than %d columns: remove those that are not needed", path, r->line,
                 FIELDS_MAX);
        r->begin[r->count++] = r->text.size;
        for (; p < end && (is_quoted || (*p != ',' && *p != '\n')); p++) {
            *line += *p == '\n';
            if (*p == '"' && is_quoted && p + 1 < end && p[1] == '"')
                TRY(bytes_add(ctx, &r->text, p++, 1));
            else if (*p == '"')
                is_quoted = !is_quoted;
            else if (is_quoted || *p != '\r')
                TRY(bytes_add(ctx, &r->text, p, 1));
        }
        if (is_quoted)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s has an unclosed quote in line %zu: correct it", path, r->line);
        TRY(bytes_add(ctx, &r->text, "", 1));
        ended = p == end || *p == '\n';
        p += p < end;
    }
    ++*line;
    *at = p;
fail:
    return st;
}

/* Whether the whole text is a finite number. */
static bool parse_number(const char *text, double *number)
{
    char *end;
    if (!*text || isspace((unsigned char)*text))
        return false;
    *number = strtod(text, &end);
    return !*end && isfinite(*number);
}

static clio_status csv_row(clio_context *ctx, struct dataset *ds, struct metadata *m, const struct record *head, const struct record *row)
{
    clio_status st = CLIO_OK;
    size_t n = 0;
    if (row->count != head->count) {
        st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                       "%s, line %zu, has %zu values, but the first line has %zu columns: correct it", m->path, row->line, row->count,
                       head->count);
        TRY(dataset_skip(ctx, ds, st));
        return CLIO_OK;
    }
    for (size_t i = 0; i < row->count; i++) {
        struct field f = {head->text.data + head->begin[i], row->text.data + row->begin[i], false, 0};
        f.is_number = parse_number(f.text, &f.number);
        if (*f.text)
            m->fields[n++] = f;
    }
    TRY(add_row(ctx, ds, m, row->line, n));
fail:
    return st;
}

static clio_status read_csv(clio_context *ctx, struct dataset *ds, struct metadata *m, const struct file_content *map)
{
    clio_status st = CLIO_OK;
    const char *p = (const char *)map->data, *end = p + map->size;
    struct record *head = NULL, *row = NULL;
    size_t line = 1;
    bool has_file_name = false;
    TRY(mem_alloc(ctx, &head, 1, sizeof *head));
    TRY(mem_alloc(ctx, &row, 1, sizeof *row));
    if (map->size >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
        p += 3;
    TRY(read_record(ctx, m->path, head, &p, end, &line));
    for (size_t i = 0; i < head->count; i++)
        has_file_name = has_file_name || !strcmp(head->text.data + head->begin[i], "file_name");
    if (!has_file_name)
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s has no column file_name in its first line: put the names of the columns there, separated by commas", m->path);
    while (p < end) {
        TRY(read_record(ctx, m->path, row, &p, end, &line));
        if (row->count > 1 || row->text.data[0]) /* not an empty line */
            TRY(csv_row(ctx, ds, m, head, row));
    }
fail:
    if (head)
        bytes_free(&head->text);
    if (row)
        bytes_free(&row->text);
    free(head);
    free(row);
    return st;
}

clio_status dataset_metadata(clio_context *ctx, struct dataset *ds, const char *name)
{
    clio_status st = CLIO_OK;
    struct file_content map = {NULL, 0};
    struct metadata *m = NULL;
    char *path = NULL, *slash;
    size_t n = strlen(name);
    TRY(mem_alloc(ctx, &m, 1, sizeof *m));
    TRY(file_join(ctx, &path, ds->root, name));
    TRY(mem_string(ctx, &m->folder, name));
    slash = strrchr(m->folder, '/');
    m->folder[slash ? slash + 1 - m->folder : 0] = 0;
    m->path = path;
    TRY(file_load(ctx, &map, path));
    if (n >= 4 && !strcmp(name + n - 4, ".csv"))
        TRY(read_csv(ctx, ds, m, &map));
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
