/* folders.c - what learners in the layout of diffusers share: texts and lists among their settings, and the files of a folder's
 * parts. */
#define _XOPEN_SOURCE 700 /* realpath, symlink */
#include "folders.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *learner_text(const struct learner *l, const char *name)
{
    const char *text = json_string_value(json_object_get(l->config, name));
    return text ? text : "";
}

clio_status learner_channels(clio_context *ctx, const struct learner *l, int heads, json_t **list)
{
    clio_status st = CLIO_OK;
    const char *text = learner_text(l, "block_channels"), *at = text;
    int groups = learner_int(l, "groups");
    *list = json_array();
    for (;;) {
        char *end;
        long n = strtol(at, &end, 10);
        if (end == at || n < 1 || n > 1 << 14 || (*end != ',' && *end) || json_array_size(*list) == LEARNER_BLOCKS)
            FAIL(ctx, CLIO_ERROR_ARGUMENT,
                 "the setting block_channels must be up to %d whole numbers with commas between, such as 64,128,192", LEARNER_BLOCKS);
        if (n % groups || n % heads)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "%ld channels (block_channels) cannot be shared by %d groups (groups) and %d heads (heads)", n,
                 groups, heads);
        if (json_array_append_new(*list, json_integer(n)))
            FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
        if (!*end)
            break;
        at = end + 1;
    }
fail:
    return st;
}

clio_status folder_try(clio_context *ctx, const char *base, const char *name, char **path)
{
    clio_status st = CLIO_OK;
    if (*path || !base || !*base)
        return CLIO_OK;
    TRY(file_join(ctx, path, base, name));
    if (!file_is_folder(*path)) {
        free(*path);
        *path = NULL;
    }
fail:
    return st;
}

clio_status learner_folder(clio_context *ctx, const struct learner *l, const char *name, char **path)
{
    clio_status st = CLIO_OK;
    *path = NULL;
    TRY(folder_try(ctx, l->from, name, path));
    if (!*path && *learner_text(l, name))
        TRY(mem_string(ctx, path, learner_text(l, name)));
    TRY(folder_try(ctx, learner_text(l, "init"), name, path));
fail:
    return st;
}

clio_status folder_json(clio_context *ctx, struct json_file *out, const char *base, const char *name, const char *file)
{
    clio_status st = CLIO_OK;
    char *folder = NULL, *path = NULL;
    if (out->root || !base || !*base)
        return CLIO_OK;
    TRY(file_join(ctx, &folder, base, name));
    TRY(file_join(ctx, &path, folder, file));
    if (file_exists(path))
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
    char *inner = NULL, *path = NULL, *text = json_dumps(json, JSON_INDENT(2));
    if (!text)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
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

clio_status folder_link(clio_context *ctx, const char *base, const char *name, const char *to)
{
    clio_status st = CLIO_OK;
    char *path = NULL, real[PATH_MAX];
    TRY(file_join(ctx, &path, base, name));
    if (!realpath(to, real) || (symlink(real, path) && errno != EEXIST))
        FAIL(ctx, CLIO_ERROR_FILE, "cannot make the link %s: %s", path, strerror(errno));
fail:
    free(path);
    return st;
}
