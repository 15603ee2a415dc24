/* options.h - one table of options per command, from which both the parser and the help text are made. */
#ifndef CLIO_CLI_OPTIONS_H
#define CLIO_CLI_OPTIONS_H

#include "command.h"

#include <stddef.h>
#include <stdio.h>

enum option_kind {
    OPTION_ON,     /* int: 1 */
    OPTION_INT,    /* int within low to high */
    OPTION_SEED,   /* uint64_t */
    OPTION_SIGNED, /* int64_t, -1 allowed */
    OPTION_FLOAT,  /* float within low to high */
    OPTION_NUMBER, /* double within low to high */
    OPTION_MS,     /* double seconds, given in milliseconds, not negative */
    OPTION_TEXT,   /* const char * */
    OPTION_WORDS   /* struct words: may be given several times */
};

struct option_row {
    const char *names; /* every spelling with its dashes, separated by spaces; the help shows the first two */
    const char *value; /* name of the value in the help; NULL: takes none */
    enum option_kind kind;
    size_t field; /* offset in struct settings */
    double low, high;
    const char *help; /* '\n' begins a new line of the help's column */
};

#define FIELD(name) offsetof(struct settings, name)

/* Options that transcribe and caption share. */
#define OPTION_MODEL(text)                                                                                                                 \
    {                                                                                                                                      \
        "-m --model", "MODEL", OPTION_TEXT, FIELD(model), 0, 0, text                                                                       \
    }
#define OPTION_WEIGHT_TYPE                                                                                                                 \
    {                                                                                                                                      \
        "--type", "TYPE", OPTION_TEXT, FIELD(weight_type), 0, 0,                                                                           \
            "keep weights as f32 (nothing is rounded), f16 or\nq8_0 (8 bits for what writes text, faster on CPUs);\ndefault: what suits "  \
            "the device"                                                                                                                   \
    }
#define OPTION_FILE                                                                                                                        \
    {                                                                                                                                      \
        "-f --file", "FILE", OPTION_WORDS, FIELD(files), 0, 0, "a sound file; the same as naming it without -f"                            \
    }
#define OPTION_MAX_TOKENS                                                                                                                  \
    {                                                                                                                                      \
        "--max-tokens", "N", OPTION_INT, FIELD(params.max_tokens), 0, 448, "tokens per 30 seconds at most; 0: as the model allows"         \
    }

/* Read argv (argv[0] is the command's name) into *set. EXIT_DONE, or EXIT_USAGE with its sentence said. What is no option goes to files. */
int options_parse(const struct command *command, int argc, char **argv, struct settings *set);
void options_help(const struct command *command, FILE *out);

#endif
