/* options.c - the parser of the command line, on getopt_long_only, which takes -otxt and -of NAME as users of whisper.cpp type them.
 *
 * getopt never sees a word that is not exactly an option: it would take -di for "-d i", and --temp for --temperature. Every spelling,
 * of one letter or more, is registered as a long option, so that no value can be glued to a letter. A word that is an option is not
 * taken as the value of the option before it (-of -osrt); -of=-osrt is. "-" in the short options makes getopt return every word in
 * order, so that argv[optind] is the word being read. */
#define _GNU_SOURCE
#include "options.h"
#include "foreign.h"
#include "say.h"
#include "spelling.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SPELLINGS (3 * OPTIONS_MAX)
#define SPELLING_BYTES 32

const struct option_row common_options[] = {
    {.names = "-d -dev --device",
     .argument = "DEVICE",
     .type = OPTION_TEXT,
     .field = FIELD(device),
     .initial = "$CLIO_DEVICE, else the best device",
     .group = "Common",
     .help = "OpenCL device: an index or a name that clio devices shows, or platform:type:name with any part left out; for transcribe, "
             "caption, imagine and bench also several (0,2), or all",
     .more =
         "Each part matches case-insensitively as a part of the name: `gpu`, `:cpu`, `::7900`. Several devices share a list of files or "
         "a batch of images; each takes work by its measured speed."},
    {.names = "--json", .type = OPTION_SWITCH, .field = FIELD(json), .help = "print the result as JSON on standard output"},
    {.names = "-q --quiet -np --no-prints", .type = OPTION_SWITCH, .field = FIELD(quiet), .help = "print results and errors only"},
    {.names = "-v --verbose",
     .type = OPTION_SWITCH,
     .field = FIELD(verbose),
     .help = "profile every kernel and print a table at the end; add the source location to errors",
     .more = "The table has calls, device time, share of the time, GFLOP/s and GB/s of each kernel, and the peak device memory. Profiling "
             "slows the run down a little."},
    {.names = "--no-cache",
     .type = OPTION_SWITCH,
     .field = FIELD(no_cache),
     .help = "compile all kernels anew; neither read nor write the cache of compiled kernels"},
    {.names = "--cache-dir",
     .argument = "DIR",
     .type = OPTION_FOLDER,
     .field = FIELD(cache),
     .initial = "$CLIO_CACHE_DIR, else ~/.cache/clio",
     .help = "folder of the cache of compiled kernels"},
    {.names = "-h --help", .type = OPTION_SWITCH, .field = FIELD(help), .help = "print this help and exit"},
    OPTIONS_END,
};

/* The command's options and the common ones, as getopt_long_only takes them: val is the number of the row. */
struct parser {
    const struct option_row *rows[OPTIONS_MAX];
    struct option longs[SPELLINGS + 1];
    char names[SPELLINGS][SPELLING_BYTES];
    size_t dashes[SPELLINGS];
    size_t row_count, long_count;
};

static void add_rows(struct parser *p, const struct option_row *row)
{
    for (; row->names; row++) {
        for (const char *word = row->names; *word; word += strspn(word, " ")) {
            size_t length = strcspn(word, " "), dashes = strspn(word, "-");
            char *name = p->names[p->long_count];
            snprintf(name, SPELLING_BYTES, "%.*s", (int)(length - dashes), word + dashes);
            p->dashes[p->long_count] = dashes;
            p->longs[p->long_count++] =
                (struct option){.name = name, .has_arg = row->argument ? required_argument : no_argument, .val = (int)p->row_count};
            word += length;
        }
        p->rows[p->row_count++] = row;
    }
}

static const struct option_row *find_spelling(const struct parser *p, const char *word)
{
    for (size_t i = 0; *word == '-' && i < p->row_count; i++)
        if (spelling_matches(p->rows[i]->names, word))
            return p->rows[i];
    return NULL;
}

bool option_given(const struct settings *set, size_t field)
{
    for (size_t i = 0; i < set->given_count; i++)
        if (set->given[i]->field == field)
            return true;
    return false;
}

int options_refuse(const struct command *command, const struct settings *set, const size_t *fields, size_t count, const char *where)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < set->given_count; k++)
            if (set->given[k]->field == fields[i])
                return say_usage(command, "%.*s has no effect %s: leave it out", (int)strcspn(set->given[k]->names, " "),
                                 set->given[k]->names, where);
    return EXIT_DONE;
}

/* ---- values ---- */

/* NULL: the field was set. Otherwise what the value must be; the caller frees it. */
static char *set_number(const struct option_row *row, const char *value, struct settings *set)
{
    void *field = (char *)set + row->field;
    char *end, *range = option_range(row), *wanted;
    bool whole = row->type == OPTION_INTEGER;
    double number;
    errno = 0;
    if (row->type == OPTION_SEED) {
        bool random = row->random && !strcmp(value, "-1");
        unsigned long long seed = random ? 0 : strtoull(value, &end, 10);
        if (row->random)
            *(int *)((char *)set + row->random) = random;
        if (random || (*value >= '0' && *value <= '9' && !*end && !errno && seed <= UINT64_MAX)) {
            *(uint64_t *)field = seed;
            free(range);
            return NULL;
        }
    } else {
        number = strtod(value, &end);
        bool ms = row->type == OPTION_MS, is_seconds = ms && end != value && !strcmp(end, "s");
        if (is_seconds) {
            number = round(number * 1000);
            end++;
        }
        if (end != value && !*end && !errno && isfinite(number) && !((whole || ms) && number != floor(number)) && number >= row->low &&
            number <= row->high) {
            if (whole)
                *(int *)field = (int)number;
            else if (row->type == OPTION_FLOAT)
                *(float *)field = (float)number;
            else
                *(double *)field = ms ? number / 1000 : number;
            free(range);
            return NULL;
        }
    }
    if (row->type == OPTION_SEED)
        wanted = must_print("a whole number from 0 to %" PRIu64 "%s", UINT64_MAX, row->random ? ", or -1 for a random one" : "");
    else
        wanted = must_print("a %s%s%s",
                            row->type == OPTION_MS ? "whole number of milliseconds, or seconds such as 10.5s,"
                            : whole                ? "whole number"
                                                   : "number",
                            !range          ? ""
                            : *range == 'a' ? " of "
                                            : " from ",
                            range ? range : "");
    free(range);
    return wanted;
}

static char *set_choice(const struct option_row *row, const char *value, void *field)
{
    for (const char *const *choice = row->choices; *choice; choice++)
        if (!strcasecmp(*choice, value)) {
            *(const char **)field = *choice;
            return NULL;
        }
    return option_range(row);
}

static int set_field(const struct command *command, const struct option_row *row, const char *word, const char *value, struct settings *set)
{
    void *field = (char *)set + row->field;
    char *wanted = NULL;
    if (row->repeats)
        words_add(field, value);
    else if (row->type == OPTION_SWITCH)
        *(int *)field = 1;
    else if (row->type == OPTION_CHOICE)
        wanted = set_choice(row, value, field);
    else if (row->type >= OPTION_TEXT)
        *(const char **)field = value;
    else
        wanted = set_number(row, value, set);
    if (wanted)
        say_usage(command, "%s must be %s, not \"%s\"", word, wanted, value);
    else if (set->given_count < OPTIONS_MAX && !option_given(set, row->field))
        set->given[set->given_count++] = row;
    int code = wanted ? EXIT_USAGE : EXIT_DONE;
    free(wanted);
    return code;
}

/* ---- words ---- */

/* The spelling most like a word, with its dashes; NULL. A letter is like any other: only longer words are compared. The caller frees it. */
static char *nearest_option(const struct parser *p, const char *word, size_t length)
{
    char *name = must_print("%.*s", (int)length, word), *words = must_print("%s", "");
    for (size_t i = 0; i < p->long_count; i++) {
        char *longer = must_print("%s %s", words, strlen(p->longs[i].name) > 2 ? p->longs[i].name : "");
        free(words);
        words = longer;
    }
    size_t size, plain = strspn(name, "-");
    const char *found = length - plain > 2 ? clio_nearest(name, words, &size) : NULL;
    char *meant = NULL;
    for (size_t i = 0; found && !meant && i < p->long_count; i++)
        if (strlen(p->longs[i].name) == size && !strncmp(p->longs[i].name, found, size))
            meant = must_print("%s%s", p->dashes[i] == 2 ? "--" : "-", p->longs[i].name);
    free(words);
    free(name);
    return meant;
}

/* A word that no option has: perhaps another program's option, or an abbreviation. */
static int refuse_unknown(const struct command *command, const struct parser *p, const char *word)
{
    const struct foreign_option *foreign = foreign_find(command, word);
    int length = (int)strcspn(word, "=");
    if (foreign)
        return say_usage(command, "%.*s is an option of %s (%s) that clio %s does not have: %s", length, word, foreign->program,
                         foreign->meaning, command->name, foreign->instead);
    char *meant = nearest_option(p, word, (size_t)length);
    int code = meant ? say_usage(command, "unknown option %.*s; did you mean %s?", length, word, meant)
                     : say_usage(command, "unknown option %.*s", length, word);
    free(meant);
    return code;
}

static int read_option(const struct command *command, const struct parser *p, const struct option_row *row, const char *word, bool apart,
                       struct settings *set)
{
    if (row->argument && apart && find_spelling(p, optarg))
        return say_usage(command, "%s needs a value (%s), but %s follows, which is an option", word, row->argument, optarg);
    char *plain = must_print("%.*s", (int)strcspn(word, "="), word);
    int code = set_field(command, row, plain, optarg ? optarg : "", set);
    free(plain);
    return code;
}

int options_parse(const struct command *command, int argc, char **argv, struct settings *set)
{
    struct parser *p = must_alloc(sizeof *p);
    int code = EXIT_DONE;
    add_rows(p, command->options);
    add_rows(p, common_options);
    opterr = 0;
    while (!code && !set->help) {
        const char *word = optind < argc ? argv[optind] : "";
        const struct option_row *row = find_spelling(p, word);
        if (*word == '-' && word[1] && strcmp(word, "--") != 0 && !row) {
            code = refuse_unknown(command, p, word);
            break;
        }
        int got = getopt_long_only(argc, argv, "-:", p->longs, NULL);
        if (got < 0)
            break;
        if (!row)
            words_add(&set->files, optarg);
        else if (got == ':')
            code = say_usage(command, "%s needs a value: %s", word, row->argument);
        else if (got == '?')
            code = say_usage(command, "%.*s takes no value", (int)strcspn(word, "="), word);
        else
            code = read_option(command, p, row, word, optarg && optarg == argv[optind - 1], set);
    }
    for (; !code && optind < argc; optind++) /* what follows "--" */
        words_add(&set->files, argv[optind]);
    free(p);
    return code;
}
