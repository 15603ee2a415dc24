/* generate_zsh.c - the completion function of zsh; see generate.h. */
#include "completion.h"
#include "generate.h"
#include "help.h"

#include <stdlib.h>
#include <string.h>

/* Text within single quotes, where _arguments reads brackets and colons. */
static void put_quoted(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else if (*text != '`')
            fputc(*text, out);
}

/* '(-l --language)'{-l,--language}'[help]:LANG:(auto de en)' */
static void put_option(FILE *out, const struct option_row *row, const struct settings *initial)
{
    char *help = help_text(row, initial), *words = completion_words(row);
    bool several = strchr(row->names, ' ') != NULL;
    fputs("        ", out);
    if (row->repeats)
        fputs("'*'", out);
    else if (several)
        fprintf(out, "'(%s)'", row->names);
    fputs(several ? "{" : "", out);
    for (const char *c = row->names; *c; c++)
        fputc(*c == ' ' ? ',' : *c, out);
    fputs(several ? "}'[" : "'[", out);
    put_quoted(out, help);
    fputc(']', out);
    if (row->argument) {
        fputc(':', out);
        put_quoted(out, row->argument);
        fputc(':', out);
        if (words)
            fprintf(out, "(%s)", words);
        else if (row->type == OPTION_FOLDER)
            fputs("_files -/", out);
        else if (completion_takes_path(row))
            fputs("_files", out);
    }
    fputs("' \\\n", out);
    free(help);
    free(words);
}

static void put_command(FILE *out, const struct command *command, const char *models)
{
    struct settings initial = options_initial(command);
    fprintf(out, "    %s)\n        _arguments \\\n", command->name);
    for (const struct option_row *row = command->options; row->names; row++)
        put_option(out, row, &initial);
    for (const struct option_row *row = common_options; row->names; row++)
        put_option(out, row, &initial);
    if (command->operands == OPERANDS_TRAIN_MODEL)
        fprintf(out, "        '1:model:(%s)' ;;\n", models);
    else
        fputs(command->operands == OPERANDS_NONE ? "        && return ;;\n" : "        '*:file:_files' ;;\n", out);
}

void generate_zsh(const struct command *const *commands, FILE *out)
{
    char *models = completion_train_models();
    fputs("#compdef clio\n"
          "# zsh completion of clio, made by clio --generate zsh.\n"
          "_clio() {\n"
          "    local -a commands=(\n",
          out);
    for (const struct command *const *command = commands; *command; command++) {
        fprintf(out, "        '%s:", (*command)->name);
        put_quoted(out, (*command)->summary);
        fputs("'\n", out);
    }
    fputs("        'help:print the options of a command'\n"
          "    )\n"
          "    if ((CURRENT == 2)) || { ((CURRENT == 3)) && [[ $words[2] == help ]]; }; then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          out);
    for (; *commands; commands++)
        put_command(out, *commands, models);
    fputs("    esac\n"
          "}\n"
          "_clio \"$@\"\n",
          out);
    free(models);
}
