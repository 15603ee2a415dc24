/* file.h - reading files, as a whole or in parts, and names and folders; results are written with file_out.h, folders that clio owns are
 * handled with file_tree.h. Files are read into memory, never mapped: one that another program cuts short meanwhile is an error, not a
 * signal. */
#ifndef CLIO_CORE_FILE_H
#define CLIO_CORE_FILE_H

#include "mem.h"

/* A whole file in memory. */
struct file_content {
    const unsigned char *data;
    size_t size;
};
/* A folder, an empty file or an unreadable file is an error, and so is one of more than 4 GiB, or `most` bytes: it is not read then. */
clio_status file_load(clio_context *ctx, struct file_content *content, const char *path);
clio_status file_load_limited(clio_context *ctx, struct file_content *content, const char *path, uint64_t most);
void file_unload(struct file_content *content);

/* An open file of which parts are read. */
struct file_in {
    char *path; /* NULL: not open */
    int fd;
    uint64_t size;
};
clio_status file_in_open(clio_context *ctx, struct file_in *in, const char *path);
/* Bytes first .. first+size; that they are no longer there is an error. */
clio_status file_in_read(clio_context *ctx, const struct file_in *in, uint64_t first, size_t size, void *out);
void file_in_close(struct file_in *in);

/* "dir/name" in fresh memory. */
clio_status file_join(clio_context *ctx, char **out, const char *dir, const char *name);
/* What there is under a name; links are followed. Absent means that there is surely nothing: any other failure to look is an error. */
enum file_kind { FILE_ABSENT, FILE_REGULAR, FILE_FOLDER, FILE_SPECIAL };
clio_status file_find(clio_context *ctx, const char *path, enum file_kind *kind);
/* Two of these questions. */
clio_status file_check_exists(clio_context *ctx, const char *path, bool *exists);
clio_status file_check_folder(clio_context *ctx, const char *path, bool *is_folder);
/* The same for sentences and tests, to which a failure means no. */
int file_exists(const char *path);
int file_is_folder(const char *path);
/* The absolute path without links, in new memory. A path that is not there is an error. */
clio_status file_real_path(clio_context *ctx, char **out, const char *path);
/* mkdir -p */
clio_status file_make_folder(clio_context *ctx, const char *path);
/* The same; what is made is for this user alone (mode 0700). */
clio_status file_make_private_folder(clio_context *ctx, const char *path);

/* Fail with the sentence for an errno of reading `path`. */
clio_status file_fail_read(clio_context *ctx, const char *path, int error);

#endif
