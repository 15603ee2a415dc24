/* help.c - see help.h. */
#include "help.h"
#include "layout.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>

#define OPTION_COLUMN 28
#define COMMAND_COLUMN 20

char *help_names(const struct option_row *row)
{
    char *text = must_alloc(2 * strlen(row->names) + (row->argument ? strlen(row->argument) : 0) + 2), *at = text;
    for (const char *name = row->names; *name; name++) {
        if (*name == ' ')
            *at++ = ',';
        *at++ = *name;
    }
    if (row->argument) {
        *at++ = ' ';
        memcpy(at, row->argument, strlen(row->argument) + 1);
    }
    return text;
}

char *help_text(const struct option_row *row, const struct settings *initial)
{
    char *range = option_range(row), *preset = option_default(row, initial), *notes, *text;
    notes = must_print("%s%s%s%s%s", range ? range : "", range && preset ? "; " : "",
                       !preset               ? ""
                       : strchr(preset, ' ') ? "default: "
                                             : "default ",
                       preset ? preset : "",
                       !row->repeats     ? ""
                       : range || preset ? "; repeatable"
                                         : "repeatable");
    text = *notes ? must_print("%s (%s)", row->help, notes) : must_print("%s", row->help);
    free(notes);
    free(range);
    free(preset);
    return text;
}

static void print_rows(const struct option_row *row, const struct settings *initial, FILE *out, int width)
{
    for (; row->names; row++) {
        char *names = help_names(row), *text = help_text(row, initial);
        if (row->group)
            fprintf(out, "\n%s options:\n", row->group);
        layout_entry(out, names, text, OPTION_COLUMN, width);
        free(names);
        free(text);
    }
}

static void print_examples(const struct example *example, FILE *out, int width)
{
    fputs("\nExamples:\n", out);
    for (; example->line; example++) {
        fputs("  # ", out);
        layout_text(out, example->comment, 4, 4, width);
        fprintf(out, "  %s\n", example->line);
    }
}

/* Let no line end within [-d DEVICE]. */
static void keep_brackets_together(char *text)
{
    bool within = false;
    for (; *text; text++) {
        within = *text == '[' || (within && *text != ']');
        if (within && *text == ' ')
            *text = LAYOUT_NO_BREAK;
    }
}

/* "usage: clio NAME ALTERNATIVE", a line for each alternative. */
static void print_usage(const struct command *command, FILE *out, int width)
{
    const char *first = "usage:";
    for (const char *line = command->synopsis; line; first = "      ") {
        size_t n = strcspn(line, "\n");
        char *text = must_print("%.*s", (int)n, line);
        keep_brackets_together(text);
        int at = fprintf(out, "%s clio %s", first, command->name);
        layout_text(out, text, at, at + 1, width);
        free(text);
        line = line[n] ? line + n + 1 : NULL;
    }
}

void help_print(const struct command *command, FILE *out)
{
    int width = layout_width();
    struct settings initial = options_initial(command);
    print_usage(command, out, width);
    fputc('\n', out);
    layout_text(out, command->description, 0, 0, width);
    print_rows(command->options, &initial, out, width);
    print_rows(common_options, &initial, out, width);
    if (command->examples)
        print_examples(command->examples, out, width);
    fprintf(out, "\nMore: man clio-%s\n", command->name);
}

void help_print_overview(const struct command *const *commands, FILE *out)
{
    int width = layout_width();
    fputs("usage: clio COMMAND [OPTION...] [FILE...]\n\n", out);
    layout_text(out, "Speech recognition, audio captioning, text-to-image and training on any OpenCL device.", 0, 0, width);
    fputs("\nCommands:\n", out);
    for (; *commands; commands++)
        layout_entry(out, (*commands)->name, (*commands)->summary, COMMAND_COLUMN, width);
    layout_entry(out, "help COMMAND", "print the options of a command, as clio COMMAND --help does", COMMAND_COLUMN, width);
    layout_entry(out, "--version", "print the version", COMMAND_COLUMN, width);
    fputs("\nExamples:\n"
          "  clio transcribe talk.wav\n"
          "  clio transcribe -osrt -l de talk.wav\n"
          "  clio imagine -m sd-v1-5 -p 'a red fox in the snow' -o fox.png\n\n",
          out);
    layout_text(out,
                "Results go to standard output or to the named file, everything else to standard error. Exit status: 0 success, 1 failure, "
                "2 wrong usage, 130 interrupted. More: man clio",
                0, 0, width);
}
