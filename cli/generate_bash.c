/* generate_bash.c - the completion script of bash; see generate.h. It needs no other package. */
#include "completion.h"
#include "generate.h"

#include <stdlib.h>
#include <string.h>

/* "transcribe:-l|transcribe:--language" */
static void put_pattern(FILE *out, const char *command, const char *names)
{
    fprintf(out, "    %s:", command);
    for (; *names; names++)
        if (*names == ' ')
            fprintf(out, "|%s:", command);
        else
            fputc(*names, out);
    fputs(") ", out);
}

static void put_values(FILE *out, const char *command, const struct option_row *row)
{
    for (; row->names; row++) {
        if (!row->argument)
            continue;
        char *words = completion_words(row);
        put_pattern(out, command, row->names);
        if (words)
            fprintf(out, "words='%s'%s ;;\n", words, row->repeats ? " nospace=1" : "");
        else
            fputs(row->type == OPTION_FOLDER ? "files=-d ;;\n" : completion_takes_path(row) ? "files=-f ;;\n" : "return ;;\n", out);
        free(words);
    }
}

static void put_names(FILE *out, const struct option_row *row)
{
    for (; row->names; row++)
        fprintf(out, " %s", row->names);
}

static void put_commands(FILE *out, const struct command *const *commands)
{
    for (; *commands; commands++)
        fprintf(out, "%s ", (*commands)->name);
}

void generate_bash(const struct command *const *commands, FILE *out)
{
    char *models = completion_train_models();
    fputs("# bash completion of clio, made by clio --generate bash.\n"
          "_clio() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= files= nospace=\n"
          "    COMPREPLY=()\n"
          "    if [[ $cur == = ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == = ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)) || { ((COMP_CWORD == 2)) && [[ $command == help ]]; }; then\n"
          "        words='",
          out);
    put_commands(out, commands);
    fputs("help --help --version'\n"
          "    else\n"
          "    case $command:$prev in\n",
          out);
    for (const struct command *const *command = commands; *command; command++) {
        put_values(out, (*command)->name, (*command)->options);
        put_values(out, (*command)->name, common_options);
    }
    fputs("    *)\n"
          "    case $command:$cur in\n",
          out);
    for (const struct command *const *command = commands; *command; command++) {
        fprintf(out, "    %s:-*) words='", (*command)->name);
        put_names(out, (*command)->options);
        put_names(out, common_options);
        fputs("' ;;\n", out);
        if ((*command)->operands == OPERANDS_TRAIN_MODEL)
            fprintf(out, "    %s:*) words='%s' ;;\n", (*command)->name, models);
        else if ((*command)->operands != OPERANDS_NONE)
            fprintf(out, "    %s:*) files=-f ;;\n", (*command)->name);
    }
    fputs("    esac ;;\n"
          "    esac\n"
          "    fi\n"
          "    if [[ $files ]]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen \"$files\" -- \"$cur\")\n"
          "    elif [[ $words ]]; then\n"
          "        [[ ! $nospace ]] || compopt -o nospace 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "    fi\n"
          "}\n"
          "complete -F _clio clio\n",
          out);
    free(models);
}
