/* terminal.c - see terminal.h. A format is printed piece by piece: what it says itself as it is, what is put in for %s after cleaning. */
#include "terminal.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define SPEC_BYTES 32

/* One conversion: "%-*.3lf" without the stars, which are read, and its length and letter. */
struct spec {
    char text[SPEC_BYTES + 16];
    size_t size;
    int longs; /* l, ll */
    bool is_size;
    char letter;
};

static void spec_add(struct spec *spec, char c)
{
    if (spec->size + 1 < SPEC_BYTES) {
        spec->text[spec->size++] = c;
        spec->text[spec->size] = 0;
    }
}

static void spec_add_number(struct spec *spec, int number)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", number);
    for (const char *c = digits; *c; c++)
        spec_add(spec, *c);
}

/* Read the conversion at `at`, a '%'; returns what follows it. */
static const char *spec_read(struct spec *spec, const char *at, va_list *arguments)
{
    *spec = (struct spec){.size = 0};
    spec_add(spec, *at++);
    for (; *at && strchr("-+ #0.123456789*", *at); at++)
        if (*at == '*')
            spec_add_number(spec, va_arg(*arguments, int));
        else
            spec_add(spec, *at);
    for (; *at == 'l' || *at == 'z'; at++) {
        spec->longs += *at == 'l';
        spec->is_size = spec->is_size || *at == 'z';
        spec_add(spec, *at);
    }
    spec->letter = *at;
    spec_add(spec, *at);
    return *at ? at + 1 : at;
}

static char *format_text(const struct spec *spec, const char *text)
{
    char *clean, *made, *bounded = NULL;
    const char *point = strchr(spec->text, '.');
    if (point) { /* the text may have no zero behind these bytes */
        bounded = must_print("%.*s", atoi(point + 1), text);
        text = bounded;
    }
    clean = text_clean(text);
    struct spec plain = *spec;
    if (point) {
        plain.text[point - spec->text] = 's';
        plain.text[point - spec->text + 1] = 0;
    }
    made = must_print(plain.text, clean);
    free(clean);
    free(bounded);
    return made;
}

static char *format_integer(const struct spec *spec, va_list *arguments)
{
    if (spec->is_size)
        return must_print(spec->text, va_arg(*arguments, size_t));
    if (spec->longs > 1)
        return must_print(spec->text, va_arg(*arguments, long long));
    if (spec->longs)
        return must_print(spec->text, va_arg(*arguments, long));
    return must_print(spec->text, va_arg(*arguments, int));
}

static void print_spec(FILE *out, const struct spec *spec, va_list *arguments)
{
    char *text;
    if (spec->letter == '%') {
        fputc('%', out);
        return;
    }
    text = spec->letter == 's'           ? format_text(spec, va_arg(*arguments, const char *))
           : strchr("fge", spec->letter) ? must_print(spec->text, va_arg(*arguments, double))
                                         : format_integer(spec, arguments);
    fputs(text, out);
    free(text);
}

void print_list_to(FILE *out, const char *format, va_list list)
{
    va_list arguments; /* its own: of a parameter, which may be an array, no pointer can be taken */
    struct spec spec;
    va_copy(arguments, list);
    while (*format) {
        size_t plain = strcspn(format, "%");
        fwrite(format, 1, plain, out);
        format += plain;
        if (*format) {
            format = spec_read(&spec, format, &arguments);
            print_spec(out, &spec, &arguments);
        }
    }
    va_end(arguments);
}

void print_to(FILE *out, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list_to(out, format, list);
    va_end(list);
}

void print_out(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list_to(stdout, format, list);
    va_end(list);
}

void print_err(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list_to(stderr, format, list);
    va_end(list);
}

void print_raw(FILE *out, const char *text)
{
    fputs(text, out);
}

void print_lines(FILE *out, const char *start, const char *text)
{
    while (*text) {
        size_t size = strcspn(text, "\n");
        print_to(out, "%s%.*s\n", start, (int)size, text);
        text += size + (text[size] != 0);
    }
}
