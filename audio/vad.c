/* vad.c - see activity.h.
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

#include <stdlib.h>

#define FRAME 480
#define FRAMES_AT_MOST 1000 /* 30 s */
#define SUSTAINED 3         /* frames */
#define RATIO 1.585f        /* 2 dB */
#define FLOOR 1e-9f         /* -90 dB, the last bit of 16: background of what is digitally silent */

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

bool activity_found(const float *samples, size_t count)
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
    qsort(energy, frames, sizeof *energy, compare);
    return loudest > RATIO * energy[frames / 10];
}
