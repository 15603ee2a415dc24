/* target_options.c - fuzz target: command lines. The first line of an input names the command, each further line is a word. */
#include "fuzz.h"
#undef COUNT

#include "../../cli/command.h"
#include "../../cli/options.h"

#include <getopt.h>

#define WORDS 64

static const struct command *const commands[] = {&command_transcribe, &command_caption, &command_imagine, &command_train,
                                                 &command_sample,     &command_eval,    &command_devices, &command_tune};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!strcmp(name, commands[i]->name))
            return commands[i];
    return NULL;
}

/* Every option that was given has a value in its range: the parser checks it, and nobody after it. */
static void check_ranges(const struct settings *set)
{
    for (size_t i = 0; i < set->given_count; i++) {
        const struct option_row *row = set->given[i];
        const void *field = (const char *)set + row->field;
        if (row->type == OPTION_INTEGER)
            assert_true(*(const int *)field >= row->low && *(const int *)field <= row->high);
        else if (row->type == OPTION_CHOICE)
            assert_non_null(*(const char *const *)field);
    }
}

void fuzz_options(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *argv[WORDS + 1] = {NULL};
    int argc = 0;
    FILE *kept = stderr, *nowhere = tmpfile();
    for (char *at = text; at && argc < WORDS; argc++) {
        char *end = strchr(at, '\n');
        if (end)
            *end++ = 0;
        argv[argc] = at;
        at = end;
    }
    const struct command *command = find_command(argv[0]);
    if (command && nowhere) {
        struct settings set = options_initial(command);
        set.command = command->name;
        optind = 0;       /* getopt starts anew */
        stderr = nowhere; /* its messages */
        int code = options_parse(command, argc, argv, &set);
        stderr = kept;
        assert_true(code == EXIT_DONE || (code == EXIT_USAGE && ftell(nowhere) > 0));
        check_ranges(&set);
        free(set.files.items);
        free(set.names.items);
        free(set.loras.items);
        free(set.assignments.items);
        free(set.labels.items);
    }
    if (nowhere)
        fclose(nowhere);
    free(text);
}
