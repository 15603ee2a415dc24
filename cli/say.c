/* say.c - see say.h. */
#include "say.h"
#include "terminal.h"
#include "bar.h"
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void print_message(const char *format, va_list list)
{
    bar_clear();
    print_err("clio: ");
    print_list_to(stderr, format, list);
}

void say_error(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_message(format, list);
    va_end(list);
    print_err("\n");
}

void say_notice(const char *text)
{
    say_error("note: %s", text);
}

int say_usage(const struct command *command, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_message(format, list);
    va_end(list);
    print_err(" (see clio %s --help)\n", command->name);
    return EXIT_USAGE;
}

void say_output_error(int error)
{
    say_error("cannot write to standard output: %s; %s", strerror(error),
              error == ENOSPC || error == EDQUOT ? "free some space, or redirect it elsewhere"
                                                 : "redirect it to a file (clio ... > FILE) or pipe it into a program");
}
