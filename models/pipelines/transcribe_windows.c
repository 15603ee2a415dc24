/* transcribe_windows.c - transcribe recordings of any length window by window.
 *
 * Sequential, as in openai/whisper, transcribe.py: a window is decoded with timestamps, and the next begins where its last complete segment
 * ends. Batched: several windows of one or more recordings are decoded together, each cut in a pause. In both, temperature fallback decodes
 * a window again when its text is repetitive (compression ratio) or unlikely (log probability), and windows without speech are skipped. The
 * transcript of a recording does not depend on the rest of its batch, except for rounding. */
#include "transcribe_windows.h"
#include "../../audio/vad.h"

#include <stdlib.h>
#include <string.h>

#define MIN_SAMPLES 1600         /* 0.1 s: shorter recordings and remainders of a recording are not decoded */
#define RESET_TEMPERATURE 0.5    /* text decoded at a higher temperature is not used as previous text */
#define MIN_MISSED_SAMPLES 16000 /* as loud as speech, after a window's last timestamp: that part is transcribed again */

/* condition_on_previous_text: append this window's tokens to the previous text of the next. */
static clio_status update_previous_text(struct job *job, const struct speech_result *r)
{
    clio_status st = CLIO_OK;
    struct speech_request *q = &job->request;
    size_t positions = (size_t)job->speech->net.config.text_positions;
    if (!job->params->condition_on_previous || r->temperature > RESET_TEMPERATURE) {
        q->previous_count = 0;
        return CLIO_OK;
    }
    if (q->previous_count + r->count > job->previous_capacity) {
        size_t capacity = MAX(4 * positions, 2 * (q->previous_count + r->count));
        int *grown = realloc(job->previous, capacity * sizeof *grown);
        if (!grown)
            FAIL(job->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        job->previous = grown;
        job->previous_capacity = capacity;
    }
    memcpy(job->previous + q->previous_count, r->ids, r->count * sizeof *r->ids);
    q->previous_count += r->count;
    if (q->previous_count > 2 * positions) { /* only the end is used */
        memmove(job->previous, job->previous + q->previous_count - positions, positions * sizeof *job->previous);
        q->previous_count = positions;
    }
    q->previous = job->previous;
fail:
    return st;
}

/* Read the window at `position` with its margins into host_samples; *size: samples of the recording in it. */
static clio_status read_window(struct job *job, uint64_t position, uint64_t *size)
{
    clio_status st = CLIO_OK;
    clio_speech *s = job->speech;
    size_t margin = MEL_FFT / 2, window = (size_t)s->window_samples, got;
    float *x = s->host_samples;
    if (position - job->begin < margin) { /* before the beginning: reflected, as in torch.stft */
        size_t inside = (size_t)(position - job->begin);
        TRY(sound_read(job->sound, position - inside, window + margin + inside, x + margin - inside, &got));
        mel_reflect(x, margin - inside, got);
        got -= MIN(got, inside);
    } else {
        TRY(sound_read(job->sound, position - margin, window + 2 * margin, x, &got));
        got -= MIN(got, margin);
    }
    uint64_t wanted = job->end > position ? job->end - position : 0;
    if (got > wanted) { /* the end that the caller set lies in this window */
        memset(x + margin + wanted, 0, (window + margin - (size_t)MIN(wanted, window + margin)) * sizeof *x);
        got = (size_t)wanted;
    }
    *size = MIN(got, window);
fail:
    return st;
}

/* Nothing was read, since the recording is shorter than what shall be skipped. */
static clio_status fail_offset(const struct job *job)
{
    clio_status st = CLIO_OK;
    FAIL(job->ctx, CLIO_ERROR_ARGUMENT, "params.offset is %.10g s, but the length of %s is %.1f s: choose a smaller offset",
         job->params->offset, sound_name(job->sound), sound_duration(job->sound));
fail:
    return st;
}

/* The job's next window. independent: a full window is cut in a pause. When the recording cannot be read further, the job fails. */
static struct window next_window(struct job *job, bool independent)
{
    const clio_speech *s = job->speech;
    struct window w = {.job = job, .start = job->position, .options = job->options};
    uint64_t margin = MEL_FFT / 2, full = (uint64_t)s->window_samples;
    clio_status st = read_window(job, w.start, &w.size);
    if (!st && w.size == 0 && w.start == job->begin && job->begin > 0)
        st = fail_offset(job);
    if (st) {
        job_failed(job, st);
        return (struct window){.job = job, .start = w.start};
    }
    job->more = independent ? w.size == full : w.size >= MIN_SAMPLES;
    if (independent && w.size == full) {
        w.size = vad_pause_end(s->host_samples + margin, full);
        memset(s->host_samples + margin + w.size, 0, (size_t)(full + margin - w.size) * sizeof *s->host_samples);
    }
    job->position += w.size;
    return w;
}

/* Progress of the call: seconds of one recording, or recordings done. */
static clio_status report_progress(const struct call *call, const struct job *job, double seconds)
{
    double begin = (double)job->begin / MEL_RATE, end = MIN((double)job->end / MEL_RATE, job->length);
    if (!call->paths)
        return context_progress(call->ctx, "transcribing", seconds, job->length);
    double part = end > begin ? MAX(0, MIN((seconds - begin) / (end - begin), 1)) : 0;
    return context_progress(call->ctx, "transcribing", (double)job->index + part, (double)call->count);
}

/* Encode the last window from next_window as its row of the batch. *encoded false: it is silent or too short. */
static clio_status encode_window(const struct call *call, struct window *w, bool *encoded)
{
    clio_status st = CLIO_OK;
    clio_speech *s = call->speech;
    const float *samples = s->host_samples + MEL_FFT / 2;
    TRY(report_progress(call, w->job, (double)w->start / MEL_RATE));
    w->samples = samples;
    w->active = vad_speech_found(samples, (size_t)w->size);
    *encoded = w->size >= MIN_SAMPLES && (w->active || !vad_is_silent(samples, (size_t)w->size));
    if (!*encoded)
        return CLIO_OK;
    TRY(speech_encode(s, s->host_samples, w->row));
fail:
    return st;
}

/* Detect the language of windows whose recordings have none yet; the windows are encoded as rows 0 to count - 1. */
static clio_status detect_languages(clio_speech *s, struct window *w, int count)
{
    clio_status st = CLIO_OK;
    int languages[MAX_BATCH_SIZE];
    double probabilities[MAX_BATCH_SIZE];
    bool all_known = true;
    for (int row = 0; row < count; row++)
        all_known = all_known && w[row].options.language >= 0;
    if (all_known || !s->tokens.is_multilingual)
        return CLIO_OK;
    TRY(speech_detect(s, count, languages, probabilities));
    for (int row = 0; row < count; row++)
        if (w[row].options.language < 0) {
            w[row].options.language = languages[row];
            w[row].probability = probabilities[row];
        }
fail:
    return st;
}

/* Add a window's segments to its recording's transcript. The first window with speech sets the language of the recording. */
static clio_status add_result(const struct window *w, const struct speech_result *r, bool independent, uint64_t *advance)
{
    struct job *job = w->job;
    clio_transcript *t = &job->transcript->public;
    const char *name;
    if (job->options.language < 0 && w->options.language >= 0) {
        job->options.language = w->options.language;
        clio_language((size_t)(w->options.language - job->speech->tokens.first_language), &t->language, &name);
        t->language_probability = w->probability;
    }
    return job_add_segments(job, r, w->start, w->size, independent, advance);
}

/* Transcribe the next window of a recording. Without timestamps the end of the last complete segment is not known, so it is cut in a pause.
 */
static clio_status transcribe_window(const struct call *call, struct job *job, struct speech_result *r)
{
    clio_status st = CLIO_OK;
    bool independent = !call->params->timestamps, encoded, skip;
    struct window w = next_window(job, independent);
    uint64_t advance;
    TRY(encode_window(call, &w, &encoded));
    if (!encoded)
        return CLIO_OK;
    TRY(detect_languages(job->speech, &w, 1));
    TRY(window_decode(&w, false, r, &skip));
    if (skip)
        return CLIO_OK;
    TRY(add_result(&w, r, independent, &advance));
    TRY(update_previous_text(job, r));
    job->options.seed++;
    job->position = w.start + advance;
fail:
    return st;
}

/* Windows decoded together, and their recordings in order; all but the last of them are read to the end. */
struct batch {
    struct window windows[MAX_BATCH_SIZE];
    float *samples; /* of the windows with their margins */
    struct speech_result results[MAX_BATCH_SIZE];
    struct job jobs[MAX_BATCH_SIZE];
    int count, job_count; /* windows; recordings */
};

static size_t window_bytes(const clio_speech *s)
{
    return tensor_count(&s->samples) * sizeof(float);
}

static float *batch_samples(const clio_speech *s, const struct batch *b, int row)
{
    return b->samples + (size_t)row * tensor_count(&s->samples);
}

/* Fill the batch with windows of the recording begun before, then of new ones. */
static clio_status fill_batch(struct call *call, struct batch *b)
{
    clio_status st = CLIO_OK;
    bool encoded;
    b->count = 0;
    speech_restart(call->speech);
    while (b->count < call->batch) {
        struct job *job = b->job_count ? &b->jobs[b->job_count - 1] : NULL;
        if (!job || !job->more) {
            if (b->job_count == call->batch || call->begun == call->count)
                break;
            TRY(job_begin(call, &b->jobs[b->job_count++]));
            continue;
        }
        struct window *w = &b->windows[b->count];
        *w = next_window(job, true);
        w->row = b->count;
        TRY(encode_window(call, w, &encoded));
        if (encoded) {
            memcpy(batch_samples(call->speech, b, w->row), call->speech->host_samples, window_bytes(call->speech));
            w->samples = batch_samples(call->speech, b, w->row) + MEL_FFT / 2;
        }
        b->count += encoded;
        job->options.seed += encoded;
        if (!job->more)
            job_close_sound(job);
        while (job->status && b->count && b->windows[b->count - 1].job == job)
            b->count--;
    }
fail:
    return st;
}

/* The sample up to which window w is transcribed: its last timestamp if speech follows it, since the model sometimes ends a window early;
 * else its size. Only for batches: sequential transcription follows openai/whisper, which has no such rule. */
static uint64_t result_end(const clio_speech *s, const struct window *w, const struct speech_result *r, const float *samples)
{
    int begin = s->tokens.timestamp_begin, last = r->count ? r->ids[r->count - 1] : begin;
    uint64_t at = whisper_is_timestamp(&s->tokens, last) && last > begin ? (uint64_t)(last - begin) * WHISPER_TIMESTAMP_SAMPLES : w->size;
    return at < w->size && vad_loud_samples(samples + MEL_FFT / 2, w->size, at) >= MIN_MISSED_SAMPLES ? at : w->size;
}

/* Add the window's segments, and transcribe again the part that its result leaves out. */
static clio_status add_batch_result(const struct call *call, const struct batch *b, struct window *w, struct speech_result *r)
{
    clio_status st = CLIO_OK;
    clio_speech *s = call->speech;
    float *samples = batch_samples(s, b, w->row);
    uint64_t unused, end, total = tensor_count(&s->samples);
    bool encoded, skip = false;
    while (!skip) {
        TRY(add_result(w, r, true, &unused));
        if ((end = result_end(s, w, r, samples)) == w->size)
            break;
        memmove(samples, samples + end, (size_t)(total - end) * sizeof *samples);
        memset(samples + total - end, 0, (size_t)end * sizeof *samples);
        w->start += end;
        w->size -= end;
        memcpy(s->host_samples, samples, window_bytes(s));
        TRY(encode_window(call, w, &encoded));
        if (!encoded)
            break;
        TRY(window_decode(w, false, r, &skip));
    }
fail:
    return st;
}

static clio_status finish(struct call *call, struct job *job)
{
    clio_status st = CLIO_OK;
    if (!job->status && job->index + 1 == call->count)
        TRY(report_progress(call, job, job->length));
    TRY(job_finish(call, job));
fail:
    return st;
}

/* Decode the batch and return the transcripts of the recordings that it completes, in order: on_segment and on_file report one recording
 * before the next. */
static clio_status transcribe_batch(struct call *call, struct batch *b)
{
    clio_status st = CLIO_OK;
    struct speech_row options[MAX_BATCH_SIZE];
    int done = 0;
    bool skip;
    TRY(detect_languages(call->speech, b->windows, b->count));
    for (int row = 0; row < b->count; row++)
        options[row] = b->windows[row].options;
    if (b->count) /* all recordings have the same request: a batch has no previous text */
        TRY(speech_decode(call->speech, &b->jobs[0].request, options, (double)call->params->temperature, b->results, 0, b->count));
    for (int row = 0; row < b->count; row++) {
        struct window *w = &b->windows[row];
        struct job *job = w->job;
        while (&b->jobs[done] != job)
            TRY(finish(call, &b->jobs[done++]));
        bool other = job->options.language >= 0 && w->options.language != job->options.language; /* set by an earlier window */
        w->options.language = other ? job->options.language : w->options.language;
        TRY(window_decode(w, !other, &b->results[row], &skip));
        if (!skip)
            TRY(add_batch_result(call, b, w, &b->results[row]));
    }
    while (done < b->job_count && !b->jobs[done].more)
        TRY(finish(call, &b->jobs[done++]));
fail:
    if (!st) {
        for (int i = 0; i < done; i++)
            job_free(&b->jobs[i]);
        b->job_count -= done;
        if (done && b->job_count) { /* the last recording is not complete */
            b->jobs[0] = b->jobs[done];
            b->jobs[done] = (struct job){0};
        }
    }
    return st;
}

clio_status call_transcribe(struct call *call)
{
    clio_status st = CLIO_OK;
    struct batch *b = NULL;
    TRY(mem_alloc(call->ctx, &b, 1, sizeof *b));
    if (call->batch > 1)
        TRY(mem_alloc(call->ctx, &b->samples, (size_t)call->batch, window_bytes(call->speech)));
    while (call->batch > 1 && (b->job_count || call->begun < call->count)) {
        TRY(fill_batch(call, b));
        TRY(transcribe_batch(call, b));
    }
    while (call->begun < call->count) {
        struct job *job = &b->jobs[0];
        b->job_count = 1;
        TRY(job_begin(call, job));
        while (job->more)
            TRY(transcribe_window(call, job, &b->results[0]));
        TRY(finish(call, job));
        job_free(job);
    }
fail:
    for (int i = 0; b && i < b->job_count; i++)
        job_free(&b->jobs[i]);
    for (int i = 0; b && i < MAX_BATCH_SIZE; i++)
        speech_result_free(&b->results[i]);
    if (b)
        free(b->samples);
    free(b);
    return st;
}
