/* pause.h - where a recording may be cut, by its sound alone. */
#ifndef CLIO_AUDIO_PAUSE_H
#define CLIO_AUDIO_PAUSE_H

#include <stdint.h>

/* Samples to take of a full window so that it ends in the middle of the longest pause in its last 10 s; 16 kHz. Windows decoded together
 * cannot wait for each other's timestamps, so each ends where a sentence probably does. Not where it is quietest: between two words it may
 * be as quiet, and what is cut there is heard wrongly (a recording of 738 words: 35 wrong; here 23, and 26 one window after the other). */
uint64_t pause_end(const float *samples, uint64_t size);
/* How many of the samples from `from` on are as loud as the speech of the whole window is. */
uint64_t pause_loud(const float *samples, uint64_t size, uint64_t from);

#endif
