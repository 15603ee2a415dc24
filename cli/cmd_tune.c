/* cmd_tune.c - clio tune: search for the best kernel parameters of a device, and show them. */
#include "bar.h"
#include "options.h"
#include "print_json.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_changed(const clio_tune_row *row)
{
    return strcmp(row->shipped, row->chosen) != 0;
}

/* "412 ms", "1.63 ms", "20.4 us" */
static void print_time(double seconds)
{
    if (seconds >= 1)
        print_out("%10.3g  s", seconds);
    else if (seconds >= 1e-3)
        print_out("%10.3g ms", 1e3 * seconds);
    else
        print_out("%10.3g us", 1e6 * seconds);
}

static void print_result(const clio_tune_result *r)
{
    size_t changed = 0;
    print_out("%-26s %-10s %-10s %s\n", "parameter", "default", "chosen", "gain");
    for (size_t i = 0; i < r->row_count; i++) {
        const clio_tune_row *row = &r->rows[i];
        changed += is_changed(row);
        print_out("%-26s %-10s %-10s ", row->key, row->shipped, row->chosen);
        if (is_changed(row))
            print_out("%.2f x\n", row->gain);
        else
            print_out("-\n");
    }
    if (!changed)
        print_out("\nNothing is measurably faster than the defaults.\n");
    else
        print_out("\n%-56s %12s %12s\n", "workload", "default", "tuned");
    for (size_t i = 0; i < r->workload_count; i++) {
        print_out("%-56s ", r->workloads[i].name);
        print_time(r->workloads[i].before);
        print_out(" ");
        print_time(r->workloads[i].after);
        print_out("\n");
    }
}

static void print_list(clio_context *ctx, const clio_tune_result *r)
{
    const char *problem, *file = clio_tuned_file(ctx, &problem);
    print_out("%-26s %-10s %-10s %s\n", "parameter", "default", "current", "candidates");
    for (size_t i = 0; i < r->row_count; i++)
        print_out("%-26s %-10s %-10s %s\n", r->rows[i].key, r->rows[i].shipped, r->rows[i].chosen, r->rows[i].values);
    if (file)
        print_out("\nIn use: %s\n", file);
    else if (problem)
        print_out("\nNot in use: %s\n", problem);
    else
        print_out("\nNot tuned yet; clio tune would write %s\n", r->path);
}

static void print_json(const clio_tune_result *r)
{
    json_t *root = json_must(json_object()), *rows = json_must(json_array()), *workloads = json_must(json_array());
    for (size_t i = 0; i < r->row_count; i++)
        json_list_add(rows, json_pack("{s:s, s:s, s:s, s:s, s:f}", "key", r->rows[i].key, "default", r->rows[i].shipped, "chosen",
                                      r->rows[i].chosen, "values", r->rows[i].values, "gain", r->rows[i].gain));
    for (size_t i = 0; i < r->workload_count; i++)
        json_list_add(workloads, json_pack("{s:s, s:f, s:f}", "name", r->workloads[i].name, "default_s", r->workloads[i].before, "tuned_s",
                                           r->workloads[i].after));
    json_add(root, "file", json_name(r->path));
    json_add(root, "written", json_boolean(r->written));
    json_add(root, "complete", json_boolean(r->complete));
    json_add(root, "duration_s", json_number(r->seconds));
    json_add(root, "candidates",
             json_pack("{s:I, s:I, s:I, s:I, s:I}", "tried", (json_int_t)r->tried, "wrong", (json_int_t)r->wrong, "slow",
                       (json_int_t)r->slow, "failed", (json_int_t)r->failed, "crashed", (json_int_t)r->crashed));
    json_add(root, "parameters", rows);
    json_add(root, "workloads", workloads);
    json_print(root, JSON_MEASURED);
}

/* What was tried, and what became of the file. */
static void print_end(const clio_tune_result *r)
{
    print_err("%zu candidates in %.0f s: %zu wrong results, %zu too slow, %zu failed, %zu crashed\n", r->tried, r->seconds, r->wrong,
              r->slow, r->failed, r->crashed);
    if (!r->complete)
        print_err("the time limit ended the search early: run clio tune again to continue it\n");
    if (r->written)
        print_err("wrote %s\n", r->path);
    else
        print_err("%s is unchanged: it comes from a complete search\n", r->path);
}

static int run_tune(const struct command *self, struct settings *set)
{
    clio_tune_params params = {.purpose = set->workload, .time_limit = 60 * (double)set->time_limit, .path = set->result};
    clio_tune_result *result = NULL;
    if (set->files.count)
        return say_usage(self, "unexpected argument %s: -o names the file to write", set->files.items[0]);
    struct session s = {.needs_output = set->list != 0};
    if (!session_context(&s, set))
        return session_close(&s, EXIT_FAILED);
    bar_begin();
    clio_status st = clio_device_open(s.ctx, set->device);
    if (!st && !set->quiet && !set->list) {
        const clio_device_info *d = clio_device(s.ctx);
        print_err("tuning %s (%s, %s, driver %s) for at most %g minutes; Ctrl-C keeps the results so far\n", d->name, d->type, d->platform,
                  d->driver, (double)set->time_limit);
    }
    if (!st)
        st = set->list ? clio_tune_list(s.ctx, &params, &result) : clio_tune(s.ctx, &params, &result);
    bar_clear();
    int code = st ? session_failed(&s, st) : EXIT_DONE;
    if (!st && set->json)
        print_json(result);
    else if (!st && set->list)
        print_list(s.ctx, result);
    else if (!st)
        print_result(result);
    session_flush(&s);
    if (!st && !set->list && !set->quiet)
        print_end(result);
    clio_tune_free(result);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {.names = "--for",
     .argument = "WORKLOAD",
     .type = OPTION_CHOICE,
     .field = FIELD(workload),
     .choices = CHOICES("whisper", "all"),
     .group = "Tuning",
     .help = "workload to tune for: Whisper, or everything that clio runs"},
    {.names = "--time-limit",
     .argument = "MINUTES",
     .type = OPTION_FLOAT,
     .field = FIELD(time_limit),
     .low = 0.01,
     .high = 100000,
     .help = "end the search after this time; the next run continues it"},
    {.names = "-o --output",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(result),
     .initial = "the file that clio reads for this device",
     .help = "file to write, for use as $CLIO_PARAMS"},
    {.names = "--list",
     .type = OPTION_SWITCH,
     .field = FIELD(list),
     .help = "only list the parameters: defaults, current values and candidates, and the tuned file in use"},
    OPTIONS_END,
};

static const struct section sections[] = {
    {"THE SEARCH",
     "Starting from the best parameters so far, other values are tried one step at a time on the kernel calls of real networks. A "
     "candidate "
     "must first match the C reference, at odd shapes as well. At the end the result is measured against the defaults in alternating pairs "
     "of "
     "runs; a parameter without a measurable gain is left out, and if the whole has none, all are.\n\n"
     "The search can be interrupted or killed at any time and continues with the next run. A candidate that crashed the process is not "
     "tried "
     "again. Run it while the machine is otherwise idle.",
     NULL},
    {"THE TUNED FILE",
     "The result is a text file with one row per parameter and its gain, under the device, platform and driver that it is for. It is "
     "not used with another device, platform or driver, nor if a line is invalid or has a value that the device cannot run, nor if other "
     "users may write to its folder: `clio tune --list` then says why. Deleting the file restores the defaults. A file that clio tune did "
     "not write is not replaced.",
     NULL},
    {"JSON",
     "With `--json` standard output has one object: `file`, `written`, `complete`, `duration_s`, `candidates` (counts of tried, wrong, "
     "slow, "
     "failed and crashed ones), `parameters` (key, default, chosen value, values tried, gain) and `workloads` (name, `default_s`, "
     "`tuned_s`).",
     NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio tune", "ten minutes on the best device"},
    {"clio tune -d gpu --for all --time-limit 60", "an hour on the GPU, for all models"},
    {NULL, NULL},
};

static void defaults(struct settings *set)
{
    set->workload = "whisper";
    set->time_limit = 10;
}

const struct command command_tune = {
    .name = "tune",
    .summary = "tune kernel parameters for a device",
    .synopsis = "[--for WORKLOAD] [--time-limit MINUTES] [-o FILE] [--list] [-d DEVICE]",
    .description =
        "Searches for the fastest kernel parameters of a device and writes them to a file that clio reads from then on with this "
        "device, platform and driver. Every candidate must compute correct results first.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_NONE,
    .defaults = defaults,
    .run = run_tune,
};
