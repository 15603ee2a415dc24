/* session.h - what the commands share: session_context.c makes contexts and shows their progress and failures, session_devices.c opens the
 * devices of -d and loads a model on each, session.c transcribes files, prints segments, counts and closes. */
#ifndef CLIO_CLI_SESSION_H
#define CLIO_CLI_SESSION_H

#include "command.h"

#define DEVICES_MAX 64

/* One of the devices of -d: a context with its model. */
struct session_device {
    clio_context *ctx;
    clio_speech *speech;
    clio_diffusion *diffusion;
    clio_embedder *embedder;
    size_t done; /* files or images */
};

struct session {
    const struct settings *set;
    clio_context *ctx; /* of devices[0] */
    struct session_device devices[DEVICES_MAX];
    size_t device_count;
    const struct session_device *by; /* the one that made the last result */
    char *model;                     /* path of its folder or file */
    bool prints, stamps, labels;     /* print segments on standard output; with timestamps; after the file's name */
    bool needs_output;               /* standard output is the only result: end when it cannot be written */
    int output_error;                /* errno of the first failed write to standard output */
    const char *file;                /* being transcribed */
    const struct words *files;       /* several, transcribed together: `file` is the one of the next segment; or NULL */
    bool named;                      /* its name was printed */
    void (*on_transcript)(struct session *s, size_t k, const clio_transcript *result);
    bool detects;                       /* the language */
    double offset, duration;            /* of it, as in clio_speech_params */
    double audio_seconds, wall_seconds; /* transcribed, and spent on it */
    size_t done, failed, refused;       /* files: transcribed; not; of these because of the arguments */
    bool unsaved, lost, incomplete;     /* a result could not be written; the device failed; the end of a file is missing */
};

/* Open the device of -d with the weight type of --type: where one device is used. Without -d each of several processes takes another one.
 */
clio_status session_device(struct session *s);
/* Processes that mpirun started. */
int session_ranks(void);
/* Whether -d names several devices. */
bool session_are_several(const char *device);
/* Open the devices of -d, at most `most` of them. EXIT_DONE, or the exit code after a message. */
int session_devices(struct session *s, size_t most);
/* Free the models and contexts of all devices. */
void session_close_devices(struct session *s);
/* Their names, for the caller to free. */
char *session_device_names(const struct session *s);
/* Device memory at its peak, in bytes, of all devices. */
uint64_t session_peak_memory(const struct session *s);
/* Where several devices worked, print how many files or images (`what`) each did. */
void session_print_shares(const struct session *s, const char *what);
/* Print self-tests and the times of kernels of all devices. */
void session_print_profiles(const struct session *s);
/* Load a model on each device; one that cannot is left out with a notice as long as another one can. EXIT_DONE, or the exit code after a
 * message. */
int session_load(struct session *s, clio_status (*load)(void *user, struct session_device *d), void *user);
/* Open the devices and load set->model (a folder or name; NULL: whisper-base). EXIT_DONE, or the exit code after a message. */
int session_open(struct session *s, const struct settings *set);
/* Print the summary and the profile, close everything and return the exit code. `code`: what session_open returned. */
int session_close(struct session *s, int code);
/* EXIT_USAGE after a message, if Whisper has no such language. NULL or "auto": it is detected. */
int session_check_language(const struct command *self, const char *language);
/* EXIT_USAGE after a message, if standard input ("-") is not one of these files at most, or several processes would have to share it. */
int session_check_stdin(const struct command *self, const struct words *files);
/* Transcribe the files of the command line and print their segments; on_transcript gets each result, in order. Several are done together
 * where there are several devices or processes, or windows of several in one batch. */
void session_transcribe(struct session *s, clio_speech_params params,
                        void (*on_transcript)(struct session *s, size_t k, const clio_transcript *result));
/* Print one line: version, device, model. */
void session_header(const struct session *s);
/* A further context with the settings of the command line. NULL after a message. */
clio_context *session_new_context(struct session *s);
/* Print a notice of the library, in the command's terms, unless -q was given. */
void session_notice(const struct session *s, const char *text);
/* Make it the one that s->ctx is and that Ctrl-C cancels. */
void session_use_context(struct session *s, clio_context *ctx);
/* Print why the last call failed. Returns the exit code. */
int session_failed(struct session *s, clio_status st);
/* The same of a sentence; detail: where in the code, or NULL. */
int session_failed_with(struct session *s, clio_status st, const char *sentence, const char *detail);
/* The same of a call with another context. */
int session_failed_on(struct session *s, clio_context *ctx, clio_status st);
/* Flush standard output; a failure is kept in output_error. Nonzero when there is no point in continuing. */
int session_flush(struct session *s);

/* Make s->ctx, a context that Ctrl-C cancels; a second Ctrl-C ends the program at once. false after a message. */
bool session_context(struct session *s, const struct settings *set);

/* Was there a SIGINT or SIGTERM? */
int session_stopped(void);

#endif
