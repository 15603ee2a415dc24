/* file_tree.h - what lies in a folder: find, list, delete, rename, link, sync, lock. For folders that clio owns (output folders of
 * trainings, caches): no function here follows a link below the path it is given, and the absence of a file is told apart from a failure to
 * see it. */
#ifndef CLIO_CORE_FILE_TREE_H
#define CLIO_CORE_FILE_TREE_H

#include "file.h"

/* The names in a folder, sorted by strcmp, without "." and "..". Zero-initialise; release with file_names_free. */
struct file_names {
    char **list;
    size_t count;
};
/* absent: set to whether there is no such folder, or a file in its place; NULL makes that an error. Any other failure is an error. */
clio_status file_names_read(clio_context *ctx, struct file_names *names, const char *folder, bool *absent);
void file_names_free(struct file_names *names);

/* Delete a file or a link (not its target). One that is absent is no error. */
clio_status file_delete(clio_context *ctx, const char *path);
/* The same without an error: for what the next process deletes otherwise. Safe in a signal handler. */
void file_drop(const char *path);
/* Delete a folder and all that is in it; of a link, here or within, the link alone. One that is absent is no error. */
clio_status file_delete_folder(clio_context *ctx, const char *path);
/* Delete a folder if it is empty. */
void file_delete_empty(const char *path);
/* Rename a file or folder; a file or link of the name `to` is replaced. */
clio_status file_rename(clio_context *ctx, const char *from, const char *to);
/* Make folder/name a link to `target`, or replace the link of that name. Whatever else has the name is an error. */
clio_status file_set_link(clio_context *ctx, const char *folder, const char *name, const char *target);
/* Write the entries of a folder and of the folders in it to the disk. File systems that cannot are no error. */
clio_status file_sync_folder(clio_context *ctx, const char *path);

/* Open a file, which is made if need be, for reading and writing, and lock it (flock): the lock ends with the process. -1 with errno
 * EWOULDBLOCK: another process holds it; ELOOP: it is a link. File systems without locks are no error. */
int file_open_locked(const char *path);
/* An exclusive lock that ends with the process, however that ends: flock on a file of that name, which is made if need be. */
struct file_lock {
    char *path; /* NULL: not locked */
    int fd;
};
/* what: the use of the folder, in a sentence: "%s is in use by another %s" ("training"). File systems without locks are no error. */
clio_status file_lock(clio_context *ctx, struct file_lock *lock, const char *path, const char *what);
/* Deletes the file as well. */
void file_unlock(struct file_lock *lock);

#endif
