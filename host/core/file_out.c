/* file_out.c - see file_out.h. A result is written to NAME.tmp.clio in the same folder, synced and renamed. That file is locked while it is
 * written: one that is not was left by a run that was killed, and is deleted by the next that writes NAME; beside one that is,
 * NAME.tmp.clio.1 and so on are tried. What is not a regular file (standard output, a FIFO, /dev/null) has no old content to protect and
 * cannot be renamed over: it is written directly. */
#define _XOPEN_SOURCE 700    /* realpath */
#define _DEFAULT_SOURCE      /* flock */
#define _FILE_OFFSET_BITS 64 /* files above 2 GiB on 32-bit systems */
#include "file_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_NAMES 1000

clio_status file_fail_write(clio_context *ctx, const char *path, int error)
{
    clio_status st = CLIO_OK;
    if (error == ENOSPC)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the disk is full; free some space or choose another disk", path);
    if (error == EDQUOT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: your disk quota is used up; delete files or choose another disk", path);
    if (error == ENOMEM)
        FAIL(ctx, CLIO_ERROR_MEMORY, "out of memory while writing %s; close other programs", path);
    FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: %s; choose another file", path, strerror(error));
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

clio_status file_fail_create(clio_context *ctx, const char *path, int error)
{
    clio_status st = CLIO_OK;
    char *folder = NULL;
    struct stat info;
    bool found;
    TRY(folder_of(ctx, &folder, path));
    if (error == EACCES && !stat(path, &info) && S_ISREG(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the file is read-only for you; choose another name", path);
    found = stat(folder, &info) == 0;
    if (error == ENOTDIR || (found && !S_ISDIR(info.st_mode)))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: %s is not a folder; choose another name", path, folder);
    if (!found && error == ENOENT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the folder %s does not exist; create it first (mkdir -p) or choose another", path,
             folder);
    if (error == EACCES || error == EPERM || error == EROFS || error == ENOENT)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the folder %s is read-only for you; choose another folder", path, folder);
    if (error == ENAMETOOLONG)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the name is too long; choose a shorter one", path);
    if (error == ELOOP)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: it is a link, and links in this folder are not followed; remove it", path);
    TRY(file_fail_write(ctx, path, error));
fail:
    free(folder);
    return st;
}

/* ---- the temporary file ---- */

bool file_is_named(int fd, const char *name)
{
    struct stat opened, named;
    return !fstat(fd, &opened) && !lstat(name, &named) && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

void file_delete_left(const char *name)
{
    int fd = open(name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && file_is_named(fd, name))
        unlink(name);
    close(fd);
}

/* Make the file and lock it; -1 with errno EEXIST: the name is taken. */
static int create_locked(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    int failed = fd < 0 ? 0 : flock(fd, LOCK_EX | LOCK_NB) ? errno : 0;
    if (fd < 0 || (failed && failed != EWOULDBLOCK)) /* the latter: a file system without locks, so nobody deletes it */
        return fd;
    if (failed || !file_is_named(fd, name)) { /* taken for a leftover before it was locked, and deleted */
        close(fd);
        errno = EEXIST;
        return -1;
    }
    return fd;
}

static clio_status open_temporary(clio_context *ctx, struct file_out *out, mode_t mode)
{
    clio_status st = CLIO_OK;
    size_t room = strlen(out->path) + 32;
    int fd = -1, error = EEXIST;
    TRY(mem_alloc(ctx, &out->temporary, room, 1));
    for (int i = 0; fd < 0 && error == EEXIST && i < TEMPORARY_NAMES; i++) {
        int used = snprintf(out->temporary, room, "%s" FILE_TEMPORARY, out->path);
        if (i)
            snprintf(out->temporary + used, room - (size_t)used, ".%d", i);
        fd = create_locked(out->temporary);
        if (fd < 0 && errno == EEXIST) {
            file_delete_left(out->temporary);
            fd = create_locked(out->temporary);
        }
        error = errno;
    }
    if (fd < 0) {
        free(out->temporary); /* not ours to delete */
        out->temporary = NULL;
        TRY(file_fail_create(ctx, out->path, error));
    }
    if (mode)
        (void)fchmod(fd, mode & 0777); /* as the file it replaces; some file systems know no modes */
    out->lock = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    out->stream = out->lock < 0 ? NULL : fdopen(fd, "wb");
    if (!out->stream) {
        error = errno;
        close(fd);
        TRY(file_fail_write(ctx, out->path, error));
    }
fail:
    return st;
}

/* ---- open ---- */

/* Open directly: a log, or what is not a regular file. */
static clio_status open_directly(clio_context *ctx, struct file_out *out, int flags)
{
    clio_status st = CLIO_OK;
    int fd = open(out->path, O_WRONLY | O_NOCTTY | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        TRY(file_fail_create(ctx, out->path, errno));
    out->stream = fdopen(fd, flags & O_APPEND ? "ab" : "wb");
    if (!out->stream) {
        int error = errno;
        close(fd);
        TRY(file_fail_write(ctx, out->path, error));
    }
fail:
    return st;
}

clio_status file_out_open(clio_context *ctx, struct file_out *out, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    *out = (struct file_out){.lock = -1};
    if (!strcmp(path, "-")) {
        TRY(mem_string(ctx, &out->path, "standard output"));
        out->stream = stdout;
        return CLIO_OK;
    }
    if (!*path)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "the name of the file to write is empty: name a file, or - for standard output");
    if (stat(path, &info)) {
        int error = errno;
        if (path[strlen(path) - 1] == '/')
            FAIL(ctx, CLIO_ERROR_FILE, "%s is the name of a folder: name a file to write", path);
        if (error != ENOENT)
            TRY(file_fail_create(ctx, path, error));
        TRY(mem_string(ctx, &out->path, path));
        TRY(open_temporary(ctx, out, 0));
        return CLIO_OK;
    }
    if (S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: name a file in it to write", path);
    if (access(path, W_OK)) {
        int error = errno;
        if (error == EACCES || error == EPERM || error == EROFS)
            FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: the file is read-only for you; choose another name", path);
        return file_fail_write(ctx, path, error);
    }
    if (S_ISREG(info.st_mode)) {
        out->path = realpath(path, NULL); /* a link stays a link: its target is replaced */
        if (!out->path)
            return file_fail_create(ctx, path, errno);
        TRY(open_temporary(ctx, out, info.st_mode));
    } else {
        TRY(mem_string(ctx, &out->path, path));
        TRY(open_directly(ctx, out, 0));
    }
fail:
    if (st)
        file_out_abandon(out);
    return st;
}

clio_status file_out_open_own(clio_context *ctx, struct file_out *out, const char *path)
{
    clio_status st = CLIO_OK;
    struct stat info;
    *out = (struct file_out){.lock = -1};
    if (!lstat(path, &info) && S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be written: it is a folder; rename it or choose another folder", path);
    TRY(mem_string(ctx, &out->path, path));
    TRY(open_temporary(ctx, out, 0));
fail:
    if (st)
        file_out_abandon(out);
    return st;
}

clio_status file_out_open_log(clio_context *ctx, struct file_out *out, const char *path)
{
    clio_status st = CLIO_OK;
    *out = (struct file_out){.lock = -1};
    TRY(mem_string(ctx, &out->path, path));
    TRY(open_directly(ctx, out, O_APPEND | O_CREAT | O_NOFOLLOW));
fail:
    if (st)
        file_out_abandon(out);
    return st;
}

clio_status file_out_check(clio_context *ctx, const char *path)
{
    clio_status st = CLIO_OK;
    struct file_out out;
    struct stat info;
    if (*path && !stat(path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) /* opening a FIFO waits for its reader */
        return CLIO_OK;
    TRY(file_out_open(ctx, &out, path));
    file_out_abandon(&out);
fail:
    return st;
}

/* ---- write, close ---- */

clio_status file_out_write(clio_context *ctx, struct file_out *out, const void *data, size_t size)
{
    clio_status st = CLIO_OK;
    if (!out->stream)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a file that is not open was written to; this is a bug in clio, please report it");
    if (size && fwrite(data, 1, size, out->stream) != size)
        TRY(file_fail_write(ctx, out->path, errno));
fail:
    return st;
}

clio_status file_out_flush(clio_context *ctx, struct file_out *out)
{
    clio_status st = CLIO_OK;
    if (!out->stream)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a file that is not open was flushed; this is a bug in clio, please report it");
    errno = 0;
    if (fflush(out->stream) || ferror((FILE *)out->stream))
        TRY(file_fail_write(ctx, out->path, errno ? errno : EIO)); /* errno 0: an earlier write failed and its caller went on */
fail:
    return st;
}

clio_status file_out_commit(clio_context *ctx, struct file_out *out)
{
    clio_status st = CLIO_OK;
    TRY(file_out_flush(ctx, out));
    if (out->temporary && fsync(fileno(out->stream)) && errno != EINVAL && errno != ENOSYS) /* those: a file system without sync */
        TRY(file_fail_write(ctx, out->path, errno));
    if (out->stream != (void *)stdout) {
        void *stream = out->stream;
        out->stream = NULL;
        if (fclose(stream))
            TRY(file_fail_write(ctx, out->path, errno));
    }
    if (out->temporary) {
        if (rename(out->temporary, out->path))
            TRY(file_fail_create(ctx, out->path, errno));
        free(out->temporary);
        out->temporary = NULL;
    }
fail:
    file_out_abandon(out); /* after success: only memory and the lock are left to release */
    return st;
}

void file_out_abandon(struct file_out *out)
{
    if (out->stream && out->stream != (void *)stdout)
        fclose(out->stream);
    if (out->temporary) {
        unlink(out->temporary);
        free(out->temporary);
    }
    if (out->path && out->lock >= 0)
        close(out->lock);
    free(out->path);
    *out = (struct file_out){.lock = -1};
}
