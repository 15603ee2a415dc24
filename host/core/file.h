/* file.h - memory-mapped input files, and output files that are written to a temporary name and renamed when complete. */
#ifndef CLIO_CORE_FILE_H
#define CLIO_CORE_FILE_H

#include "mem.h"

struct file_map {
    const unsigned char *data;
    size_t size;
};
/* Map a whole file for reading. A folder, an empty file or an unreadable file is an error. */
clio_status file_map(clio_context *ctx, struct file_map *map, const char *path);
void file_unmap(struct file_map *map);
/* Release the memory of a part of a mapped file that is unlikely to be read again (madvise); it can still be read. */
void file_rest(const void *data, size_t size);

/* A result file that appears under its name only when complete. path "-": standard output. */
struct file_out {
    void *stream; /* FILE * */
    char *path, *temporary;
};
clio_status file_out_open(clio_context *ctx, struct file_out *out, const char *path);
clio_status file_out_write(clio_context *ctx, struct file_out *out, const void *data, size_t size);
/* Flush, sync, rename. After any failure, and in every cleanup path, file_out_abandon leaves the old file as it was. */
clio_status file_out_commit(clio_context *ctx, struct file_out *out);
void file_out_abandon(struct file_out *out);

/* "dir/name" in fresh memory. */
clio_status file_join(clio_context *ctx, char **out, const char *dir, const char *name);
int file_exists(const char *path);
int file_is_folder(const char *path);
/* mkdir -p */
clio_status file_make_folder(clio_context *ctx, const char *path);
/* The same; what is made is for this user alone (mode 0700). */
clio_status file_make_private_folder(clio_context *ctx, const char *path);

#endif
