/* fault_file.c - the calls for files and folders. The points have the names of the calls, but "create" is an open that may create a file. A
 * call with 64 in its name is the same as without. Standard error is left alone. */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include "fault.h"
#include "fault_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS 1024

static bool unsynced[DESCRIPTORS]; /* written to since the last fsync */

static bool due(const void *caller, enum fault_group group, const char *point)
{
    if (!fault_module(caller) || !fault_due(group, point))
        return false;
    if (!fault_is_short())
        errno = fault_code();
    return true;
}

/* ---- open, read, write, close ---- */

static bool open_is_due(int flags)
{
    bool creates = flags & O_CREAT;
    if (!fault_due(creates ? FAULT_WRITING : FAULT_READING, creates ? "create" : "open") || fault_is_short())
        return false;
    errno = fault_code();
    return true;
}

int fault_open(const char *path, int flags, mode_t mode, bool struck)
{
    static int (*next)(const char *, int, ...);
    fault_next(&next, "open");
    return struck && open_is_due(flags) ? -1 : next(path, flags, mode);
}

static mode_t mode_of(int flags, va_list list)
{
    return flags & O_CREAT ? va_arg(list, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return fault_open(path, flags, mode, fault_module(FAULT_CALLER) != NULL);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return fault_open(path, flags, mode, fault_module(FAULT_CALLER) != NULL);
}

int openat(int folder, const char *path, int flags, ...)
{
    static int (*next)(int, const char *, int, ...);
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    fault_next(&next, "openat");
    return fault_module(FAULT_CALLER) && open_is_due(flags) ? -1 : next(folder, path, flags, mode);
}

static size_t half(size_t size)
{
    return size > 1 ? size / 2 : size;
}

ssize_t fault_read(int fd, void *to, size_t size)
{
    static ssize_t (*next)(int, void *, size_t);
    fault_next(&next, "read");
    if (!fault_due(FAULT_READING, "read"))
        return next(fd, to, size);
    if (fault_is_short())
        return next(fd, to, half(size));
    errno = fault_code();
    return -1;
}

ssize_t read(int fd, void *to, size_t size)
{
    static ssize_t (*next)(int, void *, size_t);
    fault_next(&next, "read");
    return fault_module(FAULT_CALLER) ? fault_read(fd, to, size) : next(fd, to, size);
}

#define PREAD(name, offset_type)                                                                                                           \
    ssize_t name(int fd, void *to, size_t size, offset_type at)                                                                            \
    {                                                                                                                                      \
        static ssize_t (*next)(int, void *, size_t, offset_type);                                                                          \
        fault_next(&next, #name);                                                                                                          \
        bool hit = due(FAULT_CALLER, FAULT_READING, "pread");                                                                              \
        return hit && !fault_is_short() ? -1 : next(fd, to, hit ? half(size) : size, at);                                                  \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

/* A close or fsync that fails says that what was written since the last fsync may be lost: half the file is, so that ignoring it shows. */
static void lose_data(int fd)
{
    struct stat info;
    if (fd >= 0 && fd < DESCRIPTORS && unsynced[fd] && fault_code() != EINTR && !fstat(fd, &info) && S_ISREG(info.st_mode) &&
        ftruncate(fd, info.st_size / 2))
        abort();
}

static void set_unsynced(int fd, bool value)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        unsynced[fd] = value;
}

ssize_t fault_write(int fd, const void *from, size_t size)
{
    static ssize_t (*next)(int, const void *, size_t);
    fault_next(&next, "write");
    set_unsynced(fd, true);
    if (fd == STDERR_FILENO || !fault_due(FAULT_WRITING, "write"))
        return next(fd, from, size);
    if (fault_is_short())
        return next(fd, from, half(size));
    errno = fault_code();
    return -1;
}

ssize_t write(int fd, const void *from, size_t size)
{
    static ssize_t (*next)(int, const void *, size_t);
    fault_next(&next, "write");
    return fault_module(FAULT_CALLER) ? fault_write(fd, from, size) : next(fd, from, size);
}

/* A failing close has closed all the same. */
int fault_close(int fd)
{
    static int (*next)(int);
    fault_next(&next, "close");
    bool hit = fault_due(FAULT_WRITING, "close") && !fault_is_short();
    if (hit)
        lose_data(fd);
    set_unsynced(fd, false);
    int result = next(fd);
    if (hit)
        errno = fault_code();
    return hit ? -1 : result;
}

int close(int fd)
{
    static int (*next)(int);
    fault_next(&next, "close");
    return fault_module(FAULT_CALLER) ? fault_close(fd) : next(fd);
}

/* ---- calls that fail before they do anything ---- */

#define CALL(type, name, group, point, failed, parameters, arguments)                                                                      \
    type name parameters                                                                                                                   \
    {                                                                                                                                      \
        static type(*next) parameters;                                                                                                     \
        fault_next(&next, #name);                                                                                                          \
        return due(FAULT_CALLER, group, point) && !fault_is_short() ? failed : next arguments;                                             \
    }
#define READS(type, name, failed, parameters, arguments) CALL(type, name, FAULT_READING, #name, failed, parameters, arguments)
#define WRITES(name, parameters, arguments) CALL(int, name, FAULT_WRITING, #name, -1, parameters, arguments)

READS(int, stat, -1, (const char *path, struct stat *out), (path, out))
CALL(int, stat64, FAULT_READING, "stat", -1, (const char *path, struct stat64 *out), (path, out))
READS(int, lstat, -1, (const char *path, struct stat *out), (path, out))
CALL(int, lstat64, FAULT_READING, "lstat", -1, (const char *path, struct stat64 *out), (path, out))
READS(int, fstat, -1, (int fd, struct stat *out), (fd, out))
CALL(int, fstat64, FAULT_READING, "fstat", -1, (int fd, struct stat64 *out), (fd, out))
READS(int, fstatat, -1, (int fd, const char *path, struct stat *out, int flags), (fd, path, out, flags))
CALL(int, fstatat64, FAULT_READING, "fstatat", -1, (int fd, const char *path, struct stat64 *out, int flags), (fd, path, out, flags))
READS(int, access, -1, (const char *path, int mode), (path, mode))
READS(char *, realpath, NULL, (const char *path, char *out), (path, out))
READS(ssize_t, readlink, -1, (const char *path, char *out, size_t size), (path, out, size))
READS(DIR *, opendir, NULL, (const char *path), (path))
READS(DIR *, fdopendir, NULL, (int fd), (fd))
READS(struct dirent *, readdir, NULL, (DIR * dir), (dir))
CALL(struct dirent64 *, readdir64, FAULT_READING, "readdir", NULL, (DIR * dir), (dir))
READS(off_t, lseek, -1, (int fd, off_t at, int from), (fd, at, from))
CALL(off64_t, lseek64, FAULT_READING, "lseek", -1, (int fd, off64_t at, int from), (fd, at, from))
READS(int, flock, -1, (int fd, int operation), (fd, operation))

#define SYNC(name)                                                                                                                         \
    int name(int fd)                                                                                                                       \
    {                                                                                                                                      \
        static int (*next)(int);                                                                                                           \
        fault_next(&next, #name);                                                                                                          \
        bool hit = due(FAULT_CALLER, FAULT_WRITING, #name) && !fault_is_short();                                                           \
        if (hit) {                                                                                                                         \
            lose_data(fd);                                                                                                                 \
            errno = fault_code();                                                                                                          \
        }                                                                                                                                  \
        set_unsynced(fd, false);                                                                                                           \
        return hit ? -1 : next(fd);                                                                                                        \
    }
SYNC(fsync)
SYNC(fdatasync)

WRITES(rename, (const char *from, const char *to), (from, to))
WRITES(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRITES(link, (const char *from, const char *to), (from, to))
WRITES(symlink, (const char *target, const char *path), (target, path))
WRITES(unlink, (const char *path), (path))
WRITES(unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
WRITES(rmdir, (const char *path), (path))
WRITES(mkdir, (const char *path, mode_t mode), (path, mode))
WRITES(mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRITES(chmod, (const char *path, mode_t mode), (path, mode))
WRITES(fchmod, (int fd, mode_t mode), (fd, mode))
WRITES(ftruncate, (int fd, off_t size), (fd, size))
CALL(int, ftruncate64, FAULT_WRITING, "ftruncate", -1, (int fd, off64_t size), (fd, size))
WRITES(mkstemp, (char *path), (path))
CALL(int, mkstemp64, FAULT_WRITING, "mkstemp", -1, (char *path), (path))

/* Memory that is no file's is for malloc to ask. */
#define MMAP(name, offset_type)                                                                                                            \
    void *name(void *at, size_t size, int protection, int flags, int fd, offset_type offset)                                               \
    {                                                                                                                                      \
        static void *(*next)(void *, size_t, int, int, int, offset_type);                                                                  \
        fault_next(&next, #name);                                                                                                          \
        bool hit = fd >= 0 && due(FAULT_CALLER, FAULT_READING, "mmap") && !fault_is_short();                                               \
        return hit ? MAP_FAILED : next(at, size, protection, flags, fd, offset);                                                           \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

#define FCNTL(name)                                                                                                                        \
    int name(int fd, int operation, ...)                                                                                                   \
    {                                                                                                                                      \
        static int (*next)(int, int, ...);                                                                                                 \
        va_list list;                                                                                                                      \
        va_start(list, operation);                                                                                                         \
        void *argument = va_arg(list, void *); /* whatever it is: passed on in the same register */                                        \
        va_end(list);                                                                                                                      \
        fault_next(&next, #name);                                                                                                          \
        return due(FAULT_CALLER, FAULT_READING, "fcntl") && !fault_is_short() ? -1 : next(fd, operation, argument);                        \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
