/* session.h - what the commands share: open the device, load a Whisper model, transcribe files, print segments, count, close. */
#ifndef CLIO_CLI_SESSION_H
#define CLIO_CLI_SESSION_H

#include "command.h"

struct session {
    const struct settings *set;
    clio_context *ctx;
    clio_speech *speech;
    char *model;                 /* path of its folder or file */
    bool prints, stamps, labels; /* print segments on standard output; with timestamps; after the file's name */
    bool needs_output;           /* standard output is the only result: end when it cannot be written */
    int output_error;            /* errno of the first failed write to standard output */
    const char *file;            /* being transcribed */
    const struct words *files;   /* several, transcribed together: `file` is the one of the next segment; or NULL */
    bool named;                  /* its name was printed */
    void (*on_transcript)(struct session *s, size_t k, const clio_transcript *result);
    bool detects;                       /* the language */
    double offset, duration;            /* of it, as in clio_speech_params */
    double audio_seconds, wall_seconds; /* transcribed, and spent on it */
    size_t done, failed, refused;       /* files: transcribed; not; of these because of the arguments */
    bool unsaved, lost, incomplete;     /* a result could not be written; the device failed; the end of a file is missing */
};

/* Open the device of -d with the weight type of --type. */
clio_status session_device(struct session *s);
/* Open the device and load set->model (a folder or name; NULL: whisper-base). EXIT_DONE, or the exit code after a message. */
int session_open(struct session *s, const struct settings *set);
/* Print the summary and the profile, close everything and return the exit code. `code`: what session_open returned. */
int session_close(struct session *s, int code);
/* Transcribe one file and print its segments. NULL after a message; the caller frees the result. */
clio_transcript *session_transcribe(struct session *s, const char *file, clio_speech_params params);
/* EXIT_USAGE after a message, if Whisper has no such language. NULL or "auto": it is detected. */
int session_check_language(const struct command *self, const char *language);
/* Print the file's name before its segments, where there are several files. */
void session_print_name(const struct session *s, const char *file);
/* Transcribe all files with windows of several in one batch, and print their segments; on_transcript gets each result, in order. */
void session_transcribe_files(struct session *s, const struct words *files, clio_speech_params params,
                              void (*on_transcript)(struct session *s, size_t k, const clio_transcript *result));
/* Should the next file be tried? */
bool session_continues(const struct session *s);
/* Print one line: version, device, model. */
void session_header(const struct session *s);
/* Print why the last call failed. Returns the exit code. */
int session_failed(struct session *s, clio_status st);
/* Flush standard output; a failure is kept in output_error. Nonzero when there is no point in continuing. */
int session_flush(struct session *s);

/* Make s->ctx, a context that Ctrl-C cancels; a second Ctrl-C ends the program at once. false after a message. */
bool session_context(struct session *s, const struct settings *set);

/* Was there a SIGINT or SIGTERM? */
int session_stopped(void);

#endif
