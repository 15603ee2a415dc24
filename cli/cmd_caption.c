/* cmd_caption.c - clio caption: what is heard, by Whisper models that were trained to describe sounds instead of writing down speech.
 * Their answer begins with a fixed text (the folder's own, or --prefix), is English, and is decoded without timestamps; a sound that is no
 * speech is no reason to say nothing, and a short sentence none to try again. */
#include "options.h"
#include "output.h"
#include "session.h"

#include <string.h>

static clio_speech_params caption_params(const struct settings *set)
{
    clio_speech_params params = set->params;
    if (!params.language)
        params.language = "en";
    params.timestamps = 0;
    params.condition_on_previous = 0;
    params.temperature_step = 0;
    params.no_speech_threshold = 1;
    return params;
}

static void caption(struct session *s, const char *file)
{
    clio_speech_params params = caption_params(s->set);
    clio_transcript *result = session_hear(s, file, params);
    if (result && s->set->json) {
        struct document doc = {.transcript = result,
                               .device = clio_device(s->ctx),
                               .file = file,
                               .model = s->model,
                               .language = params.language,
                               .multilingual = clio_speech_is_multilingual(s->speech)};
        output_json(stdout, &doc);
        session_flush(s);
    }
    clio_transcript_free(result);
}

static int run_caption(const struct command *self, struct settings *set)
{
    size_t inputs = 0;
    if (!set->files.count)
        return say_usage(self, "no sound file was named: clio caption -m DIR FILE..., or - for standard input");
    if (!set->model)
        return say_usage(self, "no model was named: -m DIR, a folder with a Whisper model that describes sounds");
    for (size_t i = 0; i < set->files.count; i++)
        inputs += !strcmp(set->files.items[i], "-");
    if (inputs > 1)
        return say_usage(self, "standard input can be read only once, and - was given %zu times", inputs);
    struct session s = {.prints = !set->json, .labels = set->files.count > 1, .needs_output = true};
    int code = session_open(&s, set);
    for (size_t k = 0; !code && k < set->files.count && session_goes_on(&s); k++)
        caption(&s, set->files.items[k]);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_MODEL("the folder of a captioning model"),
    OPTION_WEIGHT_TYPE,
    {"--prefix", "TEXT", OPTION_TEXT, FIELD(params.prefix), 0, 0,
     "how the answer begins, \"clotho > caption: \" for\nexample; default: as the folder says"},
    {"-l --language", "LANG", OPTION_TEXT, FIELD(params.language), 0, 0, "of the caption; default: en"},
    OPTION_FILE,
    OPTION_MAX_TOKENS,
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_caption = {
    .name = "caption",
    .synopsis = "-m DIR [OPTION...] FILE...",
    .about = "Prints what is heard in sound files (WAV, FLAC, OGG), one line for every 30 seconds. With several files\n"
             "each line begins with the file's name. FILE - reads standard input.",
    .more = "clio caption -m captioner street.wav\n"
            "clio caption -m captioner --prefix \"audiocaps > caption: \" *.wav",
    .options = options,
    .run = run_caption,
};
