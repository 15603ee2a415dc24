/* sound.h - a recording as one stream of mono samples at the rate that a model wants, read in windows.
 * Whatever the file holds is mixed down by the mean of its channels and resampled as it is read: a recording of hours takes the memory of
 * one window. */
#ifndef CLIO_SOUND_H
#define CLIO_SOUND_H

#include "../host/core/mem.h"

#define SOUND_RATE 16000 /* samples a second of sound that is handed over in memory */
#define SOUND_BACK 16000 /* samples before the highest position asked for so far that can still be read */

struct sound;

/* Open a sound file, or standard input for "-", as mono samples at `rate` a second (1 to 768000).
 * CLIO_ERROR_FILE: it cannot be read; CLIO_ERROR_FORMAT: it is no sound, damaged, or has not one sample; CLIO_ERROR_UNSUPPORTED: it is
 * sound that clio does not read (sound_file.h says what it reads). */
clio_status sound_open(clio_context *ctx, struct sound **out, const char *path, int rate);
/* The same over mono samples in memory at SOUND_RATE; they are not copied and must outlive the sound. */
clio_status sound_open_samples(clio_context *ctx, struct sound **out, const float *samples, size_t count);

/* Samples position .. position+count of the stream into out. *got is how many there were: fewer than count only at the end of the
 * recording; zeros are filled in behind them. A file of n frames gives n * rate / file rate samples, rounded.
 * `position` moves forward; it may go back by at most SOUND_BACK from the highest position asked for so far (else CLIO_ERROR_INTERNAL). */
clio_status sound_read(struct sound *s, uint64_t position, size_t count, float *out, size_t *got);

/* Seconds, as the file's header promises; 0 when it does not say. A header may promise too much: only reading tells. */
double sound_duration(const struct sound *s);
/* Samples of the window now in memory, used or not: bounded by about twice the largest read plus SOUND_BACK. */
size_t sound_window(const struct sound *s);
void sound_close(struct sound *s);

#endif
