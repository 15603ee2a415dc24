/* embedding_file.c - see embedding_file.h. */
#include "embedding_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_KEY "emb_params"
#define PICKLED_KEY "string_to_param."
#define VECTORS_MAX 1000

static clio_status fail_contents(clio_context *ctx, const char *path, bool is_sdxl)
{
    clio_status st = CLIO_OK;
    if (is_sdxl)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is an embedding for SDXL (clip_l, clip_g): use one for Stable Diffusion 1 or 2", path);
    FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not an embedding: it must hold one tensor, or one called " FIRST_KEY, path);
fail:
    return st;
}

/* One vector, or a table of vectors. */
static clio_status check_shape(clio_context *ctx, const char *path, int ndim, const int *dim, struct embedding_rows *out)
{
    clio_status st = CLIO_OK;
    if (ndim < 1 || ndim > 2 || (ndim == 2 && dim[0] > VECTORS_MAX))
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not an embedding: its tensor has %d dimensions, or more than %d vectors", path, ndim,
             VECTORS_MAX);
    if (dim[0] < 1 || dim[ndim - 1] < 1)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not an embedding: its tensor has no numbers", path);
    out->vectors = ndim == 2 ? dim[0] : 1;
    out->width = dim[ndim - 1];
fail:
    return st;
}

/* The tensor that has the vectors: the only one of the file, or the only one under a name that says so. NULL: neither. */
static const struct weight *find_vectors(const struct weights *file)
{
    const struct weight *found = weights_find(file, FIRST_KEY);
    size_t params = 0;
    for (size_t i = 0; i < file->count; i++) {
        bool is_param = !strncmp(file->list[i].name, PICKLED_KEY, strlen(PICKLED_KEY));
        params += is_param;
        found = is_param || (!found && file->count == 1) ? &file->list[i] : found;
    }
    return params > 1 ? NULL : found;
}

static clio_status read_vectors(clio_context *ctx, const char *path, struct embedding_rows *out)
{
    clio_status st = CLIO_OK;
    struct weights file = {0};
    TRY(weights_open(ctx, &file, path, NULL));
    const struct weight *w = find_vectors(&file);
    if (!w)
        TRY(fail_contents(ctx, path, weights_find(&file, "clip_g") != NULL));
    if (w->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %s %s", path, w->name, w->problem);
    if (w->dtype == DTYPE_I32 || w->dtype == DTYPE_I64 || w->dtype == DTYPE_U8)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is not an embedding: its tensor %s holds integers (%s), not floating-point numbers", path, w->name,
             dtype_name(w->dtype));
    TRY(check_shape(ctx, path, w->ndim, w->dim, out));
    TRY(mem_alloc(ctx, &out->rows, w->count, sizeof *out->rows));
    TRY(weight_floats(ctx, w, 0, w->count, out->rows));
fail:
    weights_close(&file);
    return st;
}

clio_status embedding_file_read(clio_context *ctx, const char *path, struct embedding_rows *out)
{
    clio_status st = CLIO_OK;
    *out = (struct embedding_rows){0};
    TRY(read_vectors(ctx, path, out));
    for (size_t i = 0; i < (size_t)out->vectors * (size_t)out->width; i++)
        if (!isfinite(out->rows[i]))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s holds values that are not finite: it is damaged, download it again", path);
fail:
    if (st) {
        free(out->rows);
        *out = (struct embedding_rows){0};
    }
    return st;
}
