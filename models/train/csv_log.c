/* csv_log.c - see csv_log.h. */
#include "csv_log.h"
#include "../../host/core/file_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MOST 9e15 /* whole numbers that a double holds */

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

/* "step,epoch,loss\n" */
static clio_status put_header(clio_context *ctx, const struct csv_log *t, struct bytes *text)
{
    clio_status st = CLIO_OK;
    TRY(bytes_print(ctx, text, "step"));
    for (int i = 0; i < t->columns; i++)
        TRY(bytes_print(ctx, text, ",%s", t->names[i]));
    TRY(bytes_print(ctx, text, "\n"));
fail:
    return st;
}

static bool parse_row(const struct csv_log *t, const char *line, double numbers[CSV_COLUMNS])
{
    int n = 0;
    for (char *end; n <= t->columns; n++, line = end + 1) {
        numbers[n] = strtod(line, &end);
        if (end == line || *end != (n < t->columns ? ',' : '\n'))
            break;
    }
    return n > t->columns && numbers[0] >= 0 && numbers[0] <= STEP_MOST;
}

/* Read rows up to step `keep`, and count the complete lines that are none; below 0 only the first line matters. */
static clio_status read_rows(clio_context *ctx, struct csv_log *t, int64_t keep)
{
    clio_status st = CLIO_OK;
    bool exists;
    FILE *in = NULL;
    struct bytes header = {0};
    char line[64 * CSV_COLUMNS];
    TRY(put_header(ctx, t, &header));
    TRY(file_check_exists(ctx, t->path, &exists));
    if (!exists)
        goto fail;
    if (!(in = fopen(t->path, "r")))
        TRY(file_fail_read(ctx, t->path, errno));
    for (size_t number = 1; fgets(line, sizeof line, in); number++) {
        double numbers[CSV_COLUMNS] = {0};
        bool is_complete = !feof(in); /* zero bytes may hide the end of the line */
        if (number == 1 ? !strcmp(line, header.data) : parse_row(t, line, numbers) || keep < 0) {
            if (number > 1 && numbers[0] <= (double)keep)
                TRY(append_row(ctx, t, numbers[0], numbers + 1));
        } else if (is_complete && !t->unread++) {
            t->first_unread = number;
        }
    }
    if (ferror(in))
        TRY(file_fail_read(ctx, t->path, errno));
fail:
    bytes_free(&header);
    if (in)
        fclose(in);
    return st;
}

/* Rename the file to train.csv.old, or to the first of train.csv.old2, train.csv.old3, ... that is free. */
static clio_status keep_old(clio_context *ctx, struct csv_log *t)
{
    clio_status st = CLIO_OK;
    struct bytes name = {0};
    bool exists = true;
    for (int i = 1; exists; i++) {
        bytes_free(&name);
        TRY(bytes_print(ctx, &name, i > 1 ? "%s.old%d" : "%s.old", t->path, i));
        TRY(file_check_exists(ctx, name.data, &exists));
    }
    TRY(file_rename(ctx, t->path, name.data));
    TRY(mem_string(ctx, &t->old, name.data));
fail:
    bytes_free(&name);
    return st;
}

/* Write all rows, and open the file for more. */
static clio_status write_all(clio_context *ctx, struct csv_log *t)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    struct bytes text = {0};
    TRY(put_header(ctx, t, &text));
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
    TRY(read_rows(ctx, t, keep));
    if (t->unread)
        TRY(keep_old(ctx, t));
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
    free(t->old);
    *t = (struct csv_log){0};
}
