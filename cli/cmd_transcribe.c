/* cmd_transcribe.c - clio transcribe: what is said in sound files. Everything that can be seen to be wrong is said before the model loads.
 */
#include "options.h"
#include "output.h"
#include "session.h"

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

/* The format that takes the place of the lines on standard output; FORMATS: none does. */
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
        return say_usage(self, "-of says where to write, but nothing says what: add -otxt, -osrt, -ovtt, -oj, -ocsv or -olrc");
    for (size_t i = 0; i < names->count; i++)
        if (is_stdin(names->items[i]) && (names->count > 1 || formats > 1 || set->json))
            return say_usage(self, "-of - prints one format on standard output: give one -o... and no --json");
    if (names->count && is_stdin(names->items[0]))
        return EXIT_DONE;
    if (names->count && names->count != files->count)
        return say_usage(self, "-of names %zu results for %zu files: give it once for each file, or leave it out", names->count,
                         files->count);
    for (size_t i = 0; formats && i < files->count; i++) {
        if (is_stdin(stem_of(set, i)))
            return say_usage(self, "the sound comes from standard input, so the result needs a name: add -of NAME");
        for (size_t k = 0; k < i; k++)
            if (!strcmp(stem_of(set, i), stem_of(set, k)))
                return say_usage(self, "two results would be written to %s.%s", stem_of(set, i), output_extension(first_format(set)));
    }
    return EXIT_DONE;
}

static int check_arguments(const struct command *self, struct settings *set)
{
    size_t inputs = 0;
    if (!set->files.count)
        return say_usage(self, "no sound file was named: clio transcribe FILE..., or - for standard input");
    for (size_t i = 0; i < set->files.count; i++)
        inputs += is_stdin(set->files.items[i]);
    if (inputs > 1)
        return say_usage(self, "standard input can be read only once, and - was given %zu times", inputs);
    if (set->task && strcmp(set->task, "transcribe") != 0 && strcmp(set->task, "translate") != 0)
        return say_usage(self, "--task is transcribe or translate, not \"%s\"", set->task);
    if (set->max_context > 0)
        return say_usage(self, "-mc is 0 for no text before a window or -1 for all that the model takes, not %d", set->max_context);
    if (set->params.language && !*set->params.language)
        return say_usage(self, "-l needs a language: a code (de), a name (German) or auto");
    return check_names(self, set);
}

static bool check_outputs(const struct settings *set)
{
    bool good = true;
    if (printed_format(set) != FORMATS && !set->json)
        return true;
    for (size_t k = 0; k < set->files.count; k++)
        for (int format = 0; good && format < FORMATS; format++)
            good = !set->formats[format] || output_check(stem_of(set, k), (enum format)format);
    return good;
}

static clio_speech_params speech_params(const struct settings *set)
{
    clio_speech_params params = set->params;
    if (params.language && !strcasecmp(params.language, "auto"))
        params.language = NULL;
    params.translate = set->translate || (set->task && !strcmp(set->task, "translate"));
    params.timestamps = !set->no_timestamps;
    params.condition_on_previous = !set->no_context && set->max_context != 0;
    if (set->no_fallback)
        params.temperature_step = 0;
    return params;
}

/* What was heard in the k-th file goes where it was asked for. */
static void write_results(struct session *s, size_t k, const clio_transcript *result)
{
    const struct settings *set = s->set;
    const clio_speech_params params = speech_params(set);
    int printed = printed_format(set);
    struct document doc = {.transcript = result,
                           .device = clio_device(s->ctx),
                           .file = set->files.items[k],
                           .model = s->model,
                           .language = params.language,
                           .translate = params.translate,
                           .multilingual = clio_speech_is_multilingual(s->speech),
                           .full = set->json_full};
    if (printed != FORMATS) {
        output_write(stdout, (enum format)printed, &doc);
        session_flush(s);
    }
    for (int format = 0; format < FORMATS && (printed == FORMATS || set->json); format++)
        if (set->formats[format] && !output_save(stem_of(set, k), (enum format)format, &doc))
            s->unsaved = true;
}

static void transcribe(struct session *s, size_t k)
{
    const char *file = s->set->files.items[k];
    session_name(s, file);
    clio_transcript *result = session_hear(s, file, speech_params(s->set));
    if (result)
        write_results(s, k, result);
    clio_transcript_free(result);
}

static int run_transcribe(const struct command *self, struct settings *set)
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
    bool together = set->params.batch > 1 && set->files.count > 1;
    if (!code && together && session_goes_on(&s))
        session_hear_files(&s, &set->files, speech_params(set), write_results);
    for (size_t k = 0; !code && !together && k < set->files.count && session_goes_on(&s); k++)
        transcribe(&s, k);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_MODEL("a model's folder, or a name: whisper-base, base;\ndefault: whisper-base"),
    OPTION_WEIGHT_TYPE,
    {"-l --language", "LANG", OPTION_TEXT, FIELD(params.language), 0, 0,
     "what is spoken: a code (de), a name (German) or\nauto, the default"},
    {"-tr --translate", NULL, OPTION_ON, FIELD(translate), 0, 0, "translate to English"},
    {"--task", "TASK", OPTION_TEXT, FIELD(task), 0, 0, "transcribe (default) or translate"},
    OPTION_FILE,
    {"-otxt --output-txt", NULL, OPTION_ON, FIELD(formats[FORMAT_TXT]), 0, 0, "write plain text to NAME.txt"},
    {"-osrt --output-srt", NULL, OPTION_ON, FIELD(formats[FORMAT_SRT]), 0, 0, "write subtitles to NAME.srt"},
    {"-ovtt --output-vtt", NULL, OPTION_ON, FIELD(formats[FORMAT_VTT]), 0, 0, "write WebVTT subtitles to NAME.vtt"},
    {"-olrc --output-lrc", NULL, OPTION_ON, FIELD(formats[FORMAT_LRC]), 0, 0, "write lyrics to NAME.lrc"},
    {"-ocsv --output-csv", NULL, OPTION_ON, FIELD(formats[FORMAT_CSV]), 0, 0, "write start, end (ms) and text to NAME.csv"},
    {"-oj --output-json", NULL, OPTION_ON, FIELD(formats[FORMAT_JSON]), 0, 0, "write NAME.json"},
    {"-ojf --output-json-full", NULL, OPTION_ON, FIELD(json_full), 0, 0, "the same with tokens and probabilities"},
    {"-of --output-file", "NAME", OPTION_WORDS, FIELD(names), 0, 0,
     "NAME of result files, without ending; default:\nthe sound file's (talk.wav.srt). Once per file.\n-: print the one format that is "
     "asked for"},
    {"-nt --no-timestamps", NULL, OPTION_ON, FIELD(no_timestamps), 0, 0, "neither decode nor print times"},
    {"-ot --offset-t", "MS", OPTION_MS, FIELD(params.offset), 0, HUGE_VAL, "begin so many milliseconds into the file"},
    {"--duration", "MS", OPTION_MS, FIELD(params.duration), 0, HUGE_VAL,
     "hear so many milliseconds; 0: to the end\n(-d is the device here)"},
    {"--prompt", "TEXT", OPTION_TEXT, FIELD(params.prompt), 0, 0, "text that comes before: names, spelling, style"},
    {"--no-context", NULL, OPTION_ON, FIELD(no_context), 0, 0, "hear every window without the text before it"},
    {"-mc --max-context", "N", OPTION_INT, FIELD(max_context), -1, 1e6, "0: the same as --no-context"},
    {"-tp --temperature", "X", OPTION_FLOAT, FIELD(params.temperature), 0, 1, "0, the default: always the likeliest token"},
    {"-tpi --temperature-inc", "X", OPTION_FLOAT, FIELD(params.temperature_step), 0, 1, "added when a window goes wrong; default 0.2"},
    {"-nf --no-fallback", NULL, OPTION_ON, FIELD(no_fallback), 0, 0, "never try a window again"},
    {"--compression-threshold", "X", OPTION_FLOAT, FIELD(params.compression_threshold), 0, HUGE_VAL,
     "text that zips better than this goes round in\ncircles: try again; default 2.4"},
    {"-lpt --logprob-thold --logprob-threshold", "X", OPTION_FLOAT, FIELD(params.logprob_threshold), -HUGE_VAL, 0,
     "text less likely than this: try again; default -1"},
    {"-nth --no-speech-thold --no-speech-threshold", "X", OPTION_FLOAT, FIELD(params.no_speech_threshold), 0, 1,
     "a window more surely silent than this has no text;\ndefault 0.6"},
    OPTION_MAX_TOKENS,
    {"-b --batch", "N", OPTION_INT, FIELD(params.batch), 1, 32,
     "hear N windows at a time, of one file or several:\nfaster for long files and for many short ones;\neach without the text before it; "
     "default 1"},
    {"--seed", "N", OPTION_SEED, FIELD(params.seed), 0, 0, "for temperatures above 0"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_transcribe = {
    .name = "transcribe",
    .synopsis = "[OPTION...] FILE...",
    .about = "Prints what is said in sound files (WAV, FLAC, OGG of any rate and length), and writes subtitles.\n"
             "FILE - reads standard input. The model is loaded once for all files.",
    .more = "clio transcribe talk.flac                        text with times on standard output\n"
            "clio transcribe -nt -q talk.flac >talk.txt       plain text only\n"
            "clio transcribe -osrt -of film -l fr film.wav    French subtitles in film.srt\n"
            "clio transcribe --json talk.flac | jq .result    --json: one document for each file\n"
            "ffmpeg -i film.mkv -f wav - | clio transcribe -",
    .options = options,
    .run = run_transcribe,
};
