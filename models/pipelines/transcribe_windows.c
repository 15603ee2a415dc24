/* transcribe_windows.c - recordings of any length, window by window, as openai/whisper's transcribe.py does it: each window is decoded with
 * timestamps, and the next begins where the last whole segment ended; or several windows in step, each cut in a pause, of one recording or
 * of several. A window whose answer repeats itself or is unlikely is decoded again at a higher temperature; one that holds no speech gives
 * nothing. What is heard in a recording does not depend on those beside it in a batch, but by rounding. */
#include "../../audio/vad.h"
#include "transcribe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE 3e-4f       /* -70 dB: a window in which no sample is louder holds no speech, and is not decoded at all */
#define SHORTEST 1600       /* samples: no word is shorter, neither as a whole recording nor as what is left behind a window */
#define FORGET_ABOVE 0.5    /* text that came at a higher temperature is not shown to the next window */
#define LEFT_AT_LEAST 16000 /* samples of sound as loud as speech behind the last timestamp of a window: they are heard again */

/* A window being heard: samples start .. start + size of a recording, in this row of the batch. */
struct window {
    struct job *job;
    uint64_t start, size;
    int row;
    struct speech_row own;
    double probability; /* of its language, where that was detected */
    bool active;        /* speech is possible by the sound itself */
};

/* Whether a try repeats itself: its text zips too well. */
static bool circles(const clio_speech_params *p, const struct speech_result *r)
{
    return r->compression_ratio > (double)p->compression_threshold;
}

/* Whether try a is to be kept rather than b: one that does not go round in circles, then the likelier. */
static bool is_better(const clio_speech_params *p, const struct speech_result *a, const struct speech_result *b)
{
    return circles(p, a) != circles(p, b) ? circles(p, b) : a->avg_logprob > b->avg_logprob;
}

static void swap_results(struct speech_result *a, struct speech_result *b)
{
    struct speech_result a_was = *a;
    *a = *b;
    *b = a_was;
}

/* Decode window w until it is plausible; when no temperature gives that, the best try is kept. decoded: r holds the first try already. The
 * rule of silence is openai/whisper's (no speech, unless the text is likely), but where nothing stands out of the background the model's
 * word that there is no speech is enough: it finds "Thank you." likely over noise. */
static clio_status decode_with_fallback(const struct window *w, bool decoded, struct speech_result *r, bool *skip)
{
    clio_status st = CLIO_OK;
    const struct job *job = w->job;
    const clio_speech_params *p = job->params;
    struct speech_result best = {0};
    double temperature = (double)p->temperature;
    for (bool again = true; again;) {
        if (!decoded)
            TRY(speech_decode(job->speech, &job->request, &w->own, temperature, r, w->row, 1));
        decoded = false;
        bool unlikely = r->avg_logprob < (double)p->logprob_threshold;
        *skip = r->no_speech > (double)p->no_speech_threshold && (unlikely || !w->active);
        if (*skip || !(unlikely || circles(p, r)))
            break;
        temperature += (double)p->temperature_step;
        again = p->temperature_step > 0 && temperature <= 1.0 + 1e-6;
        if (!best.ids || is_better(p, r, &best))
            swap_results(r, &best);
        if (!again)
            swap_results(r, &best);
    }
fail:
    speech_result_free(&best);
    return st;
}

/* Show the next window the words of this one. */
static clio_status remember(struct job *job, const struct speech_result *r)
{
    clio_status st = CLIO_OK;
    struct speech_request *q = &job->request;
    size_t most = (size_t)job->speech->net.config.text_positions;
    if (!job->params->condition_on_previous || r->temperature > FORGET_ABOVE) {
        q->before_count = 0;
        return CLIO_OK;
    }
    if (q->before_count + r->count > job->before_capacity) {
        size_t capacity = MAX(4 * most, 2 * (q->before_count + r->count));
        int *grown = realloc(job->before, capacity * sizeof *grown);
        if (!grown)
            FAIL(job->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        job->before = grown;
        job->before_capacity = capacity;
    }
    memcpy(job->before + q->before_count, r->ids, r->count * sizeof *r->ids);
    q->before_count += r->count;
    if (q->before_count > 2 * most) { /* only the end is ever used */
        memmove(job->before, job->before + q->before_count - most, most * sizeof *job->before);
        q->before_count = most;
    }
    q->before = job->before;
fail:
    return st;
}

static bool is_silent(const float *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fabsf(samples[i]) > SILENCE)
            return false;
    return true;
}

/* Read the window at `position` with its margins; *size: samples of sound in it. */
static clio_status read_window(struct job *job, uint64_t position, uint64_t *size)
{
    clio_status st = CLIO_OK;
    clio_speech *s = job->speech;
    size_t margin = MEL_FFT / 2, window = (size_t)s->window_samples, got;
    float *x = s->host_samples;
    if (position - job->begin < margin) { /* at the beginning nothing was heard before: mirrored, as the reference does */
        size_t inside = (size_t)(position - job->begin);
        TRY(sound_read(job->sound, position - inside, window + margin + inside, x + margin - inside, &got));
        mel_reflect(x, margin - inside, got);
        got -= MIN(got, inside);
    } else {
        TRY(sound_read(job->sound, position - margin, window + 2 * margin, x, &got));
        got -= MIN(got, margin);
    }
    uint64_t wanted = job->end > position ? job->end - position : 0;
    if (got > wanted) { /* the caller wants less than there is */
        memset(x + margin + wanted, 0, (window + margin - (size_t)MIN(wanted, window + margin)) * sizeof *x);
        got = (size_t)wanted;
    }
    *size = MIN(got, window);
fail:
    return st;
}

/* The job's next window. alone: no other continues it, so that a full one is cut in a pause. A recording that cannot be read on has failed.
 */
static struct window take_window(struct job *job, bool alone)
{
    const clio_speech *s = job->speech;
    struct window w = {.job = job, .start = job->position, .own = job->own};
    uint64_t margin = MEL_FFT / 2, full = (uint64_t)s->window_samples;
    clio_status st = read_window(job, w.start, &w.size);
    if (st) {
        job_failed(job, st);
        return (struct window){.job = job, .start = w.start};
    }
    job->more = alone ? w.size == full : w.size >= SHORTEST;
    if (alone && w.size == full) {
        w.size = vad_pause_end(s->host_samples + margin, full);
        memset(s->host_samples + margin + w.size, 0, (size_t)(full + margin - w.size) * sizeof *s->host_samples);
    }
    job->position += w.size;
    return w;
}

/* How far the call is: seconds of one recording, or recordings. */
static clio_status report(const struct call *call, const struct job *job, double seconds)
{
    double begin = (double)job->begin / MEL_RATE, end = MIN((double)job->end / MEL_RATE, job->length);
    if (!call->paths)
        return context_progress(call->ctx, "transcribing", seconds, job->length);
    double part = end > begin ? MAX(0, MIN((seconds - begin) / (end - begin), 1)) : 0;
    return context_progress(call->ctx, "transcribing", (double)job->index + part, (double)call->count);
}

/* Encode the window that was taken last, as its row, unless it is silent (*heard false). */
static clio_status hear(const struct call *call, struct window *w, bool *heard)
{
    clio_status st = CLIO_OK;
    clio_speech *s = call->speech;
    const float *samples = s->host_samples + MEL_FFT / 2;
    TRY(report(call, w->job, (double)w->start / MEL_RATE));
    *heard = w->size >= SHORTEST && !is_silent(samples, (size_t)w->size);
    if (!*heard)
        return CLIO_OK;
    w->active = vad_speech_found(samples, (size_t)w->size);
    TRY(speech_encode(s, s->host_samples, w->row));
fail:
    return st;
}

/* Name the languages of windows whose recordings have none yet. They lie in the rows from 0 on. */
static clio_status name_languages(clio_speech *s, struct window *w, int count)
{
    clio_status st = CLIO_OK;
    int languages[BATCH_AT_MOST];
    double probabilities[BATCH_AT_MOST];
    bool named = true;
    for (int row = 0; row < count; row++)
        named = named && w[row].own.language >= 0;
    if (named || !s->tokens.is_multilingual)
        return CLIO_OK;
    TRY(speech_detect(s, count, languages, probabilities));
    for (int row = 0; row < count; row++)
        if (w[row].own.language < 0) {
            w[row].own.language = languages[row];
            w[row].probability = probabilities[row];
        }
fail:
    return st;
}

/* Add what a window says to its recording's transcript. The language of the first one holds for the rest: what was found in windows without
 * speech was a guess. */
static clio_status keep(const struct window *w, const struct speech_result *r, bool alone, uint64_t *advance)
{
    struct job *job = w->job;
    clio_transcript *t = &job->transcript->public;
    const char *name;
    if (job->own.language < 0 && w->own.language >= 0) {
        job->own.language = w->own.language;
        clio_language((size_t)(w->own.language - job->speech->tokens.first_language), &t->language, &name);
        t->language_probability = w->probability;
    }
    return job_cut(job, r, w->start, w->size, alone, advance);
}

/* Hear on in a recording, one window. Without timestamps nothing says where its last whole sentence ends: then it is cut in a pause. */
static clio_status walk_one(const struct call *call, struct job *job, struct speech_result *r)
{
    clio_status st = CLIO_OK;
    bool alone = !call->params->timestamps, heard, skip;
    struct window w = take_window(job, alone);
    uint64_t advance;
    TRY(hear(call, &w, &heard));
    if (!heard)
        return CLIO_OK;
    TRY(name_languages(job->speech, &w, 1));
    TRY(decode_with_fallback(&w, false, r, &skip));
    if (skip)
        return CLIO_OK;
    TRY(keep(&w, r, alone, &advance));
    TRY(remember(job, r));
    job->own.seed++;
    job->position = w.start + advance;
fail:
    return st;
}

/* Windows in step, and the recordings that they belong to, in their order: all read to their end, but perhaps for the last. */
struct batch {
    struct window windows[BATCH_AT_MOST];
    float *samples; /* of the windows, with their margins */
    struct speech_result results[BATCH_AT_MOST];
    struct job jobs[BATCH_AT_MOST];
    int count, held; /* windows, recordings */
};

static size_t samples_bytes(const clio_speech *s)
{
    return tensor_count(&s->samples) * sizeof(float);
}

static float *row_samples(const clio_speech *s, const struct batch *b, int row)
{
    return b->samples + (size_t)row * tensor_count(&s->samples);
}

/* Fill the batch with windows: of the recording that was begun before, then of new ones, as many as there is room for. */
static clio_status collect(struct call *call, struct batch *b)
{
    clio_status st = CLIO_OK;
    bool heard;
    b->count = 0;
    speech_restart(call->speech);
    while (b->count < call->batch) {
        struct job *job = b->held ? &b->jobs[b->held - 1] : NULL;
        if (!job || !job->more) {
            if (b->held == call->batch || call->begun == call->count)
                break;
            TRY(job_begin(call, &b->jobs[b->held++]));
            continue;
        }
        struct window *w = &b->windows[b->count];
        *w = take_window(job, true);
        w->row = b->count;
        TRY(hear(call, w, &heard));
        if (heard)
            memcpy(row_samples(call->speech, b, w->row), call->speech->host_samples, samples_bytes(call->speech));
        b->count += heard;
        job->own.seed += heard;
        if (!job->more)
            job_close_sound(job);
        while (job->status && b->count && b->windows[b->count - 1].job == job)
            b->count--;
    }
fail:
    return st;
}

/* Where window w's answer ends, if sound as loud as speech is left behind it: the model now and then says that a window is at its end where
 * it is not. One window after the other has no such rule in openai/whisper, nor here. */
static uint64_t answered(const clio_speech *s, const struct window *w, const struct speech_result *r, const float *samples)
{
    int begin = s->tokens.timestamp_begin, last = r->count ? r->ids[r->count - 1] : 0;
    uint64_t at = last > begin ? (uint64_t)(last - begin) * WHISPER_TIMESTAMP_SAMPLES : w->size;
    return at < w->size && vad_loud_samples(samples + MEL_FFT / 2, w->size, at) >= LEFT_AT_LEAST ? at : w->size;
}

/* Keep what the row's window says, and hear again what it leaves out. */
static clio_status keep_row(const struct call *call, const struct batch *b, struct window *w, struct speech_result *r)
{
    clio_status st = CLIO_OK;
    clio_speech *s = call->speech;
    float *samples = row_samples(s, b, w->row);
    uint64_t unused, end, all = tensor_count(&s->samples);
    bool heard, skip = false;
    while (!skip) {
        TRY(keep(w, r, true, &unused));
        if ((end = answered(s, w, r, samples)) == w->size)
            break;
        memmove(samples, samples + end, (size_t)(all - end) * sizeof *samples);
        memset(samples + all - end, 0, (size_t)end * sizeof *samples);
        w->start += end;
        w->size -= end;
        memcpy(s->host_samples, samples, samples_bytes(s));
        TRY(hear(call, w, &heard));
        if (!heard)
            break;
        TRY(decode_with_fallback(w, false, r, &skip));
    }
fail:
    return st;
}

static clio_status finish(struct call *call, struct job *job)
{
    clio_status st = CLIO_OK;
    if (!job->status && job->index + 1 == call->count)
        TRY(report(call, job, job->length));
    TRY(job_finish(call, job));
fail:
    return st;
}

/* Decode the batch, and hand over the recordings that it completes: each before anything is said of the next. */
static clio_status walk_batch(struct call *call, struct batch *b)
{
    clio_status st = CLIO_OK;
    struct speech_row own[BATCH_AT_MOST];
    int done = 0;
    bool skip;
    TRY(name_languages(call->speech, b->windows, b->count));
    for (int row = 0; row < b->count; row++)
        own[row] = b->windows[row].own;
    if (b->count) /* the requests of all recordings say the same: no window sees the text before it */
        TRY(speech_decode(call->speech, &b->jobs[0].request, own, (double)call->params->temperature, b->results, 0, b->count));
    for (int row = 0; row < b->count; row++) {
        struct window *w = &b->windows[row];
        struct job *job = w->job;
        while (&b->jobs[done] != job)
            TRY(finish(call, &b->jobs[done++]));
        bool other = job->own.language >= 0 && w->own.language != job->own.language; /* a window before it has settled the language since */
        w->own.language = other ? job->own.language : w->own.language;
        TRY(decode_with_fallback(w, !other, &b->results[row], &skip));
        if (!skip)
            TRY(keep_row(call, b, w, &b->results[row]));
    }
    while (done < b->held && !b->jobs[done].more)
        TRY(finish(call, &b->jobs[done++]));
fail:
    if (!st) {
        for (int i = 0; i < done; i++)
            job_free(&b->jobs[i]);
        b->held -= done;
        if (done && b->held) { /* the last one goes on */
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
        TRY(mem_alloc(call->ctx, &b->samples, (size_t)call->batch, samples_bytes(call->speech)));
    while (call->batch > 1 && (b->held || call->begun < call->count)) {
        TRY(collect(call, b));
        TRY(walk_batch(call, b));
    }
    while (call->begun < call->count) {
        struct job *job = &b->jobs[0];
        b->held = 1;
        TRY(job_begin(call, job));
        while (job->more)
            TRY(walk_one(call, job, &b->results[0]));
        TRY(finish(call, job));
        job_free(job);
    }
fail:
    for (int i = 0; b && i < b->held; i++)
        job_free(&b->jobs[i]);
    for (int i = 0; b && i < BATCH_AT_MOST; i++)
        speech_result_free(&b->results[i]);
    if (b)
        free(b->samples);
    free(b);
    return st;
}
