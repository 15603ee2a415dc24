/* transcribe.c - a recording of any length, window by window, as openai/whisper's transcribe.py does it: each window is decoded with
 * timestamps, cut into segments at them, and the next begins where the last whole segment ended. A window whose answer repeats itself or is
 * unlikely is decoded again at a higher temperature; one that holds no speech gives nothing. */
#include "../audio/activity.h"
#include "languages.h"
#include "speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE 3e-4f        /* -70 dB: a window in which no sample is louder holds no speech, and is not decoded at all */
#define SHORTEST 1600        /* samples: no word is shorter, neither as a whole recording nor as what is left behind a window */
#define FORGET_ABOVE 0.5     /* text that came at a higher temperature is not shown to the next window */
#define RESULT_FRAMES 2      /* mel frames of one timestamp step */
#define BATCH_AT_MOST 32     /* windows decoded together */
#define QUIET_SEARCH 96000   /* samples: a window of a batch ends in its last 6 s, */
#define QUIET_SPAN 3200      /* in the middle of its quietest 0.2 s */

struct transcript {
    clio_transcript public; /* first: the caller's pointer is this one */
    clio_segment *segments;
    size_t capacity;
    struct bytes text;
};

struct job {
    clio_speech *speech;
    clio_context *ctx;
    const clio_speech_params *params;
    struct sound *sound;
    struct transcript *transcript;
    struct speech_request request;
    int batch;
    int *before, *prefix; /* owned; the request points at them */
    size_t before_capacity;
    uint64_t begin, end; /* samples to hear; end UINT64_MAX: all */
    bool detects;        /* the language is not named, */
    bool detected;       /* and was found last in a window where speech is possible */
    bool heard;          /* a window was kept: its language holds for the rest */
};

clio_speech_params clio_speech_defaults(void)
{
    return (clio_speech_params){.timestamps = 1, .condition_on_previous = 1, .temperature_step = 0.2f, .compression_threshold = 2.4f,
                                .logprob_threshold = -1, .no_speech_threshold = 0.6f, .suppress_blank = 1};
}

static void segment_free(clio_segment *segment)
{
    free((void *)(uintptr_t)segment->text);
    free((void *)(uintptr_t)segment->tokens);
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
    free(t);
}

/* ---- segments ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static clio_status trimmed(clio_context *ctx, char **out, const struct bytes *text)
{
    clio_status st = CLIO_OK;
    size_t first = 0, last = text->size;
    while (first < last && is_space(text->data[first]))
        first++;
    while (last > first && is_space(text->data[last - 1]))
        last--;
    TRY(mem_alloc(ctx, out, last - first + 1, 1));
    if (last > first)
        memcpy(*out, text->data + first, last - first);
fail:
    return st;
}

/* Tokens of one segment, with their bytes joined in *text. What the tokens point at lies behind them in the same piece of memory, so that a
 * transcript stands alone. */
static clio_status segment_tokens(struct job *job, const struct speech_result *r, size_t first, size_t last, double offset, clio_token **out,
                                  struct bytes *text)
{
    clio_status st = CLIO_OK;
    const clio_speech *s = job->speech;
    size_t size, room = 0;
    for (size_t i = first; i < last; i++) {
        tokenizer_bytes(&s->tokenizer, r->ids[i], &size);
        room += size + 1;
    }
    TRY(mem_alloc(job->ctx, out, (last - first + 1) * sizeof **out + room, 1));
    char *copy = (char *)(*out + (last - first + 1));
    for (size_t i = first; i < last; i++, copy += size + 1) {
        int id = r->ids[i], step = id - s->tokens.timestamp_begin;
        const char *bytes = tokenizer_bytes(&s->tokenizer, id, &size);
        memcpy(copy, bytes, size); /* the memory is zeroed: it ends here */
        (*out)[i - first] = (clio_token){id, r->probabilities[i], copy, step >= 0 ? offset + step * (double)WHISPER_TIMESTAMP_STEP : -1};
        if (id < s->tokens.eot)
            TRY(bytes_add(job->ctx, text, bytes, size));
    }
fail:
    return st;
}

/* Keep the tokens first..last as a segment, unless it says nothing or takes no time. `offset`: of the window. */
static clio_status add_segment(struct job *job, const struct speech_result *r, size_t first, size_t last, double offset, double start, double end)
{
    clio_status st = CLIO_OK;
    struct transcript *t = job->transcript;
    struct bytes text = {0};
    clio_token *tokens = NULL;
    char *trim = NULL;
    TRY(segment_tokens(job, r, first, last, offset, &tokens, &text));
    TRY(trimmed(job->ctx, &trim, &text));
    if (!*trim || !(end > start))
        goto fail; /* nothing to keep; st is CLIO_OK */
    if (t->public.segment_count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 16;
        clio_segment *grown = realloc(t->segments, capacity * sizeof *grown);
        if (!grown)
            FAIL(job->ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        t->segments = grown;
        t->capacity = capacity;
    }
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

/* Cut a window's answer into segments; how many samples to go on by. `size`: samples of sound in the window. alone: the next window does
 * not depend on this one, so that what follows the last pair of timestamps is kept rather than heard again. */
static clio_status cut(struct job *job, const struct speech_result *r, uint64_t position, uint64_t size, bool alone, uint64_t *advance)
{
    clio_status st = CLIO_OK;
    int begin = job->speech->tokens.timestamp_begin;
    double offset = (double)position / MEL_RATE, step = (double)WHISPER_TIMESTAMP_STEP;
    size_t n = r->count, from = 0;
    bool ends_alone = n >= 1 && r->ids[n - 1] >= begin && (n < 2 || r->ids[n - 2] < begin);
    *advance = size;
    for (size_t i = 1; i <= n; i++) {
        bool pair = i < n && r->ids[i] >= begin && r->ids[i - 1] >= begin, last = i == n && ends_alone && from > 0;
        if (!pair && !last)
            continue;
        int first_step = r->ids[from] - begin, last_step = r->ids[i - 1] - begin;
        TRY(add_segment(job, r, from, i, offset, offset + first_step * step, offset + last_step * step));
        from = i;
    }
    if (from == 0) { /* no pair: one segment, to its last timestamp if it has a useful one */
        double end = offset + (double)size / MEL_RATE;
        for (size_t i = 0; i < n; i++)
            if (r->ids[i] > begin)
                end = offset + (r->ids[i] - begin) * step;
        TRY(add_segment(job, r, 0, n, offset, offset, end));
    } else if (!ends_alone && alone && from < n) {
        double from_time = offset + (r->ids[from] >= begin ? r->ids[from] - begin : r->ids[from - 1] - begin) * step;
        TRY(add_segment(job, r, from, n, offset, from_time, offset + (double)size / MEL_RATE));
    } else if (!ends_alone && !alone) { /* what comes after the last pair was cut off by the window: hear it again */
        uint64_t heard = (uint64_t)(r->ids[from - 1] - begin) * RESULT_FRAMES * MEL_HOP;
        *advance = heard ? MIN(heard, size) : size;
    }
fail:
    return st;
}

/* ---- windows ---- */

/* A window being heard: samples start .. start + size, in this row of the batch; active: speech is possible by the sound itself. */
struct window {
    uint64_t start, size;
    int row;
    bool active;
};

/* Decode window w until it is plausible or the temperatures are used up; decoded: r holds the first try already. The rule of silence is openai/whisper's (no speech, unless the text is likely), but where nothing
 * stands out of the background the model's word that there is no speech is enough: it finds "Thank you." likely over noise. */
static clio_status decode_with_fallback(struct job *job, const struct window *w, bool decoded, struct speech_result *r, bool *skip)
{
    clio_status st = CLIO_OK;
    const clio_speech_params *p = job->params;
    double temperature = (double)p->temperature;
    for (;;) {
        if (!decoded)
            TRY(speech_decode(job->speech, &job->request, temperature, r, w->row, 1));
        decoded = false;
        bool unlikely = r->avg_logprob < (double)p->logprob_threshold;
        bool silent = r->no_speech > (double)p->no_speech_threshold && (unlikely || !w->active);
        bool poor = r->compression_ratio > (double)p->compression_threshold || unlikely;
        *skip = silent;
        temperature += (double)p->temperature_step;
        if (!poor || silent || !(p->temperature_step > 0) || temperature > 1.0 + 1e-6)
            break;
    }
fail:
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

static clio_status name_language(struct job *job, int row)
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
        TRY(name_language(job, w->row));
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
    TRY(cut(job, r, w.start, w.size, false, &advance));
    TRY(remember(job, r));
    job->request.seed++;
    *position = w.start + advance;
fail:
    return st;
}

/* Samples to take of a full window so that it ends where it is quietest: windows decoded together cannot wait for each other's timestamps. */
static uint64_t quiet_end(const float *samples, uint64_t size)
{
    uint64_t best = size;
    double least = INFINITY;
    for (uint64_t at = size - QUIET_SEARCH; at + QUIET_SPAN <= size; at += QUIET_SPAN / 4) {
        double energy = 0;
        for (uint64_t i = 0; i < QUIET_SPAN; i++)
            energy += (double)samples[at + i] * (double)samples[at + i];
        if (energy <= least) {
            least = energy;
            best = at + QUIET_SPAN / 2;
        }
    }
    return best;
}

/* Hear on from *position, as many windows as the batch has room for, each cut at a quiet place and decoded in step with the others. */
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
            now->size = quiet_end(s->host_samples + margin, full);
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
        TRY(cut(job, &r[row], w[row].start, w[row].size, true, &unused));
    }
    job->request.seed += (uint32_t)count;
fail:
    return st;
}

static clio_status walk(struct job *job)
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

/* ---- the public side ---- */

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
    job.request = (struct speech_request){.translate = p->translate, .timestamps = p->timestamps, .suppress_blank = p->suppress_blank,
                                          .max_tokens = p->max_tokens, .seed = (uint32_t)(p->seed ^ p->seed >> 32)};
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
    TRY(walk(&job));
    if (job.detects && s->tokens.is_multilingual && !job.heard) { /* nobody spoke */
        job.transcript->public.language = "";
        job.transcript->public.language_probability = 0;
    } else if (!job.transcript->public.language) {
        TRY(name_language(&job, 0));
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
