/* dataset_csv.c - read metadata.csv: separated by commas; the first line has the names of the columns. As RFC 4180 and Python's csv: a
 * quote counts only at the start of a value, where it may hold commas, line breaks and doubled quotes; elsewhere it is a character as any
 * other. A line ends with LF, CR LF or CR. */
#include "dataset_private.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One record: its values in `text`, zero-terminated, and the begin of each. */
struct record {
    struct bytes text;
    size_t begin[DATASET_FIELDS_MAX], count, line;
};

/* Where the reader is. */
struct reader {
    const char *at, *end;
    size_t line;
};

/* Pass a line break. */
static void pass_break(struct reader *in)
{
    in->at += in->at[0] == '\r' && in->at + 1 < in->end && in->at[1] == '\n' ? 2 : 1;
    in->line++;
}

/* The part of a value in quotes, from behind the opening quote to behind the closing one. */
static clio_status read_quoted(clio_context *ctx, const char *path, struct record *r, struct reader *in)
{
    clio_status st = CLIO_OK;
    for (; in->at < in->end; in->at++) {
        if (*in->at == '"' && in->at + 1 < in->end && in->at[1] == '"')
            in->at++;
        else if (*in->at == '"')
            break;
        in->line += *in->at == '\n' || (*in->at == '\r' && !(in->at + 1 < in->end && in->at[1] == '\n'));
        TRY(bytes_add(ctx, &r->text, in->at, 1));
    }
    if (in->at == in->end)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s has an unclosed quote in line %zu: close it", path, r->line);
    in->at++;
fail:
    return st;
}

static clio_status read_record(clio_context *ctx, const char *path, struct record *r, struct reader *in)
{
    clio_status st = CLIO_OK;
    bool has_more = true;
    r->text.size = 0;
    r->count = 0;
    r->line = in->line;
    while (has_more) {
        if (r->count == DATASET_FIELDS_MAX)
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s, line %zu, has more than %d columns: remove those that are not needed", path, r->line,
                 DATASET_FIELDS_MAX);
        r->begin[r->count++] = r->text.size;
        if (in->at < in->end && *in->at == '"') {
            in->at++;
            TRY(read_quoted(ctx, path, r, in));
        }
        for (; in->at < in->end && *in->at != ',' && *in->at != '\n' && *in->at != '\r'; in->at++)
            TRY(bytes_add(ctx, &r->text, in->at, 1));
        TRY(bytes_add(ctx, &r->text, "", 1));
        has_more = in->at < in->end && *in->at == ',';
        in->at += has_more;
    }
    if (in->at < in->end)
        pass_break(in);
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

static clio_status add_record(clio_context *ctx, struct dataset *ds, struct metadata_file *m, const struct record *head,
                              const struct record *row)
{
    clio_status st = CLIO_OK;
    size_t n = 0;
    if (row->count != head->count) {
        st = clio_fail(ctx, CLIO_ERROR_FORMAT, __FILE__, __LINE__,
                       "%s, line %zu, has %zu values, but the first line has %zu columns: put values with commas in quotes", m->path,
                       row->line, row->count, head->count);
        TRY(dataset_skip(ctx, ds, st));
        return CLIO_OK;
    }
    for (size_t i = 0; i < row->count; i++) {
        struct field f = {.name = head->text.data + head->begin[i], .text = row->text.data + row->begin[i]};
        f.is_number = parse_number(f.text, &f.number);
        if (*f.text)
            m->fields[n++] = f;
    }
    TRY(dataset_metadata_row(ctx, ds, m, row->line, n));
fail:
    return st;
}

/* The names of the columns, without the white space around them. */
static bool trim_names(struct record *head)
{
    bool has_file_name = false;
    for (size_t i = 0; i < head->count; i++) {
        char *end;
        while (isspace((unsigned char)head->text.data[head->begin[i]]))
            head->begin[i]++;
        end = strchr(head->text.data + head->begin[i], 0);
        while (end > head->text.data + head->begin[i] && isspace((unsigned char)end[-1]))
            *--end = 0;
        has_file_name = has_file_name || !strcmp(head->text.data + head->begin[i], "file_name");
    }
    return has_file_name;
}

clio_status dataset_csv(clio_context *ctx, struct dataset *ds, struct metadata_file *m, const char *text, size_t size)
{
    clio_status st = CLIO_OK;
    struct reader in = {text, text + size, 1};
    struct record *head = NULL, *row = NULL;
    TRY(mem_alloc(ctx, &head, 1, sizeof *head));
    TRY(mem_alloc(ctx, &row, 1, sizeof *row));
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        in.at += 3;
    TRY(read_record(ctx, m->path, head, &in));
    if (!trim_names(head))
        FAIL(ctx, CLIO_ERROR_FORMAT,
             "%s has no column file_name in its first line: put the names of the columns there, separated by commas", m->path);
    while (in.at < in.end) {
        TRY(read_record(ctx, m->path, row, &in));
        if (row->count > 1 || row->text.data[0]) /* not an empty line */
            TRY(add_record(ctx, ds, m, head, row));
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
