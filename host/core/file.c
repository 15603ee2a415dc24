/* file.c - reading whole files, and names and folders; see file.h. */
#define _XOPEN_SOURCE 700
#define _FILE_OFFSET_BITS 64 /* files above 2 GiB on 32-bit systems */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_AT_ONCE ((size_t)1 << 30)
#define LARGEST_LOADED ((uint64_t)4 << 30) /* weights and IDX files are read in parts */

/* ---- reading ---- */

clio_status file_fail_read(clio_context *ctx, const char *path, int error)
{
    clio_status st = CLIO_OK;
    if (error == ENOENT || error == ENOTDIR)
        FAIL(ctx, CLIO_ERROR_FILE, "%s: no such file: check the name", path);
    if (error == EACCES || error == EPERM)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: you have no permission; change it with chmod +r or choose another file", path);
    if (error == EMFILE || error == ENFILE)
        FAIL(ctx, CLIO_ERROR_FILE,
             "%s cannot be read: too many files are open; close other programs or raise the limit of open files (ulimit)", path);
    if (error == ENOMEM)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory while reading %s; close other programs", path);
    FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s; check the disk or choose another file", path, strerror(error));
fail:
    return st;
}

clio_status file_in_open(clio_context *ctx, struct file_in *in, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    *in = (struct file_in){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; /* O_NONBLOCK: do not wait for the writer of a FIFO */
    if (in->fd < 0)
        TRY(file_fail_read(ctx, path, errno));
    if (fstat(in->fd, &info))
        TRY(file_fail_read(ctx, path, errno));
    if (S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: name a file in it", path);
    if (!S_ISREG(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a device or a pipe: name a regular file", path);
    if (info.st_size == 0)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is empty: download or copy it again", path);
    in->size = (uint64_t)info.st_size;
    TRY(mem_string(ctx, &in->path, path));
fail:
    if (st) {
        if (in->fd >= 0)
            close(in->fd);
        *in = (struct file_in){.fd = -1};
    }
    return st;
}

clio_status file_in_read(clio_context *ctx, const struct file_in *in, uint64_t first, size_t size, void *out)
{
    clio_status st = CLIO_OK;
    char *to = out;
    while (size) {
        ssize_t got = pread(in->fd, to, MIN(size, READ_AT_ONCE), (off_t)first);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            TRY(file_fail_read(ctx, in->path, errno));
        if (got == 0)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s was cut short while it was read: it had %llu bytes, and ends before byte %llu; copy it again",
                 in->path, (unsigned long long)in->size, (unsigned long long)first + size);
        to += got;
        first += (uint64_t)got;
        size -= (size_t)got;
    }
fail:
    return st;
}

void file_in_close(struct file_in *in)
{
    if (in->path)
        close(in->fd);
    free(in->path);
    *in = (struct file_in){.fd = -1};
}

clio_status file_load_limited(clio_context *ctx, struct file_content *content, const char *path, uint64_t most)
{
    clio_status st = CLIO_OK;
    struct file_in in;
    unsigned char *data = NULL;
    *content = (struct file_content){0};
    TRY(file_in_open(ctx, &in, path));
    if (in.size > most)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s is larger than %llu MiB, the limit for files of this kind: check that it is the right file", path,
             (unsigned long long)(most >> 20));
    if (in.size > SIZE_MAX / 2)
        FAIL(ctx, CLIO_ERROR_MEMORY, "%s is larger than this machine can address: use a 64-bit system", path);
    if (!(data = malloc((size_t)in.size)))
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory: %s has %llu bytes; close other programs", path, (unsigned long long)in.size);
    TRY(file_in_read(ctx, &in, 0, (size_t)in.size, data));
    *content = (struct file_content){.data = data, .size = (size_t)in.size};
    data = NULL;
fail:
    free(data);
    file_in_close(&in);
    return st;
}

clio_status file_load(clio_context *ctx, struct file_content *content, const char *path)
{
    return file_load_limited(ctx, content, path, LARGEST_LOADED);
}

void file_unload(struct file_content *content)
{
    free(mem_const_cast(content->data));
    *content = (struct file_content){0};
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

clio_status file_find(clio_context *ctx, const char *path, enum file_kind *kind)
{
    clio_status st = CLIO_OK;
    struct stat info;
    *kind = FILE_ABSENT;
    if (!stat(path, &info))
        *kind = S_ISDIR(info.st_mode) ? FILE_FOLDER : S_ISREG(info.st_mode) ? FILE_REGULAR : FILE_SPECIAL;
    else if (errno != ENOENT && errno != ENOTDIR)
        TRY(file_fail_read(ctx, path, errno));
fail:
    return st;
}

clio_status file_check_exists(clio_context *ctx, const char *path, bool *exists)
{
    enum file_kind kind;
    clio_status st = file_find(ctx, path, &kind);
    *exists = kind != FILE_ABSENT;
    return st;
}

clio_status file_check_folder(clio_context *ctx, const char *path, bool *is_folder)
{
    enum file_kind kind;
    clio_status st = file_find(ctx, path, &kind);
    *is_folder = kind == FILE_FOLDER;
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

clio_status file_real_path(clio_context *ctx, char **out, const char *path)
{
    *out = realpath(path, NULL);
    return *out ? CLIO_OK : file_fail_read(ctx, path, errno);
}

static clio_status make_folder(clio_context *ctx, const char *path, mode_t mode)
{
    clio_status st = CLIO_OK;
    struct stat info;
    char *part = NULL;
    TRY(mem_string(ctx, &part, path));
    for (char *end = part; *end;) {
        char kept;
        end += strspn(end, "/");
        end += strcspn(end, "/");
        kept = *end;
        *end = 0;
        int error = *part && mkdir(part, mode) ? errno : 0;
        int unseen = error && stat(part, &info) ? errno : 0;
        if (error && !unseen && !S_ISDIR(info.st_mode))
            FAIL(ctx, CLIO_ERROR_FILE, "the folder %s cannot be created: %s is a file; choose another name", path, part);
        if (unseen) /* else an automounter may have answered EROFS where a folder is */
            FAIL(ctx, CLIO_ERROR_FILE, "the folder %s cannot be created: %s; choose another place", path,
                 strerror(error == EEXIST ? unseen : error));
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
