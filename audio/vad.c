/* vad.c - voice activity detection by energy, and the search for pauses. See vad.h.
 *
 * Whisper hallucinates words in sounds without speech ("Thank you.", "you") and finds them likely. Its no-speech probability is high then,
 * but openai/whisper uses it only for unlikely texts. This detector is the second criterion. Over the first difference of the samples,
 * which removes rumble and hum,
 *
 *     energy[k]  of frame k, 30 ms
 *     loudest    = max over k of min(energy[k], energy[k + 1], energy[k + 2])      ignores clicks, which are shorter than three frames
 *     background = 10th percentile of the energy
 *     activity   = loudest / background
 *
 * White, pink and brown noise, hum and clicks: 0.2 to 1.2 dB. 32 telephone prompts and five windows of read speech: 20 to 60 dB; a
 * recording at 0 dB SNR in white noise: 2.4 dB. Rejected: a threshold on the level alone (speech can be at -60 dB, and noise louder); a
 * neural network (a second model). */
#include "vad.h"
#include "../host/core/mem.h"

#include <math.h>
#include <stdlib.h>

#define FRAME_SAMPLES 480
#define MAX_FRAMES 1000     /* 30 s */
#define MIN_RUN 3           /* frames */
#define THRESHOLD 1.585f    /* 2 dB */
#define ENERGY_FLOOR 1e-12f /* -120 dB, below one bit of 16: background of digital silence */
#define SILENCE_STEP 3e-4f  /* -70 dB */

/* Mean energy of the first difference of count samples, of which one more follows. */
static float difference_energy(const float *x, size_t count)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (x[i + 1] - x[i]) * (x[i + 1] - x[i]);
    return sum / (float)count;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

bool vad_speech_found(const float *samples, size_t count)
{
    float energy[MAX_FRAMES], loudest = 0;
    size_t frames = count > 0 ? (count - 1) / FRAME_SAMPLES : 0;
    if (frames > MAX_FRAMES)
        frames = MAX_FRAMES;
    if (frames < MIN_RUN)
        return false;
    for (size_t k = 0; k < frames; k++) {
        energy[k] = difference_energy(samples + k * FRAME_SAMPLES, FRAME_SAMPLES) + ENERGY_FLOOR;
    }
    for (size_t k = 0; k + MIN_RUN <= frames; k++) {
        float min = energy[k];
        for (size_t i = 1; i < MIN_RUN; i++)
            min = energy[k + i] < min ? energy[k + i] : min;
        loudest = min > loudest ? min : loudest;
    }
    qsort(energy, frames, sizeof *energy, compare_floats);
    return loudest > THRESHOLD * energy[frames / 10];
}

bool vad_is_silent(const float *samples, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (fabsf(samples[i] - samples[i - 1]) > SILENCE_STEP)
            return false;
    return true;
}

/* ---- pauses: energies of frames of 10 ms, relative to the window's mean, to be independent of the recording level ---- */

#define SEARCH_SAMPLES 160000 /* samples */
#define PAUSE_FRAME 160       /* samples per frame */
#define PAUSE_FRAMES (SEARCH_SAMPLES / PAUSE_FRAME)
#define PAUSE_RELATIVE 1e-3    /* of the window's mean energy: a pause is 30 dB quieter, */
#define PAUSE_NOISE_FACTOR 2.0 /* or has at most twice the energy of the 5th percentile of the frames */
#define LOUD_RELATIVE 0.05     /* of the window's mean energy */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the first difference: a constant, rumble and hum are no sound. */
static double energy_of(const float *samples, uint64_t count)
{
    double sum = 0;
    for (uint64_t i = 1; i < count; i++)
        sum += ((double)samples[i] - (double)samples[i - 1]) * ((double)samples[i] - (double)samples[i - 1]);
    return sum / (double)MAX(count, 1);
}

uint64_t vad_pause_end(const float *samples, uint64_t size)
{
    double energy[PAUSE_FRAMES], sorted[PAUSE_FRAMES];
    uint64_t frames = MIN(size, SEARCH_SAMPLES) / PAUSE_FRAME, first = size - frames * PAUSE_FRAME, best = frames, longest = 0, run = 0;
    for (uint64_t k = 0; k < frames; k++)
        sorted[k] = energy[k] = energy_of(samples + first + k * PAUSE_FRAME, PAUSE_FRAME);
    qsort(sorted, (size_t)frames, sizeof *sorted, compare_doubles);
    double limit = fmax(PAUSE_RELATIVE * energy_of(samples, size), frames ? PAUSE_NOISE_FACTOR * sorted[frames / 20] : 0);
    for (uint64_t k = 0; k < frames; k++) {
        run = energy[k] <= limit ? run + 1 : 0;
        if (run && run >= longest) {
            longest = run;
            best = k + 1 - run / 2;
        }
    }
    return first + best * PAUSE_FRAME;
}

uint64_t vad_loud_samples(const float *samples, uint64_t size, uint64_t from)
{
    double limit = LOUD_RELATIVE * energy_of(samples, size);
    uint64_t loud = 0;
    for (; from + PAUSE_FRAME <= size; from += PAUSE_FRAME)
        loud += energy_of(samples + from, PAUSE_FRAME) > limit ? PAUSE_FRAME : 0;
    return loud;
}

/* ---- repetitions ---- */

#define LIKENESS_FRAME 320  /* samples */
#define LIKENESS_FRAMES 512 /* at most: 10 s */
#define LIKENESS_LAG 15     /* frames, to either side: timestamps are not exact */

/* Pearson correlation. */
static double correlation(const double *x, const double *y, int n)
{
    double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        sx += x[i];
        sy += y[i];
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - sx / n) * (x[i] - sx / n);
        yy += (y[i] - sy / n) * (y[i] - sy / n);
        xy += (x[i] - sx / n) * (y[i] - sy / n);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

/* Levels in dB / 10 of n frames from `from` on; 0 outside the sound. */
static void levels(const float *samples, uint64_t size, int64_t from, int n, double *out)
{
    for (int k = 0; k < n; k++) {
        int64_t at = from + (int64_t)k * LIKENESS_FRAME;
        bool inside = at >= 0 && (uint64_t)at + LIKENESS_FRAME < size;
        out[k] = log10((inside ? (double)difference_energy(samples + at, LIKENESS_FRAME) : 0) + (double)ENERGY_FLOOR);
    }
}

double vad_likeness(const float *samples, uint64_t size, uint64_t a, uint64_t b, uint64_t length)
{
    double x[LIKENESS_FRAMES], y[LIKENESS_FRAMES + 2 * LIKENESS_LAG], best = 0;
    int n = (int)MIN(length / LIKENESS_FRAME, (uint64_t)LIKENESS_FRAMES);
    levels(samples, size, (int64_t)a, n, x);
    levels(samples, size, (int64_t)b - LIKENESS_LAG * LIKENESS_FRAME, n + 2 * LIKENESS_LAG, y);
    for (int lag = 0; n > 0 && lag <= 2 * LIKENESS_LAG; lag++)
        best = fmax(best, correlation(x, y + lag, n));
    return best;
}
