/* cmd_transcribe.c - clio transcribe: speech to text and subtitles. Arguments and output files are checked before the model is loaded. */
#include "options.h"
#include "output.h"
#include "say.h"
#include "session.h"
#include "transcribe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_stdin(const char *file)
{
    return !strcmp(file, "-");
}

static const char *stem_of(const struct settings *set, size_t k)
{
    return k < set->names.count ? set->names.items[k] : set->files.items[k];
}

static int first_format(const struct settings *set)
{
    int format = 0;
    while (format < FORMATS && !set->formats[format])
        format++;
    return format;
}

/* The format printed on standard output in place of the plain lines; FORMATS: none. */
static int printed_format(const struct settings *set)
{
    bool dash = set->names.count && is_stdin(set->names.items[0]);
    return set->json ? FORMAT_JSON : dash ? first_format(set) : FORMATS;
}

static int check_names(const struct command *self, const struct settings *set)
{
    const struct words *files = &set->files, *names = &set->names;
    int formats = 0;
    for (int i = 0; i < FORMATS; i++)
        formats += set->formats[i];
    if (names->count && !formats)
        return say_usage(self, "-of needs an output format: add -otxt, -osrt, -ovtt, -olrc, -ocsv or -oj");
    for (size_t i = 0; i < names->count; i++)
        if (is_stdin(names->items[i]) && (names->count > 1 || formats > 1 || set->json))
            return say_usage(self, "-of - prints one format on standard output: give exactly one output format, and no --json");
    if (names->count && is_stdin(names->items[0]))
        return EXIT_DONE;
    if (names->count && names->count != files->count)
        return say_usage(self, "-of was given %zu time%s for %zu file%s: give it once per file, or leave it out", names->count,
                         names->count == 1 ? "" : "s", files->count, files->count == 1 ? "" : "s");
    for (size_t i = 0; i < names->count; i++)
        if (!output_has_name(names->items[i]))
            return say_usage(self, "-of %s has no file name: add one, such as -of %s%stalk", names->items[i], names->items[i],
                             !*names->items[i] || names->items[i][strlen(names->items[i]) - 1] == '/' ? "" : "/");
    for (size_t i = 0; formats && i < files->count; i++) {
        if (is_stdin(stem_of(set, i)))
            return say_usage(self, "audio from standard input has no file name for the result: add -of NAME");
        for (size_t k = 0; k < i; k++)
            if (output_same(stem_of(set, i), stem_of(set, k), (enum format)first_format(set)))
                return say_usage(self, "two results would be written to %s.%s: give -of once per file", stem_of(set, i),
                                 output_extension(first_format(set)));
    }
    return EXIT_DONE;
}

static int check_arguments(const struct command *self, struct settings *set)
{
    if (!set->files.count)
        return say_usage(self, "no audio file given: clio transcribe FILE..., or - for standard input");
    if (session_check_stdin(self, &set->files))
        return EXIT_USAGE;
    if (set->max_context > 0)
        return say_usage(self, "-mc must be 0 (no context) or -1 (as much as the model takes), not %d", set->max_context);
    if (set->params.language && !*set->params.language)
        return say_usage(self, "-l needs a language: a code (de), an English name (German) or auto");
    if (session_check_language(self, set->params.language))
        return EXIT_USAGE;
    if (set->translate && option_given(set, FIELD(task)) && strcmp(set->task, "translate") != 0)
        return say_usage(self, "--translate and --task %s contradict each other: leave one out", set->task);
    return check_names(self, set);
}

static bool check_outputs(const struct settings *set)
{
    bool good = true;
    if (printed_format(set) != FORMATS && !set->json)
        return true;
    for (size_t k = 0; k < set->files.count; k++)
        for (int format = 0; good && format < FORMATS; format++)
            good = !set->formats[format] || output_check(set, stem_of(set, k), (enum format)format);
    return good;
}

static clio_speech_params speech_params(const struct settings *set)
{
    clio_speech_params params = set->params;
    if (params.language && !strcasecmp(params.language, "auto"))
        params.language = NULL;
    params.translate = set->translate || !strcmp(set->task, "translate");
    params.timestamps = !set->no_timestamps;
    params.condition_on_previous = !set->no_context && set->max_context != 0;
    if (set->no_fallback)
        params.temperature_step = 0;
    return params;
}

/* Write the transcript of the k-th file to the outputs that were asked for. */
static void write_results(struct session *s, size_t k, const clio_transcript *result)
{
    const struct settings *set = s->set;
    const clio_speech_params params = speech_params(set);
    int printed = printed_format(set);
    struct document doc = {.transcript = result,
                           .device = clio_device(s->by->ctx),
                           .file = set->files.items[k],
                           .model = s->model,
                           .language = params.language,
                           .translate = params.translate,
                           .multilingual = clio_speech_is_multilingual(s->by->speech),
                           .full = set->json_full};
    if (printed != FORMATS) {
        output_write(stdout, (enum format)printed, &doc);
        session_flush(s);
    }
    for (int format = 0; format < FORMATS && (printed == FORMATS || set->json); format++)
        if (set->formats[format] && !output_save(s->ctx, stem_of(set, k), (enum format)format, &doc))
            s->unsaved = true;
}

int transcribe_run(const struct command *self, struct settings *set)
{
    if (set->json_full)
        set->formats[FORMAT_JSON] = 1;
    int code = check_arguments(self, set);
    if (code)
        return code;
    if (!check_outputs(set))
        return EXIT_FAILED;
    int printed = printed_format(set);
    struct session s = {.prints = printed == FORMATS, .stamps = !set->no_timestamps};
    s.needs_output = first_format(set) == FORMATS || (printed != FORMATS && !set->json);
    code = session_open(&s, set);
    if (!code)
        session_transcribe(&s, speech_params(set), write_results);
    return session_close(&s, code);
}
