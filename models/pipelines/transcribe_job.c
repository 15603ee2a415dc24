/* transcribe_job.c - the state of one recording's transcription: begin, fail, finish. */
#include "transcribe.h"

#include "../../host/core/context.h"

#include <stdlib.h>

const char *call_prefix(const struct call *call)
{
    const char *prefix = call->params->prefix ? call->params->prefix : call->speech->prefix;
    return prefix && *prefix ? prefix : NULL;
}

/* Tokens of " text": a word in the middle of a text has a leading space. */
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

static clio_status encode_request(struct job *job, const char *prefix)
{
    clio_status st = CLIO_OK;
    const clio_speech_params *p = job->params;
    job->request = (struct speech_request){
        .translate = p->translate, .timestamps = p->timestamps, .suppress_blank = p->suppress_blank, .max_tokens = p->max_tokens};
    if (p->prompt && *p->prompt) {
        TRY(encode_words(job, p->prompt, &job->previous, &job->request.previous_count));
        job->previous_capacity = job->request.previous_count;
        job->request.previous = job->previous;
    }
    if (prefix) {
        TRY(tokenizer_encode(job->ctx, &job->speech->tokenizer, prefix, &job->prefix, &job->request.prefix_count));
        job->request.prefix = job->prefix;
    }
fail:
    return st;
}

/* Say, once for all recordings with these texts, what of the caller's texts is not used. */
static void say_cut_texts(const struct job *job)
{
    size_t *said = job->speech->said_cut;
    const struct speech_request *q = &job->request;
    size_t prefix = speech_prefix_most(job->speech), previous = speech_previous_most(job->speech, q->prefix_count);
    if (q->previous_count > previous && q->previous_count != said[0])
        context_notice(job->ctx, "params.prompt has %zu tokens, of which the model takes the last %zu", q->previous_count, previous);
    if (q->prefix_count > prefix && q->prefix_count != said[1])
        context_notice(job->ctx, "%s has %zu tokens, of which the model takes the first %zu",
                       job->params->prefix ? "params.prefix" : "caption_prefix of the model", q->prefix_count, prefix);
    said[0] = q->previous_count;
    said[1] = q->prefix_count;
}

clio_status job_begin(struct call *call, struct job *job)
{
    clio_status st = CLIO_OK;
    const clio_speech_params *p = call->params;
    *job = (struct job){.speech = call->speech, .ctx = call->ctx, .params = p, .index = call->begun++, .sound = call->sound};
    call->sound = NULL;
    job->options = (struct speech_row){.language = call->language, .seed = (uint32_t)(p->seed ^ p->seed >> 32)};
    job->begin = job->position = (uint64_t)(p->offset * MEL_RATE);
    job->end = p->duration > 0 ? job->begin + (uint64_t)(p->duration * MEL_RATE) : UINT64_MAX;
    TRY(encode_request(job, call_prefix(call)));
    say_cut_texts(job);
    TRY(mem_alloc(job->ctx, &job->transcript, 1, sizeof *job->transcript));
    clio_transcript *t = &job->transcript->public;
    const struct whisper_tokens *tokens = &call->speech->tokens;
    const char *name;
    t->language = tokens->is_multilingual ? "" : "en"; /* stays "" without speech */
    if (call->language >= 0)
        clio_language((size_t)(call->language - tokens->first_language), &t->language, &name);
    t->language_probability = *t->language ? 1 : 0;
    clio_status opened = job->sound ? CLIO_OK : sound_open(call->ctx, &job->sound, call->paths[job->index], MEL_RATE);
    if (opened) {
        job_failed(job, opened);
        return CLIO_OK;
    }
    job->length = sound_duration(job->sound);
    job->more = true;
fail:
    return st;
}

void job_failed(struct job *job, clio_status st)
{
    job->status = st;
    job->failure = job->ctx->status;
    job->more = false;
}

void job_close_sound(struct job *job)
{
    if (!job->sound)
        return;
    job->is_cut = sound_is_cut(job->sound);
    if (!sound_problem(job->sound, job->problem))
        job->problem[0] = 0;
    sound_close(job->sound);
    job->sound = NULL;
}

void job_free(struct job *job)
{
    job_close_sound(job);
    if (job->transcript)
        clio_transcript_free(&job->transcript->public);
    free(job->previous);
    free(job->prefix);
    *job = (struct job){0};
}

clio_status job_finish(struct call *call, struct job *job)
{
    clio_status st = CLIO_OK;
    clio_transcript *t = NULL;
    job_close_sound(job);
    if (job->status) {
        job->ctx->status = job->failure; /* another recording may have failed in between */
    } else {
        t = &job->transcript->public;
        TRY(bytes_add(job->ctx, &job->transcript->text, "", 0));
        t->text = job->transcript->text.data;
        t->segments = job->transcript->segments;
        t->duration = (double)(job->position - job->begin) / MEL_RATE;
        if (job->is_cut)
            TRY(mem_string(job->ctx, &job->transcript->incomplete, job->problem));
        else if (*job->problem)
            context_notice(job->ctx, "%s", job->problem);
        t->incomplete = job->transcript->incomplete;
        job->transcript = NULL; /* owned by the caller now */
    }
    if (!call->paths) {
        *call->out = t;
        return job->status;
    }
    if (call->on_file(call->params->user, job->index, job->status, t))
        FAIL(job->ctx, CLIO_ERROR_CANCELLED, "cancelled while transcribing");
fail:
    return st;
}
