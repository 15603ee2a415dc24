/* transcribe_options.c - options and manual of clio transcribe. Names are those of whisper.cpp where it has the same option. */
#include "options.h"
#include "transcribe.h"

#include <math.h>

#define FORMAT(names_, format_, text)                                                                                                      \
    {                                                                                                                                      \
        .names = names_, .type = OPTION_SWITCH, .field = FIELD(formats[format_]), .help = text                                             \
    }

static const struct option_row options[] = {
    OPTION_AUDIO_FILE,
    {.names = "-ot --offset-t",
     .argument = "MS",
     .type = OPTION_MS,
     .field = FIELD(params.offset),
     .high = MS_MAX,
     .help = "start this many milliseconds into the file (or seconds: 10.5s); times are still those of the whole file"},
    {.names = "--duration",
     .argument = "MS",
     .type = OPTION_MS,
     .field = FIELD(params.duration),
     .high = MS_MAX,
     .help = "transcribe this many milliseconds (or seconds: 10.5s); 0: to the end; -d is the device here"},
    {.names = "-m --model",
     .argument = "MODEL",
     .type = OPTION_MODEL,
     .field = FIELD(model),
     .initial = "whisper-base",
     .group = "Model",
     .help = "folder of a Whisper checkpoint, name of an installed model (whisper-base or base), or owner/name in the Hugging Face cache",
     .more = "The folder has the layout of Hugging Face: `config.json`, `tokenizer.json` and `model.safetensors` or its sharded index. See "
             "MODELS in clio(1)."},
    OPTION_WEIGHT_TYPE(.help = "type of the weights on the device",
                       .more = "`f32`: full precision. `f16`: half precision, accumulated in fp32. `q8_0`: decoder weights in 8 bits with "
                               "a scale for every 32 values on CPUs: faster decoding, less memory. By default half precision; bfloat16 in "
                               "the encoder on CPUs with fast bfloat16 matmul (clio devices shows the architecture `avx512bf16`)."),
    {.names = "-l --language",
     .argument = "LANG",
     .type = OPTION_TEXT,
     .field = FIELD(params.language),
     .initial = "auto",
     .group = "Language",
     .help = "language of the speech: a code (de, de-AT), an English name (German), or auto to detect it",
     .more = "Detection uses the first 30 seconds that contain speech."},
    {.names = "-tr --translate", .type = OPTION_SWITCH, .field = FIELD(translate), .help = "translate to English"},
    {.names = "--task",
     .argument = "TASK",
     .type = OPTION_CHOICE,
     .field = FIELD(task),
     .choices = CHOICES("transcribe", "translate"),
     .help = "transcribe, or translate to English as --translate does"},
    {.names = "-otxt --output-txt",
     .type = OPTION_SWITCH,
     .field = FIELD(formats[FORMAT_TXT]),
     .group = "Output",
     .help = "write plain text to NAME.txt"},
    FORMAT("-osrt --output-srt", FORMAT_SRT, "write SubRip subtitles to NAME.srt"),
    FORMAT("-ovtt --output-vtt", FORMAT_VTT, "write WebVTT subtitles to NAME.vtt"),
    FORMAT("-olrc --output-lrc", FORMAT_LRC, "write LRC lyrics to NAME.lrc"),
    FORMAT("-ocsv --output-csv", FORMAT_CSV, "write start and end in milliseconds and text to NAME.csv"),
    FORMAT("-oj --output-json", FORMAT_JSON, "write JSON to NAME.json"),
    {.names = "-ojf --output-json-full",
     .type = OPTION_SWITCH,
     .field = FIELD(json_full),
     .help = "write JSON with tokens, their probabilities and the scores of each segment to NAME.json"},
    {.names = "-of --output-file",
     .argument = "NAME",
     .type = OPTION_FILE,
     .field = FIELD(names),
     .repeats = true,
     .initial = "the audio file's name: talk.wav gives talk.wav.srt",
     .help = "NAME of the output files, without extension, once per audio file; - prints the one chosen format on standard output"},
    {.names = "-nt --no-timestamps",
     .type = OPTION_SWITCH,
     .field = FIELD(no_timestamps),
     .help = "neither decode nor print timestamps",
     .more = "Faster; long files are then cut every 30 seconds."},
    {.names = "--prompt",
     .argument = "TEXT",
     .type = OPTION_TEXT,
     .field = FIELD(params.prompt),
     .group = "Decoding",
     .help = "initial prompt: text before the first window that sets names, spelling and style"},
    {.names = "--no-context",
     .type = OPTION_SWITCH,
     .field = FIELD(no_context),
     .help = "do not condition a window on the text before it",
     .more = "Less consistent, but an error is not carried into the next window."},
    {.names = "-mc --max-context",
     .argument = "N",
     .type = OPTION_INTEGER,
     .field = FIELD(max_context),
     .low = -1,
     .high = 1e6,
     .help = "0: the same as --no-context; -1: as much context as the model takes"},
    {.names = "-tp --temperature",
     .argument = "X",
     .type = OPTION_FLOAT,
     .field = FIELD(params.temperature),
     .high = 1,
     .help = "sampling temperature; 0: greedy decoding"},
    {.names = "-tpi --temperature-inc",
     .argument = "X",
     .type = OPTION_FLOAT,
     .field = FIELD(params.temperature_step),
     .high = 1,
     .help = "temperature fallback: added at each retry of a failed window, up to 1"},
    {.names = "-nf --no-fallback",
     .type = OPTION_SWITCH,
     .field = FIELD(no_fallback),
     .help = "no temperature fallback: never retry a window"},
    {.names = "--compression-threshold",
     .argument = "X",
     .type = OPTION_FLOAT,
     .field = FIELD(params.compression_threshold),
     .high = HUGE_VAL,
     .help = "retry a window whose text compresses better than this, a sign of repetition"},
    {.names = "-lpt --logprob-thold --logprob-threshold",
     .argument = "X",
     .type = OPTION_FLOAT,
     .field = FIELD(params.logprob_threshold),
     .low = -HUGE_VAL,
     .help = "retry a window whose average log probability is below this"},
    {.names = "-nth --no-speech-thold --no-speech-threshold",
     .argument = "X",
     .type = OPTION_FLOAT,
     .field = FIELD(params.no_speech_threshold),
     .high = 1,
     .help = "skip a window whose no-speech probability is above this and whose text is unlikely"},
    OPTION_MAX_TOKENS,
    {.names = "-b --batch",
     .argument = "N",
     .type = OPTION_INTEGER,
     .field = FIELD(params.batch),
     .low = 1,
     .high = 32,
     .initial = "1",
     .help = "decode N windows at once, of one file or several: faster for long files and for many short ones",
     .more = "Windows then end at pauses and are decoded without the text before them."},
    {.names = "--seed", .argument = "N", .type = OPTION_SEED, .field = FIELD(params.seed), .help = "random seed for temperatures above 0"},
    OPTIONS_END,
};

static const struct section sections[] = {
    {"OUTPUT FILES",
     "Output paths are checked before the model is loaded; none may be a file that is read, by whatever name. A file is written under a "
     "temporary name and renamed when complete: a failed "
     "run "
     "leaves an existing file as it was.\n\n"
     "After a file that cannot be read the next one is transcribed, and the exit status is 1 at the end. So it is when the end of a file "
     "is missing or damaged: what was read is written. Damage within a file, and values that are not finite, are silence and reported.",
     NULL},
    {"JSON",
     "The layout is that of whisper.cpp. `result.language` is the language and `result.duration_s` the duration of the audio in seconds; "
     "`result.incomplete` says why its end is missing. "
     "Each element of `transcription` has `timestamps` and `offsets` (milliseconds), each with `from` and `to`, and `text`. With `-ojf` "
     "each has `tokens` as well, each with `text`, `id` and `p` (probability); a timestamp token has `timestamps` and `offsets`.\n\n"
     "A token may end within a UTF-8 character. That character then belongs to the next token's text, so that all token texts together are "
     "the text of the segment.\n\n"
     "With `--json` standard output has one document per file, one after the other.",
     NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio transcribe talk.flac", "text with timestamps on standard output"},
    {"clio transcribe -nt -q talk.flac >talk.txt", "plain text only"},
    {"clio transcribe -osrt -of film -l fr film.wav", "French subtitles in film.srt"},
    {"clio transcribe -osrt -of film.en -l fr -tr film.wav", "English subtitles of the same film"},
    {"clio transcribe -l de -tr -q vortrag.ogg", "German speech to English text, without messages"},
    {"ffmpeg -i film.mkv -f wav - | clio transcribe -osrt -of film -", "audio that another program decodes"},
    {"clio transcribe -d gpu -v -ot 60000 --duration 60000 talk.wav", "the second minute on a GPU, with a profile of all kernels"},
    {"clio transcribe --json --duration 30000 *.ogg | jq -r .result.language", "detected language of each file"},
    {NULL, NULL},
};

static void defaults(struct settings *set)
{
    set->task = "transcribe";
    set->max_context = -1;
}

const struct command command_transcribe = {
    .name = "transcribe",
    .summary = "transcribe speech to text and subtitles with Whisper",
    .synopsis = "[OPTION...] FILE...",
    .description = "Transcribes speech in audio files (WAV, FLAC, OGG, MP3, AIFF or AU; any sample rate, channel count and length) with a "
                   "Whisper model, "
                   "prints each segment as soon as it is final, and writes subtitles.\n\n"
                   "FILE - reads standard input. The model is loaded once for all files.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_AUDIO,
    .several_devices = true,
    .defaults = defaults,
    .run = transcribe_run,
};
