/* print_json.c - see print_json.h. */
#include "print_json.h"
#include "command.h"

#include <stdio.h>
#include <stdlib.h>

bool json_print(json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(root);
    if (text)
        puts(text);
    else
        say_error("out of memory");
    free(text);
    return text;
}
