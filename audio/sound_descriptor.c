/* sound_descriptor.c - open a sound file or standard input as a seekable descriptor. See sound_file.h.
 * Pipes: libsndfile seeks, so standard input and FIFOs are first copied to an unnamed temporary file in TMPDIR. Rejected: a bounded buffer,
 * since several formats are read from the end of the file first. */
#include "sound_file.h"

#include "../host/core/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copy `in` to its end into a temporary file that is deleted when closed. */
static clio_status copy_to_temporary(clio_context *ctx, int in, const char *name, int *out)
{
    clio_status st = CLIO_OK;
    char buffer[16384];
    struct bytes path = {0};
    const char *folder = getenv("TMPDIR");
    double done = 0;
    int fd = -1;
    if (!folder || !*folder)
        folder = "/tmp";
    TRY(bytes_print(ctx, &path, "%s/clio-XXXXXX", folder));
    fd = mkstemp(path.data);
    if (fd < 0)
        FAIL(ctx, CLIO_ERROR_FILE, "%s needs a temporary file, which cannot be created in %s (%s): set TMPDIR to a writable folder", name,
             folder, strerror(errno));
    unlink(path.data);
    for (;;) {
        TRY(context_progress(ctx, "reading sound", done, 0));
        ssize_t n = read(in, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", name, strerror(errno));
        if (n == 0)
            break;
        for (ssize_t at = 0; at < n;) {
            ssize_t written = write(fd, buffer + at, (size_t)(n - at));
            if (written < 0 && errno != EINTR)
                FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be copied to %s (%s): set TMPDIR to a folder with more free space", name, folder,
                     strerror(errno));
            at += MAX(written, 0);
        }
        done += (double)n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be copied to %s (%s): set TMPDIR to another folder", name, folder, strerror(errno));
    *out = fd;
    fd = -1;
fail:
    if (fd >= 0)
        close(fd);
    bytes_free(&path);
    return st;
}

clio_status sound_descriptor(clio_context *ctx, const char *path, const char *name, int *out)
{
    clio_status st = CLIO_OK;
    struct stat info;
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
    /* The command opens /dev/null for writing in place of a closed stream. */
    if (is_stdin && (fd < 0 || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY))
        FAIL(ctx, CLIO_ERROR_FILE, "standard input is closed: redirect a sound file to it, or name one");
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        FAIL(ctx, CLIO_ERROR_FILE, "%s: no such file: check the name", path);
    if (fd < 0 && errno == EACCES)
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: you have no permission; change it with chmod +r or choose another file", path);
    if (fd < 0 || fstat(fd, &info))
        FAIL(ctx, CLIO_ERROR_FILE, "%s cannot be read: %s", name, strerror(errno));
    if (S_ISDIR(info.st_mode))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a folder: use a sound file in it", name);
    if (is_stdin && isatty(fd))
        FAIL(ctx, CLIO_ERROR_FILE, "standard input is a terminal: redirect a sound file to it (clio ... - < talk.wav), or name one");
    if (!is_stdin && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)))
        FAIL(ctx, CLIO_ERROR_FILE, "%s is a device, not a sound file: record it into a file first", path);
    if (S_ISREG(info.st_mode) && lseek(fd, 0, SEEK_CUR) == 0) {
        *out = fd;
        return CLIO_OK;
    }
    TRY(copy_to_temporary(ctx, fd, name, out));
fail:
    if (fd >= 0)
        close(fd);
    return st;
}
