/* transcribe_fallback.c - decode a window, again at a higher temperature when its text is repetitive or unlikely, and choose the result.
 *
 * As in openai/whisper, transcribe.py (decode_with_fallback), with three differences. Of results that all failed the best is taken, not the
 * last. A sentence that is said again and again is no failure: the text is likely, its segments are evenly long and sound alike. And text
 * that is repetitive to the end, without being likely, is left out: Whisper loops over music and noise. */
#include "transcribe_windows.h"
#include "../../audio/vad.h"
#include "../../host/core/context.h"

#define TEMPERATURE_MAX (1.0 + 1e-6)
#define LIKELY 0.5 /* of the log probability threshold */
#define UNEVEN 1.5 /* the longest repetition is at most so many times as long as the shortest */
#define ALIKE 0.7  /* correlation of the loudness of two repetitions */
#define MIN_REPETITIONS 3

/* The compression ratio is above the threshold. */
static bool is_repetitive(const clio_speech_params *p, const struct speech_result *r)
{
    return r->compression_ratio > (double)p->compression_threshold;
}

/* Whether a is a better result than b: not repetitive comes first, then the higher average log probability. */
static bool is_better(const clio_speech_params *p, const struct speech_result *a, const struct speech_result *b)
{
    return is_repetitive(p, a) != is_repetitive(p, b) ? is_repetitive(p, b) : a->avg_logprob > b->avg_logprob;
}

static void swap_results(struct speech_result *a, struct speech_result *b)
{
    struct speech_result a_was = *a;
    *a = *b;
    *b = a_was;
}

/* Repetitive text that can have been said: a loop of the model runs to the last token, is unlikely, or is over music or noise. */
static bool can_be_said(const clio_speech_params *p, const struct speech_result *r)
{
    return r->ended && r->avg_logprob >= LIKELY * (double)p->logprob_threshold && r->no_speech <= (double)p->no_speech_threshold;
}

/* Whether the segments of a window repeat each other in the sound as well: as long, and rising and falling alike. */
static bool is_said_again(const struct window *w, const struct speech_result *r)
{
    const struct whisper_tokens *t = &w->job->speech->tokens;
    uint64_t start = 0, shortest = UINT64_MAX, longest = 0, before = 0;
    size_t pairs = 0;
    double alike = 0;
    for (size_t i = 1; i < r->count; i++) { /* a segment is text between two timestamps */
        if (!whisper_is_timestamp(t, r->ids[i]))
            continue;
        uint64_t at = (uint64_t)(r->ids[i] - t->timestamp_begin) * WHISPER_TIMESTAMP_SAMPLES;
        if (!whisper_is_timestamp(t, r->ids[i - 1])) {
            uint64_t length = at > start ? at - start : 0;
            shortest = MIN(shortest, length);
            longest = MAX(longest, length);
            if (pairs++ && length)
                alike += vad_likeness(w->samples, w->size, before, start, length);
            before = start;
        }
        start = at;
    }
    return pairs >= MIN_REPETITIONS && shortest > 0 && (double)longest <= UNEVEN * (double)shortest && alike >= ALIKE * (double)(pairs - 1);
}

static void note_left_out(const struct window *w)
{
    double start = (double)w->start / MEL_RATE, end = (double)(w->start + w->size) / MEL_RATE;
    context_notice(
        w->job->ctx,
        "%s: what was decoded from %.1f to %.1f s only repeats itself, as over music or noise, and was left out; params.temperature_step "
        "0 keeps it",
        sound_name(w->job->sound), start, end);
}

clio_status window_decode(const struct window *w, bool decoded, struct speech_result *r, bool *skip)
{
    clio_status st = CLIO_OK;
    const struct job *job = w->job;
    const clio_speech_params *p = job->params;
    struct speech_result best = {0};
    double temperature = (double)p->temperature;
    for (bool retry = true; retry;) {
        if (!decoded)
            TRY(speech_decode(job->speech, &job->request, &w->options, temperature, r, w->row, 1));
        decoded = false;
        bool unlikely = r->avg_logprob < (double)p->logprob_threshold;
        *skip = r->no_speech > (double)p->no_speech_threshold && (unlikely || !w->active);
        if (*skip || !(unlikely || is_repetitive(p, r)) || (can_be_said(p, r) && is_said_again(w, r)))
            break;
        temperature += (double)p->temperature_step;
        retry = p->temperature_step > 0 && temperature <= TEMPERATURE_MAX;
        if (!best.ids || is_better(p, r, &best))
            swap_results(r, &best);
        if (retry)
            continue;
        swap_results(r, &best);
        *skip = p->temperature_step > 0 && is_repetitive(p, r) && !can_be_said(p, r);
        if (*skip)
            note_left_out(w);
    }
fail:
    speech_result_free(&best);
    return st;
}
