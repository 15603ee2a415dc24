/* vad.h - voice activity detection, and pauses in which a recording may be cut. */
#ifndef CLIO_AUDIO_VAD_H
#define CLIO_AUDIO_VAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether some 90 ms of the sound stand out from its background: speech does, by 20 dB where it is clear and by 2 dB where the noise is as
 * loud; silence, hiss, hum and clicks do not. True of music and of changing noise as well: it tells what is certainly no speech.
 * samples: at 16 kHz; of more than 30 s, the first 30 count. */
bool vad_speech_found(const float *samples, size_t count);

/* Samples to take of a full window so that it ends in the middle of the longest pause in its last 10 s; 16 kHz. Windows decoded together
 * cannot wait for each other's timestamps, so each ends where a sentence probably does. Not where it is quietest: between two words it may
 * be as quiet, and what is cut there is heard wrongly (a recording of 738 words: 35 wrong; here 23, and 26 one window after the other). */
uint64_t vad_pause_end(const float *samples, uint64_t size);
/* How many of the samples from `from` on are as loud as the speech of the whole window is. */
uint64_t vad_loud_samples(const float *samples, uint64_t size, uint64_t from);

#endif
