/* session.h - what transcribe and caption do alike: open the device, load the model, hear the files, print what the segments say, count. */
#ifndef CLIO_CLI_SESSION_H
#define CLIO_CLI_SESSION_H

#include "command.h"

struct session {
    const struct settings *set;
    clio_context *ctx;
    clio_speech *speech;
    char *model;                 /* its folder */
    bool prints, stamps, labels; /* segments go to standard output; with times; after the file's name */
    bool needs_output;           /* standard output is the only result: when it is gone, the work ends */
    int output_error;            /* errno of the first failed write to standard output */
    const char *file;            /* being heard */
    const struct words *files;   /* several, heard together: `file` is the one that the next segment is of; or NULL */
    bool named;                  /* its name was said */
    void (*on_heard)(struct session *s, size_t k, const clio_transcript *result);
    bool detects;                 /* the language */
    double offset, duration;      /* of it, as clio_speech_params has them */
    double heard, seconds;        /* of sound, and in hearing it */
    size_t done, failed, refused; /* files: heard; not; of these because of the arguments */
    bool unsaved, lost;           /* a result could not be written; the device failed, and would again */
};

/* Open the device as -d and --type say. */
clio_status session_device(struct session *s);
/* Open the device and load set->model (a folder or name; NULL: Whisper base). EXIT_DONE, or what to exit with: the sentence was said. */
int session_open(struct session *s, const struct settings *set);
/* Summary, profile and the exit code; closes everything. `code`: what session_open returned. */
int session_close(struct session *s, int code);
/* Transcribe one file, printing its segments. NULL when it failed and that was said; the caller frees the result. */
clio_transcript *session_hear(struct session *s, const char *file, clio_speech_params params);
/* Say the file's name before what is printed of it, where there are several. */
void session_name(const struct session *s, const char *file);
/* Transcribe all files, windows of several together, printing their segments; on_heard gets each result, in the order of the files. */
void session_hear_files(struct session *s, const struct words *files, clio_speech_params params,
                        void (*on_heard)(struct session *s, size_t k, const clio_transcript *result));
/* Should the next file be tried? */
bool session_goes_on(const struct session *s);
/* One line: version, device, model. */
void session_header(const struct session *s);
/* Say why the last call failed. Returns the exit code. */
int session_failed(struct session *s, clio_status st);
/* What was printed is handed on now; a failure is kept in output_error. Returns nonzero when there is no sense in going on. */
int session_flush(struct session *s);

/* Make s->ctx, a context that Ctrl-C cancels; the second one ends the program at once. false after a sentence. */
bool session_context(struct session *s, const struct settings *set);

/* Whether Ctrl-C (or a polite kill) came. */
int session_stopped(void);

/* "00:01:02.345", the point being `point`. */
void stamp_print(char out[32], double seconds, char point);

#endif
