/* command.h - what the parts of the command share: settings as the user gave them, the commands, how a message leaves.
 *
 * Results go to standard output or the named file, everything else to standard error. Every function that can end the command returns an
 * exit code. The command is a program, not the library: where the host is out of memory it says so and exits. */
#ifndef CLIO_CLI_COMMAND_H
#define CLIO_CLI_COMMAND_H

#include <clio.h>
#include <stdbool.h>

#if defined(__GNUC__)
#define CLI_PRINTF(f, a) __attribute__((format(printf, f, a), nonnull(f)))
#else
#define CLI_PRINTF(f, a)
#endif

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_STOPPED = 130 };

enum format { FORMAT_TXT, FORMAT_SRT, FORMAT_VTT, FORMAT_LRC, FORMAT_CSV, FORMAT_JSON, FORMATS };

/* Words of the command line, in their order. The words are argv's own. */
struct words {
    const char **items;
    size_t count;
};

/* Filled from the command line by options_parse. Texts are NULL and flags 0 where nothing was given. */
struct settings {
    const char *device, *cache; /* every command */
    int json, quiet, verbose, no_cache, help;
    const char *model, *weight_type, *task; /* transcribe, caption; the first two: imagine, too */
    int translate, no_timestamps, no_context, no_fallback, max_context;
    int formats[FORMATS], json_full;
    struct words files, names; /* names: -of, the k-th for the k-th file */
    clio_speech_params params;
    const char *purpose, *result; /* tune; result: imagine, too */
    float time_limit;             /* minutes */
    int list;
    clio_imagine_params imagine; /* imagine */
    clio_diffusion_params diffusion;
    const char *init_image, *mask, *rng, *show;
    struct words loras;
    int clip_skip, delay;      /* clip_skip counts from 1; delay: sample, too */
    const char *data, *config; /* train */
    struct words changes;
    int resume;
    struct words labels; /* sample */
    int columns, separate;
    const char *split, *features, *said, *heard, *captions, *references; /* eval */
    int count;
};

struct option_row;

struct command {
    const char *name, *synopsis, *about, *more; /* texts of the help; more: below the options, or NULL */
    const struct option_row *options;           /* ends with a row without names */
    int (*run)(const struct command *self, struct settings *set);
};

extern const struct command command_devices, command_transcribe, command_caption, command_tune, command_imagine, command_train,
    command_sample, command_eval;

/* "clio: ..." with a line end, on standard error, after the progress bar was cleared. */
void say_error(const char *format, ...) CLI_PRINTF(1, 2);
/* The same, followed by where the options are explained. Returns EXIT_USAGE. */
int say_usage(const struct command *command, const char *format, ...) CLI_PRINTF(2, 3);

/* That standard output could not be written, for the reason `error` (an errno). */
void say_output_error(int error);

/* Memory, or the end of the program with a sentence. */
void *must_alloc(size_t size);
/* printf into memory that the caller frees. */
char *must_print(const char *format, ...) CLI_PRINTF(1, 2);
void words_add(struct words *words, const char *word);

#endif
