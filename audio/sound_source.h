/* sound_source.h - the bytes of one stream of a sound file, as libsndfile reads them.
 *
 * A file can hold several streams one after the other (chained Ogg, joined FLAC, WAV or MP3 files), begin with a tag that libsndfile does
 * not skip, or have a header that is wrong while its samples are good (a recorder that crashed, a WAV above 4 GiB, a chunk that libsndfile
 * refuses). libsndfile sees one stream at a time, behind a header that is written anew where the file's own is not trusted. */
#ifndef CLIO_SOUND_SOURCE_H
#define CLIO_SOUND_SOURCE_H

#include "../host/core/mem.h"

#define SOUND_HEAD 128 /* most bytes of a new header */

struct sound_source {
    int fd;           /* seekable; -1: none */
    uint64_t size;    /* of the file */
    uint64_t start;   /* first byte of the stream, behind tags */
    uint64_t at, end; /* what libsndfile reads of it: the bytes at .. end of the file, */
    uint64_t next;    /* where the next stream begins; 0: not known */
    unsigned char head[SOUND_HEAD];
    size_t head_size;  /* behind a new header; 0: none */
    uint64_t promised; /* bytes of samples in the file's own header, if the file has fewer; else 0 */
    bool sizeless;     /* the header says that there are no samples, but they follow: read to the end of the file */
    bool understated;  /* the header has a smaller size than the samples that follow: read to the end of the file */
    bool unended;      /* no page ends the Ogg stream; */
    bool page_is_cut;  /* the file ends, or its next stream begins, within its last page */
    uint64_t position; /* of libsndfile, */
    uint64_t furthest; /* and the highest byte of the file that it has read */
    int error;         /* errno of a read that failed */
};

/* Read up to `size` bytes at `at`; fewer only at the end of the file or after an error. */
size_t source_bytes(struct sound_source *s, uint64_t at, void *out, size_t size);
/* Position of the first of the `size` bytes of `pattern` in from .. to; `to`: it is not there. */
uint64_t source_find(struct sound_source *s, uint64_t from, uint64_t to, const void *pattern, size_t size);
/* Number of bytes of the ID3v2 tags at `at`. */
uint64_t source_tag(struct sound_source *s, uint64_t at);

/* Find the extent of the stream at s->at and its header, by the format that its first bytes name. */
void source_begin(struct sound_source *s);
/* Set s->at to the stream behind this one, which libsndfile has read to its end; source_begin goes on. false: there is none. */
bool source_next(struct sound_source *s);

/* Whether samples go on behind `end`, where they end by their own size: the size of the whole says so (`whole`: its end), and no chunk has
 * its name there. */
bool source_goes_on(struct sound_source *s, uint64_t end, uint64_t whole);
/* Are these four bytes the name of a chunk: printable characters? */
bool source_is_name(const unsigned char *b);
/* sound_wav.c: the same for a RIFF file. */
void source_begin_wav(struct sound_source *s);
/* sound_ogg.c, sound_mp3.c, sound_aiff.c: the same for other formats. */
void source_begin_ogg(struct sound_source *s);
void source_begin_mp3(struct sound_source *s);
void source_begin_aiff(struct sound_source *s);
void source_begin_au(struct sound_source *s);
/* "Speex": the codec of an Ogg stream that libsndfile does not decode; NULL: Vorbis, Opus, or unknown. */
const char *source_ogg_codec(struct sound_source *s);

#endif
