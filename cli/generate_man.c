/* generate_man.c - man pages in the man(7) macros; see generate.h. Texts are those of --help; sections are in the man page only. */
#include "generate.h"
#include "help.h"
#include "overview.h"
#include "say.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LINE_LENGTH 64

/* ---- roff ---- */

/* Print n bytes so that roff shows them as they are; words between backquotes are bold. */
static void put_text(FILE *out, const char *text, size_t n)
{
    bool bold = false;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '`')
            fputs((bold = !bold) ? "\\fB" : "\\fP", out);
        else if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '\'')
            fputs("\\(aq", out);
        else if (text[i] == '"')
            fputs("\\(dq", out);
        else if (text[i] == '^')
            fputs("\\(ha", out);
        else if (text[i] == '~')
            fputs("\\(ti", out);
        else
            fputc(text[i], out);
}

/* A line of text, of which a point at the beginning is no request. */
static void put_line(FILE *out, const char *text, size_t n)
{
    if (n && *text == '.')
        fputs("\\&", out);
    put_text(out, text, n);
    fputc('\n', out);
}

/* The same over lines of moderate length; roff fills them anyway. */
static void put_wrapped(FILE *out, const char *text, size_t n)
{
    while (n > LINE_LENGTH) {
        size_t at = LINE_LENGTH;
        while (at > 1 && text[at] != ' ')
            at--;
        if (at == 1)
            break;
        put_line(out, text, at);
        text += at + 1;
        n -= at + 1;
    }
    put_line(out, text, n);
}

/* Paragraphs; `macro` stands between them. Sentences begin on new lines, as roff wants. */
static void put_paragraphs(FILE *out, const char *text, const char *macro)
{
    while (*text) {
        size_t n = 0;
        while (text[n] && text[n] != '\n' && !(strchr(".?!:", text[n]) && text[n + 1] == ' ' && isupper((unsigned char)text[n + 2])))
            n++;
        bool sentence = text[n] && text[n] != '\n';
        put_wrapped(out, text, n + sentence);
        text += n + sentence;
        if (text[0] == '\n' && text[1] == '\n')
            fprintf(out, "%s\n", macro);
        text += strspn(text, " \n");
    }
}

static void put_heading(FILE *out, const char *name, const char *summary)
{
    fputs(".\\\" Made by clio --generate man.\n.TH ", out);
    for (const char *c = name; *c; c++)
        fputc(toupper((unsigned char)*c), out);
    fprintf(out, " 1 \"\" \"clio %s\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n", clio_version());
    put_text(out, name, strlen(name));
    fputs(" \\- ", out);
    put_line(out, summary, strlen(summary));
}

/* ---- parts ---- */

static bool is_placeholder(const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isupper((unsigned char)word[i]))
            return false;
    return n > 0;
}

/* "clio NAME" and one line of usage: placeholders in italics, options in bold. */
static void put_usage(FILE *out, const char *name, const char *line, size_t n)
{
    fprintf(out, "\\fBclio%s%s\\fP", *name ? " " : "", name);
    for (size_t i = 0; i < n;) {
        size_t length = 1;
        bool begins = !i || strchr(" [|", line[i - 1]);
        if (i == 0)
            fputc(' ', out);
        if (begins && line[i] == '-' && line[i + 1] != ']') {
            length = strcspn(line + i, " ]|\n");
            fputs("\\fB", out);
            put_text(out, line + i, length);
            fputs("\\fP", out);
        } else if (isupper((unsigned char)line[i])) {
            while (i + length < n && isupper((unsigned char)line[i + length]))
                length++;
            fputs(is_placeholder(line + i, length) ? "\\fI" : "\\fR", out);
            put_text(out, line + i, length);
            fputs("\\fP", out);
        } else {
            put_text(out, line + i, 1);
        }
        i += length;
    }
    fputc('\n', out);
}

static void put_synopsis(FILE *out, const char *name, const char *synopsis)
{
    for (const char *line = synopsis; line;) {
        size_t n = strcspn(line, "\n");
        put_usage(out, name, line, n);
        line = line[n] ? line + n + 1 : NULL;
        if (line)
            fputs(".br\n", out);
    }
}

static void put_option(FILE *out, const struct option_row *row, const struct settings *initial)
{
    char *text = help_text(row, initial);
    fputs(".TP\n", out);
    for (const char *name = row->names; *name; name += strspn(name, " ")) {
        size_t n = strcspn(name, " ");
        fputs(name == row->names ? "\\fB" : ", \\fB", out);
        put_text(out, name, n);
        fputs("\\fP", out);
        name += n;
    }
    if (row->argument) {
        fputs(" \\fI", out);
        put_text(out, row->argument, strlen(row->argument));
        fputs("\\fP", out);
    }
    fputc('\n', out);
    put_paragraphs(out, text, ".IP");
    if (row->more) {
        fputs(".IP\n", out);
        put_paragraphs(out, row->more, ".IP");
    }
    free(text);
}

static void put_options(FILE *out, const struct option_row *row, const struct settings *initial)
{
    for (; row->names; row++) {
        if (row->group)
            fprintf(out, ".SS %s options\n", row->group);
        put_option(out, row, initial);
    }
}

static void put_sections(FILE *out, const struct section *section)
{
    for (; section && section->title; section++) {
        fprintf(out, ".SH %s\n", section->title);
        if (section->text)
            put_paragraphs(out, section->text, ".PP");
        for (const struct term *term = section->terms; term && term->name; term++) {
            fputs(".TP\n\\fB", out);
            put_text(out, term->name, strlen(term->name));
            fputs("\\fP\n", out);
            put_paragraphs(out, term->text, ".IP");
        }
    }
}

static void put_examples(FILE *out, const struct example *example)
{
    bool first = true;
    fputs(".SH EXAMPLES\n", out);
    for (; example->line; example++) {
        char *comment = must_print("%s:", example->comment);
        *comment = (char)toupper((unsigned char)*comment);
        fputs(first ? "" : ".PP\n", out);
        first = false;
        put_line(out, comment, strlen(comment));
        fputs(".PP\n.RS 4\n.nf\n", out);
        put_line(out, example->line, strlen(example->line));
        fputs(".fi\n.RE\n", out);
        free(comment);
    }
}

/* ---- pages ---- */

void generate_man(const struct command *command, FILE *out)
{
    struct settings initial = options_initial(command);
    char *name = must_print("clio-%s", command->name);
    put_heading(out, name, command->summary);
    fputs(".SH SYNOPSIS\n", out);
    put_synopsis(out, command->name, command->synopsis);
    fputs(".SH DESCRIPTION\n", out);
    put_paragraphs(out, command->description, ".PP");
    fputs(".SH OPTIONS\n", out);
    put_paragraphs(out, overview_options, ".PP");
    put_options(out, command->options, &initial);
    put_options(out, common_options, &initial);
    put_sections(out, command->sections);
    if (command->examples)
        put_examples(out, command->examples);
    fputs(".SH SEE ALSO\n.BR clio (1),\nwhich describes models, environment variables, files and the exit status\n", out);
    free(name);
}

void generate_man_overview(const struct command *const *commands, FILE *out)
{
    put_heading(out, "clio", overview_summary);
    fputs(".SH SYNOPSIS\n", out);
    put_synopsis(out, "", overview_synopsis);
    fputs(".SH DESCRIPTION\n", out);
    put_paragraphs(out, overview_description, ".PP");
    fputs(".SH COMMANDS\n", out);
    for (const struct command *const *command = commands; *command; command++) {
        fprintf(out, ".TP\n\\fB%s\\fP\n", (*command)->name);
        put_line(out, (*command)->summary, strlen((*command)->summary));
        fprintf(out, "(see\n.BR clio\\-%s (1))\n", (*command)->name);
    }
    put_sections(out, overview_sections);
    fputs(".SH SEE ALSO\n", out);
    for (; *commands; commands++)
        fprintf(out, ".BR clio\\-%s (1)%s\n", (*commands)->name, commands[1] ? "," : "");
}
