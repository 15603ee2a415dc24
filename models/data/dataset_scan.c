/* dataset_scan.c - list the files of a dataset's folder and of the folders below it. */
#include "dataset_private.h"

#include "../../host/core/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEPTH_MAX 16

static bool ends_with_one_of(const char *dot, const char *const *endings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcasecmp(dot, endings[i]))
            return true;
    return false;
}

/* The lists also have formats that clio does not read: such files must give an error instead of being ignored. */
static enum entry_type entry_type(const char *name)
{
    static const char *const images[] = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"};
    static const char *const sounds[] = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".aac", ".wma"};
    static const char *const texts[] = {".txt", ".caption"};
    static const char *const tables[] = {".parquet", ".arrow"};
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    if (!strcasecmp(base, "metadata.jsonl") || !strcasecmp(base, "metadata.csv"))
        return ENTRY_METADATA;
    if (!dot)
        return ENTRY_OTHER;
    return ends_with_one_of(dot, images, COUNT(images))   ? ENTRY_IMAGE
           : ends_with_one_of(dot, sounds, COUNT(sounds)) ? ENTRY_SOUND
           : ends_with_one_of(dot, texts, COUNT(texts))   ? ENTRY_TEXT
           : ends_with_one_of(dot, tables, COUNT(tables)) ? ENTRY_TABLE
                                                          : ENTRY_OTHER;
}

/* The folders from the root to the current one, to detect cycles of links. */
struct visited {
    const struct visited *parent;
    dev_t device;
    ino_t number;
};

static bool is_cycle(const struct visited *visited, const struct stat *info)
{
    for (; visited; visited = visited->parent)
        if (visited->device == info->st_dev && visited->number == info->st_ino)
            return true;
    return false;
}

/* Whether a training run of clio lies in the folder: its plots and samples are no training images. A folder of the name checkpoints is
 * enough for one below the root. */
static clio_status holds_run(clio_context *ctx, const char *path, bool is_root, bool *out)
{
    clio_status st = CLIO_OK;
    char *log = NULL, *checkpoints = NULL, *samples = NULL;
    TRY(file_join(ctx, &log, path, "train.csv"));
    TRY(file_join(ctx, &checkpoints, path, "checkpoints"));
    TRY(file_join(ctx, &samples, path, "samples"));
    *out = (!is_root && file_is_folder(checkpoints)) || (file_exists(log) && (file_is_folder(checkpoints) || file_is_folder(samples)));
fail:
    free(log);
    free(checkpoints);
    free(samples);
    return st;
}

static clio_status scan(clio_context *ctx, struct dataset *ds, struct entries *entries, const char *below, const struct visited *parent,
                        int depth);

/* Scan a folder below the root, which is at `path`. */
static clio_status scan_folder(clio_context *ctx, struct dataset *ds, struct entries *entries, const char *path, const char *name,
                               const struct visited *visited, int depth)
{
    clio_status st = CLIO_OK;
    bool is_run = false;
    TRY(holds_run(ctx, path, false, &is_run));
    if (is_run)
        TRY(dataset_warn(ctx, ds, "the folder %s is left out of the data, since it holds a training run", path));
    else
        TRY(scan(ctx, ds, entries, name, visited, depth));
fail:
    return st;
}

/* Scan one name in the folder `below`, relative to the root. */
static clio_status scan_entry(clio_context *ctx, struct dataset *ds, struct entries *entries, const char *below, const char *base,
                              const struct visited *visited, int depth)
{
    clio_status st = CLIO_OK;
    char *name = NULL, *path = NULL;
    struct stat info;
    TRY(file_join(ctx, &name, below, base));
    TRY(file_join(ctx, &path, ds->root, name));
    if (stat(path, &info)) {
        int error = errno;
        if (entry_type(name) == ENTRY_OTHER)
            goto fail;
        st = clio_fail(ctx, CLIO_ERROR_FILE, __FILE__, __LINE__, "%s cannot be read (%s): repair or remove it", path, strerror(error));
        TRY(dataset_skip(ctx, ds, st));
        st = CLIO_OK;
    } else if (S_ISDIR(info.st_mode)) {
        if (!is_cycle(visited, &info))
            TRY(scan_folder(ctx, ds, entries, path, name, visited, depth + 1));
    } else if (S_ISREG(info.st_mode) && entry_type(name) != ENTRY_OTHER) {
        TRY(mem_grow(ctx, &entries->list, entries->count, &entries->capacity, sizeof *entries->list));
        entries->list[entries->count++] = (struct entry){name, entry_type(name)};
        name = NULL;
    }
fail:
    free(name);
    free(path);
    return st;
}

static clio_status scan(clio_context *ctx, struct dataset *ds, struct entries *entries, const char *below, const struct visited *parent,
                        int depth)
{
    clio_status st = CLIO_OK;
    char *path = NULL;
    DIR *dir = NULL;
    struct stat info;
    struct visited current = {parent, 0, 0};
    TRY(file_join(ctx, &path, ds->root, below));
    if (depth > DEPTH_MAX)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s is nested deeper than %d folders: use a folder closer to the files", path, DEPTH_MAX);
    dir = opendir(path);
    if (!dir || stat(path, &info))
        FAIL(ctx, CLIO_ERROR_FILE, "the folder %s cannot be read: %s", path, strerror(errno));
    current.device = info.st_dev;
    current.number = info.st_ino;
    for (struct dirent *entry; errno = 0, (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            TRY(scan_entry(ctx, ds, entries, below, entry->d_name, &current, depth));
    if (errno)
        FAIL(ctx, CLIO_ERROR_FILE, "the folder %s cannot be read: %s", path, strerror(errno));
fail:
    if (dir)
        closedir(dir);
    free(path);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

clio_status dataset_scan(clio_context *ctx, struct dataset *ds, struct entries *entries)
{
    clio_status st = CLIO_OK;
    bool is_run = false;
    TRY(holds_run(ctx, ds->root, true, &is_run));
    if (is_run)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s holds a training run, whose plots and samples are no data: move the data into a folder of its own",
             ds->root);
    TRY(scan(ctx, ds, entries, "", NULL, 0));
    if (entries->count)
        qsort(entries->list, entries->count, sizeof *entries->list, by_name);
fail:
    return st;
}
