/* library_message.c - see library_message.h. The library names parameters and functions; each row says what they are on the command line.
 */
#include "library_message.h"
#include "command.h"
#include "say.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *command; /* NULL: every command */
    const char *library, *here;
} rows[] = {
    {NULL, "clio_device_list gives the index of each", "clio devices lists them"},
    {NULL, "clio_device_list lists what is here", "clio devices lists what is here"},
    {NULL, "clio_device_hints names the packages", "clio devices names the packages"},
    {NULL, "clio_device_selftests says why", "clio devices says why"},
    {NULL, "clio_train_setting lists them", "clio train --list MODEL lists them"},
    {NULL, "clio_train_model lists them", "clio train --list lists them"},
    {NULL, "selector", "-d"},
    {"imagine", "params.guidance_rescale", "--guidance-rescale"},
    {"imagine", "params.guidance_scale", "--cfg-scale"},
    {"imagine", "params.negative_prompt", "-n"},
    {"imagine", "params.prompt_to", "--interpolate"},
    {"imagine", "params.prompt", "-p"},
    {"imagine", "params.interpolate_seed", "--interpolate-seed"},
    {"imagine", "params.width", "-W"},
    {"imagine", "params.height", "-H"},
    {"imagine", "params.steps", "--steps"},
    {"imagine", "params.sampler", "--sampling-method"},
    {"imagine", "params.timestep_spacing", "--timestep-spacing"},
    {"imagine", "params.eta", "--eta"},
    {"imagine", "params.clip_skip", "--clip-skip"},
    {"imagine", "params.image", "-i"},
    {"imagine", "params.mask", "--mask"},
    {"imagine", "params.strength", "--strength"},
    {"imagine", "params.count", "-b"},
    {"imagine", "params.tiling", "--vae-tiling"},
    {"imagine", "params.frames", "--frames"},
    {"imagine", "params.preview_every", "--preview"},
    {"imagine", "params.prediction_type", "--prediction"},
    {"imagine", "params.tokenizer", "--tokenizer"},
    {"imagine", "params.variant", "--variant"},
    {"imagine", "params.vae", "--vae"},
    {"imagine", "set params.taesd_preview_only", "add --taesd-preview-only"},
    {"imagine", "name one with params.taesd", "give one with --taesd"},
    {"imagine", "params.taesd_preview_only", "--taesd-preview-only"},
    {"imagine", "params.taesd", "--taesd"},
    {"imagine", "params.loras", "--lora"},
    {"imagine", "params.lora_dir", "--lora-model-dir"},
    {"imagine", "params.embedding_dir", "--embd-dir"},
    {"imagine", "load them with the weight type f32", "use --type f32"},
    {"imagine", "load it as the model", "give it with -m"},
    {"transcribe", "load them with the weight type f32", "use --type f32"},
    {"caption", "load them with the weight type f32", "use --type f32"},
    {"imagine", "milliseconds", "--delay"},
    {"sample", "labels", "--label"},
    {"sample", "label", "--label"},
    {"sample", "milliseconds", "--delay"},
    {"sample", "frames", "--frames"},
    {"sample", "count", "-b"},
    {"sample", "columns", "--columns"},
    {"train", "params.data", "--data"},
    {"train", "params.out", "--out"},
    {"train", "params.resume", "--resume"},
    {"train", "params.model", "the model"},
    {"eval", "params.features", "--features"},
    {"eval", "params.count", "--count"},
    {"eval", "params.split", "--split"},
    {"eval", "params.data", "--data"},
    {"embed", "params.pooling", "--pooling"},
    {"embed", "params.batch", "-b"},
    {"embed", "texts", "a text"},
    {"bench", "params.filter", "--filter"},
    {"bench", "params.model", "-m"},
    {"tune", "params.time_limit", "--time-limit"},
    {"tune", "params.path", "-o"},
    {"tune", "params.purpose", "--for"},
    /* transcribe and caption */
    {NULL, "params.language", "-l"},
    {NULL, "params.translate", "--translate"},
    {NULL, "params.temperature_step", "-tpi"},
    {NULL, "params.temperature", "-tp"},
    {NULL, "params.compression_threshold", "--compression-threshold"},
    {NULL, "params.logprob_threshold", "-lpt"},
    {NULL, "params.no_speech_threshold", "-nth"},
    {NULL, "params.max_tokens", "--max-tokens"},
    {NULL, "params.batch", "-b"},
    {NULL, "params.offset", "-ot"},
    {NULL, "params.duration", "--duration"},
    {NULL, "params.prompt", "--prompt"},
    {NULL, "params.prefix", "--prefix"},
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* The row of the words that `at` begins with; NULL. */
static const char *replacement(const char *command, const char *at, size_t *length)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        *length = strlen(rows[i].library);
        if ((!rows[i].command || !strcmp(rows[i].command, command)) && !strncmp(at, rows[i].library, *length) && !is_word(at[*length]))
            return rows[i].here;
    }
    return NULL;
}

/* Length of "[12]", the place in a list; options are given one by one. */
static size_t index_length(const char *at)
{
    size_t digits = *at == '[' ? strspn(at + 1, "0123456789") : 0;
    return digits && at[1 + digits] == ']' ? digits + 2 : 0;
}

char *library_message(const char *command, const char *message)
{
    size_t function = strspn(message, "abcdefghijklmnopqrstuvwxyz0123456789_"), length, room = 1;
    if (!strncmp(message, "clio_", 5) && !strncmp(message + function, ": ", 2))
        message += function + 2;
    for (size_t i = 0; i < COUNT(rows); i++)
        room = room > strlen(rows[i].here) ? room : strlen(rows[i].here);
    char *text = must_alloc(strlen(message) * room + 1), *to = text;
    for (const char *from = message; *from;) {
        const char *here = from > message && is_word(from[-1]) ? NULL : replacement(command, from, &length);
        if (here) {
            memcpy(to, here, strlen(here));
            to += strlen(here);
            from += length;
            from += index_length(from);
            if (from[0] == '.' && islower((unsigned char)from[1])) { /* a member: "params.loras[0].strength" */
                *to++ = ' ';
                from++;
            }
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return text;
}
