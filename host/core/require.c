/* require.c - see require.h. */
#include "require.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 60 /* bytes of a text in a sentence */

clio_status require_failed(clio_context *ctx, struct caller at, const char *format, ...)
{
    char text[600];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return clio_fail(ctx, CLIO_ERROR_ARGUMENT, at.file, at.line, "%s: %s", at.function, text);
}

clio_status require_text_or_null(clio_context *ctx, struct caller at, const char *text, const char *name)
{
    return !text || *text ? CLIO_OK : require_failed(ctx, at, "%s is an empty string", name);
}

clio_status require_text(clio_context *ctx, struct caller at, const char *text, const char *name)
{
    return text ? require_text_or_null(ctx, at, text, name) : require_failed(ctx, at, "%s is NULL", name);
}

clio_status require_word(clio_context *ctx, struct caller at, const char *text, const char *words, const char *name)
{
    clio_status st = CLIO_OK;
    char list[300] = "";
    size_t length = 0;
    REQUIRE_AT(ctx, at, text, name);
    for (const char *word = words; *word; word += length + (word[length] == '|')) {
        length = strcspn(word, "|");
        if (strlen(text) == length && memcmp(text, word, length) == 0)
            return CLIO_OK;
        bool last = word[length] == '\0';
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.*s", word == words ? "" : last ? " or " : ", ", (int)length, word);
    }
    st = require_failed(ctx, at, "%s is \"%.*s\": it must be %s", name, SHOWN, text, list);
fail:
    return st;
}

clio_status require_int(clio_context *ctx, struct caller at, int64_t x, int64_t least, int64_t most, const char *name)
{
    return x >= least && x <= most
               ? CLIO_OK
               : require_failed(ctx, at, "%s is %lld: it must be from %lld to %lld", name, (long long)x, (long long)least, (long long)most);
}

clio_status require_size(clio_context *ctx, struct caller at, size_t x, size_t least, size_t most, const char *name)
{
    return x >= least && x <= most ? CLIO_OK : require_failed(ctx, at, "%s is %zu: it must be from %zu to %zu", name, x, least, most);
}

clio_status require_number(clio_context *ctx, struct caller at, double x, double least, double most, const char *name)
{
    return x >= least && x <= most ? CLIO_OK : require_failed(ctx, at, "%s is %g: it must be from %.10g to %.10g", name, x, least, most);
}

clio_status require_list(clio_context *ctx, struct caller at, const void *list, size_t count, size_t most, const char *name,
                         const char *count_name)
{
    clio_status st = CLIO_OK;
    TRY(require_size(ctx, at, count, 0, most, count_name));
    REQUIRE_THAT(ctx, at, list || !count, "%s is NULL, and %s is %zu", name, count_name, count);
fail:
    return st;
}
