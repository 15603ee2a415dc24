/* private_folder.c - see private_folder.h. */
#include "private_folder.h"
#include "file_out.h"
#include "file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE_BITS 07777
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static bool is_own(const struct stat *info)
{
    return info->st_uid == geteuid() || info->st_uid == 0;
}

bool private_folder_is_safe(const char *path, char why[600])
{
    struct stat info;
    *why = 0;
    if (stat(path, &info)) { /* a link that the user set is followed: the target counts */
        if (errno != ENOENT)
            snprintf(why, 600, "the folder %.400s cannot be used: %s", path, strerror(errno));
    } else if (!S_ISDIR(info.st_mode))
        snprintf(why, 600, "%.400s is not a folder: delete it or choose another name", path);
    else if (!is_own(&info))
        snprintf(why, 600, "the folder %.400s belongs to another user (number %ld): choose a folder of your own", path, (long)info.st_uid);
    else if (info.st_mode & OTHERS_WRITE)
        snprintf(why, 600,
                 "other users may write to the folder %.400s (mode %04o): run chmod go-w on it, and delete what is not yours in it", path,
                 (unsigned)(info.st_mode & MODE_BITS));
    else
        return true;
    return false;
}

clio_status private_folder_make(clio_context *ctx, const char *path)
{
    clio_status st = CLIO_OK;
    char why[600];
    if (private_folder_is_safe(path, why))
        return CLIO_OK;
    if (!*why) {
        TRY(file_make_private_folder(ctx, path));
        if (private_folder_is_safe(path, why))
            return CLIO_OK;
    }
    FAIL(ctx, CLIO_ERROR_FILE, "%s", *why ? why : "a folder vanished while it was made: try again");
fail:
    return st;
}

clio_status private_file_read(clio_context *ctx, const char *path, struct bytes *out, bool *found)
{
    clio_status st = CLIO_OK;
    struct stat info;
    char piece[16384];
    ssize_t got = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* O_NONBLOCK: do not wait for the writer of a FIFO */
    *found = file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode) && is_own(&info);
    while (*found && (got = read(file, piece, sizeof piece)) != 0) {
        if (got > 0)
            TRY(bytes_add(ctx, out, piece, (size_t)got));
        else if (errno != EINTR)
            *found = false;
    }
    TRY(bytes_add(ctx, out, "", 0));
fail:
    if (file >= 0)
        close(file);
    return st;
}

bool private_process_runs(long pid)
{
    return pid > 0 && (pid > INT_MAX || kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

/* Whether the name is one that clio gives, followed by `mark` and a number, or by nothing if `plain`; *pid: the first number. */
static bool is_left(const char *name, const char *mark, bool plain, long *pid)
{
    static const char *const kinds[] = {".bin", ".txt", ".params"};
    const char *at = strstr(name, mark);
    char *end;
    bool known = false;
    for (size_t i = 0; at && i < COUNT(kinds); i++) {
        size_t length = strlen(kinds[i]);
        known = known || ((size_t)(at - name) > length && strncmp(at - length, kinds[i], length) == 0);
    }
    if (!known)
        return false;
    at += strlen(mark);
    if (plain && !*at)
        return true;
    at += plain && *at == '.';
    *pid = strtol(at, &end, 10);
    if (!plain && *end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    return at[0] >= '1' && at[0] <= '9' && !*end;
}

void private_folder_tidy(const char *path)
{
    struct file_names names = {0};
    if (file_names_read(NULL, &names, path, NULL))
        return;
    for (size_t i = 0; i < names.count; i++) {
        char *left = NULL;
        long pid = 0;
        bool locked = is_left(names.list[i], FILE_TEMPORARY, true, &pid); /* while it is written */
        bool numbered = !locked && is_left(names.list[i], ".tmp.", false, &pid) && !private_process_runs(pid);
        if ((locked || numbered) && file_join(NULL, &left, path, names.list[i]) == CLIO_OK) {
            if (locked)
                file_delete_left(left);
            else
                file_drop(left);
        }
        free(left);
    }
    file_names_free(&names);
}
