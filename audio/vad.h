/* vad.h - could there be speech in a piece of sound at all? */
#ifndef CLIO_AUDIO_VAD_H
#define CLIO_AUDIO_VAD_H

#include <stdbool.h>
#include <stddef.h>

/* Whether some 90 ms of the sound stand out from its background: speech does, by 20 dB where it is clear and by 2 dB where the noise is as
 * loud; silence, hiss, hum and clicks do not. True of music and of changing noise as well: it tells what is certainly no speech.
 * samples: at 16 kHz; of more than 30 s, the first 30 count. */
bool activity_found(const float *samples, size_t count);

#endif
