/* csv_log.h - a CSV file that a training run appends to, and its rows in memory for plots. */
#ifndef CLIO_MODELS_TRAIN_CSV_LOG_H
#define CLIO_MODELS_TRAIN_CSV_LOG_H

#include "../../host/core/file_out.h"

#define CSV_COLUMNS 12

struct csv_log {
    char *path;
    struct file_out out;         /* open for appending; closed while the file lacks rows */
    const char *const *names;    /* of the columns after "step", ends with NULL */
    int columns;                 /* without step */
    double *values[CSV_COLUMNS]; /* [count] each; [0] is the step, [1 + i] column i */
    size_t count, capacity;
    size_t unread, first_unread; /* complete lines of an earlier file that are not rows of this log, and the number of the first one */
    char *old;                   /* name that this earlier file has now; NULL without such lines */
};
/* Open the file for appending: rows of an earlier run up to step `keep` (below 0: none) are kept, later ones removed, and an incomplete
 * last line, as a killed run leaves it. A file with other lines, or with other columns, is renamed (see `old`). `names` must outlive the
 * log. */
clio_status csv_log_open(clio_context *ctx, struct csv_log *t, const char *folder, const char *file, const char *const *names,
                         int64_t keep);
/* Add a row. After a failure the row is in memory, and the next call, or csv_log_catch_up, writes the whole file again. */
clio_status csv_log_add(clio_context *ctx, struct csv_log *t, int64_t step, const double *row);
clio_status csv_log_catch_up(clio_context *ctx, struct csv_log *t);
void csv_log_close(struct csv_log *t);

#endif
