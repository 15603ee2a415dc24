/* transcribe_segments.c - split the tokens of a window into segments at its timestamps and add them to the transcript. Source:
 * openai/whisper, transcribe.py (new_segment and the loop around it). */
#include "transcribe.h"
#include "../../host/core/mem.h"
#include "../../host/core/text.h"

#include <stdlib.h>
#include <string.h>

static void segment_free(clio_segment *segment)
{
    free(mem_const_cast(segment->text));
    free(mem_const_cast(segment->tokens));
}

void clio_transcript_free(clio_transcript *transcript)
{
    struct transcript *t = (struct transcript *)transcript;
    if (!t)
        return;
    for (size_t i = 0; i < t->public.segment_count; i++)
        segment_free(&t->segments[i]);
    free(t->segments);
    bytes_free(&t->text);
    free(t->incomplete);
    free(t);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Without white space at its ends, as UTF-8 whatever the tokens are; allocated. */
static clio_status trimmed(clio_context *ctx, char **out, const struct bytes *text)
{
    clio_status st = CLIO_OK;
    struct bytes valid = {0};
    size_t first = 0, last = text->size;
    while (first < last && is_space(text->data[first]))
        first++;
    while (last > first && is_space(text->data[last - 1]))
        last--;
    TRY(text_replace_invalid(ctx, &valid, last > first ? text->data + first : "", last - first));
    TRY(mem_string(ctx, out, valid.data));
fail:
    bytes_free(&valid);
    return st;
}

/* Tokens of one segment, with their bytes joined in *text. The tokens' own texts follow them in the same allocation, so the transcript does
 * not depend on the model. */
static clio_status segment_tokens(struct job *job, const struct speech_result *r, size_t first, size_t last, double offset,
                                  clio_token **out, struct bytes *text)
{
    clio_status st = CLIO_OK;
    const clio_speech *s = job->speech;
    size_t size, text_size = 0;
    for (size_t i = first; i < last; i++) {
        tokenizer_bytes(&s->tokenizer, r->ids[i], &size);
        text_size += size + 1;
    }
    TRY(mem_alloc(job->ctx, out, (last - first + 1) * sizeof **out + text_size, 1));
    char *copy = (char *)(*out + (last - first + 1));
    for (size_t i = first; i < last; i++, copy += size + 1) {
        int id = r->ids[i];
        double time = whisper_is_timestamp(&s->tokens, id) ? offset + (id - s->tokens.timestamp_begin) * WHISPER_TIMESTAMP_STEP : -1;
        const char *bytes = tokenizer_bytes(&s->tokenizer, id, &size);
        memcpy(copy, bytes, size); /* zero-terminated: the memory is zeroed */
        (*out)[i - first] = (clio_token){id, r->probabilities[i], copy, time};
        if (whisper_is_text(&s->tokens, id))
            TRY(bytes_add(job->ctx, text, bytes, size));
    }
fail:
    return st;
}

/* Add the tokens first..last as a segment, unless it has no text or no duration. offset: start of the window; all times in seconds. */
static clio_status add_segment(struct job *job, const struct speech_result *r, size_t first, size_t last, double offset, double start,
                               double end)
{
    clio_status st = CLIO_OK;
    struct transcript *t = job->transcript;
    struct bytes text = {0};
    clio_token *tokens = NULL;
    char *trim = NULL;
    TRY(segment_tokens(job, r, first, last, offset, &tokens, &text));
    TRY(trimmed(job->ctx, &trim, &text));
    if (!*trim || !(end > start))
        goto fail; /* st is CLIO_OK */
    TRY(mem_grow(job->ctx, &t->segments, t->public.segment_count, &t->capacity, sizeof *t->segments));
    TRY(bytes_print(job->ctx, &t->text, "%s%s", t->text.size ? " " : "", trim));
    clio_segment *segment = &t->segments[t->public.segment_count++];
    *segment = (clio_segment){start, end, trim, tokens, last - first, r->temperature, r->avg_logprob, r->compression_ratio, r->no_speech};
    trim = NULL;
    tokens = NULL;
    if (job->params->on_segment && job->params->on_segment(job->params->user, segment))
        FAIL(job->ctx, CLIO_ERROR_CANCELLED, "cancelled while transcribing");
fail:
    bytes_free(&text);
    free(trim);
    free(tokens);
    return st;
}

/* Seconds from the start of the window; 0 where a token is no timestamp. */
static double time_of(const struct job *job, int id)
{
    const struct whisper_tokens *t = &job->speech->tokens;
    return whisper_is_timestamp(t, id) ? (id - t->timestamp_begin) * WHISPER_TIMESTAMP_STEP : 0;
}

/* Add the tokens first..last as a segment with its times clipped to the window, since the model may predict timestamps after the end of the
 * sound, and to what follows the segment before: times never go back. limit: end of the window. */
static clio_status add_clipped(struct job *job, const struct speech_result *r, size_t first, size_t last, double offset, double start,
                               double end, double limit)
{
    const clio_transcript *t = &job->transcript->public;
    double step = WHISPER_TIMESTAMP_STEP, before = t->segment_count ? job->transcript->segments[t->segment_count - 1].end : 0;
    bool has_duration = end > start;
    start = MAX(MAX(offset, MIN(start, limit - step)), before);
    end = has_duration ? MAX(MIN(end, limit), start + step) : start;
    return add_segment(job, r, first, last, offset, start, end);
}

clio_status job_add_segments(struct job *job, const struct speech_result *r, uint64_t position, uint64_t size, bool independent,
                             uint64_t *advance)
{
    clio_status st = CLIO_OK;
    const struct whisper_tokens *t = &job->speech->tokens;
    double offset = (double)position / MEL_RATE, limit = offset + (double)size / MEL_RATE, step = WHISPER_TIMESTAMP_STEP;
    size_t n = r->count, from = 0;
    bool single_ending = n >= 1 && whisper_is_timestamp(t, r->ids[n - 1]) && (n < 2 || !whisper_is_timestamp(t, r->ids[n - 2]));
    *advance = size;
    for (size_t i = 1; i <= n; i++) {
        bool pair = i < n && whisper_is_timestamp(t, r->ids[i]) && whisper_is_timestamp(t, r->ids[i - 1]);
        if (!pair && !(i == n && single_ending && from > 0))
            continue;
        TRY(add_clipped(job, r, from, i, offset, offset + time_of(job, r->ids[from]), offset + time_of(job, r->ids[i - 1]), limit));
        from = i;
    }
    if (from == 0) { /* no pair of timestamps: one segment, up to its last timestamp above 0 */
        double end = limit;
        for (size_t i = 0; i < n; i++)
            if (time_of(job, r->ids[i]) > 0)
                end = offset + time_of(job, r->ids[i]);
        TRY(add_clipped(job, r, 0, n, offset, offset, end, limit));
    } else if (!single_ending && independent && from < n) {
        double start = offset + time_of(job, whisper_is_timestamp(t, r->ids[from]) ? r->ids[from] : r->ids[from - 1]);
        TRY(add_clipped(job, r, from, n, offset, start, MAX(limit, start + step), limit));
    } else if (!single_ending && !independent) { /* the end of the window cut off the last segment: transcribe it again */
        uint64_t seek = (uint64_t)(r->ids[from - 1] - t->timestamp_begin) * WHISPER_TIMESTAMP_SAMPLES;
        *advance = seek ? MIN(seek, size) : size;
    }
fail:
    return st;
}
