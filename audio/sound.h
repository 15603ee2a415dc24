/* sound.h - a recording as a stream of mono samples at the sample rate of a model, read in windows.
 * Files are mixed down to mono and resampled while they are read, so a recording of hours needs the memory of one window. */
#ifndef CLIO_SOUND_H
#define CLIO_SOUND_H

#include "../host/core/mem.h"

#define SOUND_RATE 16000 /* sample rate of sound_open_samples */
#define SOUND_PROBLEM 640
#define SOUND_BACK 16000 /* samples before the highest position read so far that can be read again */

struct sound;

/* Open a sound file, or standard input for "-", as mono samples at sample rate `rate` (1 to 768000).
 * CLIO_ERROR_FILE: it cannot be read; CLIO_ERROR_FORMAT: not a sound file, damaged, or without samples; CLIO_ERROR_UNSUPPORTED: a format
 * that is not supported (see sound_file.h). */
clio_status sound_open(clio_context *ctx, struct sound **out, const char *path, int rate);
/* The same for mono samples in memory at SOUND_RATE; they are not copied and must outlive the sound. */
clio_status sound_open_samples(clio_context *ctx, struct sound **out, const float *samples, size_t count);

/* Read the samples position .. position + count into out. *got: samples read, fewer than count only at the end of the recording; the rest
 * of out is filled with zeros. A file of n frames has n * rate / file rate samples, rounded. position may go back at most SOUND_BACK from
 * the highest position so far (else CLIO_ERROR_INTERNAL). */
clio_status sound_read(struct sound *s, uint64_t position, size_t count, float *out, size_t *got);

/* "talk.wav", "standard input" or "the samples", for messages. */
const char *sound_name(const struct sound *s);
/* What is wrong with the file as far as it was read (damage, a missing end, a wrong length in its header, values that are not finite), in
 * one sentence that names it; false: nothing. */
bool sound_problem(const struct sound *s, char text[SOUND_PROBLEM]);
/* The end of the recording is missing, or could not be read. */
bool sound_is_cut(const struct sound *s);
/* Duration in seconds: at the end of the recording its real one, before that the one in the file's header, which may turn out to be wrong
 * or of the first of several streams; 0: unknown. */
double sound_duration(const struct sound *s);
/* Allocated samples: at most about twice the largest read plus SOUND_BACK. */
size_t sound_window(const struct sound *s);
void sound_close(struct sound *s);

#endif
