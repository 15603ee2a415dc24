/* output_file.c - transcripts in files: whether they could be written, before the work begins, and writing them at its end. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "output.h"
#include "say.h"

#include <errno.h>
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

/* What access has refused. */
static const char *refusal(int error)
{
    return error == EACCES || error == EPERM || error == EROFS ? "is read-only" : "cannot be written";
}

/* folder: the one that holds the file */
static bool is_writable(const char *path, const char *folder, const char *flag)
{
    struct stat info;
    int error = stat(folder, &info) ? errno : 0;
    if (error == ENOENT)
        say_error("cannot write %s: folder %s does not exist; create it, or choose another file with %s", path, folder, flag);
    else if (error)
        say_error("cannot write %s: folder %s is not accessible (%s); choose another file with %s", path, folder, strerror(error), flag);
    else if (!S_ISDIR(info.st_mode))
        say_error("cannot write %s: %s is not a folder; choose another file with %s", path, folder, flag);
    else if (access(folder, W_OK | X_OK))
        say_error("cannot write %s: folder %s %s (%s); choose another file with %s", path, folder, refusal(errno), strerror(errno), flag);
    else if (!stat(path, &info) && S_ISDIR(info.st_mode))
        say_error("cannot write %s: it is a folder; choose another file with %s", path, flag);
    else if (!stat(path, &info) && access(path, W_OK))
        say_error("cannot write %s: it %s (%s); choose another file with %s", path, refusal(errno), strerror(errno), flag);
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

bool output_save(clio_context *ctx, const char *stem, enum format format, const struct document *doc)
{
    char *path = result_path(stem, format), *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out)
        output_write(out, format, doc);
    bool whole = out && !ferror(out);
    whole = out && fclose(out) == 0 && whole;
    clio_status st = whole ? clio_file_write(ctx, path, text, size) : CLIO_OK;
    if (!whole)
        say_error("%s cannot be written: out of memory; close other programs", path);
    else if (st)
        say_error("%s; an existing file is unchanged; -of chooses another file", clio_error(ctx));
    free(text);
    free(path);
    return whole && !st;
}
