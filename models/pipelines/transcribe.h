/* transcribe.h - transcription of recordings longer than a window: transcribe.c (public functions), transcribe_parallel.c (several
 * devices), transcribe_job.c (one recording),
 * transcribe_windows.c (the loop over windows), transcribe_fallback.c (their decoding), transcribe_segments.c (segments from a window's
 * tokens). Source: openai/whisper, transcribe.py. */
#ifndef CLIO_MODELS_PIPELINES_TRANSCRIBE_H
#define CLIO_MODELS_PIPELINES_TRANSCRIBE_H

#include "speech.h"
#include "../../host/core/require.h"

#define MAX_BATCH_SIZE 32 /* windows decoded together at most */

struct transcript {
    clio_transcript public; /* must be first: the caller's pointer points at it */
    clio_segment *segments;
    size_t capacity;
    struct bytes text;
    char *incomplete;
};

/* One public call: what its recordings have in common. */
struct call {
    clio_speech *speech;
    clio_context *ctx;
    const clio_speech_params *params;
    int batch, language;      /* token of the language the caller chose, -1: detect it */
    const char *const *paths; /* several files, opened one after the other, whose transcripts go to on_file; NULL: one recording, */
    struct sound *sound;      /* already open and owned by the call, */
    clio_transcript **out;    /* whose transcript goes here */
    clio_file_fn on_file;
    size_t count, begun; /* recordings in all; recordings begun */
};

/* One recording. */
struct job {
    clio_speech *speech;
    clio_context *ctx;
    const clio_speech_params *params;
    size_t index;        /* of the recording in the call */
    struct sound *sound; /* NULL once it is read to its end */
    struct transcript *transcript;
    struct speech_request request;
    struct speech_row options; /* of the next window; language -1 until it is detected */
    int *previous, *prefix;    /* owned; the request points at them */
    size_t previous_capacity;
    uint64_t begin, end, position; /* samples to transcribe, end UINT64_MAX: to the end; start of the next window */
    bool more;                     /* there may be another window */
    double length;                 /* seconds according to the header; 0: not known */
    clio_status status;            /* why this recording cannot be transcribed; `failure` has the message */
    struct status_text failure;
    char problem[SOUND_PROBLEM]; /* of the recording that was read; "": none */
    bool is_cut;                 /* its end is missing */
};

/* Check the parameters for a model, and make the call. params NULL: *defaults takes their place. */
clio_status call_open(struct call *call, struct caller at, clio_speech *s, const clio_speech_params *params, clio_speech_params *defaults);
/* Check that these are file names. */
clio_status call_check_paths(clio_context *ctx, struct caller at, const char *const *paths, size_t count);
/* The decoder prefix: the caller's, else the model folder's; NULL: none. */
const char *call_prefix(const struct call *call);
/* Begin the call's next recording. A file that cannot be opened gives a failed job without windows. */
clio_status job_begin(struct call *call, struct job *job);
/* Record the context's last failure as the failure of this recording; the others go on. */
void job_failed(struct job *job, clio_status st);
/* Close the recording once all of it is read, and keep what was wrong with it. */
void job_close_sound(struct job *job);
/* Return the job's transcript, or its failure, to the caller. */
clio_status job_finish(struct call *call, struct job *job);
void job_free(struct job *job);

/* Transcribe all recordings of the call window by window, and return their transcripts in order. */
clio_status call_transcribe(struct call *call);

/* Split a window's tokens into segments at its timestamps and add them to the transcript. position, size: first sample and samples of the
 * window. *advance: samples from its start to the start of the next window. independent: the next window does not begin where this one's
 * last segment ends, so tokens after the last pair of timestamps are kept instead of being transcribed again. */
clio_status job_add_segments(struct job *job, const struct speech_result *r, uint64_t position, uint64_t size, bool independent,
                             uint64_t *advance);

#endif
