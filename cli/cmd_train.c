/* cmd_train.c - clio train: train a model. Settings of the model, the optimizer and the run are NAME=VALUE; train_list.c lists them. */
#include "bar.h"
#include "model_path.h"
#include "options.h"
#include "say.h"
#include "session.h"
#include "print_json.h"
#include "text.h"
#include "terminal.h"
#include "train_list.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings ---- */

/* Put "name=value" into the object: a number, true and false as such, everything else as text. */
static int add_setting(const struct command *self, json_t *all, const char *word)
{
    const char *equals = strchr(word, '=');
    json_t *value;
    if (!text_is_valid(word))
        return say_usage(self, "--set takes text in UTF-8, not \"%s\"", word);
    if (!equals || equals == word || !equals[1])
        return say_usage(self, "--set takes NAME=VALUE, such as --set epochs=3, not \"%s\"", word);
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
    json_add(all, key, value);
    free(key);
    return EXIT_DONE;
}

/* Replace the name of an installed model, in a setting that is a folder, by its path. */
static void find_models(json_t *all)
{
    static const char *const names[] = {"pretrained", "text_encoder", "tokenizer", "vae"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = json_string_value(json_object_get(all, names[i]));
        char *path = value ? model_find_part(value, i ? names[i] : NULL) : NULL;
        if (path)
            json_add(all, names[i], json_must(json_string(path)));
        free(path);
    }
}

/* The settings of --config, and those of --set, which override them. The caller frees both. */
static int read_settings(const struct command *self, const struct settings *set, char *text[2])
{
    json_error_t error;
    json_t *all[2] = {json_must(json_object()), json_must(json_object())};
    int code = EXIT_DONE;
    if (set->config) {
        json_decref(all[0]);
        all[0] = json_load_file(set->config, JSON_REJECT_DUPLICATES, &error);
        if (!all[0] && json_error_code(&error) == json_error_cannot_open_file)
            say_error("%s", error.text);
        else if (!all[0] && (json_error_code(&error) == json_error_out_of_memory || !*error.text))
            say_error("out of memory while reading %s", set->config);
        else if (!json_is_object(all[0]))
            say_error("%s is not a JSON object of settings (line %d: %s)", set->config, all[0] ? 1 : error.line,
                      all[0] ? "another type" : error.text);
        code = json_is_object(all[0]) ? EXIT_DONE : EXIT_FAILED;
    }
    for (size_t i = 0; !code && i < set->assignments.count; i++)
        code = add_setting(self, all[1], set->assignments.items[i]);
    for (int i = 0; i < 2; i++) {
        if (!code)
            find_models(all[i]);
        text[i] = code ? NULL : json_document(json_incref(all[i]), 17);
        json_decref(all[i]);
    }
    return code;
}

/* ---- the run ---- */

/* "epoch 0.42  28300/s  d_loss 0.981  g_loss 1.62": two losses at most, to fit into the line of the bar. */
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
        if (status->is_warning)
            say_error("%s", status->event);
        else if (!s->set->quiet)
            print_err("%s\n", status->event);
        return session_stopped();
    }
    describe(what, status);
    bar_progress(what, (double)status->step, (double)status->steps, BAR_PLAIN);
    return session_stopped();
}

static clio_status open_device(struct session *s, const struct settings *set)
{
    int rank, ranks;
    clio_status st = session_device(s);
    clio_train_rank(&rank, &ranks);
    if (!st && !set->quiet) {
        const clio_device_info *d = clio_device(s->ctx);
        print_err("clio %s on %s (%s, %s)", clio_version(), d->name, d->type, d->platform);
        if (ranks > 1)
            print_err(", process %d of %d", rank + 1, ranks);
        print_err("\n"); /* in a %s it would become a space */
    }
    return st;
}

static int train(struct session *s, const struct settings *set, char *const settings[2])
{
    clio_train_params params = {.model = set->files.count ? set->files.items[0] : NULL,
                                .data = set->data,
                                .out = set->result,
                                .settings = settings[0],
                                .overrides = settings[1],
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
        print_err("done: checkpoint in %s/last, peak device memory %.0f MiB\n", set->result, (double)peak / 0x1p20);
    return EXIT_DONE;
}

static int run_train(const struct command *self, struct settings *set)
{
    struct session s = {0};
    char *settings[2] = {NULL, NULL};
    int code = EXIT_DONE;
    if (set->files.count > 1)
        return say_usage(self, "one model is trained at a time, but %s and %s were given", set->files.items[0], set->files.items[1]);
    if (!set->list) {
        if (!set->files.count && !set->resume)
            return say_usage(self, "no model given: clio train --list lists the models");
        if (!set->data)
            return say_usage(self, "no dataset given: --data DIR, a folder of images, audio or IDX files");
        if (!set->result)
            return say_usage(self, "no output folder given: --out DIR");
        code = read_settings(self, set, settings);
    }
    if (code)
        return code;
    if (!session_context(&s, set))
        code = EXIT_FAILED;
    else
        code = set->list ? train_list(&s, set->files.count ? set->files.items[0] : NULL) : train(&s, set, settings);
    free(settings[0]);
    free(settings[1]);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {.names = "--data",
     .argument = "DIR",
     .type = OPTION_FOLDER,
     .field = FIELD(data),
     .group = "Training",
     .help = "dataset (required): a folder of images or audio with captions in metadata.jsonl or in .txt files beside them, a folder per "
             "class, "
             "or IDX files (MNIST family)"},
    {.names = "-o --out",
     .argument = "DIR",
     .type = OPTION_FOLDER,
     .field = FIELD(result),
     .help = "output folder (required): checkpoints, losses, plots and samples"},
    {.names = "--set",
     .argument = "NAME=VALUE",
     .type = OPTION_TEXT,
     .field = FIELD(assignments),
     .repeats = true,
     .help = "change a setting",
     .more = "`clio train --list MODEL` lists the settings. The optimizer of one part of a model is set with the part's name in front: "
             "`discriminator.learning_rate=1e-4`. `pretrained`, `text_encoder`, `tokenizer` and `vae` take folders and names of installed "
             "models."},
    {.names = "--config",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(config),
     .help = "JSON object of settings; --set overrides them"},
    {.names = "--resume",
     .type = OPTION_SWITCH,
     .field = FIELD(resume),
     .help = "continue from the newest intact checkpoint in --out with its settings, which --config and --set override; start anew where "
             "there is none",
     .more = "On the same device the result is bit for bit that of an uninterrupted run."},
    {.names = "--list",
     .type = OPTION_SWITCH,
     .field = FIELD(list),
     .group = "Information",
     .help = "list the models, or the settings of MODEL; with --json as JSON"},
    OPTIONS_END,
};

static const struct section sections[] = {
    {"INTERRUPTING",
     "Ctrl-C, SIGTERM or a closed terminal write a checkpoint and end the run; `--resume` continues from there, and from the last "
     "checkpoint before a crash.",
     NULL},
    {"SEVERAL PROCESSES",
     "Started by `mpirun`, the processes train one model together, each on its part of every batch (clio must be built with MPI). Without "
     "`-d` each process opens another device.",
     NULL},
    {"JSON",
     "`clio train --list [MODEL] --json` prints one object. `models` is an array of objects with `name` and `help`. `settings` is an array "
     "of objects with `name`, `type` (integer, number, boolean, choice or text), `minimum` and `maximum` (null unless integer or number), "
     "`choices` (an array of strings; null unless choice), `default` (null where it depends on the model or there is none), `help`, and "
     "`models`, an array of the names of the models that have this setting.",
     NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio train --list", "the models"},
    {"clio train --list vae", "the settings of a VAE"},
    {"clio train vae --data fashion-mnist --out my-vae --set epochs=3", "a VAE on Fashion-MNIST"},
    {"clio train dcgan --data photos --out faces --set image_size=64", "a DCGAN on a folder of images"},
    {"clio train dcgan --data photos --out faces --resume --set epochs=50", "continue it for 50 epochs"},
    {NULL, NULL},
};

const struct command command_train = {
    .name = "train",
    .summary = "train a VAE, GAN or diffusion model, or fine-tune Whisper",
    .synopsis = "MODEL --data DIR --out DIR [--set NAME=VALUE]... [--resume]\n--list [MODEL] [--json]",
    .description =
        "Trains a generative model of images from scratch, or fine-tunes Whisper or Stable Diffusion. clio sample generates images with "
        "the result; clio imagine and clio transcribe read what unet and whisper write.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_TRAIN_MODEL,
    .run = run_train,
};
