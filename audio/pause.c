/* pause.c - see pause.h. Energies of frames of 10 ms are compared with the window's own, so that the recording's level does not count. */
#include "pause.h"
#include "../host/core/mem.h"

#include <math.h>
#include <stdlib.h>

#define PAUSE_SEARCH 160000 /* samples */
#define PAUSE_FRAME 160     /* samples whose energy is one number */
#define PAUSE_FRAMES (PAUSE_SEARCH / PAUSE_FRAME)
#define PAUSE_BELOW 1e-3 /* of the window's mean energy: a pause is 30 dB quieter, */
#define PAUSE_ABOVE 2.0  /* or as quiet as a background that has less than twice the energy which a twentieth of the frames stay below */
#define LOUD 0.05        /* of the window's mean energy */

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

uint64_t pause_end(const float *samples, uint64_t size)
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

uint64_t pause_loud(const float *samples, uint64_t size, uint64_t from)
{
    double limit = LOUD * energy_of(samples, size);
    uint64_t loud = 0;
    for (; from + PAUSE_FRAME <= size; from += PAUSE_FRAME)
        loud += energy_of(samples + from, PAUSE_FRAME) > limit ? PAUSE_FRAME : 0;
    return loud;
}
