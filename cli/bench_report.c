/* bench_report.c - see bench_report.h. */
#define _POSIX_C_SOURCE 200809L
#include "bench_report.h"
#include "device_json.h"
#include "print_json.h"
#include "say.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define LARGEST_REPORT ((size_t)64 << 20)

/* ---- write ---- */

static json_t *number_or_null(double value)
{
    return value > 0 ? json_number(value) : json_null();
}

static json_t *row_json(const clio_bench_row *row)
{
    json_t *out = json_must(json_object()), *samples = json_must(json_array());
    for (size_t i = 0; i < row->sample_count; i++)
        json_list_add(samples, json_number(row->samples[i]));
    json_add(out, "group", json_string(row->group));
    json_add(out, "name", json_string(row->name));
    json_add(out, "shape", json_string(row->shape));
    json_add(out, "storage", json_name(row->storage));
    json_add(out, "seconds", number_or_null(row->sample_count ? row->seconds : 0));
    json_add(out, "low", number_or_null(row->sample_count ? row->low : 0));
    json_add(out, "high", number_or_null(row->sample_count ? row->high : 0));
    json_add(out, "samples", samples);
    json_add(out, "flops", number_or_null(row->flops));
    json_add(out, "bytes", number_or_null(row->bytes));
    json_add(out, "items", number_or_null(row->items));
    json_add(out, "item", json_name(row->item));
    json_add(out, "peak_share", number_or_null(row->peak_share));
    json_add(out, "error", json_number(row->error));
    json_add(out, "problem", json_name(row->problem));
    return out;
}

/* The kernel parameters in use. */
static json_t *parameters_json(clio_context *ctx)
{
    const clio_tune_params all = {.purpose = "all"};
    clio_tune_result *list = NULL;
    json_t *out = json_must(json_object());
    if (clio_tune_list(ctx, &all, &list) == CLIO_OK)
        for (size_t i = 0; i < list->row_count; i++)
            json_add(out, list->rows[i].key, json_string(list->rows[i].chosen));
    clio_tune_free(list);
    return out;
}

json_t *bench_report(clio_context *ctx, const struct settings *set, const clio_bench_result *result)
{
    json_t *out = json_must(json_object()), *rows = json_must(json_array());
    struct utsname host;
    char date[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    for (size_t i = 0; i < result->row_count; i++)
        json_list_add(rows, row_json(&result->rows[i]));
    json_add(out, "format", json_string(BENCH_FORMAT));
    json_add(out, "program", json_string("clio"));
    json_add(out, "version", json_string(clio_version()));
    json_add(out, "date", json_string(date));
    json_add(out, "system", uname(&host) ? json_null() : json_must(json_sprintf("%s %s %s", host.sysname, host.release, host.machine)));
    json_add(out, "device", device_json(ctx, clio_device(ctx)));
    json_add(out, "tuned_file", json_name(clio_tuned_file(ctx, NULL)));
    json_add(out, "parameters", parameters_json(ctx));
    json_add(out, "quick", json_boolean(set->quick));
    json_add(out, "complete", json_boolean(result->complete));
    json_add(out, "duration_s", json_number(result->seconds));
    json_add(out, "peak_flops", number_or_null(result->peak_flops));
    json_add(out, "peak_bytes", number_or_null(result->peak_bytes));
    json_add(out, "drift", number_or_null(result->drift));
    json_add(out, "rows", rows);
    return out;
}

/* ---- read ---- */

static bool is_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text && strlen(text) < 200;
}

static bool is_row(const json_t *row)
{
    struct bench_seconds s = bench_row_seconds(row);
    return is_text(row, "group") && is_text(row, "name") && json_is_string(json_object_get(row, "shape")) && s.median >= 0 &&
           isfinite(s.median) && s.low <= s.median && s.median <= s.high && isfinite(s.high);
}

json_t *bench_report_read(const char *path)
{
    json_error_t error;
    json_t *report = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    const char *format = json_string_value(json_object_get(report, "format"));
    const char *why = NULL;
    if (!report && error.line <= 0)
        why = error.text;
    else if (!report)
        why = "it is not valid JSON";
    else if (!format || strcmp(format, BENCH_FORMAT) != 0)
        why = "it is not a report of clio bench, or of another version";
    else if (!json_array_size(json_object_get(report, "rows")) || !is_text(json_object_get(report, "device"), "name"))
        why = "it has no rows, or no device";
    for (size_t i = 0; !why && i < bench_report_rows(report); i++)
        if (!is_row(bench_report_row(report, i)))
            why = "a row of it is damaged";
    if (!why)
        return report;
    say_error("%s cannot be compared: %s; write it with clio bench -o", path, why);
    json_decref(report);
    return NULL;
}

size_t bench_report_rows(const json_t *report)
{
    return json_array_size(json_object_get(report, "rows"));
}

const json_t *bench_report_row(const json_t *report, size_t i)
{
    return json_array_get(json_object_get(report, "rows"), i);
}

const char *bench_row_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

struct bench_seconds bench_row_seconds(const json_t *row)
{
    struct bench_seconds s = {json_number_value(json_object_get(row, "seconds")), json_number_value(json_object_get(row, "low")),
                              json_number_value(json_object_get(row, "high")), 0};
    const json_t *sample;
    size_t i;
    s.least = s.low;
    json_array_foreach(json_object_get(row, "samples"), i, sample)
    {
        double seconds = json_number_value(sample);
        s.least = seconds > 0 && seconds < s.least ? seconds : s.least;
    }
    return s;
}

const json_t *bench_report_find(const json_t *report, const json_t *row)
{
    static const char *const keys[] = {"group", "name", "shape"};
    for (size_t i = 0; i < bench_report_rows(report); i++) {
        const json_t *other = bench_report_row(report, i);
        size_t same = 0;
        for (size_t k = 0; k < COUNT(keys); k++)
            same += !strcmp(bench_row_text(row, keys[k]), bench_row_text(other, keys[k]));
        if (same == COUNT(keys))
            return other;
    }
    return NULL;
}

const char *bench_report_device(const json_t *report)
{
    return bench_row_text(json_object_get(report, "device"), "name");
}

char *bench_time_text(double seconds)
{
    return seconds >= 1      ? must_print("%.3g s", seconds)
           : seconds >= 1e-3 ? must_print("%.3g ms", 1e3 * seconds)
                             : must_print("%.3g us", 1e6 * seconds);
}
