/* folder_copy.c - the files of another model in a checkpoint, which stays usable when it is copied elsewhere or that model is moved: small
 * files (configuration, tokenizer) are copied; large weights are links. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "model_folder.h"
#include "../../host/core/file_out.h"
#include "../../host/core/file_tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COPIED_MAX ((off_t)16 << 20) /* bytes */

static clio_status copy_file(clio_context *ctx, const char *from, const char *to, bool is_empty)
{
    clio_status st = CLIO_OK;
    struct file_content content = {0};
    struct file_out out = {0};
    if (!is_empty)
        TRY(file_load(ctx, &content, from));
    TRY(file_out_open_own(ctx, &out, to));
    TRY(file_out_write(ctx, &out, content.data, content.size));
    TRY(file_out_commit(ctx, &out));
fail:
    file_out_abandon(&out);
    file_unload(&content);
    return st;
}

clio_status folder_copy(clio_context *ctx, const char *base, const char *name, const char *from, bool (*wanted)(const char *name))
{
    clio_status st = CLIO_OK;
    struct file_names names = {0};
    char *folder = NULL, *source = NULL, *target = NULL, real[PATH_MAX];
    struct stat info;
    TRY(file_join(ctx, &folder, base, name));
    TRY(file_make_folder(ctx, folder));
    TRY(file_names_read(ctx, &names, from, NULL));
    for (size_t i = 0; i < names.count; i++) {
        if (names.list[i][0] == '.' || (wanted && !wanted(names.list[i])))
            continue;
        TRY(file_join(ctx, &source, from, names.list[i]));
        TRY(file_join(ctx, &target, folder, names.list[i]));
        if (stat(source, &info) || !realpath(source, real))
            FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", source, strerror(errno));
        if (S_ISREG(info.st_mode) && info.st_size <= COPIED_MAX)
            TRY(copy_file(ctx, source, target, info.st_size == 0));
        else if (S_ISREG(info.st_mode))
            TRY(file_set_link(ctx, folder, names.list[i], real));
        free(source);
        free(target);
        source = target = NULL;
    }
fail:
    file_names_free(&names);
    free(folder);
    free(source);
    free(target);
    return st;
}
