/* transcribe.c - the public functions that transcribe files and samples: check the parameters, find the language token. */
#include "transcribe.h"
#include "../tokenizers/whisper_languages.h"

#include <string.h>

clio_speech_params clio_speech_defaults(void)
{
    return (clio_speech_params){.timestamps = 1,
                                .condition_on_previous = 1,
                                .temperature_step = 0.2f,
                                .compression_threshold = 2.4f,
                                .logprob_threshold = -1,
                                .no_speech_threshold = 0.6f,
                                .suppress_blank = 1};
}

static clio_status find_language(struct call *call)
{
    clio_status st = CLIO_OK;
    const struct whisper_tokens *t = &call->speech->tokens;
    const char *wanted = call->params->language, *code;
    call->language = -1;
    if (!wanted && call_prefix(call))
        wanted = "en"; /* captions are English, and there may be no speech to detect a language from */
    if (!wanted || !*wanted || strcmp(wanted, "auto") == 0)
        return CLIO_OK;
    code = language_find(wanted);
    if (!code)
        FAIL(call->ctx, CLIO_ERROR_ARGUMENT, "unknown language \"%s\": use a code such as en, de or zh, an English name, or auto", wanted);
    int index = language_index(code);
    if (!t->is_multilingual && strcmp(code, "en") != 0)
        FAIL(call->ctx, CLIO_ERROR_ARGUMENT,
             "the model in %s is English-only and cannot transcribe %s: use a multilingual model (without .en in its name)",
             call->speech->dir, wanted);
    if (t->is_multilingual && index >= t->language_count)
        FAIL(call->ctx, CLIO_ERROR_ARGUMENT, "the model in %s does not support the language %s: use a large-v3 model", call->speech->dir,
             wanted);
    if (t->is_multilingual)
        call->language = t->first_language + index;
fail:
    return st;
}

static clio_status check_params(clio_context *ctx, const clio_speech *s, const clio_speech_params *p)
{
    clio_status st = CLIO_OK;
    if (!(p->temperature >= 0) || !(p->temperature_step >= 0) || p->temperature > 10 || p->max_tokens < 0)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "temperatures must be from 0 to 10, and the number of tokens not negative");
    if (p->batch < 0 || p->batch > MAX_BATCH_SIZE)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "from 1 to %d windows can be decoded together, not %d (-b)", MAX_BATCH_SIZE, p->batch);
    if (!(p->offset >= 0) || !(p->duration >= 0) || p->offset > 1e9 || p->duration > 1e9)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "offset and duration are seconds from 0 on");
    if (p->translate && !s->tokens.is_multilingual)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the model in %s is English-only and cannot translate: use a multilingual model", s->dir);
fail:
    return st;
}

static clio_status transcribe(struct call *call, clio_speech *s, const clio_speech_params *params)
{
    clio_status st = CLIO_OK;
    clio_speech_params defaults = clio_speech_defaults();
    call->speech = s;
    call->ctx = s->ctx;
    call->params = params ? params : &defaults;
    TRY(check_params(s->ctx, s, call->params));
    TRY(find_language(call));
    call->batch = MAX(call->params->batch, 1);
    TRY(speech_reserve(s, call->batch));
    TRY(call_transcribe(call));
fail:
    sound_close(call->sound);
    return st;
}

clio_status clio_speech_file(clio_speech *s, const char *path, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    struct call call = {.count = 1, .out = out};
    *out = NULL;
    s->ctx->cancelled = 0;
    TRY(sound_open(s->ctx, &call.sound, path, MEL_RATE));
    TRY(transcribe(&call, s, params));
fail:
    return st;
}

clio_status clio_speech_samples(clio_speech *s, const float *samples, size_t count, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    struct call call = {.count = 1, .out = out};
    *out = NULL;
    s->ctx->cancelled = 0;
    TRY(sound_open_samples(s->ctx, &call.sound, samples, count));
    TRY(transcribe(&call, s, params));
fail:
    return st;
}

clio_status clio_speech_files(clio_speech *s, const char *const *paths, size_t count, const clio_speech_params *params,
                              clio_file_fn on_file)
{
    clio_status st = CLIO_OK;
    struct call call = {.count = count, .paths = paths, .on_file = on_file};
    s->ctx->cancelled = 0;
    if (!paths || !on_file)
        FAIL(s->ctx, CLIO_ERROR_ARGUMENT, "no list of files to hear was given, or nothing that takes what is heard in them");
    TRY(transcribe(&call, s, params));
fail:
    return st;
}
