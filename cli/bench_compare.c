/* bench_compare.c - see bench_compare.h. A row counts as slower or faster when its fastest sample, its median and its quartiles all say so:
 * noise of the machine moves one of them, a change of the kernel all. */
#include "bench_compare.h"
#include "bench_page.h"
#include "bench_report.h"
#include "print_json.h"
#include "say.h"
#include "terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REPORTS_MOST 26 /* A to Z */

/* How many times as fast as a report before it a row is: above 1, faster. 0: not in both. */
static double speed(const json_t *before, const json_t *after)
{
    struct bench_seconds a = bench_row_seconds(before), b = bench_row_seconds(after);
    return a.median > 0 && b.median > 0 ? a.median / b.median : 0;
}

/* Slower by more than the fraction, beyond the spread of both. */
static bool is_slower(const json_t *before, const json_t *after, double fraction)
{
    struct bench_seconds a = bench_row_seconds(before), b = bench_row_seconds(after);
    return a.median > 0 && b.median > a.median * (1 + fraction) && b.least > a.least * (1 + fraction) && b.low > a.high;
}

static void print_legend(const json_t *reports)
{
    json_t *report;
    size_t i;
    json_array_foreach(reports, i, report)
    {
        const json_t *device = json_object_get(report, "device");
        print_out("%c  %s: %s, %s, driver %s; %s %s%s%s\n", (int)('A' + i), bench_row_text(report, "file"), bench_report_device(report),
                  bench_row_text(device, "platform"), bench_row_text(device, "driver"), bench_row_text(report, "program"),
                  bench_row_text(report, "version"), json_is_true(json_object_get(report, "quick")) ? ", quick" : "",
                  json_is_false(json_object_get(report, "complete")) ? ", incomplete" : "");
    }
}

/* One row of the table: time with the first, and of each other the time and how many times as fast it is. */
/* Two digits behind the point, or two that are not 0. */
static char *ratio_text(double ratio)
{
    return must_print(ratio >= 0.1 ? "%.2f" : "%.2g", ratio);
}

static void print_row(const json_t *reports, const json_t *row)
{
    json_t *report;
    size_t i;
    char *time, *name = must_print("%s %s", bench_row_text(row, "name"), bench_row_text(row, "shape"));
    print_out("%-56s", name);
    free(name);
    json_array_foreach(reports, i, report)
    {
        const json_t *other = bench_report_find(report, row);
        double ratio = i ? speed(row, other) : 0, seconds = bench_row_seconds(other).median;
        time = seconds > 0 ? bench_time_text(seconds) : must_print("-");
        print_out(" %10s", time);
        free(time);
        char *text = ratio_text(ratio);
        if (i && ratio > 0)
            print_out(" %6sx", text);
        else if (i)
            print_out(" %7s", "");
        free(text);
    }
    print_out("\n");
}

/* The geometric mean over all rows of both, by group. */
static void print_means(const json_t *reports)
{
    static const char *const groups[] = {"device", "operation", "network", "training", "pipeline"};
    const json_t *first = json_array_get(reports, 0);
    for (size_t i = 1; i < json_array_size(reports); i++)
        for (size_t g = 0; g < COUNT(groups); g++) {
            double sum = 0;
            int count = 0;
            for (size_t k = 0; k < bench_report_rows(first); k++) {
                const json_t *row = bench_report_row(first, k);
                double ratio = speed(row, bench_report_find(json_array_get(reports, i), row));
                if (ratio > 0 && !strcmp(bench_row_text(row, "group"), groups[g])) {
                    sum += log(ratio);
                    count++;
                }
            }
            if (!count)
                continue;
            char *text = ratio_text(exp(sum / count));
            print_out("%s: %c is %s times as fast as A (geometric mean of %d rows)\n", groups[g], (int)('A' + i), text, count);
            free(text);
        }
}

/* Rows of the last report that are slower than in the first. Returns their number. */
static size_t print_slower(const json_t *reports, double percent)
{
    const json_t *first = json_array_get(reports, 0), *last = json_array_get(reports, json_array_size(reports) - 1);
    size_t found = 0;
    for (size_t k = 0; k < bench_report_rows(first); k++) {
        const json_t *row = bench_report_row(first, k), *other = bench_report_find(last, row);
        if (!other || !is_slower(row, other, percent / 100))
            continue;
        if (!found++)
            print_out("\nSlower by more than %g %%:\n", percent);
        print_out("  %s %s: %.0f %%\n", bench_row_text(row, "name"), bench_row_text(row, "shape"), 100 / speed(row, other) - 100);
    }
    if (!found)
        print_out("\nNothing is slower by more than %g %%.\n", percent);
    return found;
}

static json_t *read_all(const struct settings *set)
{
    json_t *reports = json_must(json_array());
    for (size_t i = 0; i < set->files.count; i++) {
        json_t *report = bench_report_read(set->files.items[i]);
        if (!report) {
            json_decref(reports);
            return NULL;
        }
        json_add(report, "file", json_name(set->files.items[i]));
        json_list_add(reports, report);
    }
    return reports;
}

static bool save_page(const struct settings *set, json_t *reports)
{
    clio_context *ctx = clio_create();
    char *page = bench_page(reports);
    bool saved = ctx && clio_file_write(ctx, set->result, page, strlen(page)) == CLIO_OK;
    if (!saved)
        say_error("%s", ctx ? clio_error(ctx) : "the host is out of memory");
    free(page);
    clio_destroy(ctx);
    return saved;
}

int bench_compare(const struct command *self, const struct settings *set)
{
    size_t slower = 0;
    const char *group = "";
    if (set->files.count < 2 || set->files.count > REPORTS_MOST)
        return say_usage(self, "--compare takes 2 to %d reports, not %zu", REPORTS_MOST, set->files.count);
    json_t *reports = read_all(set);
    if (!reports)
        return EXIT_FAILED;
    const json_t *first = json_array_get(reports, 0);
    print_legend(reports);
    for (size_t k = 0; k < bench_report_rows(first); k++) {
        const json_t *row = bench_report_row(first, k);
        if (strcmp(group, bench_row_text(row, "group")) != 0) {
            group = bench_row_text(row, "group");
            print_out("\n%s\n", group);
        }
        print_row(reports, row);
    }
    print_out("\n");
    print_means(reports);
    if (set->threshold > 0)
        slower = print_slower(reports, (double)set->threshold);
    bool saved = !set->result || save_page(set, reports);
    json_decref(reports);
    return saved && !slower ? EXIT_DONE : EXIT_FAILED;
}
