/* dataset_build.c - used by all readers of datasets: add a sample, skip a corrupt one, set the classes. */
#include "dataset_private.h"
#include "../../host/core/context.h"

#include <stdio.h>
#include <string.h>

clio_status dataset_skip(clio_context *ctx, struct dataset *ds, clio_status st)
{
    if (!st || !ds->options.skip_corrupt || st == CLIO_ERROR_MEMORY || st == CLIO_ERROR_CANCELLED || st == CLIO_ERROR_INTERNAL)
        return st;
    st = CLIO_OK;
    if (!ds->info.skipped++)
        st = mem_string(ctx, &ds->first_skipped, ctx->status.sentence);
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
