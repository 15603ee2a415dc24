/* vad.c - see vad.h.
 *
 * Whisper says words over sounds that hold none ("Thank you.", "you"), and finds them likely: the model's own no-speech probability is high
 * then, but openai/whisper believes it only where the text is unlikely. This measure is the second witness: over the first difference of
 * the sound (which takes rumble and hum away and makes their spectrum flat),
 *
 *     energy[k]  of frame k, 30 ms
 *     loudest    = max over k of min(energy[k], energy[k + 1], energy[k + 2])      a click is shorter than three frames
 *     background = the energy that a tenth of the frames stay below
 *     activity   = loudest / background
 *
 * White, pink and brown noise, hum and clicks: 0.2 to 1.2 dB. 32 telephone prompts and five windows of read speech: 20 to 60 dB; a
 * recording in white noise of its own power: 2.4 dB. Rejected: a threshold on loudness alone (speech may be recorded at -60 dB, hiss be
 * louder); a trained detector (a second network). */
#include "vad.h"
#include "../host/core/mem.h"

#include <math.h>
#include <stdlib.h>

#define FRAME 480
#define FRAMES_AT_MOST 1000 /* 30 s */
#define SUSTAINED 3         /* frames */
#define RATIO 1.585f        /* 2 dB */
#define FLOOR 1e-9f         /* -90 dB, the last bit of 16: background of what is digitally silent */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

bool vad_speech_found(const float *samples, size_t count)
{
    float energy[FRAMES_AT_MOST], loudest = 0;
    size_t frames = count > 0 ? (count - 1) / FRAME : 0;
    if (frames > FRAMES_AT_MOST)
        frames = FRAMES_AT_MOST;
    if (frames < SUSTAINED)
        return false;
    for (size_t k = 0; k < frames; k++) {
        const float *x = samples + k * FRAME;
        float sum = 0;
        for (size_t i = 0; i < FRAME; i++)
            sum += (x[i + 1] - x[i]) * (x[i + 1] - x[i]);
        energy[k] = sum / FRAME + FLOOR;
    }
    for (size_t k = 0; k + SUSTAINED <= frames; k++) {
        float least = energy[k];
        for (size_t i = 1; i < SUSTAINED; i++)
            least = energy[k + i] < least ? energy[k + i] : least;
        loudest = least > loudest ? least : loudest;
    }
    qsort(energy, frames, sizeof *energy, compare_floats);
    return loudest > RATIO * energy[frames / 10];
}

/* ---- pauses: energies of frames of 10 ms, relative to the window's mean, so that the level of the recording does not count ---- */

#define PAUSE_SEARCH 160000 /* samples */
#define PAUSE_FRAME 160     /* samples whose energy is one number */
#define PAUSE_FRAMES (PAUSE_SEARCH / PAUSE_FRAME)
#define PAUSE_BELOW 1e-3 /* of the window's mean energy: a pause is 30 dB quieter, */
#define PAUSE_ABOVE 2.0  /* or as quiet as a background that has less than twice the energy which a twentieth of the frames stay below */
#define LOUD 0.05        /* of the window's mean energy */

static int compare_doubles(const void *a, const void *b)
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

uint64_t vad_pause_end(const float *samples, uint64_t size)
{
    double energy[PAUSE_FRAMES], sorted[PAUSE_FRAMES];
    uint64_t frames = MIN(size, PAUSE_SEARCH) / PAUSE_FRAME, first = size - frames * PAUSE_FRAME, best = frames, longest = 0, run = 0;
    for (uint64_t k = 0; k < frames; k++)
        sorted[k] = energy[k] = energy_of(samples + first + k * PAUSE_FRAME, PAUSE_FRAME);
    qsort(sorted, (size_t)frames, sizeof *sorted, compare_doubles);
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

uint64_t vad_loud_samples(const float *samples, uint64_t size, uint64_t from)
{
    double limit = LOUD * energy_of(samples, size);
    uint64_t loud = 0;
    for (; from + PAUSE_FRAME <= size; from += PAUSE_FRAME)
        loud += energy_of(samples + from, PAUSE_FRAME) > limit ? PAUSE_FRAME : 0;
    return loud;
}
