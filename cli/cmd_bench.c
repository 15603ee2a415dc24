/* cmd_bench.c - clio bench: time a device, and compare such reports. */
#include "bar.h"
#include "bench_compare.h"
#include "bench_report.h"
#include "model_path.h"
#include "options.h"
#include "output.h"
#include "print_json.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "matmul, 1500 x 512 x 512   1.20 ms  +-2 %   655 GFLOP/s   4.2 GB/s   71 %" */
static void print_row(const clio_bench_row *row)
{
    char *name = must_print("%s%s%s, %s", row->name, row->storage ? " " : "", row->storage ? row->storage : "", row->shape);
    print_out("%-58s", name);
    free(name);
    if (!row->sample_count) {
        print_out(" %s\n", row->problem);
        return;
    }
    char *time = bench_time_text(row->seconds);
    print_out(" %9s %+4.0f %%", time, 50 * (row->high - row->low) / row->seconds);
    free(time);
    if (row->items > 0 && row->item)
        print_out(" %10.4g %s/s", row->items / row->seconds, row->item);
    if (row->flops > 0)
        print_out(" %8.1f GFLOP/s", 1e-9 * row->flops / row->seconds);
    if (row->bytes > 0)
        print_out(" %7.1f GB/s", 1e-9 * row->bytes / row->seconds);
    if (row->peak_share > 0 && !strcmp(row->group, "operation"))
        print_out(" %4.0f %% of peak", 100 * row->peak_share);
    if (row->error > 0)
        print_out("  error %.1e", row->error);
    print_out("%s%s\n", row->problem ? "  " : "", row->problem ? row->problem : "");
}

static void print_rows(const clio_bench_result *result)
{
    const char *group = "";
    for (size_t i = 0; i < result->row_count; i++) {
        if (strcmp(group, result->rows[i].group) != 0) {
            group = result->rows[i].group;
            print_out(i ? "\n%s\n" : "%s\n", group);
        }
        print_row(&result->rows[i]);
    }
}

static void print_end(const clio_bench_result *result)
{
    print_err("%zu rows in %.0f s%s\n", result->row_count, result->seconds,
              result->complete ? "" : "; interrupted, the rest was not measured");
    if (result->drift > 0 && (result->drift < 0.95 || result->drift > 1.05))
        print_err("note: at the end the device ran at %.0f %% of its speed at the beginning: it was busy, or changed its clock\n",
                  100 * result->drift);
}

/* Results that are wrong are an error. */
static bool all_right(const clio_bench_result *result)
{
    bool right = true;
    for (size_t i = 0; i < result->row_count; i++)
        if (result->rows[i].sample_count && result->rows[i].problem) {
            say_error("%s %s: %s", result->rows[i].name, result->rows[i].shape, result->rows[i].problem);
            right = false;
        }
    return right;
}

/* Where the report of device i goes: FILE, or of several devices FILE with the device's number before the extension. */
static char *report_path(const struct session *s, size_t i)
{
    const char *path = s->set->result;
    int stem = path_stem_length(path);
    return s->device_count > 1 ? must_print("%.*s-%d%s", stem, path, clio_device(s->devices[i].ctx)->index, path + stem)
                               : must_print("%s", path);
}

static bool reports_writable(const struct session *s)
{
    bool good = true;
    for (size_t i = 0; s->set->result && good && i < s->device_count; i++) {
        char *path = report_path(s, i);
        good = path_check(s->set, path, "-o");
        free(path);
    }
    return good;
}

static int save_report(struct session *s, size_t i, const clio_bench_result *result)
{
    char *text = json_document(bench_report(s->devices[i].ctx, s->set, result), JSON_MEASURED);
    char *line = must_print("%s\n", text), *path = report_path(s, i);
    clio_status st = clio_file_write(s->ctx, path, line, strlen(line));
    free(path);
    free(line);
    free(text);
    return st ? session_failed(s, st) : EXIT_DONE;
}

/* Device i; the others wait. */
static int measure(struct session *s, size_t i, const char *model)
{
    const struct settings *set = s->set;
    clio_context *ctx = s->devices[i].ctx;
    const clio_bench_params params = {.filter = set->filter, .model = model, .quick = set->quick};
    clio_bench_result *result = NULL;
    if (!set->quiet) {
        const clio_device_info *d = clio_device(ctx);
        print_err("measuring %s (%s, %s, driver %s); Ctrl-C keeps what was measured\n", d->name, d->type, d->platform, d->driver);
    }
    session_use_context(s, ctx);
    clio_status st = clio_bench(ctx, &params, &result);
    bar_clear();
    int code = st ? session_failed(s, st) : result->complete ? EXIT_DONE : EXIT_STOPPED;
    if (!st && set->json)
        json_print(bench_report(ctx, set, result), JSON_MEASURED);
    else if (!st)
        print_rows(result);
    session_flush(s);
    if (!st && set->result) {
        int saved = save_report(s, i, result);
        code = saved ? saved : code;
    }
    if (!st && !set->quiet)
        print_end(result);
    if (!st && !all_right(result))
        code = EXIT_FAILED;
    clio_bench_free(result);
    return code;
}

/* All devices in turn: one that fails does not keep the others from being measured. */
static int measure_all(struct session *s, const char *model)
{
    int code = session_devices(s, DEVICES_MAX);
    if (!code && !reports_writable(s))
        code = EXIT_FAILED;
    bool opened = !code;
    for (size_t i = 0; opened && i < s->device_count && !session_stopped() && code != EXIT_STOPPED && code != EXIT_USAGE; i++) {
        bool named = s->device_count > 1 && !s->set->json;
        if (named && i)
            print_out("\n");
        if (named)
            print_out("%s\n\n", clio_device(s->devices[i].ctx)->name);
        int one = measure(s, i, model);
        code = one ? one : code;
    }
    return code;
}

static int run_bench(const struct command *self, struct settings *set)
{
    char *model = NULL;
    if (set->compare && set->device)
        return say_usage(self, "--compare uses no device: leave out -d");
    if (!set->compare && session_ranks() > 1)
        return say_usage(self, "processes that measure at the same time slow each other down: start clio without mpirun");
    if (set->result && !strcmp(set->result, "-") && session_are_several(set->device))
        return say_usage(self, "-o - prints one report, and -d %s names several devices: give a file name", set->device);
    if (set->compare)
        return set->result && !path_check(set, set->result, "-o") ? EXIT_FAILED : bench_compare(self, set);
    if (set->files.count)
        return say_usage(self, "unexpected argument %s: reports are compared with --compare", set->files.items[0]);
    if (option_given(set, FIELD(threshold)))
        return say_usage(self, "--threshold needs --compare");
    if (set->model && !(model = model_find_diffusion(set->model)))
        return EXIT_FAILED;
    struct session s = {.needs_output = !set->result};
    int code = EXIT_FAILED;
    if (session_context(&s, set)) {
        bar_begin();
        code = measure_all(&s, model);
    }
    free(model);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {.names = "--quick",
     .type = OPTION_SWITCH,
     .field = FIELD(quick),
     .group = "Measuring",
     .help = "fewer shapes and samples: about a minute instead of ten"},
    {.names = "--filter",
     .argument = "TEXT",
     .type = OPTION_TEXT,
     .field = FIELD(filter),
     .initial = "all rows",
     .help = "only rows whose name or shape contains this text, or of this group: device, operation, network, training"},
    {.names = "-m --model",
     .argument = "MODEL",
     .type = OPTION_MODEL,
     .field = FIELD(model),
     .initial = "random weights",
     .help = "time the networks of this model: Whisper, or Stable Diffusion as a folder"},
    OPTION_WEIGHT_TYPE(.help = "type of the weights in memory"),
    {.names = "-o --output",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(result),
     .initial = "none",
     .help = "write the report as JSON; with --compare the comparison as an HTML page",
     .more = "With several devices each has a report of its own, whose name has the number of the device before its extension."},
    {.names = "--compare",
     .type = OPTION_SWITCH,
     .field = FIELD(compare),
     .group = "Comparing",
     .help = "compare reports, the first with each of the others, instead of measuring"},
    {.names = "--threshold",
     .argument = "PERCENT",
     .type = OPTION_FLOAT,
     .field = FIELD(threshold),
     .low = 1,
     .high = 1000,
     .initial = "none",
     .help = "list rows that are slower in the last report than in the first by more than this, beyond the spread of both; exit code 1 if "
             "there are any"},
    OPTIONS_END,
};

static const struct section sections[] = {
    {"WHAT IS MEASURED",
     "`device`: multiply-adds in registers, copies within global memory, reads of local memory, kernel launches, transfers between host "
     "and "
     "device. `operation`: matrix multiplication, attention, convolution, normalization and others at the shapes of Whisper and Stable "
     "Diffusion, and gradients at those of DCGAN, each compared with plain C before it is timed. `network`: the encoder and a "
     "decoding step of Whisper base; a UNet step and the decoders of Stable Diffusion 1.5, without `--quick`; or those of `-m`. "
     "`training`: steps of a VAE, a DCGAN and a small UNet.\n\n"
     "Each row is repeated until its median is stable. Printed are the median, half the interquartile range, and of operations the share "
     "of "
     "the device's own measured peak: of multiply-adds or of memory, whichever is larger. Caches and minimal filtering (Winograd) can "
     "exceed it. Measure on an idle machine.",
     NULL},
    {"JSON",
     "With `--json` standard output has the report, which `-o` writes to a file: format, version, date, system, device (with driver and "
     "self-tests), parameters (those in use), peak_flops and peak_bytes (a second), drift (speed at the end relative to the beginning), "
     "and "
     "rows: group, name, shape, storage (of weights), seconds (the median), low and high (the quartiles), samples, flops, bytes and items "
     "(of one call), peak_share, error and problem. `bench/peers`, in the source tree, writes such reports of PyTorch and other programs, "
     "at the same rows and of whole sound files (group pipeline).",
     NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio bench --quick", "a minute on the best device"},
    {"clio bench -d gpu -o gpu.json", "everything on the GPU, as a report"},
    {"clio bench -d all -o here.json", "one report for each device: here-0.json, here-1.json"},
    {"clio bench --compare cpu.json gpu.json -o devices.html", "two devices side by side"},
    {"clio bench --compare before.json after.json --threshold 10", "what became slower by more than 10 %"},
    {NULL, NULL},
};

const struct command command_bench = {
    .name = "bench",
    .summary = "measure a device, and compare devices or versions",
    .synopsis = "[--quick] [--filter TEXT] [-m MODEL] [-o FILE] [-d DEVICE]\n--compare [--threshold PERCENT] [-o FILE] REPORT REPORT...",
    .description =
        "Times what an OpenCL device reaches: its peak rates, the operations of neural networks at real shapes, whole networks and "
        "training steps. Reports of several devices, drivers or versions are compared in a table and as an HTML page.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_REPORTS,
    .several_devices = true,
    .run = run_bench,
};
