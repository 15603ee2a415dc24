/* listen.c - a recording of any length, window by window, as openai/whisper's transcribe.py does it: each window is decoded with
 * timestamps, and the next begins where the last whole segment ended; or several windows in step, each cut in a pause. A window whose
 * answer repeats itself or is unlikely is decoded again at a higher temperature; one that holds no speech gives nothing. */
#include "../audio/activity.h"
#include "job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE 3e-4f      /* -70 dB: a window in which no sample is louder holds no speech, and is not decoded at all */
#define SHORTEST 1600      /* samples: no word is shorter, neither as a whole recording nor as what is left behind a window */
#define FORGET_ABOVE 0.5   /* text that came at a higher temperature is not shown to the next window */
/* A window of a batch ends in the middle of the longest pause in its last 10 s. */
#define PAUSE_SEARCH 160000 /* samples */
#define PAUSE_FRAME 160     /* samples whose energy is one number */
#define PAUSE_FRAMES (PAUSE_SEARCH / PAUSE_FRAME)
#define PAUSE_BELOW 1e-3 /* of the window's mean energy: a pause is 30 dB quieter, */
#define PAUSE_ABOVE 2.0  /* or as quiet as a background that has less than twice the energy which a twentieth of the frames stay below */

/* A window being heard: samples start .. start + size, in this row of the batch; active: speech is possible by the sound itself. */
struct window {
    uint64_t start, size;
    int row;
    bool active;
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
static clio_status decode_with_fallback(struct job *job, const struct window *w, bool decoded, struct speech_result *r, bool *skip)
{
    clio_status st = CLIO_OK;
    const clio_speech_params *p = job->params;
    struct speech_result best = {0};
    double temperature = (double)p->temperature;
    for (bool again = true; again;) {
        if (!decoded)
            TRY(speech_decode(job->speech, &job->request, temperature, r, w->row, 1));
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

clio_status job_name_language(struct job *job, int row)
{
    clio_status st = CLIO_OK;
    const struct whisper_tokens *t = &job->speech->tokens;
    double probability = 1;
    const char *code = "en", *name;
    if (t->is_multilingual && job->request.language < 0)
        TRY(speech_detect(job->speech, row, &job->request.language, &probability));
    if (t->is_multilingual)
        clio_language((size_t)(job->request.language - t->first_language), &code, &name);
    job->transcript->public.language = code;
    job->transcript->public.language_probability = probability;
fail:
    return st;
}

/* Hear the window that was read last: encode it, unless it is silent (*heard false), and name the language until speech was found. */
static clio_status hear(struct job *job, struct window *w, bool *heard)
{
    clio_status st = CLIO_OK;
    clio_speech *s = job->speech;
    const float *samples = s->host_samples + MEL_FFT / 2;
    TRY(context_progress(job->ctx, "transcribing", (double)w->start / MEL_RATE, sound_duration(job->sound)));
    *heard = w->size >= SHORTEST && !is_silent(samples, (size_t)w->size);
    if (!*heard)
        return CLIO_OK;
    w->active = activity_found(samples, (size_t)w->size);
    TRY(speech_encode(s, s->host_samples, w->row));
    if (job->detects && !job->heard && (w->row == 0 || !job->detected))
        job->request.language = -1; /* what was found in a window without speech was a guess */
    if (!job->transcript->public.language || job->request.language < 0) {
        TRY(job_name_language(job, w->row));
        job->detected = w->active;
    }
fail:
    return st;
}

/* Hear on from *position, one window; *more: whether there may be another. */
static clio_status walk_one(struct job *job, struct speech_result *r, uint64_t *position, bool *more)
{
    clio_status st = CLIO_OK;
    struct window w = {.start = *position};
    uint64_t advance;
    bool heard, skip;
    TRY(read_window(job, w.start, &w.size));
    *more = w.size >= SHORTEST;
    *position += w.size;
    TRY(hear(job, &w, &heard));
    if (!heard)
        return CLIO_OK;
    TRY(decode_with_fallback(job, &w, false, r, &skip));
    if (skip)
        return CLIO_OK;
    job->heard = true;
    TRY(job_cut(job, r, w.start, w.size, false, &advance));
    TRY(remember(job, r));
    job->request.seed++;
    *position = w.start + advance;
fail:
    return st;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double energy_of(const float *samples, uint64_t count)
{
    double sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += (double)samples[i] * (double)samples[i];
    return sum / (double)MAX(count, 1);
}

/* Samples to take of a full window: windows decoded together cannot wait for each other's timestamps, so each ends where a sentence probably
 * does. Not where it is quietest: between two words it may be as quiet, and what is cut there is heard wrongly (a recording of 738 words:
 * 35 wrong; here 22, and 26 one window after the other). */
static uint64_t pause_end(const float *samples, uint64_t size)
{
    double energy[PAUSE_FRAMES], sorted[PAUSE_FRAMES];
    uint64_t frames = MIN(size, PAUSE_SEARCH) / PAUSE_FRAME, first = size - frames * PAUSE_FRAME, best = frames, longest = 0, run = 0;
    for (uint64_t k = 0; k < frames; k++)
        sorted[k] = energy[k] = energy_of(samples + first + k * PAUSE_FRAME, PAUSE_FRAME);
    qsort(sorted, (size_t)frames, sizeof *sorted, compare);
    double limit = fmax(PAUSE_BELOW * energy_of(samples, size), frames ? PAUSE_ABOVE * sorted[frames / 20] : 0);
    for (uint64_t k = 0; k < frames; k++) {
        run = energy[k] <= limit ? run + 1 : 0;
        if (run && run >= longest) {
            longest = run;
            best = k + 1 - run / 2;
        }
    }
    return first + best * PAUSE_FRAME;
}

/* Hear on from *position, as many windows as the batch has room for, each cut in a pause and decoded in step with the others. */
static clio_status walk_batch(struct job *job, struct speech_result *r, uint64_t *position, bool *more)
{
    clio_status st = CLIO_OK;
    clio_speech *s = job->speech;
    struct window w[BATCH_AT_MOST];
    size_t margin = MEL_FFT / 2, full = (size_t)s->window_samples;
    int count = 0;
    bool heard, skip;
    *more = true;
    while (count < job->batch && *more) {
        struct window *now = &w[count];
        *now = (struct window){.start = *position, .row = count};
        TRY(read_window(job, now->start, &now->size));
        *more = now->size >= SHORTEST;
        if (now->size == full)
            now->size = pause_end(s->host_samples + margin, full);
        memset(s->host_samples + margin + now->size, 0, (full + margin - (size_t)now->size) * sizeof *s->host_samples);
        *position += now->size;
        TRY(hear(job, now, &heard));
        count += heard;
    }
    if (count)
        TRY(speech_decode(s, &job->request, (double)job->params->temperature, r, 0, count));
    for (int row = 0; row < count; row++) {
        uint64_t unused;
        TRY(decode_with_fallback(job, &w[row], true, &r[row], &skip));
        if (skip)
            continue;
        job->heard = true;
        TRY(job_cut(job, &r[row], w[row].start, w[row].size, true, &unused));
    }
    job->request.seed += (uint32_t)count;
fail:
    return st;
}

clio_status job_listen(struct job *job)
{
    clio_status st = CLIO_OK;
    struct speech_result r[BATCH_AT_MOST] = {0};
    double total = sound_duration(job->sound);
    uint64_t position = job->begin;
    for (bool more = true; more;) {
        if (job->batch > 1)
            TRY(walk_batch(job, r, &position, &more));
        else
            TRY(walk_one(job, r, &position, &more));
    }
    job->transcript->public.duration = (double)(position - job->begin) / MEL_RATE;
    TRY(context_progress(job->ctx, "transcribing", total, total));
fail:
    for (size_t i = 0; i < BATCH_AT_MOST; i++)
        speech_result_free(&r[i]);
    return st;
}
