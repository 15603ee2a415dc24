/* sound_file.h - read a sound file with libsndfile, mixed down to mono at the file's sample rate.
 *
 * Supported: WAV (also WAVEX and RF64), AIFF and AU with 8, 16, 24 or 32-bit, float, double, u-law or A-law samples; FLAC; OGG with Vorbis
 * or Opus; MP3 if libsndfile was built with it; 1 to 64 channels, 1 Hz to 768 kHz. libsndfile reads more formats, but their code is rarely
 * used and tested, which is a risk with hostile files: the first bytes of a file are checked before libsndfile opens it, and the codec
 * after that. */
#ifndef CLIO_SOUND_FILE_H
#define CLIO_SOUND_FILE_H

#include "../host/core/mem.h"

#define SOUND_FILE_BLOCK 4096 /* most frames per read */
#define SOUND_FILE_CHANNELS 64
#define SOUND_FILE_RATE 768000

struct sound_file {
    const char *name; /* for messages; the caller's path */
    int fd;           /* -1: none */
    void *sndfile;    /* SNDFILE * */
    float *frames;    /* [SOUND_FILE_BLOCK, channels], interleaved */
    int channels, rate;
    uint64_t header_frames; /* number of frames in the header; 0: unknown */
};

/* path "-": standard input; path must outlive the struct. On failure f is closed. */
clio_status sound_file_open(clio_context *ctx, struct sound_file *f, const char *path);
/* Read the next frames, at most SOUND_FILE_BLOCK, as the mean of the channels. Returns their number, 0 at the end; a truncated or damaged
 * file ends where decoding stops. Samples are sanitized before mixing. */
size_t sound_file_read(struct sound_file *f, float mono[SOUND_FILE_BLOCK]);
/* Set samples that are NaN, infinite, or above 2^32 (whose power spectrum would overflow a float) to 0, in place. Other samples are
 * unchanged: float recordings may exceed 1. */
void sound_file_sanitize(float *samples, size_t count);
/* Fail with the message for a file without a readable frame. */
clio_status sound_file_fail_empty(clio_context *ctx, const struct sound_file *f);
/* f may be partly opened, or zeroed with fd -1. */
void sound_file_close(struct sound_file *f);

#endif
