/* sound.c - stream of resampled mono samples. See sound.h.
 * Blocks from sound_file.c are resampled by libsoxr (SOXR_HQ: 20 bits, linear phase, delay compensated) and appended to the window. The
 * window keeps SOUND_BACK samples before the highest position read, and everything decoded after it. If the rates are equal, samples are
 * not resampled, so 16 kHz mono is exact. */
#include "sound.h"

#include "../host/core/context.h"
#include "sound_file.h"

#include <soxr.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 16384 /* most samples from one call of the resampler */

struct sound {
    clio_context *ctx;
    const float *samples; /* samples in memory; NULL: read the file */
    size_t sample_count;

    struct sound_file file;
    char *path;
    int rate;                      /* that the caller wants */
    soxr_t resampler;              /* NULL: equal rates */
    float *mono;                   /* [SOUND_FILE_BLOCK] decoded samples, */
    size_t mono_first, mono_count; /* and the range not yet resampled */
    bool file_ended, ended;

    float *window; /* samples first .. first + count of the stream are at window[start] */
    size_t capacity, start, count;
    uint64_t first, max_position; /* highest position read so far */
};

static clio_status fill_mono(struct sound *s)
{
    clio_status st = CLIO_OK;
    if (s->mono_count || s->file_ended)
        return CLIO_OK;
    s->mono_first = 0;
    TRY(sound_file_read(s->ctx, &s->file, s->mono, &s->mono_count));
    s->file_ended = s->mono_count == 0;
fail:
    return st;
}

/* A resampler from the rate of the file's stream, if the rates differ. */
static clio_status make_resampler(struct sound *s)
{
    clio_status st = CLIO_OK;
    soxr_error_t error = NULL;
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_delete(s->resampler);
    s->resampler = NULL;
    if (s->file.rate == s->rate)
        return CLIO_OK;
    s->resampler = soxr_create(s->file.rate, s->rate, 1, &error, NULL, &quality, NULL);
    if (error ? strstr(error, "malloc") != NULL : !s->resampler)
        FAIL(s->ctx, CLIO_ERROR_MEMORY, "out of memory for resampling %s; close other programs", s->path);
    if (error)
        FAIL(s->ctx, CLIO_ERROR_UNSUPPORTED, "%s cannot be resampled from %d to %d Hz (%s): export it at %d Hz", s->path, s->file.rate,
             s->rate, error, s->rate);
fail:
    return st;
}

clio_status sound_open(clio_context *ctx, struct sound **out, const char *path, int rate)
{
    clio_status st = CLIO_OK;
    struct sound *s = NULL;
    *out = NULL;
    TRY(mem_alloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    s->file.source.fd = -1;
    s->rate = rate;
    if (rate < 1 || rate > SOUND_FILE_RATE)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot be resampled to %d Hz: use 1 to %d Hz", path, rate, SOUND_FILE_RATE);
    TRY(mem_string(ctx, &s->path, path));
    TRY(sound_file_open(ctx, &s->file, s->path));
    TRY(mem_alloc(ctx, &s->mono, SOUND_FILE_BLOCK, sizeof(float)));
    TRY(fill_mono(s));
    if (s->file_ended)
        TRY(sound_file_fail_empty(ctx, &s->file));
    TRY(make_resampler(s));
    *out = s;
    return CLIO_OK;
fail:
    sound_close(s);
    return st;
}

clio_status sound_open_samples(clio_context *ctx, struct sound **out, const float *samples, size_t count)
{
    clio_status st = CLIO_OK;
    struct sound *s = NULL;
    *out = NULL;
    if (!samples || !count)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "there are no samples: pass at least one");
    TRY(mem_alloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    s->file.source.fd = -1;
    s->samples = samples;
    s->sample_count = count;
    *out = s;
fail:
    return st;
}

/* Make space for n more samples after the window: move it to the front of its buffer, or grow the buffer. */
static clio_status window_reserve(struct sound *s, size_t n)
{
    clio_status st = CLIO_OK;
    float *grown = NULL;
    if (s->start + s->count + n <= s->capacity)
        return CLIO_OK;
    if (s->count + n <= s->capacity) {
        memmove(s->window, s->window + s->start, s->count * sizeof(float));
    } else {
        size_t capacity = MAX(2 * s->capacity, s->count + n);
        TRY(mem_alloc(s->ctx, &grown, capacity, sizeof(float)));
        if (s->count)
            memcpy(grown, s->window + s->start, s->count * sizeof(float));
        free(s->window);
        s->window = grown;
        s->capacity = capacity;
    }
    s->start = 0;
fail:
    return st;
}

/* Append the next samples, at most BLOCK, to the window, or set s->ended. */
static clio_status decode_block(struct sound *s)
{
    clio_status st = CLIO_OK;
    size_t taken = 0, made = 0;
    float *to;
    TRY(window_reserve(s, BLOCK));
    to = s->window + s->start + s->count;
    TRY(fill_mono(s));
    if (s->resampler) {
        soxr_error_t error =
            soxr_process(s->resampler, s->file_ended ? NULL : s->mono + s->mono_first, s->mono_count, &taken, to, BLOCK, &made);
        if (error)
            FAIL(s->ctx, CLIO_ERROR_INTERNAL, "%s cannot be resampled: %s", s->file.name, error);
        if (!s->file_ended && !taken && !made)
            FAIL(s->ctx, CLIO_ERROR_INTERNAL, "%s cannot be resampled: libsoxr accepts no more samples", s->file.name);
    } else {
        memcpy(to, s->mono + s->mono_first, s->mono_count * sizeof(float));
        taken = made = s->mono_count;
    }
    s->mono_first += taken;
    s->mono_count -= taken;
    s->count += made;
    if (s->file_ended && !made) { /* also what the resampler kept back was given */
        bool more;
        TRY(sound_file_next(s->ctx, &s->file, &more));
        s->ended = !more;
        s->file_ended = !more;
        if (more)
            TRY(make_resampler(s));
    }
fail:
    return st;
}

/* Discard the samples before `oldest`. */
static void discard(struct sound *s, uint64_t oldest)
{
    size_t n = s->count;
    if (oldest <= s->first)
        return;
    if (oldest - s->first < n)
        n = (size_t)(oldest - s->first);
    s->start += n;
    s->count -= n;
    s->first += n;
}

/* Copy position .. position + count from the window, or from memory, to out; samples in memory are sanitized like those of files. */
static size_t copy_out(const struct sound *s, uint64_t position, size_t count, float *out)
{
    uint64_t first = s->samples ? 0 : s->first, have = s->samples ? s->sample_count : s->count;
    size_t n = 0;
    if (position >= first && position - first < have) {
        n = (size_t)MIN((uint64_t)count, have - (position - first));
        memcpy(out, (s->samples ? s->samples : s->window + s->start) + (position - first), n * sizeof(float));
    }
    if (s->samples && n)
        sound_file_sanitize(out, n);
    if (n < count)
        memset(out + n, 0, (count - n) * sizeof(float));
    return n;
}

clio_status sound_read(struct sound *s, uint64_t position, size_t count, float *out, size_t *got)
{
    clio_status st = CLIO_OK;
    uint64_t oldest, end = count > UINT64_MAX - position ? UINT64_MAX : position + count;
    *got = 0;
    s->max_position = MAX(s->max_position, position);
    oldest = s->max_position - MIN(s->max_position, SOUND_BACK);
    if (position < oldest)
        FAIL(s->ctx, CLIO_ERROR_INTERNAL, "sound was read from sample %llu, but is kept only from %llu on", (unsigned long long)position,
             (unsigned long long)oldest);
    if (!s->samples) {
        discard(s, oldest);
        while (!s->ended && s->first < oldest) { /* skip ahead: decode and discard */
            TRY(context_progress(s->ctx, "skipping sound", (double)s->first, (double)oldest));
            TRY(decode_block(s));
            discard(s, oldest);
        }
        while (!s->ended && s->first + s->count < end)
            TRY(decode_block(s));
    }
    *got = copy_out(s, position, count, out);
fail:
    return st;
}

double sound_duration(const struct sound *s)
{
    if (s->ended)
        return (double)(s->first + s->count) / s->rate;
    return s->samples ? (double)s->sample_count / SOUND_RATE : s->file.before + (double)s->file.header_frames / (double)s->file.rate;
}

const char *sound_name(const struct sound *s)
{
    return s->samples ? "the samples" : s->file.name;
}

bool sound_problem(const struct sound *s, char text[SOUND_PROBLEM])
{
    return !s->samples && sound_file_problem(&s->file, text, SOUND_PROBLEM);
}

bool sound_is_cut(const struct sound *s)
{
    return !s->samples && s->file.is_cut;
}

size_t sound_window(const struct sound *s)
{
    return s->capacity;
}

void sound_close(struct sound *s)
{
    if (!s)
        return;
    soxr_delete(s->resampler);
    sound_file_close(&s->file);
    free(s->path);
    free(s->mono);
    free(s->window);
    free(s);
}
