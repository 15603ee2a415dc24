/* main.c - clio: find the command, parse its options, run it. See command.h for the rules of output. */
#include "generate.h"
#include "help.h"
#include "options.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {&command_transcribe,
                                                 &command_caption,
                                                 &command_imagine,
                                                 &command_train,
                                                 &command_sample,
                                                 &command_eval,
                                                 &command_embed,
                                                 &command_devices,
                                                 &command_tune,
                                                 &command_bench,
                                                 NULL};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(name, commands[i]->name))
            return commands[i];
    return NULL;
}

/* Flush standard output; a failure is reported. Returns the exit code. */
static int finish_output(int code)
{
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && !code) {
        if (errno != EPIPE)
            say_output_error(errno ? errno : EIO);
        return EXIT_FAILED;
    }
    return code;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct settings set = options_initial(command);
    set.command = command->name;
    int code = options_parse(command, argc, argv, &set);
    if (!code && set.help) {
        help_print(command, stdout);
        code = finish_output(code);
    } else if (!code && session_are_several(set.device) && !command->several_devices) {
        code = say_usage(command, "-d %s names several devices, and %s uses one", set.device, command->name);
    } else if (!code) {
        code = command->run(command, &set);
    }
    free(set.files.items);
    free(set.names.items);
    free(set.loras.items);
    free(set.assignments.items);
    free(set.labels.items);
    return code;
}

static int unknown_command(const char *word)
{
    if (*word != '-' && !access(word, F_OK))
        say_error("\"%s\" is not a command; did you mean clio transcribe %s? (see clio --help)", word, word);
    else if (*word == '-')
        say_error("the command comes before its options: clio COMMAND %s... (see clio --help)", word);
    else
        say_error("unknown command \"%s\" (see clio --help)", word);
    return EXIT_USAGE;
}

/* A standard stream that the caller closed would be given to the first file opened, and results written into it. */
static void keep_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            _exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    const char *word = argc > 1 ? argv[1] : "";
    const struct command *command = find_command(word);
    if (command)
        return run_command(command, argc - 1, argv + 1);
    if (!*word) {
        help_print_overview(commands, stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V") || !strcmp(word, "version")) {
        print_out("clio %s\n", clio_version());
        return finish_output(EXIT_DONE);
    }
    if (!strcmp(word, "--generate"))
        return finish_output(generate(commands, argc > 2 ? argv[2] : "", argc > 3 ? find_command(argv[3]) : NULL));
    bool helps = !strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h");
    if (!helps)
        return unknown_command(word);
    if (argc > 2 && !(command = find_command(argv[2])))
        return unknown_command(argv[2]);
    if (command)
        help_print(command, stdout);
    else
        help_print_overview(commands, stdout);
    return finish_output(EXIT_DONE);
}
