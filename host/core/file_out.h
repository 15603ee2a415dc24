/* file_out.h - the only way to write a file: beside its name, synced, and renamed when complete, so that a failed or cancelled run leaves
 * the old file; or line by line at the end of a log. */
#ifndef CLIO_CORE_FILE_OUT_H
#define CLIO_CORE_FILE_OUT_H

#include "file.h"

/* Zero-initialise. */
struct file_out {
    void *stream; /* FILE *; NULL: not open */
    char *path;
    char *temporary; /* NULL: written directly */
    int lock;        /* of the temporary file; behind it another process sees that it is in use */
};
/* A result file, named by the user: a link is followed, "-" is standard output, and a device or pipe is written directly. */
clio_status file_out_open(clio_context *ctx, struct file_out *out, const char *path);
/* A file in a folder that clio owns: a link of that name is replaced, not followed. */
clio_status file_out_open_own(clio_context *ctx, struct file_out *out, const char *path);
/* A log in a folder that clio owns: what is written goes behind its end. A link is refused. */
clio_status file_out_open_log(clio_context *ctx, struct file_out *out, const char *path);
clio_status file_out_write(clio_context *ctx, struct file_out *out, const void *data, size_t size);
/* Hand to the operating system what was written so far. */
clio_status file_out_flush(clio_context *ctx, struct file_out *out);
/* Flush, sync, rename. After any failure, and in every cleanup path, file_out_abandon leaves the old file as it was. */
clio_status file_out_commit(clio_context *ctx, struct file_out *out);
void file_out_abandon(struct file_out *out);
/* Fail as file_out_open would, without leaving anything: before long work whose result goes there. */
clio_status file_out_check(clio_context *ctx, const char *path);

/* Behind the name of a file that is being written, perhaps followed by a dot and a number. */
#define FILE_TEMPORARY ".tmp.clio"
/* Delete such a file if the process that wrote it no longer locks it. On a file system without locks it stays. */
void file_delete_left(const char *name);
/* Whether the name still stands for the open file. */
bool file_is_named(int fd, const char *name);

/* Fail with the sentence for an errno of writing `path`, or of creating it (mostly its folder's fault). */
clio_status file_fail_write(clio_context *ctx, const char *path, int error);
clio_status file_fail_create(clio_context *ctx, const char *path, int error);

#endif
