/* options.h - one table of options per command. The parser, --help, the man page, completions and `clio --generate options` read it. */
#ifndef CLIO_CLI_OPTIONS_H
#define CLIO_CLI_OPTIONS_H

#include "command.h"

#include <stddef.h>

enum option_type {
    OPTION_SWITCH,  /* int: 1 */
    OPTION_INTEGER, /* int */
    OPTION_SEED,    /* uint64_t; with `random`, -1 is a random one */
    OPTION_FLOAT,   /* float */
    OPTION_DOUBLE,  /* double */
    OPTION_MS,      /* double in seconds, given in whole milliseconds, or in seconds with an "s" behind it */
    OPTION_TEXT,    /* const char * */
    OPTION_CHOICE,  /* const char *, one of `choices` */
    OPTION_FILE,    /* const char *: path of a file */
    OPTION_FOLDER,  /* const char *: path of a folder */
    OPTION_MODEL    /* const char *: path or name of a model */
};

struct option_row {
    const char *names;    /* every spelling with its dashes, separated by spaces */
    const char *argument; /* name of the value; NULL: takes none */
    enum option_type type;
    size_t field;  /* offset in struct settings */
    size_t random; /* of a seed that may be -1: the int that is set to 1 then; 0: it may not */
    bool repeats;  /* may be given several times; the field is a struct words */
    double low, high;
    const char *const *choices;  /* of OPTION_CHOICE; ends with NULL */
    const char *(*values)(void); /* other texts: the values that the library knows, separated by ", "; may be NULL */
    const char *initial;         /* default in words; NULL: what the field holds before the command line is read */
    const char *group;           /* heading that begins at this row; NULL: the one before */
    const char *help;            /* a line or a paragraph */
    const char *more;            /* further paragraphs, for the man page only; may be NULL */
};

#define FIELD(name) offsetof(struct settings, name)
#define CHOICES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS_END                                                                                                                        \
    {                                                                                                                                      \
        .names = NULL                                                                                                                      \
    }

/* Frames of an animation, for imagine and sample. */
#define OPTIONS_ANIMATION                                                                                                                  \
    {.names = "--frames",                                                                                                                  \
     .argument = "N",                                                                                                                      \
     .type = OPTION_INTEGER,                                                                                                               \
     .field = FIELD(frames),                                                                                                               \
     .low = 2,                                                                                                                             \
     .high = 1000,                                                                                                                         \
     .help = "number of frames, both ends included"},                                                                                      \
    {                                                                                                                                      \
        .names = "--delay", .argument = "MS", .type = OPTION_INTEGER, .field = FIELD(delay), .low = 1, .high = 60000,                      \
        .help = "milliseconds that each frame is shown"                                                                                    \
    }

/* Rows that several commands share. */
#define OPTION_WEIGHT_TYPE(...)                                                                                                            \
    {                                                                                                                                      \
        .names = "--type", .argument = "TYPE", .type = OPTION_CHOICE, .field = FIELD(weight_type),                                         \
        .choices = CHOICES("f32", "f16", "q8_0"), .initial = "what suits the device", __VA_ARGS__                                          \
    }
#define OPTION_AUDIO_FILE                                                                                                                  \
    {                                                                                                                                      \
        .names = "-f --file", .argument = "FILE", .type = OPTION_FILE, .field = FIELD(files), .repeats = true, .group = "Input",           \
        .help = "an audio file; the same as naming it without -f"                                                                          \
    }
#define OPTION_MAX_TOKENS                                                                                                                  \
    {                                                                                                                                      \
        .names = "--max-tokens", .argument = "N", .type = OPTION_INTEGER, .field = FIELD(params.max_tokens), .high = 448,                  \
        .help = "tokens per window of 30 seconds at most; 0: as many as the model allows"                                                  \
    }

/* Options of every command. */
extern const struct option_row common_options[];

/* Settings of a command before the command line is read. */
struct settings options_initial(const struct command *command);
/* Read argv (argv[0] is the command's name) into *set. EXIT_DONE, or EXIT_USAGE after a message. Operands go to set->files. */
int options_parse(const struct command *command, int argc, char **argv, struct settings *set);
#define MS_MAX 1e12 /* of OPTION_MS: a billion seconds, the library's limit */
/* Was the option with this field given? */
bool option_given(const struct settings *set, size_t field);
/* EXIT_USAGE after a message if one of these options was given: "-b has no effect WHERE: leave it out". */
int options_refuse(const struct command *command, const struct settings *set, const size_t *fields, size_t count, const char *where);

/* Texts about a row; the caller frees them. Range: "0 to 1", "at least 0", "cpu or cuda"; NULL: any value, and seeds. Default: "0.2", or
 * NULL. */
char *option_range(const struct option_row *row);
char *option_default(const struct option_row *row, const struct settings *initial);
/* The n-th value of `choices` or `values`, with its length; NULL past the end. */
const char *option_value(const struct option_row *row, size_t n, size_t *length);

#endif
