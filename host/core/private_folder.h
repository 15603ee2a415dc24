/* private_folder.h - folders whose files decide what clio runs: compiled kernels, results of self-tests, tuned parameters. They are made
 * for this user alone (0700). A folder that another user owns or may write to is not used: who writes there would run code as this user. */
#ifndef CLIO_CORE_PRIVATE_FOLDER_H
#define CLIO_CORE_PRIVATE_FOLDER_H

#include "mem.h"

/* Whether the folder exists and only this user (or root) may write to it. Otherwise `why` says what is wrong and how to mend it; it is
 * empty if there is no such folder. */
bool private_folder_is_safe(const char *path, char why[600]);
/* Make it if need be (mkdir -p, mode 0700) and check it; the message of a failure is that of private_folder_is_safe. */
clio_status private_folder_make(clio_context *ctx, const char *path);
/* The bytes of a regular file in such a folder, followed by a zero. *found: it is there, is no link, and belongs to this user (or root). */
clio_status private_file_read(clio_context *ctx, const char *path, struct bytes *out, bool *found);
/* Delete what killed processes left in the folder: files that were being written beside their name (file_out.h), which nobody locks any
 * more, and those of clio before its files were locked, NAME.tmp.PID, whose process is gone. Only names that clio gives are touched. */
void private_folder_tidy(const char *path);
/* Whether a process of this number runs. */
bool private_process_runs(long pid);

#endif
