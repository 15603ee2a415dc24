/* dataset_build.c - used by all readers of datasets: add a sample, its captions and the classes; skip a corrupt sample; warn. */
#include "dataset_private.h"
#include "../../host/core/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARNING_SIZE 600

clio_status dataset_skip(clio_context *ctx, struct dataset *ds, clio_status st)
{
    if (!st || !ds->options.skip_corrupt || st == CLIO_ERROR_MEMORY || st == CLIO_ERROR_CANCELLED || st == CLIO_ERROR_INTERNAL)
        return st;
    st = CLIO_OK;
    if (!ds->info.skipped++)
        st = mem_string(ctx, &ds->first_skipped, ctx->status.sentence);
    return st;
}

clio_status dataset_warn(clio_context *ctx, struct dataset *ds, const char *format, ...)
{
    clio_status st = CLIO_OK;
    char text[WARNING_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    TRY(mem_grow(ctx, &ds->warnings, (size_t)ds->info.warning_count, &ds->warning_capacity, sizeof *ds->warnings));
    ds->warnings[ds->info.warning_count] = NULL;
    TRY(mem_string(ctx, &ds->warnings[ds->info.warning_count], text));
    ds->info.warning_count++;
fail:
    return st;
}

clio_status dataset_add_caption(clio_context *ctx, struct sample *s, const char *text)
{
    clio_status st = CLIO_OK;
    char **grown;
    if (!text[strspn(text, " \t\r\n\f\v")])
        return CLIO_OK;
    grown = realloc(s->captions, (s->caption_count + 1) * sizeof *grown);
    if (!grown)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    s->captions = grown;
    s->captions[s->caption_count] = NULL;
    TRY(mem_string(ctx, &s->captions[s->caption_count], text));
    s->caption_count++;
fail:
    return st;
}

clio_status dataset_add(clio_context *ctx, struct dataset *ds, struct sample **out)
{
    clio_status st = CLIO_OK;
    *out = NULL;
    if (ds->count >= DATASET_SAMPLES_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s has more than %d samples: split it into several datasets", ds->root, DATASET_SAMPLES_MAX);
    TRY(mem_grow(ctx, &ds->samples, ds->count, &ds->capacity, sizeof *ds->samples));
    *out = &ds->samples[ds->count++];
    memset(*out, 0, sizeof **out);
    (*out)->label = -1;
fail:
    return st;
}

clio_status dataset_classes(clio_context *ctx, struct dataset *ds, int count, const char *const *names)
{
    clio_status st = CLIO_OK;
    char number[16];
    TRY(mem_alloc(ctx, &ds->class_names, (size_t)count, sizeof *ds->class_names));
    ds->info.classes = count;
    for (int i = 0; i < count; i++) {
        snprintf(number, sizeof number, "%d", i);
        TRY(mem_string(ctx, &ds->class_names[i], names ? names[i] : number));
    }
fail:
    return st;
}
