/* cmd_caption.c - clio caption: audio captioning by Whisper models that were fine-tuned to describe sounds. A caption begins with a fixed
 * prefix (the folder's own, or --prefix) and is decoded without timestamps; a high no-speech probability is no reason to skip a window, and
 * a short text none to retry. */
#include "options.h"
#include "output.h"
#include "say.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>

static clio_speech_params caption_params(const struct settings *set)
{
    clio_speech_params params = set->params;
    params.timestamps = 0;
    params.condition_on_previous = 0;
    params.temperature_step = 0;
    params.no_speech_threshold = 1;
    return params;
}

static void print_result(struct session *s, size_t k, const clio_transcript *result)
{
    if (!s->set->json)
        return;
    const clio_speech_params params = caption_params(s->set);
    struct document doc = {.transcript = result,
                           .device = clio_device(s->by->ctx),
                           .file = s->set->files.items[k],
                           .model = s->model,
                           .language = params.language,
                           .multilingual = clio_speech_is_multilingual(s->by->speech)};
    output_json(stdout, &doc);
    session_flush(s);
}

static int run_caption(const struct command *self, struct settings *set)
{
    if (!set->files.count)
        return say_usage(self, "no audio file given: clio caption -m DIR FILE..., or - for standard input");
    if (!set->model)
        return say_usage(self, "no model given: -m DIR, the folder of a Whisper model fine-tuned for audio captioning");
    if (session_check_stdin(self, &set->files))
        return EXIT_USAGE;
    if (session_check_language(self, set->params.language))
        return EXIT_USAGE;
    struct session s = {.prints = !set->json, .labels = set->files.count > 1, .needs_output = true};
    int code = session_open(&s, set);
    if (!code && !set->params.prefix && !*clio_speech_prefix(s.devices[0].speech) && !set->quiet) {
        char *text = must_print("%s has no caption_prefix, so it may be a Whisper model for speech recognition, which describes no sounds; "
                                "--prefix gives a prefix",
                                s.model);
        say_notice(text);
        free(text);
    }
    if (!code)
        session_transcribe(&s, caption_params(set), print_result);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_AUDIO_FILE,
    {.names = "-m --model",
     .argument = "DIR",
     .type = OPTION_MODEL,
     .field = FIELD(model),
     .group = "Model",
     .help = "folder of a captioning model (required)"},
    OPTION_WEIGHT_TYPE(.help = "type of the weights on the device; see clio-transcribe(1)"),
    {.names = "--prefix",
     .argument = "TEXT",
     .type = OPTION_TEXT,
     .field = FIELD(params.prefix),
     .initial = "as the model's configuration says",
     .group = "Decoding",
     .help = "forced beginning of the caption, which is not printed, such as \"clotho > caption: \""},
    {.names = "-l --language", .argument = "LANG", .type = OPTION_TEXT, .field = FIELD(params.language), .help = "language of the caption"},
    OPTION_MAX_TOKENS,
    OPTIONS_END,
};

static const struct example examples[] = {
    {"clio caption -m captioner street.wav", "describe the sounds of a street"},
    {"clio caption -m captioner --prefix \"audiocaps > caption: \" *.wav", "choose the style of captions that the model learned"},
    {NULL, NULL},
};

static void defaults(struct settings *set)
{
    set->params.language = "en";
}

const struct command command_caption = {
    .name = "caption",
    .summary = "describe sounds in words (audio captioning)",
    .synopsis = "-m DIR [OPTION...] FILE...",
    .description = "Describes the sounds in audio files (WAV, FLAC, OGG, MP3, AIFF or AU) with a Whisper model that was fine-tuned for "
                   "audio captioning: one "
                   "line for every 30 seconds. With several files each line begins with the file's name. FILE - reads standard input.",
    .options = options,
    .examples = examples,
    .operands = OPERANDS_AUDIO,
    .several_devices = true,
    .defaults = defaults,
    .run = run_caption,
};
