/* main.c - clio: which command is meant, and the few things that all of them need. See command.h for the rules of output. */
#include "bar.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {&command_transcribe, &command_caption, &command_imagine, &command_train,
                                                 &command_sample,     &command_eval,    &command_devices, &command_tune};

static void print_message(const char *format, va_list list)
{
    bar_clear();
    fputs("clio: ", stderr);
    vfprintf(stderr, format, list);
}

void say_error(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_message(format, list);
    va_end(list);
    fputc('\n', stderr);
}

int say_usage(const struct command *command, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_message(format, list);
    va_end(list);
    fprintf(stderr, " (see clio %s --help)\n", command->name);
    return EXIT_USAGE;
}

void say_output_error(int error)
{
    say_error("cannot write to standard output: %s; %s", strerror(error),
              error == ENOSPC || error == EDQUOT ? "free some space, or send it elsewhere"
                                                 : "send it to a file (clio ... > FILE) or a program");
}

void *must_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        say_error("out of memory");
        exit(EXIT_FAILED);
    }
    return memory;
}

char *must_print(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = must_alloc((size_t)length + 1);
    va_start(list, format);
    vsnprintf(text, (size_t)length + 1, format, list);
    va_end(list);
    return text;
}

void words_add(struct words *words, const char *word)
{
    const char **grown = realloc(words->items, (words->count + 1) * sizeof *grown);
    if (!grown) {
        say_error("out of memory");
        exit(EXIT_FAILED);
    }
    grown[words->count++] = word;
    words->items = grown;
}

static void print_help(FILE *out)
{
    fputs("clio - speech to text, text to images, and training, on any OpenCL device\n"
          "\n"
          "usage: clio COMMAND [OPTION...] [FILE...]\n"
          "\n"
          "  clio transcribe FILE...     what is said, as text or subtitles\n"
          "  clio caption -m DIR FILE... what is heard, with a model that describes sounds\n"
          "  clio imagine -m DIR -p TEXT images of what a text says\n"
          "  clio train MODEL --data DIR --out DIR\n"
          "                              a network that makes images, from a folder of them\n"
          "  clio sample -m DIR          images from such a network\n"
          "  clio eval                   how good a network, a transcript or captions are\n"
          "  clio devices                the OpenCL devices here, and what works on them\n"
          "  clio tune                   make clio faster on the device here, once\n"
          "  clio help COMMAND           the options of a command (also clio COMMAND --help)\n"
          "  clio --version              the version\n"
          "\n"
          "clio transcribe talk.wav                      text on standard output\n"
          "clio transcribe -osrt talk.wav                subtitles in talk.wav.srt\n"
          "clio transcribe -l de -tr -q vortrag.ogg      German to English, no messages\n"
          "clio imagine -m sd-v1-5 -p 'a red fox in the snow' -o fox.png\n"
          "\n"
          "Results go to standard output or the named file, everything else to standard error.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. See also: man clio\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++)
        if (!strcmp(name, commands[i]->name))
            return commands[i];
    return NULL;
}

/* What was printed has arrived, or an error says why not. */
static int finish_output(int code)
{
    if ((fflush(stdout) || ferror(stdout)) && !code) {
        if (errno != EPIPE)
            say_output_error(errno);
        return EXIT_FAILED;
    }
    return code;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct settings set = {.max_context = -1, .params = clio_speech_defaults(), .imagine = clio_imagine_defaults()};
    int code = options_parse(command, argc, argv, &set);
    if (!code && set.help) {
        options_help(command, stdout);
        code = finish_output(code);
    } else if (!code) {
        code = command->run(command, &set);
    }
    free(set.files.items);
    free(set.names.items);
    free(set.loras.items);
    free(set.changes.items);
    free(set.labels.items);
    return code;
}

static int unknown_command(const char *word)
{
    if (*word != '-' && !access(word, F_OK))
        say_error("\"%s\" is not a command; is clio transcribe %s meant? (clio help lists the commands)", word, word);
    else if (*word == '-')
        say_error("%s stands where the command should: clio COMMAND %s... (clio help lists the commands)", word, word);
    else
        say_error("there is no command \"%s\": clio help lists the commands", word);
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
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V") || !strcmp(word, "version")) {
        printf("clio %s\n", clio_version());
        return finish_output(EXIT_DONE);
    }
    bool helps = !strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h");
    if (!helps)
        return unknown_command(word);
    if (argc > 2 && !(command = find_command(argv[2])))
        return unknown_command(argv[2]);
    if (command)
        options_help(command, stdout);
    else
        print_help(stdout);
    return finish_output(EXIT_DONE);
}
