/* selftest_trial.h - a mark in the cache folder while a self-test runs, so that a driver that ends the process ends only one: the next
 * process finds the mark and leaves that variant off (SELFTEST_DIED) instead of trying it again, and after two of a family the whole
 * family.
 *
 * The mark is a file beside the results, selftests-<hash>.trial.<PID>..., which its process keeps locked (flock): a mark that can be locked
 * is of a process that ended. It holds one line as the file of results has them: "gemm.panel [-DMR=8] died".
 *
 * A process that its user stops is no fault of the variant: clio_cancel removes the mark, unless the self-test has run for so long that it
 * must be taken for one that never ends. */
#ifndef CLIO_CORE_SELFTEST_TRIAL_H
#define CLIO_CORE_SELFTEST_TRIAL_H

#include "mem.h"

#include <stdatomic.h>

#define SELFTEST_DIED_WORD "died"
#define SELFTEST_ENDLESS 60 /* seconds after which a self-test that is cancelled counts as one that never ends */

struct selftest_trial {
    char path[1024]; /* of the mark. clio_cancel may read it at any time: while `runs`, and between two self-tests of a device, it stays */
    int file;        /* -1: no mark */
    atomic_bool runs;
    atomic_long started;
};

/* Around a self-test. results: path of the file of results, in a folder that is there. A mark that cannot be made is no error. */
void selftest_trial_begin(struct selftest_trial *trial, const char *results, const char *family, const char *variant);
void selftest_trial_end(struct selftest_trial *trial);
/* The user wants to stop. Safe in a signal handler. */
void selftest_trial_cancel(struct selftest_trial *trial);

/* Append the lines of the marks beside the results `path` whose process ended. */
clio_status selftest_trials_read(clio_context *ctx, const char *path, struct bytes *lines);
/* Delete those marks. */
void selftest_trials_clear(const char *path);

#endif
