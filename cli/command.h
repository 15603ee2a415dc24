/* command.h - what the parts of the command share: settings as the user gave them, and how a command describes itself.
 *
 * Results go to standard output or the named file, everything else to standard error. Every function that can end the command returns an
 * exit code. */
#ifndef CLIO_CLI_COMMAND_H
#define CLIO_CLI_COMMAND_H

#include <clio.h>
#include <stdbool.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define OPTIONS_MAX 96 /* of one command, counted with the common ones */

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_STOPPED = 130 };

enum format { FORMAT_TXT, FORMAT_SRT, FORMAT_VTT, FORMAT_LRC, FORMAT_CSV, FORMAT_JSON, FORMATS };

/* Words of the command line, in order. They point into argv. */
struct words {
    const char **items;
    size_t count;
};

struct option_row;

/* Filled from the command line by options_parse. Texts are NULL and flags 0 unless the command's defaults say otherwise. */
struct settings {
    const char *command;                         /* its name */
    const struct option_row *given[OPTIONS_MAX]; /* options on the command line, for option_given */
    size_t given_count;
    const char *device, *cache; /* every command */
    int json, quiet, verbose, no_cache, help;
    const char *model, *weight_type; /* -m, --type */
    const char *result;              /* -o */
    struct words files;              /* operands, and -f */
    const char *task;                /* transcribe, caption */
    int translate, no_timestamps, no_context, no_fallback, max_context;
    int formats[FORMATS], json_full;
    struct words names; /* -of: the k-th for the k-th file */
    clio_speech_params params;
    clio_imagine_params imagine;     /* imagine; sample uses its seeds and frames */
    clio_diffusion_params diffusion; /* imagine: how the model is loaded */
    const char *init_image, *mask, *rng, *show;
    struct words loras;
    const char *mode;
    int threads, flash_attention;
    int frames, delay;         /* sample, too */
    const char *data, *config; /* train; data: eval, too */
    struct words assignments;  /* --set */
    int resume, list;          /* list: tune, too */
    struct words labels;       /* sample */
    int columns, separate;
    const char *split, *features, *reference, *hypothesis, *captions, *references; /* eval */
    int count;                                                                     /* eval, sample */
    const char *workload;                                                          /* tune */
    float time_limit;                                                              /* minutes */
    int quick, compare;                                                            /* bench */
    const char *filter;
    float threshold;             /* percent */
    const char *lines, *pooling; /* embed: -f, --pooling */
    int batch, normalize;
};

/* Texts of help and man page are paragraphs, separated by an empty line; words between backquotes are set in bold. */

struct term { /* of a list; ends with a NULL name */
    const char *name, *text;
};

struct section {              /* of a man page; ends with a NULL title */
    const char *title, *text; /* text may be NULL */
    const struct term *terms; /* may be NULL */
};

struct example { /* ends with a NULL line */
    const char *line, *comment;
};

enum operands { OPERANDS_NONE, OPERANDS_AUDIO, OPERANDS_IMAGES, OPERANDS_REPORTS, OPERANDS_TEXTS, OPERANDS_TRAIN_MODEL };

struct command {
    const char *name;
    const char *summary;                    /* one line, without a full stop */
    const char *synopsis;                   /* behind the name; '\n' separates alternatives */
    const char *description;                /* paragraphs */
    const struct option_row *options;       /* ends with a row without names */
    const struct section *sections;         /* man page only; may be NULL */
    const struct example *examples;         /* may be NULL */
    enum operands operands;                 /* what words without a dash are */
    bool several_devices;                   /* -d may name more than one */
    void (*defaults)(struct settings *set); /* where they differ from zero and from the library's; may be NULL */
    int (*run)(const struct command *self, struct settings *set);
};

extern const struct command command_devices, command_transcribe, command_caption, command_tune, command_imagine, command_train,
    command_sample, command_eval, command_embed, command_bench;

#endif
