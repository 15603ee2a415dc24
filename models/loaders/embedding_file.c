/* embedding_file.c - see embedding_file.h. */
#include "embedding_file.h"
#include "pickle_tensors.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_KEY "emb_params"
#define PICKLED_KEY "string_to_param/"
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

static clio_status read_safetensors(clio_context *ctx, const char *path, struct embedding_rows *out)
{
    clio_status st = CLIO_OK;
    struct weights file = {0};
    TRY(weights_open(ctx, &file, path, NULL));
    const struct weight *w = weights_find(&file, FIRST_KEY);
    if (!w && file.count == 1)
        w = &file.list[0];
    if (!w)
        TRY(fail_contents(ctx, path, weights_find(&file, "clip_g") != NULL));
    if (w->problem)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: tensor %s %s", path, w->name, w->problem);
    TRY(check_shape(ctx, path, w->ndim, w->dim, out));
    TRY(mem_alloc(ctx, &out->rows, w->count, sizeof *out->rows));
    TRY(weight_floats(ctx, w, 0, w->count, out->rows));
fail:
    weights_close(&file);
    return st;
}

static clio_status read_pickle(clio_context *ctx, const char *path, const struct file_content *map, struct embedding_rows *out)
{
    clio_status st = CLIO_OK;
    struct pickle_tensors tensors = {0};
    const struct pickle_tensor *only = NULL;
    size_t params = 0;
    bool is_sdxl = false;
    TRY(pickle_tensors_read(ctx, map, path, &tensors));
    for (size_t i = 0; i < tensors.count; i++) {
        bool is_param = !strncmp(tensors.list[i].name, PICKLED_KEY, strlen(PICKLED_KEY));
        params += is_param;
        is_sdxl = is_sdxl || !strcmp(tensors.list[i].name, "clip_g");
        only = is_param || tensors.count == 1 ? &tensors.list[i] : only;
    }
    if (!only || params > 1)
        TRY(fail_contents(ctx, path, is_sdxl));
    TRY(pickle_tensor_floats(ctx, map, path, only, &out->rows));
    TRY(check_shape(ctx, path, only->ndim, only->dim, out));
fail:
    pickle_tensors_free(&tensors);
    return st;
}

clio_status embedding_file_read(clio_context *ctx, const char *path, struct embedding_rows *out)
{
    clio_status st = CLIO_OK;
    struct file_content map = {0};
    *out = (struct embedding_rows){0};
    TRY(file_load(ctx, &map, path));
    if (pickle_is_archive(&map))
        TRY(read_pickle(ctx, path, &map, out));
    else if (map.size >= 2 && map.data[0] == 0x80 && map.data[1] <= 5)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s was written by PyTorch before version 1.6: load it with torch.load and save it again", path);
    else
        TRY(read_safetensors(ctx, path, out));
fail:
    file_unload(&map);
    if (st) {
        free(out->rows);
        *out = (struct embedding_rows){0};
    }
    return st;
}
