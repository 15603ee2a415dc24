/* generate_fish.c - the completions of fish; see generate.h. Fish has a flag of its own for each kind of spelling: -s x, -o word, -l word.
 */
#include "completion.h"
#include "generate.h"
#include "help.h"

#include <stdlib.h>
#include <string.h>

static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if (*text != '`')
            fputc(*text, out);
    fputc('\'', out);
}

static void put_option(FILE *out, const char *command, const struct option_row *row, const struct settings *initial)
{
    char *help = help_text(row, initial), *words = completion_words(row);
    fprintf(out, "complete -c clio -n '__fish_seen_subcommand_from %s'", command);
    for (const char *name = row->names; *name; name += strspn(name, " ")) {
        size_t n = strcspn(name, " "), dashes = strspn(name, "-");
        fprintf(out, " %s %.*s", dashes == 2 ? "-l" : n == 2 ? "-s" : "-o", (int)(n - dashes), name + dashes);
        name += n;
    }
    if (row->argument)
        fputs(words || !completion_takes_path(row) ? " -x" : " -r -F", out);
    if (words) {
        fputs(" -a ", out);
        put_quoted(out, words);
    }
    fputs(" -d ", out);
    put_quoted(out, help);
    fputc('\n', out);
    free(help);
    free(words);
}

static void put_command(FILE *out, const struct command *command, const char *models)
{
    struct settings initial = options_initial(command);
    fprintf(out, "\ncomplete -c clio -n __fish_use_subcommand -f -a %s -d ", command->name);
    put_quoted(out, command->summary);
    fputc('\n', out);
    for (const struct option_row *row = command->options; row->names; row++)
        put_option(out, command->name, row, &initial);
    for (const struct option_row *row = common_options; row->names; row++)
        put_option(out, command->name, row, &initial);
    if (command->operands == OPERANDS_NONE || command->operands == OPERANDS_TRAIN_MODEL)
        fprintf(out, "complete -c clio -n '__fish_seen_subcommand_from %s' -f\n", command->name);
    if (command->operands == OPERANDS_TRAIN_MODEL)
        fprintf(out, "complete -c clio -n '__fish_seen_subcommand_from %s' -a '%s'\n", command->name, models);
}

void generate_fish(const struct command *const *commands, FILE *out)
{
    char *models = completion_train_models();
    fputs("# fish completion of clio, made by clio --generate fish.\n"
          "complete -c clio -n __fish_use_subcommand -f -a help -d 'print the options of a command'\n",
          out);
    for (; *commands; commands++)
        put_command(out, *commands, models);
    free(models);
}
