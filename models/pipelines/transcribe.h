/* transcribe.h - recordings on their way to transcripts, between transcribe.c (the public calls), listen.c (windows) and segments.c
 * (cutting what a window says). */
#ifndef CLIO_MODELS_PIPELINES_TRANSCRIBE_H
#define CLIO_MODELS_PIPELINES_TRANSCRIBE_H

#include "speech.h"

#define BATCH_AT_MOST 32 /* windows decoded together */

struct transcript {
    clio_transcript public; /* first: the caller's pointer is this one */
    clio_segment *segments;
    size_t capacity;
    struct bytes text;
};

/* One public call: what its recordings share. */
struct call {
    clio_speech *speech;
    clio_context *ctx;
    const clio_speech_params *params;
    int batch, language;      /* the token of the language asked for, or -1 */
    const char *const *paths; /* several files, opened one after the other and handed to on_file; NULL: one recording, */
    struct sound *sound;      /* open already, and owned by the call from here on, */
    clio_transcript **out;    /* which goes here */
    clio_file_fn on_file;
    size_t count, begun; /* recordings: all; of these begun */
};

/* One recording. */
struct job {
    clio_speech *speech;
    clio_context *ctx;
    const clio_speech_params *params;
    size_t index;        /* of the call's recordings */
    struct sound *sound; /* NULL as soon as it is read to its end */
    struct transcript *transcript;
    struct speech_request request;
    struct speech_row own; /* of the next window; its language -1 until speech was found */
    int *before, *prefix;  /* owned; the request points at them */
    size_t before_capacity;
    uint64_t begin, end, position; /* samples to hear, end UINT64_MAX: all; where the next window begins */
    bool more;                     /* there may be another window */
    double length;                 /* seconds, as its header promises; 0: not known */
    clio_status status;            /* why this recording, and no other, cannot be heard: `failure` says it */
    struct status_text failure;
};

/* The decoder prefix: the caller's, else the model folder's; or NULL. */
const char *call_prefix(const struct call *call);
/* Begin with the call's next recording. A file that cannot be opened is a job without windows. */
clio_status job_begin(struct call *call, struct job *job);
/* The context's last failure is this recording's alone. */
void job_failed(struct job *job, clio_status st);
/* Nothing is read from it any more. */
void job_close_sound(struct job *job);
/* Hand the job's transcript, or its failure, to the caller. */
clio_status job_finish(struct call *call, struct job *job);
void job_free(struct job *job);

/* Walk all recordings of the call, window by window, and hand them over in their order. */
clio_status call_transcribe(struct call *call);

/* Cut a window's answer into segments; how many samples to go on by. `size`: samples of sound in the window. alone: the next window does
 * not depend on this one, so that what follows the last pair of timestamps is kept rather than heard again. */
clio_status job_cut(struct job *job, const struct speech_result *r, uint64_t position, uint64_t size, bool alone, uint64_t *advance);

#endif
