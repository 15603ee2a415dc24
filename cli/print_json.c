/* print_json.c - see print_json.h. */
#include "print_json.h"
#include "say.h"

#include <stdio.h>
#include <stdlib.h>

bool json_print(json_t *root, int digits)
{
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION((size_t)digits));
    json_decref(root);
    if (text)
        puts(text);
    else
        say_error("out of memory");
    free(text);
    return text;
}
