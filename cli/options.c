/* options.c - the command line, by getopt_long_only, so that -otxt and -of NAME work as whisper.cpp's users type them.
 *
 * Two habits of getopt are undone. Abbreviations (--temp for --temperature) are refused, because a later option would change their
 * meaning; and a word that is an option is not taken as the value of the option before it (-of -osrt). "-" first in the short options
 * makes getopt hand over every word in order, so that argv[optind] is the word being read. */
#define _GNU_SOURCE
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONG_BASE 256 /* getopt's values of long options: this plus the row's number */
#define SPELLINGS 96
#define HELP_COLUMN 32

static const struct option_row common[] = {
    {"-d --device", "DEVICE", OPTION_TEXT, FIELD(device), 0, 0,
     "an index or a name that clio devices shows, or\nplatform:type:name, any part left out"},
    {"--json", NULL, OPTION_ON, FIELD(json), 0, 0, "JSON on standard output"},
    {"-q --quiet -np --no-prints", NULL, OPTION_ON, FIELD(quiet), 0, 0, "nothing but results and errors (also -np)"},
    {"-v --verbose", NULL, OPTION_ON, FIELD(verbose), 0, 0, "time of every kernel; where errors come from"},
    {"--no-cache", NULL, OPTION_ON, FIELD(no_cache), 0, 0, "neither read nor keep compiled kernels"},
    {"--cache-dir", "DIR", OPTION_TEXT, FIELD(cache), 0, 0, "where compiled kernels are kept"},
    {"-h --help", NULL, OPTION_ON, FIELD(help), 0, 0, "this text"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

/* The command's options and the common ones, as getopt wants them. */
struct parser {
    const struct option_row *rows[SPELLINGS];
    struct option longs[SPELLINGS];
    char shorts[2 * SPELLINGS], names[SPELLINGS * 24];
    size_t row_count, long_count, name_bytes;
};

static void add_spelling(struct parser *p, const char *word, size_t length, size_t row)
{
    bool takes = p->rows[row]->value != NULL;
    size_t dashes = strspn(word, "-");
    if (length == 2) {
        size_t at = strlen(p->shorts);
        p->shorts[at] = word[1];
        p->shorts[at + 1] = takes ? ':' : 0;
        return;
    }
    char *name = p->names + p->name_bytes;
    memcpy(name, word + dashes, length - dashes);
    p->name_bytes += length - dashes + 1;
    p->longs[p->long_count++] =
        (struct option){.name = name, .has_arg = takes ? required_argument : no_argument, .val = LONG_BASE + (int)row};
}

static void add_rows(struct parser *p, const struct option_row *row)
{
    for (; row->names; row++) {
        p->rows[p->row_count] = row;
        for (const char *word = row->names; *word; word += strspn(word, " ")) {
            size_t length = strcspn(word, " ");
            add_spelling(p, word, length, p->row_count);
            word += length;
        }
        p->row_count++;
    }
}

/* Is this word, up to a '=', spelled as one of the options? */
static bool is_spelling(const struct option_row *row, const char *word)
{
    size_t length = strcspn(word, "=");
    for (const char *name = row->names; *name; name += strspn(name, " ")) {
        size_t n = strcspn(name, " ");
        if (n == length && !strncmp(name, word, n))
            return true;
        /* One dash more or less is no other option: -output-srt, --otxt. */
        if (n > 2 && length > 2 && n - strspn(name, "-") == length - strspn(word, "-") &&
            !strncmp(name + strspn(name, "-"), word + strspn(word, "-"), n - strspn(name, "-")))
            return true;
        name += n;
    }
    return false;
}

static const struct option_row *find_spelling(const struct parser *p, const char *word)
{
    for (size_t i = 0; *word == '-' && i < p->row_count; i++)
        if (is_spelling(p->rows[i], word))
            return p->rows[i];
    return NULL;
}

static const struct option_row *find_short(const struct parser *p, int letter)
{
    const char word[] = {'-', (char)letter, 0};
    return find_spelling(p, word);
}

static int set_number(const struct command *command, const struct option_row *row, const char *word, const char *value, void *field)
{
    char *end;
    errno = 0;
    if (row->kind == OPTION_SEED) {
        unsigned long long seed = strtoull(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || errno)
            return say_usage(command, "%s needs a whole number that is not negative, not \"%s\"", word, value);
        *(uint64_t *)field = seed;
        return EXIT_DONE;
    }
    if (row->kind == OPTION_SIGNED) {
        long long seed = strtoll(value, &end, 10);
        if (end == value || *end || errno || seed < -1)
            return say_usage(command, "%s needs a whole number that is not negative, or -1 for a new one, not \"%s\"", word, value);
        *(int64_t *)field = seed;
        return EXIT_DONE;
    }
    double number = strtod(value, &end);
    bool whole = row->kind == OPTION_INT;
    if (end == value || *end || errno || !isfinite(number) || (whole && number != floor(number)))
        return say_usage(command, "%s needs a %snumber, not \"%s\"", word, whole ? "whole " : "", value);
    if (number < row->low || number > row->high) {
        if (isfinite(row->low) && isfinite(row->high))
            return say_usage(command, "%s goes from %g to %g, and is %s", word, row->low, row->high, value);
        return say_usage(command, "%s is at %s %g, not %s", word, number < row->low ? "least" : "most",
                         number < row->low ? row->low : row->high, value);
    }
    if (whole)
        *(int *)field = (int)number;
    else if (row->kind == OPTION_FLOAT)
        *(float *)field = (float)number;
    else if (row->kind == OPTION_NUMBER)
        *(double *)field = number;
    else
        *(double *)field = number / 1000;
    return EXIT_DONE;
}

static int set_field(const struct command *command, const struct option_row *row, const char *word, const char *value, struct settings *set)
{
    void *field = (char *)set + row->field;
    switch (row->kind) {
    case OPTION_ON:
        *(int *)field = 1;
        return EXIT_DONE;
    case OPTION_TEXT:
        *(const char **)field = value;
        return EXIT_DONE;
    case OPTION_WORDS:
        words_add(field, value);
        return EXIT_DONE;
    default:
        return set_number(command, row, word, value, field);
    }
}

/* The sentence for what getopt refused: `word` is what was typed, `why` what getopt returned. */
static int refuse(const struct command *command, const struct parser *p, const char *word, int why)
{
    const struct option_row *row = find_spelling(p, word);
    int length = (int)strcspn(word, "=");
    if (why == ':' && row)
        return say_usage(command, "%s needs a value: %s", word, row->value);
    if (why == ':')
        return say_usage(command, "-%c needs a value", optopt);
    if (row && word[length])
        return say_usage(command, "%.*s takes no value", length, word);
    if (optopt > 0 && optopt < LONG_BASE && word[1] != '-' && word[1] != optopt)
        return say_usage(command, "unknown option -%c in %s", optopt, word);
    return say_usage(command, "unknown option %.*s", length, word);
}

/* `word` is the word that was read; `apart`: the value is the word after it. */
static int read_option(const struct command *command, const struct parser *p, int got, int at, const char *word, bool apart,
                       struct settings *set)
{
    char letter[] = {'-', (char)got, 0};
    if (got < LONG_BASE)
        word = letter;
    else if (!find_spelling(p, word))
        return say_usage(command, "unknown option %s; is --%s meant?", word, p->longs[at].name);
    const struct option_row *row = got < LONG_BASE ? find_short(p, got) : p->rows[got - LONG_BASE];
    if (row->value && apart && find_spelling(p, optarg))
        return say_usage(command, "%s needs a value, but %s follows, which is an option", word, optarg);
    char *plain = must_print("%.*s", (int)strcspn(word, "="), word);
    int code = set_field(command, row, plain, optarg ? optarg : "", set);
    free(plain);
    return code;
}

int options_parse(const struct command *command, int argc, char **argv, struct settings *set)
{
    struct parser *p = must_alloc(sizeof *p);
    int code = EXIT_DONE;
    memcpy(p->shorts, "-:", 3);
    add_rows(p, command->options);
    add_rows(p, common);
    opterr = 0;
    while (!code && !set->help) {
        const char *word = optind < argc ? argv[optind] : "";
        int at = -1, got = getopt_long_only(argc, argv, p->shorts, p->longs, &at);
        if (got < 0)
            break;
        if (got == 1)
            words_add(&set->files, optarg);
        else if (got == '?' || got == ':')
            code = refuse(command, p, word, got);
        else
            code = read_option(command, p, got, at, word, optarg && optarg == argv[optind - 1], set);
    }
    for (; !code && optind < argc; optind++) /* what follows "--" */
        words_add(&set->files, argv[optind]);
    free(p);
    return code;
}

static void help_row(const struct option_row *row, FILE *out)
{
    size_t first = strcspn(row->names, " "), second = row->names[first] ? strcspn(row->names + first + 1, " ") : 0;
    char *left = must_print("  %s%.*s%s%.*s%s%s", row->names[1] == '-' ? "    " : "", (int)first, row->names, second ? ", " : "",
                            (int)second, second ? row->names + first + 1 : "", row->value ? " " : "", row->value ? row->value : "");
    fputs(left, out);
    int column = (int)strlen(left);
    if (column > HELP_COLUMN - 2) {
        fputc('\n', out);
        column = 0;
    }
    for (const char *line = row->help; *line;) {
        size_t length = strcspn(line, "\n");
        fprintf(out, "%*s%.*s\n", HELP_COLUMN - column, "", (int)length, line);
        line += length + (line[length] == '\n');
        column = 0;
    }
    free(left);
}

void options_help(const struct command *command, FILE *out)
{
    fprintf(out, "usage: clio %s %s\n\n%s\n", command->name, command->synopsis, command->about);
    if (command->options->names)
        fputs("\nOptions:\n", out);
    for (const struct option_row *row = command->options; row->names; row++)
        help_row(row, out);
    fputs("\nOptions of every command:\n", out);
    for (const struct option_row *row = common; row->names; row++)
        help_row(row, out);
    if (command->more)
        fprintf(out, "\nExamples:\n%s\n", command->more);
}
