/* output_file.c - result files, complete or not at all: written under a temporary name in the same folder, synced, then renamed. Anything
 * but a regular file (a device or a pipe, also behind a link) is written directly. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "output.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *result_path(const char *stem, enum format format)
{
    return must_print("%s.%s", stem, output_extension(format));
}

/* The target of a link, so that it stays a link; the name itself when there is no such file yet. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : must_print("%s", path);
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash ? must_print(".") : slash == path ? must_print("/") : must_print("%.*s", (int)(slash - path), path);
}

static bool is_device(const char *path)
{
    struct stat info;
    return !stat(path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/* folder: the one that holds the file */
static bool is_writable(const char *path, const char *folder, const char *flag)
{
    struct stat info;
    if (stat(folder, &info))
        say_error(errno == ENOENT ? "cannot write %s: folder %s does not exist; create it, or choose another file with %s"
                                  : "cannot write %s: folder %s is not accessible; choose another file with %s",
                  path, folder, flag);
    else if (!S_ISDIR(info.st_mode))
        say_error("cannot write %s: %s is not a folder; choose another file with %s", path, folder, flag);
    else if (access(folder, W_OK | X_OK))
        say_error("cannot write %s: folder %s is read-only (%s); choose another file with %s", path, folder, strerror(errno), flag);
    else if (!stat(path, &info) && S_ISDIR(info.st_mode))
        say_error("cannot write %s: it is a folder; choose another file with %s", path, flag);
    else if (!stat(path, &info) && access(path, W_OK))
        say_error("cannot write %s: it is read-only; choose another file with %s", path, flag);
    else
        return true;
    return false;
}

bool path_check(const char *path, const char *flag)
{
    char *real = real_path(path), *folder = folder_of(real);
    bool good = is_device(real) || is_writable(path, folder, flag);
    free(folder);
    free(real);
    return good;
}

bool output_check(const char *stem, enum format format)
{
    char *path = result_path(stem, format);
    bool good = path_check(path, "-of");
    free(path);
    return good;
}

/* The permissions of the file that is replaced, or of a new file. */
static mode_t mode_of(const char *path)
{
    struct stat info;
    mode_t mask = umask(0);
    umask(mask);
    return stat(path, &info) == 0 ? info.st_mode & 0777 : 0666 & ~mask;
}

static bool write_whole(int fd, enum format format, const struct document *doc)
{
    FILE *out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        return false;
    }
    output_write(out, format, doc);
    errno = 0;
    bool good = !fflush(out) && !ferror(out) && !(fsync(fd) && errno != EINVAL && errno != ENOTSUP);
    int why = errno;
    good = !fclose(out) && good;
    if (why)
        errno = why;
    return good;
}

bool output_save(const char *stem, enum format format, const struct document *doc)
{
    char *path = result_path(stem, format), *real = real_path(path), *beside = must_print("%s.XXXXXX", real);
    bool direct = is_device(real);
    int fd = direct ? open(real, O_WRONLY) : mkstemp(beside);
    bool good = fd >= 0 && (direct || fchmod(fd, mode_of(real)) == 0);
    if (good)
        good = write_whole(fd, format, doc) && (direct || rename(beside, real) == 0);
    else if (fd >= 0)
        close(fd);
    if (!good) {
        int why = errno ? errno : EIO;
        say_error("cannot write %s: %s; an existing file is unchanged; %s", path, strerror(why),
                  why == ENOSPC || why == EDQUOT ? "free some space, or choose another file with -of" : "choose another file with -of");
        if (fd >= 0 && !direct)
            unlink(beside);
    }
    free(beside);
    free(real);
    free(path);
    return good;
}
