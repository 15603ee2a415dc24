/* generate.c - see generate.h. */
#include "generate.h"
#include "say.h"

#include <string.h>

int generate(const struct command *const *commands, const char *what, const struct command *command)
{
    if (!strcmp(what, "man") && command)
        generate_man(command, stdout);
    else if (!strcmp(what, "man"))
        generate_man_overview(commands, stdout);
    else if (!strcmp(what, "options"))
        return generate_json(commands);
    else if (!strcmp(what, "bash"))
        generate_bash(commands, stdout);
    else if (!strcmp(what, "zsh"))
        generate_zsh(commands, stdout);
    else if (!strcmp(what, "fish"))
        generate_fish(commands, stdout);
    else {
        say_error("--generate takes man, bash, zsh, fish or options, not \"%s\"", what);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}
