/* terminal.c - see terminal.h. A format is printed piece by piece: what it says itself as it is, what is put in for %s after cleaning. */
#include "terminal.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define SPEC_BYTES 32

/* One conversion: "%-*.3lf". */
struct spec {
    char text[SPEC_BYTES + 16];
    size_t size;
    int stars; /* in the text */
    int longs; /* l, ll */
    bool is_size;
    char letter;
};

static void spec_add(struct spec *spec, const char *text, size_t size)
{
    for (; size && spec->size + 1 < SPEC_BYTES; size--) {
        spec->text[spec->size++] = *text++;
        spec->text[spec->size] = 0;
    }
}

/* Read the conversion at `at`, a '%'; returns what follows it. */
static const char *spec_read(struct spec *spec, const char *at)
{
    *spec = (struct spec){.size = 0};
    spec_add(spec, at++, 1);
    for (; *at && strchr("-+ #0.123456789*", *at); at++) {
        spec->stars += *at == '*';
        spec_add(spec, at, 1);
    }
    for (; *at == 'l' || *at == 'z'; at++) {
        spec->longs += *at == 'l';
        spec->is_size = spec->is_size || *at == 'z';
        spec_add(spec, at, 1);
    }
    spec->letter = *at;
    spec_add(spec, at, 1);
    return *at ? at + 1 : at;
}

/* Put a number in the place of the first star. */
static void spec_set_star(struct spec *spec, int number)
{
    struct spec old = *spec;
    char digits[16], *star = strchr(old.text, '*');
    size_t before = (size_t)(star - old.text);
    snprintf(digits, sizeof digits, "%d", number);
    spec->size = before;
    spec_add(spec, digits, strlen(digits));
    spec_add(spec, star + 1, strlen(star + 1));
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

void print_list_to(FILE *out, const char *format, va_list list)
{
    struct spec spec;
    while (*format) {
        char *text;
        size_t plain = strcspn(format, "%");
        fwrite(format, 1, plain, out);
        format += plain;
        if (!*format)
            break;
        format = spec_read(&spec, format);
        for (int i = 0; i < spec.stars; i++)
            spec_set_star(&spec, va_arg(list, int));
        if (spec.letter == '%')
            text = must_print("%%");
        else if (spec.letter == 's')
            text = format_text(&spec, va_arg(list, const char *));
        else if (strchr("fge", spec.letter))
            text = must_print(spec.text, (double)va_arg(list, double));
        else
            text = spec.is_size     ? must_print(spec.text, (size_t)va_arg(list, size_t))
                   : spec.longs > 1 ? must_print(spec.text, (long long)va_arg(list, long long))
                   : spec.longs     ? must_print(spec.text, (long)va_arg(list, long))
                                    : must_print(spec.text, (int)va_arg(list, int));
        fputs(text, out);
        free(text);
    }
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
