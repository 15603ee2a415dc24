/* cmd_train.c - clio train: learn a model from a folder of images. Settings are key=value, so that a model's own and the run's look
 * alike. */
#include "bar.h"
#include "options.h"
#include "session.h"
#include "text.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings ---- */

/* "key=value" into the object: the value as JSON if it is a number or true or false, else as a word. */
static int add_setting(const struct command *self, json_t *all, const char *word)
{
    const char *equals = strchr(word, '=');
    json_t *value;
    if (!equals || equals == word || !equals[1])
        return say_usage(self, "--set takes KEY=VALUE, such as --set epochs=3, not \"%s\"", word);
    char *key = must_print("%.*s", (int)(equals - word), word);
    value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    if (!value || json_is_object(value) || json_is_array(value)) {
        json_decref(value);
        value = json_string(equals + 1);
    }
    if (json_is_real(value) && fabs(json_real_value(value)) < 1e15 && floor(json_real_value(value)) == json_real_value(value)) {
        json_t *whole = json_integer((json_int_t)json_real_value(value)); /* 1e6 */
        json_decref(value);
        value = whole;
    }
    int code = value && !json_object_set_new(all, key, value) ? EXIT_DONE : say_usage(self, "\"%s\" is not UTF-8", word);
    free(key);
    return code;
}

/* The file's settings, then those of the command line. The text is freed by the caller. */
static int read_settings(const struct command *self, const struct settings *set, char **text)
{
    json_error_t error;
    json_t *all = json_object();
    int code = EXIT_DONE;
    if (set->config) {
        json_decref(all);
        all = json_load_file(set->config, JSON_REJECT_DUPLICATES, &error);
        if (!all || !json_is_object(all)) {
            say_error("%s is no JSON object of settings (line %d: %s)", set->config, all ? 1 : error.line,
                      all ? "something else" : error.text);
            code = EXIT_FAILED;
        }
    }
    for (size_t i = 0; !code && i < set->changes.count; i++)
        code = add_setting(self, all, set->changes.items[i]);
    *text = code ? NULL : json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return code;
}

/* ---- lists ---- */

static void print_settings(clio_context *ctx, const char *model)
{
    clio_setting s;
    for (size_t i = 0; clio_train_setting(ctx, model, i, &s) == CLIO_OK && s.name; i++)
        printf("  %-18s %-32s %-10s %s\n", s.name, s.range, *s.value || model ? s.value : "(model's)", s.summary);
}

static int list(struct session *s, const char *model)
{
    clio_setting probe;
    if (model) {
        clio_status st = clio_train_setting(s->ctx, model, 0, &probe);
        if (st)
            return session_failed(s, st);
        printf("settings of %s\n  %-18s %-32s %-10s\n", model, "name", "values", "default");
        print_settings(s->ctx, model);
        puts("settings of every run");
        print_settings(s->ctx, NULL);
    } else {
        const char *name, *summary;
        clio_train_model(0, &name, &summary);
        for (size_t i = 0; name; clio_train_model(++i, &name, &summary))
            printf("%-14s %s\n", name, summary);
        puts("\nclio train --list MODEL: its settings");
    }
    session_flush(s);
    return EXIT_DONE;
}

/* ---- the run ---- */

/* "epoch 0.42  28300/s  d_loss 0.981  g_loss 1.62": two losses at most, for a bar has one line. */
static void describe(char text[200], const clio_train_status *status)
{
    size_t shown = status->count > 2 ? 1 : status->count;
    int at = snprintf(text, 200, "epoch %.2f", status->epoch);
    if (status->samples_per_second > 0)
        at += snprintf(text + at, 200 - (size_t)at, "  %.*f/s", status->samples_per_second < 100, status->samples_per_second);
    for (size_t i = 0; i < shown && at < 160; i++)
        at += snprintf(text + at, 200 - (size_t)at, "  %s %.4g", status->names[i], status->losses[i]);
}

static int on_status(void *user, const clio_train_status *status)
{
    struct session *s = user;
    char what[200];
    if (status->event) {
        bar_clear();
        if (!s->set->quiet)
            fprintf(stderr, "%s\n", status->event);
        return session_stopped();
    }
    describe(what, status);
    bar_progress(what, (double)status->step, (double)status->steps, BAR_PLAIN);
    return session_stopped();
}

/* The device asked for; of several processes on one machine each takes another of the devices that are as good as the best. */
static clio_status open_device(struct session *s, const struct settings *set)
{
    int rank, ranks, same = 0, pick = 0;
    const clio_device_info *devices;
    size_t count;
    char selector[24] = "";
    clio_train_rank(&rank, &ranks);
    clio_status st = clio_device_list(s->ctx, &devices, &count);
    for (size_t i = 0; !st && i < count; i++)
        same += devices[i].index >= 0 && !strcmp(devices[i].type, devices[0].type);
    for (size_t i = 0; !st && ranks > 1 && i < count; i++)
        if (devices[i].index >= 0 && !strcmp(devices[i].type, devices[0].type) && pick++ == rank % same)
            snprintf(selector, sizeof selector, "%d", devices[i].index);
    if (!st)
        st = clio_device_open(s->ctx, set->device ? set->device : *selector ? selector : NULL);
    if (!st && !set->quiet) {
        const clio_device_info *d = clio_device(s->ctx);
        fprintf(stderr, "clio %s on %s (%s, %s)%s", clio_version(), d->name, d->type, d->platform, ranks > 1 ? "" : "\n");
        if (ranks > 1)
            fprintf(stderr, ", process %d of %d\n", rank + 1, ranks);
    }
    return st;
}

static int train(struct session *s, const struct settings *set, const char *settings)
{
    clio_train_params params = {.model = set->files.count ? set->files.items[0] : NULL,
                                .data = set->data,
                                .out = set->result,
                                .settings = settings,
                                .resume = set->resume,
                                .on_status = on_status,
                                .user = s};
    uint64_t now, peak;
    bar_begin();
    clio_status st = open_device(s, set);
    if (!st)
        st = clio_train(s->ctx, &params);
    bar_clear();
    if (st == CLIO_ERROR_CANCELLED) {
        say_error("%s", clio_error(s->ctx));
        return EXIT_STOPPED;
    }
    if (st)
        return session_failed(s, st);
    clio_memory(s->ctx, &now, &peak);
    if (!set->quiet)
        fprintf(stderr, "done, with at most %.0f MiB on the device; what was learned is in %s/last\n", (double)peak / 0x1p20, set->result);
    return EXIT_DONE;
}

static int run_train(const struct command *self, struct settings *set)
{
    struct session s = {0};
    char *settings = NULL;
    int code = EXIT_DONE;
    if (set->files.count > 1)
        return say_usage(self, "one model is trained at a time, and %s and %s were named", set->files.items[0], set->files.items[1]);
    if (!set->list) {
        if (!set->files.count && !set->resume)
            return say_usage(self, "no model was named: clio train --list shows what there is");
        if (!set->data)
            return say_usage(self, "there is nothing to learn from: name a folder of images, or of IDX files, with --data");
        if (!set->result)
            return say_usage(self, "name a folder for what is learned with --out");
        code = read_settings(self, set, &settings);
    }
    if (code)
        return code;
    if (!session_context(&s, set))
        code = EXIT_FAILED;
    else
        code = set->list ? list(&s, set->files.count ? set->files.items[0] : NULL) : train(&s, set, settings);
    free(settings);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {"--data", "DIR", OPTION_TEXT, FIELD(data), 0, 0,
     "what to learn from: a folder of images (with\nmetadata.jsonl, .txt files beside them, or a folder\nfor each class), or IDX files "
     "(the MNIST family)"},
    {"-o --out", "DIR", OPTION_TEXT, FIELD(result), 0, 0, "where checkpoints, losses, plots and samples go"},
    {"--set", "KEY=VALUE", OPTION_WORDS, FIELD(changes), 0, 0, "a setting that is not to be the default; several\ntimes for several"},
    {"--config", "FILE", OPTION_TEXT, FIELD(config), 0, 0, "a JSON object of settings"},
    {"--resume", NULL, OPTION_ON, FIELD(resume), 0, 0,
     "go on from the last checkpoint in --out, with its\nsettings; begin where there is none"},
    {"--list", NULL, OPTION_ON, FIELD(list), 0, 0, "show the models, or the settings of one"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_train = {
    .name = "train",
    .synopsis = "MODEL --data DIR --out DIR [--set KEY=VALUE]... [--resume]",
    .about = "Trains a network that makes images, from the first weight on. Ctrl-C saves and ends; --resume goes on from there,\n"
             "and from whatever a crash left, as if nothing had happened. clio sample draws from what was learned.",
    .more = "clio train --list\n"
            "clio train vae --data fashion-mnist --out my-vae --set epochs=3\n"
            "clio train dcgan --data photos --out faces --set image_size=64 --set batch_size=64 --set random_flip=0.5\n"
            "clio train dcgan --data photos --out faces --resume --set epochs=50",
    .options = options,
    .run = run_train,
};
