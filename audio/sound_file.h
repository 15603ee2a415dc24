/* sound_file.h - the frames of a sound file through libsndfile, mixed down to mono at the file's own rate.
 *
 * Read: WAV (also WAVEX and RF64), AIFF and AU with 8, 16, 24 or 32-bit, float, double, u-law or A-law samples; FLAC; OGG with Vorbis or
 * Opus; MP3 where libsndfile was built with it. libsndfile reads more, but much of it is rarely used and rarely tested code in the way of
 * hostile files: the first bytes of a file decide whether libsndfile sees it at all, and the list of codecs is checked after that.
 * 1 to 64 channels, 1 Hz to 768 kHz.
 */
#ifndef CLIO_SOUND_FILE_H
#define CLIO_SOUND_FILE_H

#include "../host/core/mem.h"

#define SOUND_FILE_BLOCK 4096 /* frames that one read gives at most */
#define SOUND_FILE_CHANNELS 64
#define SOUND_FILE_RATE 768000

struct sound_file {
    const char *name; /* for sentences; the caller's path */
    int fd;           /* -1: none */
    void *sndfile;    /* SNDFILE * */
    float *frames;    /* [SOUND_FILE_BLOCK, channels], interleaved */
    int channels, rate;
    uint64_t promised; /* frames that the header speaks of; 0: not known */
};

/* path "-" is standard input. `path` must outlive the struct. On failure everything is released. */
clio_status sound_file_open(clio_context *ctx, struct sound_file *f, const char *path);
/* The next frames, at most SOUND_FILE_BLOCK, as mono, the mean of the channels. 0 at the end; a file that is cut off or damaged ends where
 * decoding does. Samples pass through sound_file_silence before they are mixed. */
size_t sound_file_read(struct sound_file *f, float mono[SOUND_FILE_BLOCK]);
/* In place: samples that are no numbers, infinite, or beyond 2^32 (the power of whose spectrum would overflow a float) become 0. All
 * others are left as they are: recordings in float may go beyond 1. */
void sound_file_silence(float *samples, size_t count);
/* The sentence for a file of which not one frame could be read. */
clio_status sound_file_fail_empty(clio_context *ctx, const struct sound_file *f);
/* Safe on the zeroed and the half-built (fd -1). */
void sound_file_close(struct sound_file *f);

#endif
