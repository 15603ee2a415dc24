/* model_folder.c - find the weight files of a folder of diffusers or transformers, and their variants. See model_folder.h. Source of the
 * names: diffusers, utils/hub_utils.py (_add_variant) and models/model_loading_utils.py; transformers, utils/hub.py. */
#define _XOPEN_SOURCE 700 /* realpath, symlink */
#include "model_folder.h"
#include "../../host/core/file_out.h"
#include "../../host/core/file_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define MAX_VARIANT 64 /* characters */

/* The names of weights, those of PyTorch after those of safetensors. Of a variant: diffusers and transformers write the first two; the
 * third is an index of older folders. */
#define FORMATS 2
#define VARIANT_NAMES 3
static const struct {
    const char *name, *index;
    struct {
        const char *before, *after; /* stem, before, variant, after */
    } variants[VARIANT_NAMES];
} formats[FORMATS] = {
    {".safetensors",
     ".safetensors.index.json",
     {{".", ".safetensors"}, {".safetensors.index.", ".json"}, {".", ".safetensors.index.json"}}},
    {".bin", ".bin.index.json", {{".", ".bin"}, {".bin.index.", ".json"}, {".", ".bin.index.json"}}},
};

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

/* *path: the file with the weights of a variant, or of none (NULL), or the index of its shards; NULL if there is none. */
static clio_status find_weights(clio_context *ctx, const char *dir, const char *stem, size_t format, const char *variant, char **path)
{
    clio_status st = CLIO_OK;
    struct bytes name = {0};
    bool exists;
    for (size_t i = 0; i < (variant ? VARIANT_NAMES : 2) && !*path; i++) {
        bytes_free(&name);
        if (variant)
            TRY(bytes_print(ctx, &name, "%s%s%s%s", stem, formats[format].variants[i].before, variant, formats[format].variants[i].after));
        else
            TRY(bytes_print(ctx, &name, "%s%s", stem, i ? formats[format].index : formats[format].name));
        TRY(file_join(ctx, path, dir, name.data));
        TRY(file_check_exists(ctx, *path, &exists));
        if (!exists) {
            free(*path);
            *path = NULL;
        }
    }
fail:
    bytes_free(&name);
    return st;
}

/* "fp16" of "model.fp16.safetensors" and of the indexes of its shards; false: another file, or a single shard. */
static bool variant_of(const char *name, const char *stem, size_t format, char variant[MAX_VARIANT])
{
    size_t n = strlen(stem);
    if (strncmp(name, stem, n) != 0 || strstr(name, "-of-"))
        return false;
    for (size_t i = VARIANT_NAMES; i-- > 0;) { /* the longest ending first */
        const char *before = formats[format].variants[i].before, *after = formats[format].variants[i].after;
        size_t used = n + strlen(before) + strlen(after), size = strlen(name);
        if (size <= used || size - used >= MAX_VARIANT || strncmp(name + n, before, strlen(before)) != 0 || !ends_with(name, after))
            continue;
        snprintf(variant, MAX_VARIANT, "%.*s", (int)(size - used), name + n + strlen(before));
        return true;
    }
    return false;
}

/* The preferred one of the existing variants: fp16, else the first by name. Empty: none. */
static clio_status any_variant(clio_context *ctx, const char *dir, const char *stem, size_t format, char best[MAX_VARIANT])
{
    clio_status st = CLIO_OK;
    char name[MAX_VARIANT];
    struct file_names names = {0};
    *best = 0;
    TRY(file_names_read(ctx, &names, dir, NULL));
    for (size_t i = 0; i < names.count; i++) {
        if (!variant_of(names.list[i], stem, format, name))
            continue;
        bool half = !strcmp(name, "fp16"), best_half = !strcmp(best, "fp16");
        if (!*best || half > best_half || (half == best_half && strcmp(name, best) < 0))
            memcpy(best, name, sizeof name);
    }
fail:
    file_names_free(&names);
    return st;
}

/* The file of `variant`, else the one without a variant, else that of any. */
static clio_status find_in_format(clio_context *ctx, const char *dir, const char *stem, size_t format, const char *variant, char **path)
{
    clio_status st = CLIO_OK;
    char name[MAX_VARIANT];
    if (variant)
        TRY(find_weights(ctx, dir, stem, format, variant, path));
    if (!*path)
        TRY(find_weights(ctx, dir, stem, format, NULL, path));
    if (!*path) {
        TRY(any_variant(ctx, dir, stem, format, name));
        if (*name)
            TRY(find_weights(ctx, dir, stem, format, name, path));
    }
fail:
    return st;
}

clio_status folder_weights(clio_context *ctx, const char *dir, const char *stem, const char *variant, struct weights *weights)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    bool is_folder;
    memset(weights, 0, sizeof *weights);
    if (variant && (strlen(variant) >= MAX_VARIANT || strchr(variant, '/')))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "\"%.60s\" is not a valid variant: use a name like fp16", variant);
    TRY(file_check_folder(ctx, dir, &is_folder));
    if (!is_folder)
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: use the folder of a complete model, or download the missing part", dir);
    for (size_t i = 0; i < FORMATS && !path; i++)
        TRY(find_in_format(ctx, dir, i ? weights_bin_stem(stem) : stem, i, variant, &path));
    TRY(weights_open(ctx, weights, path ? path : dir, stem));
fail:
    free(path);
    return st;
}

clio_status folder_try(clio_context *ctx, const char *base, const char *name, char **path)
{
    clio_status st = CLIO_OK;
    bool is_folder;
    if (*path || !base || !*base)
        return CLIO_OK;
    TRY(file_join(ctx, path, base, name));
    TRY(file_check_folder(ctx, *path, &is_folder));
    if (!is_folder) {
        free(*path);
        *path = NULL;
    }
fail:
    return st;
}

clio_status folder_json(clio_context *ctx, struct json_file *out, const char *base, const char *name, const char *file)
{
    clio_status st = CLIO_OK;
    char *folder = NULL;
    if (out->root || !base || !*base)
        return CLIO_OK;
    TRY(file_join(ctx, &folder, base, name));
    TRY(json_open_if_exists(ctx, out, folder, file));
fail:
    free(folder);
    return st;
}

clio_status folder_put_json(clio_context *ctx, const json_t *json, const char *base, const char *folder, const char *name)
{
    clio_status st = CLIO_OK;
    struct file_out out = {0};
    char *inner = NULL, *path = NULL, *text = NULL;
    TRY(json_format(ctx, json, JSON_INDENT(2), &text));
    TRY(file_join(ctx, &inner, base, folder));
    TRY(file_make_folder(ctx, inner));
    TRY(file_join(ctx, &path, inner, name));
    TRY(file_out_open(ctx, &out, path));
    TRY(file_out_write(ctx, &out, text, strlen(text)));
    TRY(file_out_write(ctx, &out, "\n", 1));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    free(inner);
    free(path);
    free(text);
    return st;
}
