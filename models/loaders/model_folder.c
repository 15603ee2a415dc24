/* model_folder.c - find the weight files of a diffusers folder, and its variants. See model_folder.h. Source of the names: diffusers,
 * utils/hub_utils.py and models/model_loading_utils.py. */
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

#define SUFFIX ".safetensors"
#define INDEX ".index.json"
#define MAX_STEM 128 /* characters of a stem with its variant */

/* Whether dir has `stem`.safetensors or `stem`.safetensors.index.json (shards). */
static clio_status has_stem(clio_context *ctx, const char *dir, const char *stem, bool *has)
{
    clio_status st = CLIO_OK;
    char name[MAX_STEM + sizeof SUFFIX INDEX], *path = NULL;
    *has = false;
    for (int sharded = 0; sharded < 2 && !*has; sharded++) {
        snprintf(name, sizeof name, "%s" SUFFIX "%s", stem, sharded ? INDEX : "");
        TRY(file_join(ctx, &path, dir, name));
        TRY(file_check_exists(ctx, path, has));
        free(path);
        path = NULL;
    }
fail:
    free(path);
    return st;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

/* "model.fp16" of "model.fp16.safetensors" and of "model.fp16.safetensors.index.json"; false: another file, or a single shard. */
static bool variant_of(const char *name, const char *stem, char found[MAX_STEM])
{
    size_t size = strlen(name), n = strlen(stem);
    size_t suffix_size = ends_with(name, SUFFIX INDEX) ? sizeof SUFFIX INDEX - 1 : ends_with(name, SUFFIX) ? sizeof SUFFIX - 1 : 0;
    if (!suffix_size || size <= n + 1 + suffix_size || strncmp(name, stem, n) != 0 || name[n] != '.' || strstr(name, "-of-") ||
        size - suffix_size >= MAX_STEM)
        return false;
    memcpy(found, name, size - suffix_size);
    found[size - suffix_size] = 0;
    return true;
}

/* The preferred one of the existing variants: fp16, else the first by name. Empty: none. */
static clio_status any_variant(clio_context *ctx, const char *dir, const char *stem, char best[MAX_STEM])
{
    clio_status st = CLIO_OK;
    char name[MAX_STEM];
    struct file_names names = {0};
    *best = 0;
    TRY(file_names_read(ctx, &names, dir, NULL));
    for (size_t i = 0; i < names.count; i++) {
        if (!variant_of(names.list[i], stem, name))
            continue;
        bool half = ends_with(name, ".fp16"), best_half = ends_with(best, ".fp16");
        if (!*best || half > best_half || (half == best_half && strcmp(name, best) < 0))
            memcpy(best, name, sizeof name);
    }
fail:
    file_names_free(&names);
    return st;
}

clio_status folder_weights(clio_context *ctx, const char *dir, const char *stem, const char *variant, struct weights *weights)
{
    clio_status st = CLIO_OK;
    char name[MAX_STEM];
    bool has = false, is_folder;
    memset(weights, 0, sizeof *weights);
    if (variant && (strlen(stem) + strlen(variant) + 1 >= sizeof name || strchr(variant, '/')))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "\"%.60s\" is not a valid variant: use a name like fp16", variant);
    TRY(file_check_folder(ctx, dir, &is_folder));
    if (!is_folder)
        FAIL(ctx, CLIO_ERROR_FILE, "there is no folder %s: use the folder of a complete model, or download the missing part", dir);
    if (variant) {
        snprintf(name, sizeof name, "%s.%s", stem, variant);
        TRY(has_stem(ctx, dir, name, &has));
    }
    if (!has) {
        snprintf(name, sizeof name, "%s", stem);
        TRY(has_stem(ctx, dir, name, &has));
    }
    if (!has) {
        TRY(any_variant(ctx, dir, stem, name));
        has = *name;
    }
    TRY(weights_open(ctx, weights, dir, has ? name : stem));
fail:
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
    char *folder = NULL, *path = NULL;
    bool exists;
    if (out->root || !base || !*base)
        return CLIO_OK;
    TRY(file_join(ctx, &folder, base, name));
    TRY(file_join(ctx, &path, folder, file));
    TRY(file_check_exists(ctx, path, &exists));
    if (exists)
        TRY(json_open(ctx, out, folder, file));
fail:
    free(folder);
    free(path);
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
