/* transcribe.c - the public calls that turn sound into a transcript: parameters checked, prompt and prefix encoded, language named. */
#include "job.h"
#include "languages.h"

#include <stdlib.h>
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

static clio_status find_language(struct job *job)
{
    clio_status st = CLIO_OK;
    const struct whisper_tokens *t = &job->speech->tokens;
    const char *wanted = job->params->language, *code;
    job->request.language = -1;
    if (!wanted && job->request.prefix_count)
        wanted = "en"; /* a captioner's prefix is English, and no language is spoken */
    if (!wanted || !*wanted || strcmp(wanted, "auto") == 0)
        return CLIO_OK;
    code = language_find(wanted);
    if (!code)
        FAIL(job->ctx, CLIO_ERROR_ARGUMENT, "unknown language \"%s\": give a code such as en, de or zh, an English name, or auto", wanted);
    int index = language_index(code);
    if (!t->is_multilingual && strcmp(code, "en") != 0)
        FAIL(job->ctx, CLIO_ERROR_ARGUMENT, "the model in %s hears English only, not %s: use a multilingual one (without .en in its name)",
             job->speech->dir, wanted);
    if (t->is_multilingual && index >= t->language_count)
        FAIL(job->ctx, CLIO_ERROR_ARGUMENT, "the model in %s does not know the language %s: large-v3 models do", job->speech->dir, wanted);
    if (t->is_multilingual)
        job->request.language = t->first_language + index;
fail:
    return st;
}

static clio_status check_params(clio_context *ctx, const clio_speech *s, const clio_speech_params *p)
{
    clio_status st = CLIO_OK;
    if (!(p->temperature >= 0) || !(p->temperature_step >= 0) || p->temperature > 10 || p->max_tokens < 0)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "temperatures must be from 0 to 10, and the number of tokens not negative");
    if (p->batch < 0 || p->batch > BATCH_AT_MOST)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "from 1 to %d windows can be decoded together, not %d (-b)", BATCH_AT_MOST, p->batch);
    if (!(p->offset >= 0) || !(p->duration >= 0) || p->offset > 1e9 || p->duration > 1e9)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "offset and duration are seconds from 0 on");
    if (p->translate && !s->tokens.is_multilingual)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the model in %s hears English only and does not translate: use a multilingual one", s->dir);
fail:
    return st;
}

/* Tokens of " text", as a word after others is written. */
static clio_status encode_words(struct job *job, const char *text, int **ids, size_t *count)
{
    clio_status st = CLIO_OK;
    struct bytes padded = {0};
    TRY(bytes_print(job->ctx, &padded, " %s", text));
    TRY(tokenizer_encode(job->ctx, &job->speech->tokenizer, padded.data, ids, count));
fail:
    bytes_free(&padded);
    return st;
}

static clio_status transcribe(clio_speech *s, struct sound *sound, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    clio_speech_params defaults = clio_speech_defaults();
    struct job job = {.speech = s, .ctx = s->ctx, .params = params ? params : &defaults, .sound = sound};
    const clio_speech_params *p = job.params;
    const char *prefix = p->prefix ? p->prefix : s->prefix;
    TRY(check_params(s->ctx, s, p));
    TRY(mem_alloc(s->ctx, &job.transcript, 1, sizeof *job.transcript));
    job.batch = MAX(p->batch, 1);
    TRY(speech_reserve(s, job.batch));
    job.begin = (uint64_t)(p->offset * MEL_RATE);
    job.end = p->duration > 0 ? job.begin + (uint64_t)(p->duration * MEL_RATE) : UINT64_MAX;
    job.request = (struct speech_request){.translate = p->translate,
                                          .timestamps = p->timestamps,
                                          .suppress_blank = p->suppress_blank,
                                          .max_tokens = p->max_tokens,
                                          .seed = (uint32_t)(p->seed ^ p->seed >> 32)};
    if (p->prompt && *p->prompt) {
        TRY(encode_words(&job, p->prompt, &job.before, &job.request.before_count));
        job.before_capacity = job.request.before_count;
        job.request.before = job.before;
    }
    if (prefix && *prefix) {
        TRY(tokenizer_encode(s->ctx, &s->tokenizer, prefix, &job.prefix, &job.request.prefix_count));
        job.request.prefix = job.prefix;
    }
    TRY(find_language(&job));
    job.detects = job.request.language < 0;
    TRY(job_listen(&job));
    if (job.detects && s->tokens.is_multilingual && !job.heard) { /* nobody spoke */
        job.transcript->public.language = "";
        job.transcript->public.language_probability = 0;
    } else if (!job.transcript->public.language) {
        TRY(job_name_language(&job, 0));
    }
    clio_transcript *t = &job.transcript->public;
    TRY(bytes_add(s->ctx, &job.transcript->text, "", 0));
    t->text = job.transcript->text.data;
    t->segments = job.transcript->segments;
    *out = t;
    job.transcript = NULL;
fail:
    if (job.transcript)
        clio_transcript_free(&job.transcript->public);
    free(job.before);
    free(job.prefix);
    return st;
}

clio_status clio_speech_file(clio_speech *s, const char *path, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    struct sound *sound = NULL;
    *out = NULL;
    s->ctx->cancelled = 0;
    TRY(sound_open(s->ctx, &sound, path, MEL_RATE));
    TRY(transcribe(s, sound, params, out));
fail:
    sound_close(sound);
    return st;
}

clio_status clio_speech_samples(clio_speech *s, const float *samples, size_t count, const clio_speech_params *params, clio_transcript **out)
{
    clio_status st = CLIO_OK;
    struct sound *sound = NULL;
    *out = NULL;
    s->ctx->cancelled = 0;
    TRY(sound_open_samples(s->ctx, &sound, samples, count));
    TRY(transcribe(s, sound, params, out));
fail:
    sound_close(sound);
    return st;
}
