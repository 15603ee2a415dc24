/* job.h - one recording on its way to a transcript, between transcribe.c (the public calls), listen.c (windows) and segments.c (cutting
 * what a window says). */
#ifndef CLIO_MODELS_JOB_H
#define CLIO_MODELS_JOB_H

#include "speech.h"

#define BATCH_AT_MOST 32 /* windows decoded together */

struct transcript {
    clio_transcript public; /* first: the caller's pointer is this one */
    clio_segment *segments;
    size_t capacity;
    struct bytes text;
};

struct job {
    clio_speech *speech;
    clio_context *ctx;
    const clio_speech_params *params;
    struct sound *sound;
    struct transcript *transcript;
    struct speech_request request;
    int batch;
    int *before, *prefix; /* owned; the request points at them */
    size_t before_capacity;
    uint64_t begin, end; /* samples to hear; end UINT64_MAX: all */
    bool detects;        /* the language is not named, */
    bool detected;       /* and was found last in a window where speech is possible */
    bool heard;          /* a window was kept: its language holds for the rest */
};

/* Walk the recording from job->begin to its end or job->end, adding segments to the transcript. */
clio_status job_listen(struct job *job);

/* Put the request's language into the transcript; if it is to be detected, detect it in the window encoded as `row`. */
clio_status job_name_language(struct job *job, int row);

/* Cut a window's answer into segments; how many samples to go on by. `size`: samples of sound in the window. alone: the next window does
 * not depend on this one, so that what follows the last pair of timestamps is kept rather than heard again. */
clio_status job_cut(struct job *job, const struct speech_result *r, uint64_t position, uint64_t size, bool alone, uint64_t *advance);

#endif
