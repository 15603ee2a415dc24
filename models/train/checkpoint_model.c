/* checkpoint_model.c - a checkpoint as a trained model: where it is, whether it is intact, what it was validated on; see checkpoint.h. */
#include "checkpoint.h"
#include "../../host/core/context.h"

#include <stdlib.h>
#include <string.h>

#define CHECKS 3 /* of a model whose folder is a link that changes */

clio_status checkpoint_folder(clio_context *ctx, const char *path, char **folder)
{
    clio_status st = CLIO_OK;
    static const char *const below[] = {"config.json", "best/config.json", "last/config.json"};
    char *config = NULL;
    bool exists;
    *folder = NULL;
    for (size_t i = 0; i < COUNT(below) && !*folder; i++) {
        free(config);
        config = NULL;
        TRY(file_join(ctx, &config, path, below[i]));
        TRY(file_check_exists(ctx, config, &exists));
        if (exists) {
            *strrchr(config, '/') = '\0';
            *folder = config;
            config = NULL;
        }
    }
    if (!*folder)
        FAIL(ctx, CLIO_ERROR_FILE, "%s holds no trained model: it has neither config.json nor best/ nor last/", path);
fail:
    free(config);
    return st;
}

/* Open training.json; without one file->root stays NULL. */
static clio_status open_training(clio_context *ctx, const char *folder, struct json_file *file)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    bool exists;
    TRY(file_join(ctx, &path, folder, "training.json"));
    TRY(file_check_exists(ctx, path, &exists));
    if (exists)
        TRY(json_open(ctx, file, folder, "training.json"));
fail:
    free(path);
    return st;
}

/* others: folder may hold a file training.json that is not of clio. */
static clio_status check_model(clio_context *ctx, const char *folder, bool others, bool *checked)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    json_t *sums = NULL;
    struct status_text reason;
    clio_status read = open_training(ctx, folder, &file);
    *checked = !read && json_is_object(json_object_get(file.root, "checksums"));
    if (!*checked && (!read || (others && read == CLIO_ERROR_FORMAT)))
        goto fail;
    TRY(read);
    TRY(json_copied(ctx, &sums, json_object_get(file.root, "checksums")));
    json_object_del(sums, "training.safetensors");
    clio_status differs = checkpoint_verify(ctx, folder, sums);
    if (differs != CLIO_ERROR_FORMAT)
        TRY(differs);
    reason = ctx->status;
    if (differs)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%.900s; use another checkpoint, or remove training.json if the change was intended", reason.sentence);
fail:
    json_close(&file);
    json_decref(sums);
    return st;
}

/* Check `folder`, or the folder above it. */
static clio_status check_either(clio_context *ctx, const char *folder)
{
    clio_status st = CLIO_OK;
    char *above = NULL;
    bool checked;
    TRY(check_model(ctx, folder, false, &checked));
    TRY(mem_string(ctx, &above, folder));
    for (size_t n = strlen(above); n > 1 && above[n - 1] == '/';)
        above[--n] = '\0';
    char *slash = strrchr(above, '/');
    if (!checked && slash && slash > above) {
        *slash = '\0';
        TRY(check_model(ctx, above, true, &checked));
    }
fail:
    free(above);
    return st;
}

clio_status checkpoint_check_model(clio_context *ctx, const char *folder)
{
    clio_status st = CLIO_OK;
    char *before = NULL, *after = NULL;
    bool exists, moved = true;
    TRY(file_check_exists(ctx, folder, &exists));
    for (int i = 0; exists && moved && i < CHECKS; i++) { /* a run that goes on may link RUN/best to another checkpoint meanwhile */
        free(before);
        free(after);
        before = after = NULL;
        TRY(file_real_path(ctx, &before, folder));
        st = check_either(ctx, folder);
        if (!checkpoint_is_damage(st))
            break;
        struct status_text reason = ctx->status;
        moved = file_real_path(ctx, &after, folder) == CLIO_OK && strcmp(before, after) != 0;
        ctx->status = reason;
    }
fail:
    free(before);
    free(after);
    return st;
}

clio_status checkpoint_split(clio_context *ctx, const char *folder, struct train_split *split)
{
    clio_status st = CLIO_OK;
    struct json_file file = {0};
    *split = (struct train_split){.fraction = -1};
    TRY(open_training(ctx, folder, &file));
    if (file.root)
        TRY(checkpoint_read_split(ctx, &file, split));
fail:
    json_close(&file);
    return st;
}
