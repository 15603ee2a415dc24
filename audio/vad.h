/* vad.h - voice activity detection, and the search for pauses at which a recording can be cut. */
#ifndef CLIO_AUDIO_VAD_H
#define CLIO_AUDIO_VAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether at least 90 ms of the sound are louder than its background: clear speech by 20 dB, speech in equally loud noise by 2 dB; silence,
 * noise, hum and clicks are not. Also true for music and changing noise: false means that there is certainly no speech. samples: 16 kHz;
 * only the first 30 s are used. */
bool vad_speech_found(const float *samples, size_t count);

/* Whether no two neighbouring samples differ by more than -70 dB: nothing, a constant, or a faint sound, which is not speech unless
 * vad_speech_found. */
bool vad_is_silent(const float *samples, size_t count);

/* How alike `length` samples from a on and from b on rise and fall, 0 to 1. Recordings of a
 * sentence that is repeated: 0.98; neighbouring parts of read speech: 0.24 on average, at most 0.45 on average over a window. */
double vad_likeness(const float *samples, uint64_t size, uint64_t a, uint64_t b, uint64_t length);

/* Number of samples of a full window up to the middle of the longest pause in its last 10 s; 16 kHz. Windows decoded in a batch cannot wait
 * for each other's timestamps, so each ends where a sentence probably ends. Not at the quietest position, which can be between two words
 * and causes errors (a recording of 738 words: 35 word errors; with the longest pause 23; sequentially 26). */
uint64_t vad_pause_end(const float *samples, uint64_t size);
/* Number of samples from `from` on in frames as loud as the speech of the whole window. */
uint64_t vad_loud_samples(const float *samples, uint64_t size, uint64_t from);

#endif
