/* sound_file.h - read a sound file with libsndfile, mixed down to mono at the file's sample rate.
 *
 * Supported: WAV (also WAVEX and RF64), AIFF and AU with 8, 16, 24 or 32-bit, float, double, u-law or A-law samples; FLAC; OGG with Vorbis
 * or Opus; MP3 if libsndfile was built with it; 1 to 64 channels, 1 Hz to 768 kHz. libsndfile reads more formats, but their code is rarely
 * used and tested, which is a risk with hostile files: the first bytes of a file are checked before libsndfile opens it, and the codec
 * after that. */
#ifndef CLIO_SOUND_FILE_H
#define CLIO_SOUND_FILE_H

#include "sound_source.h"

#define SOUND_FILE_BLOCK 4096 /* most frames per read */
#define SOUND_FILE_CHANNELS 64
#define SOUND_FILE_RATE 768000

struct sound_file {
    const char *name; /* for messages; the caller's path */
    struct sound_source source;
    void *sndfile;           /* SNDFILE *, of one stream of the file */
    float *frames;           /* [SOUND_FILE_BLOCK, channels], interleaved */
    int channels, rate;      /* of this stream: the next one can have others */
    int single;              /* channel that was used where the channels cancel each other */
    uint64_t header_frames;  /* number of frames of this stream in its header; 0: unknown */
    uint64_t position;       /* frames read of this stream */
    uint64_t gap;            /* frames of silence still to be given in place of damaged ones */
    size_t held;             /* frames read and not yet given, behind that silence */
    double before;           /* seconds of the streams before this one */
    double damaged, missing; /* second at which the first damage begins, negative: none; seconds of silence in its place */
    double promised;         /* seconds that the header promises; 0: the file ends where its header says */
    bool is_cut, sizeless;   /* the rest was not read; the header has no size */
    bool understated;        /* the header has a smaller size than the file */
    bool unended;            /* an Ogg stream has no page that ends it */
    uint64_t invalid, read;  /* values (samples of all channels) that are NaN, infinite or too large; all values read */
};

/* path "-": standard input; path must outlive the struct. On failure f is closed. */
clio_status sound_file_open(clio_context *ctx, struct sound_file *f, const char *path);
/* Read the next frames of this stream, at most SOUND_FILE_BLOCK, as the mean of the channels; where the channels have opposite phase and
 * cancel each other, one of them. *count: their number, 0 at the end. Damaged parts are silent, if the file can be read behind them;
 * otherwise it ends there. Samples are sanitized before mixing. CLIO_ERROR_FILE: the disk failed. */
clio_status sound_file_read(clio_context *ctx, struct sound_file *f, float mono[SOUND_FILE_BLOCK], size_t *count);
/* Open the next stream of the file, after sound_file_read reached the end of this one. *more false: there is none. */
clio_status sound_file_next(clio_context *ctx, struct sound_file *f, bool *more);
/* For the other files of this module: open a path, or standard input for "-", as a seekable descriptor; mix `count` frames. */
clio_status sound_descriptor(clio_context *ctx, const char *path, const char *name, int *out);
void sound_file_mix(struct sound_file *f, size_t count, float *mono);
/* What is wrong with the file as far as it was read, in one sentence; false: nothing. */
bool sound_file_problem(const struct sound_file *f, char *text, size_t size);
/* Is this sample neither NaN nor infinite nor above 2^32, whose power spectrum would overflow a float? Recordings in float may exceed 1. */
bool sound_sample_is_valid(float sample);
/* Set the others to 0, in place. Returns their number. */
size_t sound_file_sanitize(float *samples, size_t count);
/* Say that `invalid` of `count` values are not; false: none. */
bool sound_invalid_problem(const char *name, uint64_t invalid, uint64_t count, char *text, size_t size);
/* Fail with the message for a file without a readable frame. */
clio_status sound_file_fail_empty(clio_context *ctx, const struct sound_file *f);
/* f may be partly opened, or zeroed with fd -1. */
void sound_file_close(struct sound_file *f);

#endif
