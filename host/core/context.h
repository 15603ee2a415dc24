/* context.h - struct clio_context: an open device with its queue, programs, memory pool, parameters and status text. */
#ifndef CLIO_CORE_CONTEXT_H
#define CLIO_CORE_CONTEXT_H

#include "device_hints.h"
#include "launch.h"
#include "params.h"
#include "pool.h"
#include "program.h"
#include "selftest_results.h"
#include "selftest_trial.h"
#include "transfers.h"

#include <stdatomic.h>

struct clio_context {
    struct status_text status;
    struct device *devices; /* all, as enumerated */
    size_t device_count;
    clio_device_info *infos;
    char reason[320], open_reason[320]; /* why one of infos is chosen; why the open one was */
    struct device_hints *hints;         /* what clio_device_hints returned last */
    struct device device;               /* the open one: a copy */
    clio_device_info info;
    bool is_open, is_lost;
    cl_context cl;
    cl_command_queue queue;
    struct programs programs;
    struct pool pool;
    struct launches launches;
    struct transfers transfers;
    struct params params;
    const struct family_table *families; /* set by clio_create */
    struct selftest_results selftests;
    struct selftest_trial trial;
    struct selftest_result *shown_results; /* what clio_device_selftests returned last: `checks` points into it */
    clio_selftest *checks;
    char **notices; /* what context_notice_once told */
    size_t notice_count;
    clio_profile_row *profile_rows;
    bool profile;
    bool planning;               /* operations reserve scratch memory in their arena, but launch nothing */
    struct tape *tape, *tapes;   /* the tape that records operations, or NULL; the list of all tapes (ops/tape.h) */
    struct parameters *collects; /* where networks that are loaded for training list their parameters, or NULL (models/parameters.h) */
    uint64_t memory_limit;
    const char *weight_type; /* rows of parameters that clio_set_weight_type chose, or NULL */
    atomic_int cancelled;    /* lock-free: set by other threads and by signal handlers */
    bool whole_steps; /* launches ignore `cancelled`: whoever set this checks it between steps, where stopping leaves no half-done update */
    clio_progress_fn progress;
    void *progress_user;
    clio_notice_fn notice;
    void *notice_user;
    void *blas, *fft; /* owned by blas.c and fft.c */
};

/* Report progress; CLIO_ERROR_CANCELLED when the callback or clio_cancel asks to stop. */
clio_status context_progress(clio_context *ctx, const char *what, double done, double total);
/* Tell the caller (clio_set_notice) in one sentence what was left out or assumed; names files and parameters, as errors do. */
void context_notice(clio_context *ctx, const char *format, ...) CLIO_PRINTF(2, 3);
/* The same, once for a context, however often it is noticed. */
void context_notice_once(clio_context *ctx, const char *format, ...) CLIO_PRINTF(2, 3);
/* CLIO_ERROR_ARGUMENT unless a device is open. */
clio_status context_need_device(clio_context *ctx);

#endif
