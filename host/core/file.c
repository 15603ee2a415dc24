/* file.c - reading through mmap, and result files that appear under their name only when complete: they are written to NAME.tmp.PID in
 * the same folder, synced and renamed, so that a failed or cancelled run leaves the old file. What is not a regular file (standard output,
 * a FIFO, /dev/null) has no old content to protect and cannot be renamed over: it is written directly. */
#define _XOPEN_SOURCE 700    /* realpath */
#define _FILE_OFFSET_BITS 64 /* files above 2 GiB on 32-bit systems */
#define _DEFAULT_SOURCE      /* madvise: posix_madvise may do nothing */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_TRIES 100

/* ---- reading ---- */

static clio_status fail_read(clio_context *ctx, const char *path, int error)
{
    clio_status st = CLIO_OK;
    if (error == ENOENT || error == ENOTDIR)
        FAIL(ctx, CLIO_ERROR_FILE, "%s: no such file: check the name", path);
    if (error == EACCES || error == EPERM)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: you have no permission; change it with chmod +r or choose another file", path);
    FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", path, strerror(error));
fail:
    return st;
}

clio_status file_map(clio_context *ctx, struct file_map *map, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    void *data;
    int fd;
    memset(map, 0, sizeof *map);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: do not wait for the writer of a FIFO */
    if (fd < 0 || fstat(fd, &info))
        TRY(fail_read(ctx, path, errno));
    if (S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: name a file in it", path);
    if (!S_ISREG(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a device or a pipe: name a regular file", path);
    if (info.st_size == 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is empty: download or copy it again", path);
    if ((uintmax_t)info.st_size > SIZE_MAX)
        FAIL(ctx, CLIO_ERROR_MEMORY, "%s is larger than this machine can address: use a 64-bit system", path);
    data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        TRY(fail_read(ctx, path, errno));
    map->data = data;
    map->size = (size_t)info.st_size;
fail:
    if (fd >= 0)
        close(fd);
    return st;
}

void file_unmap(struct file_map *map)
{
    if (map->data)
        munmap(mem_const_cast(map->data), map->size);
    memset(map, 0, sizeof *map);
}

void file_rest(const void *data, size_t size)
{
#ifdef MADV_DONTNEED
    size_t before = (uintptr_t)data % (uintptr_t)sysconf(_SC_PAGESIZE); /* bytes of its first page */
    /* The first and the last page may hold neighbours, which are then read once more. */
    madvise((char *)mem_const_cast(data) - before, before + size, MADV_DONTNEED);
#else
    (void)data;
    (void)size;
#endif
}

/* ---- writing ---- */

static clio_status fail_write(clio_context *ctx, const char *path, int error)
{
    clio_status st = CLIO_OK;
    if (error == ENOSPC)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the disk is full; free some space or choose another disk", path);
    if (error == EDQUOT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: your disk quota is used up; delete files or choose another disk", path);
    FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: %s", path, strerror(error));
fail:
    return st;
}

/* The folder that `path` lies in, in fresh memory. */
static clio_status folder_of(clio_context *ctx, char **out, const char *path)
{
    clio_status st = CLIO_OK;
    const char *slash = strrchr(path, '/');
    TRY(mem_string(ctx, out, slash ? path : "."));
    if (slash)
        (*out)[slash == path ? 1 : slash - path] = 0;
fail:
    return st;
}

/* Why no file could be made at `path`: mostly its folder's fault, so the sentence speaks of the folder. */
static clio_status fail_create(clio_context *ctx, const char *path, int error)
{
    clio_status st = CLIO_OK;
    char *folder = NULL;
    TRY(folder_of(ctx, &folder, path));
    if (error == ENOTDIR || (file_exists(folder) && !file_is_folder(folder)))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: %s is not a folder; choose another name", path, folder);
    if (!file_exists(folder) && error == ENOENT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the folder %s does not exist; create it first (mkdir -p) or choose another", path,
             folder);
    if (error == EACCES || error == EPERM || error == EROFS || error == ENOENT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the folder %s is read-only for you; choose another folder", path, folder);
    if (error == ENAMETOOLONG)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the name is too long; choose a shorter one", path);
    TRY(fail_write(ctx, path, error));
fail:
    free(folder);
    return st;
}

/* Open a new file beside out->path. A name that is taken was left by a run that was killed, perhaps under the same process number (which
 * containers give again and again): try further names rather than touch it. */
static clio_status open_temporary(clio_context *ctx, struct file_out *out, mode_t mode)
{
    clio_status st = CLIO_OK;
    size_t room = strlen(out->path) + 48;
    int fd = -1;
    TRY(mem_alloc(ctx, &out->temporary, room, 1));
    for (int i = 0; fd < 0 && i < TEMPORARY_TRIES; i++) {
        int used = snprintf(out->temporary, room, "%s.tmp.%ld", out->path, (long)getpid());
        if (i)
            snprintf(out->temporary + used, room - (size_t)used, ".%d", i);
        fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        int error = errno;
        free(out->temporary); /* not ours to delete */
        out->temporary = NULL;
        TRY(fail_create(ctx, out->path, error));
    }
    if (mode)
        (void)fchmod(fd, mode & 0777); /* as the file it replaces; some file systems know no modes */
    out->stream = fdopen(fd, "wb");
    if (!out->stream) {
        int error = errno;
        close(fd);
        TRY(fail_write(ctx, out->path, error));
    }
fail:
    return st;
}

clio_status file_out_open(clio_context *ctx, struct file_out *out, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    memset(out, 0, sizeof *out);
    if (!strcmp(path, "-")) {
        TRY(mem_string(ctx, &out->path, "standard output"));
        out->stream = stdout;
        return CLIO_OK;
    }
    if (!*path)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the name of the file to write is empty: name a file, or - for standard output");
    if (stat(path, &info)) {
        if (path[strlen(path) - 1] == '/')
            FAIL(ctx, CLIO_ERROR_FILE, "%s is the name of a folder: name a file to write", path);
        TRY(mem_string(ctx, &out->path, path));
        TRY(open_temporary(ctx, out, 0));
        return CLIO_OK;
    }
    if (S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: name a file in it to write", path);
    if (access(path, W_OK))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the file is read-only for you; choose another name", path);
    if (S_ISREG(info.st_mode)) {
        out->path = realpath(path, NULL); /* a link stays a link: its target is replaced */
        if (!out->path)
            TRY(fail_create(ctx, path, errno));
        TRY(open_temporary(ctx, out, info.st_mode));
    } else {
        TRY(mem_string(ctx, &out->path, path));
        out->stream = fopen(path, "wb");
        if (!out->stream)
            TRY(fail_write(ctx, path, errno));
    }
fail:
    if (st)
        file_out_abandon(out);
    return st;
}

clio_status file_out_write(clio_context *ctx, struct file_out *out, const void *data, size_t size)
{
    clio_status st = CLIO_OK;
    if (!out->stream)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a file that is not open was written to; this is a bug in clio, please report it");
    if (size && fwrite(data, 1, size, out->stream) != size)
        TRY(fail_write(ctx, out->path, errno));
fail:
    return st;
}

clio_status file_out_commit(clio_context *ctx, struct file_out *out)
{
    clio_status st = CLIO_OK;
    if (!out->stream)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a file that is not open was committed; this is a bug in clio, please report it");
    errno = 0;
    if (fflush(out->stream) || ferror((FILE *)out->stream))
        TRY(fail_write(ctx, out->path, errno ? errno : EIO)); /* errno 0: an earlier write failed and its caller went on */
    if (out->temporary && fsync(fileno(out->stream)) && errno != EINVAL && errno != ENOSYS) /* those: a file system without sync */
        TRY(fail_write(ctx, out->path, errno));
    if (out->stream != (void *)stdout) {
        void *stream = out->stream;
        out->stream = NULL;
        if (fclose(stream))
            TRY(fail_write(ctx, out->path, errno));
    }
    if (out->temporary) {
        if (rename(out->temporary, out->path))
            TRY(fail_create(ctx, out->path, errno));
        free(out->temporary);
        out->temporary = NULL;
    }
fail:
    file_out_abandon(out); /* after success: only memory is left to release */
    return st;
}

void file_out_abandon(struct file_out *out)
{
    if (out->stream && out->stream != (void *)stdout)
        fclose(out->stream);
    if (out->temporary)
        unlink(out->temporary);
    free(out->temporary);
    free(out->path);
    memset(out, 0, sizeof *out);
}

/* ---- names and folders ---- */

clio_status file_join(clio_context *ctx, char **out, const char *dir, const char *name)
{
    clio_status st = CLIO_OK;
    size_t length = dir ? strlen(dir) : 0, room = length + strlen(name) + 2;
    bool slash = length && dir[length - 1] != '/';
    TRY(mem_alloc(ctx, out, room, 1));
    snprintf(*out, room, "%s%s%s", length ? dir : "", slash ? "/" : "", name);
fail:
    return st;
}

int file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

int file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static clio_status make_folder(clio_context *ctx, const char *path, mode_t mode)
{
    clio_status st = CLIO_OK;
    char *part = NULL;
    TRY(mem_string(ctx, &part, path));
    for (char *end = part; *end;) {
        char kept;
        end += strspn(end, "/");
        end += strcspn(end, "/");
        kept = *end;
        *end = 0;
        int error = *part && mkdir(part, mode) ? errno : 0;
        if (error && !file_is_folder(part)) { /* an automounter may answer EROFS where a folder is */
            if (error == EEXIST || error == ENOTDIR)
                FAIL(ctx, CLIO_ERROR_FILE, "the folder %s cannot be created: %s is a file; choose another name", path, part);
            FAIL(ctx, CLIO_ERROR_FILE, "the folder %s cannot be created: %s; choose another place", path, strerror(error));
        }
        *end = kept;
    }
fail:
    free(part);
    return st;
}

clio_status file_make_folder(clio_context *ctx, const char *path)
{
    return make_folder(ctx, path, 0777);
}

clio_status file_make_private_folder(clio_context *ctx, const char *path)
{
    return make_folder(ctx, path, 0700);
}
