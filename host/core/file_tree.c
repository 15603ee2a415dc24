/* file_tree.c - see file_tree.h. Folders are opened with O_NOFOLLOW and their entries handled relative to them (openat, unlinkat): a link
 * that another process puts in the place of a folder meanwhile is not followed either. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE /* flock */
#include "file_tree.h"
#include "file_out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEPEST 64 /* folders within folders: each holds a file descriptor */
#define LOCK_TRIES 100
#define PASSES 100 /* over a folder whose entries are deleted */

static bool is_absent(int error)
{
    return error == ENOENT || error == ENOTDIR;
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The next name in an open folder; NULL at its end or after a failure (*error). */
static const char *next_name(DIR *dir, int *error)
{
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(dir);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    *error = entry ? 0 : errno;
    return entry ? entry->d_name : NULL;
}

static clio_status read_names(clio_context *ctx, struct file_names *names, DIR *dir, const char *path)
{
    clio_status st = CLIO_OK;
    size_t capacity = 0;
    const char *name;
    int error;
    while ((name = next_name(dir, &error))) {
        TRY(mem_grow(ctx, &names->list, names->count, &capacity, sizeof *names->list));
        TRY(mem_string(ctx, &names->list[names->count], name));
        names->count++;
    }
    if (error)
        TRY(file_fail_read(ctx, path, error));
    if (names->count)
        qsort(names->list, names->count, sizeof *names->list, compare_names);
fail:
    return st;
}

clio_status file_names_read(clio_context *ctx, struct file_names *names, const char *folder, bool *absent)
{
    clio_status st = CLIO_OK;
    DIR *dir;
    *names = (struct file_names){0};
    if (absent)
        *absent = false;
    dir = opendir(folder);
    if (!dir) {
        int error = errno;
        if (absent && is_absent(error)) {
            *absent = true;
            return CLIO_OK;
        }
        return file_fail_read(ctx, folder, error);
    }
    TRY(read_names(ctx, names, dir, folder));
fail:
    closedir(dir);
    if (st)
        file_names_free(names);
    return st;
}

void file_names_free(struct file_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct file_names){0};
}

/* ---- delete, rename, link ---- */

/* Where in the tree a deletion is: entries from the top down. Deleting takes no memory, since it also cleans up where there is none. */
struct trail {
    const struct trail *above;
    const char *name;
};

static void print_trail(char *text, size_t size, const struct trail *t)
{
    size_t used;
    *text = 0;
    if (t->above)
        print_trail(text, size, t->above);
    used = strlen(text);
    snprintf(text + used, size - used, "%s%s", t->above ? "/" : "", t->name);
}

static clio_status fail_delete(clio_context *ctx, const struct trail *trail, int error)
{
    clio_status st = CLIO_OK;
    char path[PATH_MAX];
    print_trail(path, sizeof path, trail);
    FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be deleted: %s; delete it yourself or choose another folder", path, strerror(error));
fail:
    return st;
}

clio_status file_delete(clio_context *ctx, const char *path)
{
    clio_status st = CLIO_OK;
    if (unlink(path) && !is_absent(errno))
        TRY(fail_delete(ctx, &(struct trail){NULL, path}, errno));
fail:
    return st;
}

void file_drop(const char *path)
{
    (void)unlink(path);
}

static clio_status delete_entries(clio_context *ctx, int folder, const struct trail *trail, int depth);

/* Delete the folder `name` of the open folder `parent`. Takes no link for a folder. */
static clio_status delete_folder(clio_context *ctx, int parent, const char *name, const struct trail *trail, int depth)
{
    clio_status st = CLIO_OK;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        TRY(errno == ENOENT ? CLIO_OK : fail_delete(ctx, trail, errno));
    else
        TRY(delete_entries(ctx, fd, trail, depth));
    if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
        TRY(fail_delete(ctx, trail, errno));
fail:
    return st;
}

/* Delete the entry `name` of the open folder `parent`, whatever it is; the last of the trail. */
static clio_status delete_entry(clio_context *ctx, int parent, const char *name, const struct trail *trail, int depth)
{
    clio_status st = CLIO_OK;
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW))
        return is_absent(errno) ? CLIO_OK : fail_delete(ctx, trail, errno);
    if (S_ISDIR(info.st_mode))
        TRY(delete_folder(ctx, parent, name, trail, depth));
    else if (unlinkat(parent, name, 0) && errno != ENOENT)
        TRY(fail_delete(ctx, trail, errno));
fail:
    return st;
}

/* The entries of an open folder; NULL, with errno: none, and the folder is closed. */
static DIR *open_entries(int folder)
{
    DIR *dir = fdopendir(folder);
    if (!dir) {
        int error = errno;
        close(folder);
        errno = error;
    }
    return dir;
}

/* Delete what is in an open folder, which is closed. An entry that a file system leaves out after others were deleted is found in another
 * pass. */
static clio_status delete_entries(clio_context *ctx, int folder, const struct trail *trail, int depth)
{
    clio_status st = CLIO_OK;
    const struct dirent *entry;
    DIR *dir = open_entries(folder);
    bool found = true;
    if (!dir)
        return fail_delete(ctx, trail, errno);
    if (depth >= DEEPEST) {
        char path[PATH_MAX];
        print_trail(path, sizeof path, trail);
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be deleted: more than %d folders lie within each other; delete it yourself", path, DEEPEST);
    }
    for (int pass = 0; found && pass < PASSES; pass++) {
        found = false;
        rewinddir(dir);
        errno = 0;
        while ((entry = readdir(dir))) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            TRY(delete_entry(ctx, dirfd(dir), entry->d_name, &(struct trail){trail, entry->d_name}, depth + 1));
            found = true;
            errno = 0;
        }
        if (errno)
            TRY(fail_delete(ctx, trail, errno));
    }
fail:
    closedir(dir);
    return st;
}

clio_status file_delete_folder(clio_context *ctx, const char *path)
{
    clio_status st = CLIO_OK;
    char plain[PATH_MAX];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--; /* behind "link/" is the target */
    if (n >= sizeof plain)
        return fail_delete(ctx, &(struct trail){NULL, path}, ENAMETOOLONG);
    memcpy(plain, path, n);
    plain[n] = 0;
    TRY(delete_entry(ctx, AT_FDCWD, plain, &(struct trail){NULL, plain}, 0));
fail:
    return st;
}

void file_delete_empty(const char *path)
{
    rmdir(path);
}

clio_status file_rename(clio_context *ctx, const char *from, const char *to)
{
    clio_status st = CLIO_OK;
    if (rename(from, to))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be renamed to %s: %s; choose another folder", from, to, strerror(errno));
fail:
    return st;
}

clio_status file_set_link(clio_context *ctx, const char *folder, const char *name, const char *target)
{
    clio_status st = CLIO_OK;
    char *link = NULL, *fresh = NULL;
    struct bytes text = {0};
    struct stat info;
    TRY(file_join(ctx, &link, folder, name));
    TRY(bytes_print(ctx, &text, ".%s.new", name));
    TRY(file_join(ctx, &fresh, folder, text.data));
    if (!lstat(link, &info) && !S_ISLNK(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "the link %s cannot be made: a file or folder has this name; rename it or choose another folder", link);
    TRY(file_delete(ctx, fresh)); /* of a run that was killed */
    if (symlink(target, fresh))
        FAIL(ctx, CLIO_ERROR_FILE, "the link %s cannot be made: %s; choose another folder", link, strerror(errno));
    st = file_rename(ctx, fresh, link);
    if (st)
        file_drop(fresh);
fail:
    bytes_free(&text);
    free(fresh);
    free(link);
    return st;
}

/* ---- sync ---- */

static clio_status sync_entries(clio_context *ctx, int folder, const char *path, int depth)
{
    clio_status st = CLIO_OK;
    struct file_names names = {0};
    char *below = NULL;
    DIR *dir = open_entries(folder);
    if (!dir)
        return file_fail_write(ctx, path, errno);
    TRY(read_names(ctx, &names, dir, path));
    for (size_t i = 0; i < names.count && depth < DEEPEST; i++) {
        int fd = openat(dirfd(dir), names.list[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue; /* no folder: its content was synced when it was written */
        free(below);
        below = NULL;
        st = file_join(ctx, &below, path, names.list[i]);
        if (st)
            close(fd);
        TRY(st);
        TRY(sync_entries(ctx, fd, below, depth + 1));
    }
    if (fsync(dirfd(dir)) && errno != EINVAL && errno != ENOSYS && errno != EBADF && errno != EACCES)
        TRY(file_fail_write(ctx, path, errno));
fail:
    closedir(dir);
    file_names_free(&names);
    free(below);
    return st;
}

clio_status file_sync_folder(clio_context *ctx, const char *path)
{
    clio_status st = CLIO_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        TRY(file_fail_read(ctx, path, errno));
    TRY(sync_entries(ctx, fd, path, 0));
fail:
    return st;
}

/* ---- lock ---- */

int file_open_locked(const char *path)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
        if (fd < 0)
            return -1;
        bool held = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
        if (!held && file_is_named(fd, path)) /* its owner deletes it before unlocking */
            return fd;
        close(fd);
        if (held)
            break;
    }
    errno = EWOULDBLOCK;
    return -1;
}

clio_status file_lock(clio_context *ctx, struct file_lock *lock, const char *path, const char *what)
{
    clio_status st = CLIO_OK;
    *lock = (struct file_lock){.fd = file_open_locked(path)};
    if (lock->fd < 0 && errno == EWOULDBLOCK)
        FAIL(ctx, CLIO_ERROR_FILE, "%s is locked: another %s uses this folder; wait for it to end, or choose another folder", path, what);
    if (lock->fd < 0)
        TRY(file_fail_create(ctx, path, errno));
    TRY(mem_string(ctx, &lock->path, path));
fail:
    if (st && lock->fd >= 0)
        close(lock->fd);
    if (st)
        *lock = (struct file_lock){.fd = -1};
    return st;
}

void file_unlock(struct file_lock *lock)
{
    if (lock->path) {
        unlink(lock->path);
        close(lock->fd);
        free(lock->path);
    }
    *lock = (struct file_lock){.fd = -1};
}
