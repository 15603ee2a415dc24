/* cmd_tune.c - clio tune: find the parameters that suit one device, and show what was found. */
#include "bar.h"
#include "options.h"
#include "print_json.h"
#include "session.h"
#include "text.h"

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
        printf("%10.3g  s", seconds);
    else if (seconds >= 1e-3)
        printf("%10.3g ms", 1e3 * seconds);
    else
        printf("%10.3g us", 1e6 * seconds);
}

static void print_found(const clio_tune_result *r)
{
    size_t changed = 0;
    printf("%-26s %-10s %-10s %s\n", "parameter", "default", "chosen", "gain");
    for (size_t i = 0; i < r->row_count; i++) {
        const clio_tune_row *row = &r->rows[i];
        changed += is_changed(row);
        printf("%-26s %-10s %-10s ", row->key, row->shipped, row->chosen);
        if (is_changed(row))
            printf("%.2f x\n", row->gain);
        else
            puts("-");
    }
    if (!changed)
        puts("\nNothing proved faster than the defaults.");
    else
        printf("\n%-56s %12s %12s\n", "whole", "default", "tuned");
    for (size_t i = 0; i < r->workload_count; i++) {
        printf("%-56s ", r->workloads[i].name);
        print_time(r->workloads[i].before);
        fputs(" ", stdout);
        print_time(r->workloads[i].after);
        putchar('\n');
    }
}

static void print_list(clio_context *ctx, const clio_tune_result *r)
{
    const char *problem, *file = clio_tuned_file(ctx, &problem);
    printf("%-26s %-10s %-10s %s\n", "parameter", "default", "now", "tried");
    for (size_t i = 0; i < r->row_count; i++)
        printf("%-26s %-10s %-10s %s\n", r->rows[i].key, r->rows[i].shipped, r->rows[i].chosen, r->rows[i].values);
    if (file)
        printf("\nIn use: %s\n", file);
    else if (problem)
        printf("\nNot used: %s\n", problem);
    else
        printf("\nNot tuned yet: clio tune would write %s\n", r->path);
}

static void print_json(const clio_tune_result *r)
{
    json_t *root = json_object(), *rows = json_array(), *works = json_array();
    for (size_t i = 0; i < r->row_count; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:f}", "key", r->rows[i].key, "default", r->rows[i].shipped, "chosen",
                                              r->rows[i].chosen, "values", r->rows[i].values, "gain", r->rows[i].gain));
    for (size_t i = 0; i < r->workload_count; i++)
        json_array_append_new(
            works, json_pack("{s:s, s:f, s:f}", "name", r->workloads[i].name, "before", r->workloads[i].before, "after", r->workloads[i].after));
    char *path = text_clean(r->path);
    json_object_set_new(root, "file", json_string(path));
    free(path);
    json_object_set_new(root, "written", json_boolean(r->written));
    json_object_set_new(root, "complete", json_boolean(r->complete));
    json_object_set_new(root, "seconds", json_real(r->seconds));
    json_object_set_new(root, "candidates",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "tried", (json_int_t)r->tried, "wrong", (json_int_t)r->wrong, "slow",
                                  (json_int_t)r->slow, "failed", (json_int_t)r->failed, "crashed", (json_int_t)r->crashed));
    json_object_set_new(root, "parameters", rows);
    json_object_set_new(root, "works", works);
    json_print(root);
}

/* What became of the file, for people. */
static void print_end(const clio_tune_result *r)
{
    fprintf(stderr, "%zu candidates in %.0f s: %zu answered wrong, %zu were too slow, %zu failed, %zu ended the process\n", r->tried,
            r->seconds, r->wrong, r->slow, r->failed, r->crashed);
    if (!r->complete)
        fprintf(stderr, "the time was up before everything was tried: run clio tune again to go on from there\n");
    if (r->written)
        fprintf(stderr, "written: %s\n", r->path);
    else
        fprintf(stderr, "%s stays as it was, since everything had been tried for it\n", r->path);
}

static int run_tune(const struct command *self, struct settings *set)
{
    clio_tune_params params = {.purpose = set->purpose, .time_limit = 60 * (double)set->time_limit, .path = set->result};
    clio_tune_result *result = NULL;
    if (set->files.count)
        return say_usage(self, "tune takes no file, and %s was named; -o names the one to write", set->files.items[0]);
    if (set->purpose && strcmp(set->purpose, "whisper") != 0 && strcmp(set->purpose, "all") != 0)
        return say_usage(self, "--for is whisper or all, not \"%s\"", set->purpose);
    struct session s = {.needs_output = set->list != 0};
    if (!session_context(&s, set))
        return session_close(&s, EXIT_FAILED);
    bar_begin();
    clio_status st = clio_device_open(s.ctx, set->device);
    if (!st && !set->quiet && !set->list) {
        const clio_device_info *d = clio_device(s.ctx);
        fprintf(stderr, "tuning %s (%s, %s, driver %s), at most %g minutes; Ctrl-C keeps what was found out\n", d->name, d->type,
                d->platform, d->driver, set->time_limit > 0 ? (double)set->time_limit : 10);
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
        print_found(result);
    session_flush(&s);
    if (!st && !set->list && !set->quiet)
        print_end(result);
    clio_tune_free(result);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {"--for", "WHAT", OPTION_TEXT, FIELD(purpose), 0, 0, "what shall be fast: whisper (default), or all"},
    {"--time-limit", "MINUTES", OPTION_FLOAT, FIELD(time_limit), 0.01, 100000, "how long it may take; default 10"},
    {"-o --output", "FILE", OPTION_TEXT, FIELD(result), 0, 0,
     "write FILE, for CLIO_PARAMS, instead of the file\nthat is used without being named"},
    {"--list", NULL, OPTION_ON, FIELD(list), 0, 0, "only show the parameters, their values, and what\nwould be tried"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_tune = {
    .name = "tune",
    .synopsis = "[--for whisper|all] [--time-limit MINUTES] [-o FILE] [--list] [-d DEVICE]",
    .about = "Searches for kernel parameters that suit this very device, and writes those that are proved faster than\n"
             "the defaults into a file which clio uses from then on with this device, platform and driver.\n"
             "Whatever is tried has to compute the right thing first. It may be stopped at any time, even killed, and\n"
             "goes on where it was when it is run again. Best on a machine that does nothing else.",
    .more = "clio tune                      ten minutes, for the best device\n"
            "clio tune -d gpu --for all --time-limit 60",
    .options = options,
    .run = run_tune,
};
