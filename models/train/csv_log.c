/* csv_log.c - see csv_log.h. */
#include "csv_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clio_status append_row(clio_context *ctx, struct csv_log *t, double step, const double *row)
{
    clio_status st = CLIO_OK;
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 1024;
        for (int i = 0; i <= t->columns; i++) {
            double *grown = realloc(t->values[i], capacity * sizeof *grown);
            if (!grown)
                FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
            t->values[i] = grown;
        }
        t->capacity = capacity;
    }
    t->values[0][t->count] = step;
    for (int i = 0; i < t->columns; i++)
        t->values[1 + i][t->count] = row[i];
    t->count++;
fail:
    return st;
}

static clio_status put_row(clio_context *ctx, struct csv_log *t, struct bytes *text, size_t i)
{
    clio_status st = CLIO_OK;
    TRY(bytes_print(ctx, text, "%" PRId64, (int64_t)t->values[0][i]));
    for (int c = 1; c <= t->columns; c++)
        TRY(bytes_print(ctx, text, ",%.9g", t->values[c][i]));
    TRY(bytes_print(ctx, text, "\n"));
fail:
    return st;
}

/* Read complete rows; others are skipped: a killed run may have left a partial line. */
static clio_status read_rows(clio_context *ctx, struct csv_log *t, int64_t keep)
{
    clio_status st = CLIO_OK;
    enum file_kind kind;
    FILE *in = NULL;
    char line[64 * CSV_COLUMNS];
    TRY(file_find(ctx, t->path, &kind));
    if (kind == FILE_ABSENT)
        return CLIO_OK;
    if (!(in = fopen(t->path, "r")))
        TRY(file_fail_read(ctx, t->path, errno));
    while (fgets(line, sizeof line, in)) {
        double numbers[CSV_COLUMNS] = {0};
        char *at = line, *end;
        int n = 0;
        for (; n <= t->columns; n++, at = end + 1) {
            numbers[n] = strtod(at, &end);
            if (end == at || *end != (n < t->columns ? ',' : '\n'))
                break;
        }
        if (n > t->columns && numbers[0] <= (double)keep)
            TRY(append_row(ctx, t, numbers[0], numbers + 1));
    }
    if (ferror(in))
        TRY(file_fail_read(ctx, t->path, errno));
fail:
    if (in)
        fclose(in);
    return st;
}

/* Write all rows, and open the file for more. */
static clio_status write_all(clio_context *ctx, struct csv_log *t)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    struct bytes text = {0};
    TRY(bytes_print(ctx, &text, "step"));
    for (int i = 0; i < t->columns; i++)
        TRY(bytes_print(ctx, &text, ",%s", t->names[i]));
    TRY(bytes_print(ctx, &text, "\n"));
    for (size_t i = 0; i < t->count; i++)
        TRY(put_row(ctx, t, &text, i));
    TRY(file_out_open_own(ctx, &out, t->path));
    TRY(file_out_write(ctx, &out, text.data, text.size));
    TRY(file_out_commit(ctx, &out));
    TRY(file_out_open_log(ctx, &t->out, t->path));
fail:
    file_out_abandon(&out);
    bytes_free(&text);
    return st;
}

clio_status csv_log_open(clio_context *ctx, struct csv_log *t, const char *folder, const char *file, const char *const *names, int64_t keep)
{
    clio_status st = CLIO_OK;
    *t = (struct csv_log){.names = names};
    while (names[t->columns])
        t->columns++;
    if (t->columns >= CSV_COLUMNS)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s would have %d columns", file, t->columns);
    TRY(file_join(ctx, &t->path, folder, file));
    if (keep >= 0)
        TRY(read_rows(ctx, t, keep));
    TRY(write_all(ctx, t));
fail:
    if (st)
        csv_log_close(t);
    return st;
}

clio_status csv_log_catch_up(clio_context *ctx, struct csv_log *t)
{
    return t->path && !t->out.stream ? write_all(ctx, t) : CLIO_OK;
}

/* As the file has it: a plot of a resumed run, which reads the file, has the same bits. */
static double as_written(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    return strtod(text, NULL);
}

clio_status csv_log_add(clio_context *ctx, struct csv_log *t, int64_t step, const double *row)
{
    clio_status st = CLIO_OK;
    struct bytes text = {0};
    double values[CSV_COLUMNS] = {0};
    for (int i = 0; i < t->columns; i++)
        values[i] = as_written(row[i]);
    TRY(append_row(ctx, t, (double)step, values));
    if (!t->out.stream)
        return csv_log_catch_up(ctx, t);
    TRY(put_row(ctx, t, &text, t->count - 1));
    st = file_out_write(ctx, &t->out, text.data, text.size);
    st = st ? st : file_out_flush(ctx, &t->out);
    if (st)
        file_out_abandon(&t->out);
fail:
    bytes_free(&text);
    return st;
}

void csv_log_close(struct csv_log *t)
{
    file_out_abandon(&t->out);
    for (int i = 0; i < CSV_COLUMNS; i++)
        free(t->values[i]);
    free(t->path);
    *t = (struct csv_log){0};
}
