/* print_json.c - see print_json.h. Jansson escapes the control characters of ASCII; those beyond it are escaped here, which changes nothing
 * for a reader of JSON: they can stand in strings only. */
#include "print_json.h"
#include "command.h"
#include "say.h"
#include "terminal.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void end_without_memory(void)
{
    say_error("out of memory");
    exit(EXIT_FAILED);
}

json_t *json_must(json_t *made)
{
    if (!made)
        end_without_memory();
    return made;
}

void json_add(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        end_without_memory();
}

void json_list_add(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        end_without_memory();
}

json_t *json_name(const char *text)
{
    char *valid = text ? text_name(text) : NULL;
    json_t *value = json_must(valid ? json_string(valid) : json_null());
    free(valid);
    return value;
}

json_t *json_number(double value)
{
    return json_must(isfinite(value) ? json_real(value) : json_null());
}

static int add_to_stream(const char *piece, size_t size, void *stream)
{
    return fwrite(piece, 1, size, stream) == size ? 0 : -1;
}

/* As json_document, with flags of Jansson. */
static char *document(json_t *root, int digits, size_t flags)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    bool whole = stream && !json_dump_callback(json_must(root), add_to_stream, stream, flags | JSON_REAL_PRECISION((size_t)digits));
    whole = whole && !ferror(stream); /* Jansson forgets that a key could not be written */
    whole = stream && fclose(stream) == 0 && whole;
    json_decref(root);
    if (!whole)
        end_without_memory();
    char *out = must_alloc(6 * strlen(text) + 1), *to = out;
    for (const char *from = text; *from;) {
        unsigned code;
        int length = text_control((const unsigned char *)from, &code);
        if (length)
            to += snprintf(to, 7, "\\u%04x", code);
        else
            *to++ = *from;
        from += length ? length : 1;
    }
    free(text);
    return out;
}

char *json_document(json_t *root, int digits)
{
    return document(root, digits, JSON_INDENT(2));
}

static void print_document(char *text)
{
    print_raw(stdout, text);
    print_raw(stdout, "\n");
    free(text);
}

void json_print(json_t *root, int digits)
{
    print_document(json_document(root, digits));
}

void json_print_line(json_t *root, int digits)
{
    print_document(document(root, digits, 0));
}
