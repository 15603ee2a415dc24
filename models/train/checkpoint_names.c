/* checkpoint_names.c - names of checkpoints, and checksums of the files in them. */
#include "checkpoint.h"
#include "../../host/core/file_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define STEP_NAME "step-%08" PRId64
#define PIECE ((size_t)1 << 20) /* bytes read at a time */

void checkpoint_name(char name[CHECKPOINT_NAME_SIZE], int64_t step)
{
    snprintf(name, CHECKPOINT_NAME_SIZE, STEP_NAME, step);
}

int64_t checkpoint_step(const char *name)
{
    int64_t step;
    char same[CHECKPOINT_NAME_SIZE];
    if (sscanf(name, "step-%" SCNd64, &step) != 1 || step < 0)
        return -1;
    checkpoint_name(same, step);
    return strcmp(name, same) == 0 ? step : -1;
}

/* ---- checksums ---- */

static clio_status sum_file(clio_context *ctx, const char *path, uint64_t *size, uint32_t *sum)
{
    clio_status st = CLIO_OK;
    struct file_in in = {0};
    unsigned char *piece = NULL;
    uLong crc = crc32(0, NULL, 0);
    TRY(file_in_open(ctx, &in, path));
    TRY(mem_alloc(ctx, &piece, PIECE, 1));
    for (uint64_t at = 0; at < in.size; at += PIECE) {
        size_t n = (size_t)MIN((uint64_t)PIECE, in.size - at);
        TRY(file_in_read(ctx, &in, at, n, piece));
        crc = crc32(crc, piece, (uInt)n);
    }
    *size = in.size;
    *sum = (uint32_t)crc;
fail:
    file_in_close(&in);
    free(piece);
    return st;
}

/* Add the files of root/below. */
static clio_status sum_folder(clio_context *ctx, const char *root, const char *below, json_t *sums)
{
    clio_status st = CLIO_OK;
    struct file_names names = {0};
    char *folder = NULL, *path = NULL, *name = NULL;
    struct stat info;
    TRY(file_join(ctx, &folder, root, below));
    TRY(file_names_read(ctx, &names, folder, NULL));
    for (size_t i = 0; i < names.count; i++) {
        uint64_t size;
        uint32_t sum;
        TRY(file_join(ctx, &path, folder, names.list[i]));
        if (*below)
            TRY(file_join(ctx, &name, below, names.list[i]));
        else
            TRY(mem_string(ctx, &name, names.list[i]));
        if (lstat(path, &info))
            TRY(file_fail_read(ctx, path, errno));
        if (S_ISDIR(info.st_mode)) {
            TRY(sum_folder(ctx, root, name, sums));
        } else if (S_ISREG(info.st_mode) && info.st_size > 0 && strcmp(name, "training.json") != 0) {
            TRY(sum_file(ctx, path, &size, &sum));
            TRY(json_put(ctx, sums, name, json_pack("[I,I]", (json_int_t)size, (json_int_t)sum)));
        }
        free(path);
        free(name);
        path = name = NULL;
    }
fail:
    file_names_free(&names);
    free(folder);
    free(path);
    free(name);
    return st;
}

clio_status checkpoint_checksums(clio_context *ctx, const char *folder, json_t **sums)
{
    clio_status st = CLIO_OK;
    TRY(json_made(ctx, sums, json_object()));
    TRY(sum_folder(ctx, folder, "", *sums));
fail:
    return st;
}

clio_status checkpoint_verify(clio_context *ctx, const char *folder, const json_t *sums)
{
    clio_status st = CLIO_OK;
    const char *name;
    json_t *value;
    char *path = NULL;
    json_object_foreach((json_t *)mem_const_cast(sums), name, value)
    {
        uint64_t size = 0;
        uint32_t sum = 0;
        free(path);
        path = NULL;
        if (strstr(name, "..") || *name == '/')
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s/training.json names a file outside its folder", folder);
        TRY(file_join(ctx, &path, folder, name));
        TRY(sum_file(ctx, path, &size, &sum));
        if (size != (uint64_t)json_integer_value(json_array_get(value, 0)) || sum != json_integer_value(json_array_get(value, 1)))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s is damaged: it differs from its checksum in training.json", path);
    }
fail:
    free(path);
    return st;
}
