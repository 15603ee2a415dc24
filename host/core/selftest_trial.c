/* selftest_trial.c - see selftest_trial.h. */
#define _DEFAULT_SOURCE /* flock */
#include "selftest_trial.h"
#include "file_tree.h"
#include "private_folder.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define MARK ".trial."
#define LINE_AT_MOST 512

/* ---- the mark of this process ---- */

/* "FOLDER/selftests-HASH.trial.PID.N", N from the address: contexts of one process run self-tests at the same time. */
static bool set_path(struct selftest_trial *trial, const char *results)
{
    char path[sizeof trial->path];
    const char *end = strrchr(results, '.');
    int used = snprintf(path, sizeof path, "%.*s" MARK "%ld.%zx", (int)(end - results), results, (long)getpid(), (size_t)(uintptr_t)trial);
    if (used < 0 || (size_t)used >= sizeof path)
        return false;
    if (strcmp(trial->path, path) != 0)
        memcpy(trial->path, path, (size_t)used + 1);
    return true;
}

void selftest_trial_begin(struct selftest_trial *trial, const char *results, const char *family, const char *variant)
{
    char line[LINE_AT_MOST];
    int length = snprintf(line, sizeof line, "%s [%s] " SELFTEST_DIED_WORD "\n", family, variant);
    trial->file = -1;
    if (length <= 0 || (size_t)length >= sizeof line || !set_path(trial, results))
        return;
    int file = file_open_locked(trial->path);
    if (file < 0) /* perhaps of a process with the same number, in another container */
        return;
    trial->file = file;
    atomic_store(&trial->started, (long)time(NULL));
    atomic_store(&trial->runs, true);
    if (ftruncate(file, 0) || write(file, line, (size_t)length) != length || fsync(file))
        selftest_trial_end(trial);
}

void selftest_trial_end(struct selftest_trial *trial)
{
    if (trial->file < 0)
        return;
    atomic_store(&trial->runs, false);
    file_drop(trial->path);
    close(trial->file);
    trial->file = -1;
}

void selftest_trial_cancel(struct selftest_trial *trial)
{
    if (atomic_load(&trial->runs) && (long)time(NULL) - atomic_load(&trial->started) < SELFTEST_ENDLESS)
        file_drop(trial->path);
}

/* ---- the marks of processes that ended ---- */

/* The mark `path`: append its line, or delete it (lines NULL), if its process ended. pid: of its name. */
static clio_status visit_mark(clio_context *ctx, const char *path, long pid, struct bytes *lines)
{
    clio_status st = CLIO_OK;
    char line[LINE_AT_MOST];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0) {
        ssize_t got = read(file, line, sizeof line);
        bool is_new = got <= 0 && private_process_runs(pid); /* and about to be locked */
        if (lines && got > 0)
            st = bytes_add(ctx, lines, line, (size_t)got);
        else if (!lines && !is_new)
            file_drop(path);
    }
    if (file >= 0)
        close(file);
    return st;
}

/* Visit the marks beside `path`. */
static clio_status visit(clio_context *ctx, const char *path, struct bytes *lines)
{
    clio_status st = CLIO_OK;
    const char *slash = strrchr(path, '/'), *end = strrchr(path, '.');
    struct file_names names = {0};
    char *folder = NULL, *mark = NULL, prefix[128];
    TRY(mem_string(ctx, &folder, path));
    folder[MAX(slash - path, 1)] = 0;
    snprintf(prefix, sizeof prefix, "%.*s" MARK, (int)(end - slash - 1), slash + 1);
    TRY(file_names_read(ctx, &names, folder, NULL));
    for (size_t i = 0; i < names.count; i++) {
        if (strncmp(names.list[i], prefix, strlen(prefix)) != 0)
            continue;
        free(mark);
        mark = NULL;
        TRY(file_join(ctx, &mark, folder, names.list[i]));
        TRY(visit_mark(ctx, mark, strtol(names.list[i] + strlen(prefix), NULL, 10), lines));
    }
    if (lines)
        TRY(bytes_add(ctx, lines, "", 0));
fail:
    file_names_free(&names);
    free(mark);
    free(folder);
    return st;
}

clio_status selftest_trials_read(clio_context *ctx, const char *path, struct bytes *lines)
{
    return visit(ctx, path, lines);
}

void selftest_trials_clear(const char *path)
{
    (void)visit(NULL, path, NULL);
}
