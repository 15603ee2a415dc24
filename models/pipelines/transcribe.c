/* transcribe.c - the public functions that transcribe files and samples: check the parameters, find the language token. */
#include "transcribe.h"
#include "../../host/core/text.h"
#include "../tokenizers/whisper_languages.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_MAX 1e9
#define TOKENS_MAX 448 /* text positions of every published Whisper model */
#define FILES_MAX 1000000

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

static clio_status find_language(struct call *call, struct caller at)
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
    REQUIRE_THAT(call->ctx, at, code != NULL,
                 "params.language is \"%.60s\", an unknown language: use a code such as en, de or zh, an English name, or auto", wanted);
    int index = language_index(code);
    REQUIRE_THAT(call->ctx, at, t->is_multilingual || strcmp(code, "en") == 0,
                 "params.language is %s, but the model in %s is English-only: use a multilingual model (without .en in its name)", wanted,
                 call->speech->dir);
    REQUIRE_THAT(call->ctx, at, !t->is_multilingual || index < t->language_count,
                 "params.language is %s, but the model in %s does not support the language %s: use a large-v3 model", wanted,
                 call->speech->dir, wanted);
    if (t->is_multilingual)
        call->language = t->first_language + index;
fail:
    return st;
}

static clio_status check_params(clio_context *ctx, struct caller at, const clio_speech *s, const clio_speech_params *p)
{
    clio_status st = CLIO_OK;
    TRY(require_number(ctx, at, (double)p->temperature, 0, 10, "params.temperature"));
    TRY(require_number(ctx, at, (double)p->temperature_step, 0, 10, "params.temperature_step"));
    TRY(require_number(ctx, at, (double)p->compression_threshold, 0, 1e6, "params.compression_threshold"));
    TRY(require_number(ctx, at, (double)p->logprob_threshold, -1e6, 1e6, "params.logprob_threshold"));
    TRY(require_number(ctx, at, (double)p->no_speech_threshold, 0, 1, "params.no_speech_threshold"));
    TRY(require_int(ctx, at, p->max_tokens, 0, TOKENS_MAX, "params.max_tokens"));
    TRY(require_int(ctx, at, p->batch, 0, MAX_BATCH_SIZE, "params.batch"));
    TRY(require_number(ctx, at, p->offset, 0, SECONDS_MAX, "params.offset"));
    TRY(require_number(ctx, at, p->duration, 0, SECONDS_MAX, "params.duration"));
    REQUIRE_THAT(ctx, at, !p->prompt || text_is_utf8(p->prompt), "params.prompt is not valid UTF-8: save it as UTF-8 or type it again");
    REQUIRE_THAT(ctx, at, !p->prefix || text_is_utf8(p->prefix), "params.prefix is not valid UTF-8: save it as UTF-8 or type it again");
    REQUIRE_THAT(ctx, at, !p->translate || s->tokens.is_multilingual,
                 "params.translate is set, but the model in %s is English-only: use a multilingual model", s->dir);
fail:
    return st;
}

clio_status call_open(struct call *call, struct caller at, clio_speech *s, const clio_speech_params *params, clio_speech_params *defaults)
{
    clio_status st = CLIO_OK;
    *defaults = clio_speech_defaults();
    call->speech = s;
    call->ctx = s->ctx;
    call->params = params ? params : defaults;
    TRY(check_params(s->ctx, at, s, call->params));
    TRY(find_language(call, at));
fail:
    return st;
}

clio_status call_check_paths(clio_context *ctx, struct caller at, const char *const *paths, size_t count)
{
    clio_status st = CLIO_OK;
    char name[40];
    REQUIRE_AT(ctx, at, paths, "paths");
    TRY(require_size(ctx, at, count, 0, FILES_MAX, "count"));
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "paths[%zu]", i);
        TRY(require_text(ctx, at, paths[i], name));
    }
fail:
    return st;
}

static clio_status call_run(struct call *call)
{
    clio_status st = CLIO_OK;
    call->batch = MAX(call->params->batch, 1);
    TRY(speech_reserve(call->speech, call->batch));
    TRY(call_transcribe(call));
fail:
    return st;
}

clio_status clio_speech_file(clio_speech *s, const char *path, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    struct call call = {.count = 1, .out = out};
    clio_speech_params defaults;
    SET_NULL(out);
    REQUIRE(NULL, s, "speech");
    REQUIRE_TEXT(s->ctx, path, "path");
    TRY(call_open(&call, CALLER, s, params, &defaults));
    REQUIRE(s->ctx, out, "out");
    s->ctx->cancelled = 0;
    TRY(sound_open(s->ctx, &call.sound, path, MEL_RATE));
    TRY(call_run(&call));
fail:
    sound_close(call.sound);
    return st;
}

clio_status clio_speech_samples(clio_speech *s, const float *samples, size_t count, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    struct call call = {.count = 1, .out = out};
    clio_speech_params defaults;
    SET_NULL(out);
    REQUIRE(NULL, s, "speech");
    REQUIRE(s->ctx, samples, "samples");
    REQUIRE_SIZE(s->ctx, count, 1, (size_t)SECONDS_MAX * SOUND_RATE, "count");
    TRY(call_open(&call, CALLER, s, params, &defaults));
    REQUIRE(s->ctx, out, "out");
    s->ctx->cancelled = 0;
    TRY(sound_open_samples(s->ctx, &call.sound, samples, count));
    TRY(call_run(&call));
fail:
    sound_close(call.sound);
    return st;
}

clio_status clio_speech_files(clio_speech *s, const char *const *paths, size_t count, const clio_speech_params *params,
                              clio_file_fn on_file)
{
    clio_status st = CLIO_OK;
    struct call call = {.count = count, .paths = paths, .on_file = on_file};
    clio_speech_params defaults;
    REQUIRE(NULL, s, "speech");
    TRY(call_check_paths(s->ctx, CALLER, paths, count));
    TRY(call_open(&call, CALLER, s, params, &defaults));
    REQUIRE(s->ctx, on_file, "on_file");
    s->ctx->cancelled = 0;
    TRY(call_run(&call));
fail:
    sound_close(call.sound);
    return st;
}
