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

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int path_stem_length(const char *path)
{
    const char *base = file_name(path), *dot = strrchr(base, '.');
    return (int)(dot && dot > base ? dot - path : (long)strlen(path));
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

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the existing file `result` this input, by the same or another name? "-" is standard input. */
static bool is_input(const struct stat *result, const char *input)
{
    struct stat info;
    return input && !(strcmp(input, "-") ? stat(input, &info) : fstat(STDIN_FILENO, &info)) && is_same(result, &info);
}

/* The input that writing this file would destroy, for the caller to free; NULL: none. */
static char *find_input(const struct settings *set, const char *path)
{
    static const char *const of_model[] = {"config.json",   "generation_config.json",      "tokenizer.json",  "vocab.json",
                                           "merges.txt",    "added_tokens.json",           "normalizer.json", "preprocessor_config.json",
                                           "training.json", "model.safetensors.index.json"};
    const char *const single[] = {set->init_image, set->mask, set->model, set->diffusion.vae, set->diffusion.taesd, set->lines};
    char *found = NULL;
    struct stat info;
    if (stat(path, &info) || !S_ISREG(info.st_mode))
        return NULL;
    for (size_t i = 0; !found && i < set->files.count; i++)
        if (is_input(&info, set->files.items[i]))
            found = must_print("%s", set->files.items[i]);
    for (size_t i = 0; !found && i < COUNT(single); i++)
        if (is_input(&info, single[i]))
            found = must_print("%s", single[i]);
    for (size_t i = 0; !found && set->model && i < COUNT(of_model); i++) {
        char *name = must_print("%s/%s", set->model, of_model[i]);
        found = is_input(&info, name) ? name : (free(name), NULL);
    }
    return found;
}

bool path_check(const struct settings *set, const char *path, const char *flag)
{
    char *real = real_path(path), *folder = folder_of(real), *input = find_input(set, path);
    bool good = is_device(real) || is_writable(path, folder, flag);
    if (good && input)
        say_error("cannot write %s: it is the input %s, which would be lost; choose another file with %s", path,
                  strcmp(input, "-") ? input : "from standard input", flag);
    free(input);
    free(folder);
    free(real);
    return good && !input;
}

bool output_check(const struct settings *set, const char *stem, enum format format)
{
    char *path = result_path(stem, format);
    bool good = path_check(set, path, "-of");
    free(path);
    return good;
}

bool output_has_name(const char *stem)
{
    const char *name = file_name(stem);
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool output_same(const char *stem, const char *other, enum format format)
{
    char *a = result_path(stem, format), *b = result_path(other, format), *in = folder_of(a), *other_in = folder_of(b);
    struct stat one, two;
    bool same = !strcmp(a, b), exists = !stat(a, &one);
    if (exists)
        same = same || (!stat(b, &two) && is_same(&one, &two));
    else if (!same && !strcmp(file_name(a), file_name(b)))
        same = !stat(in, &one) && !stat(other_in, &two) && is_same(&one, &two);
    free(a);
    free(b);
    free(in);
    free(other_in);
    return same;
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
