/* bench_report.h - the JSON of clio bench: made from a result, read back for a comparison. docs/bench.md describes it. */
#ifndef CLIO_CLI_BENCH_REPORT_H
#define CLIO_CLI_BENCH_REPORT_H

#include "command.h"

#include <jansson.h>

#define BENCH_FORMAT "clio bench 1"

json_t *bench_report(clio_context *ctx, const struct settings *set, const clio_bench_result *result);
/* A report that was written before; NULL after a message. The caller frees it with json_decref. */
json_t *bench_report_read(const char *path);

/* Of a report that was read: its rows, and of a row "matmul", "1500 x 512 x 512", the median and the quartiles in seconds (0: it could not
 * be measured), and the fastest sample. */
struct bench_seconds {
    double median, low, high, least;
};
size_t bench_report_rows(const json_t *report);
const json_t *bench_report_row(const json_t *report, size_t i);
const char *bench_row_text(const json_t *row, const char *key);
struct bench_seconds bench_row_seconds(const json_t *row);
/* The row of the same group, name and shape; NULL: none. */
const json_t *bench_report_find(const json_t *report, const json_t *row);
/* The device's name, for a heading. */
const char *bench_report_device(const json_t *report);

/* "412 ms", "1.63 us"; the caller frees it. */
char *bench_time_text(double seconds);

#endif
