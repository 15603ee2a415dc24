/* context.h - what one user of the library holds: a device with its queue, programs, pool and texts. */
#ifndef CLIO_CORE_CONTEXT_H
#define CLIO_CORE_CONTEXT_H

#include "device.h"
#include "launch.h"
#include "params.h"
#include "pool.h"
#include "program.h"
#include "transfers.h"
#include "verdict.h"

#include <signal.h>

struct clio_context {
    struct status_text status;
    struct device *devices; /* as enumerated */
    size_t device_count;
    clio_device_info *infos;
    struct device device; /* the open one: a copy */
    clio_device_info info;
    bool is_open, is_lost;
    cl_context cl;
    cl_command_queue queue;
    struct programs programs;
    struct pool pool;
    struct launches launches;
    struct transfers transfers;
    struct params params;
    struct verdicts verdicts;
    struct verdict *shown; /* with checks: what clio_device_selftests last gave out */
    clio_selftest *checks;
    clio_profile_row *profile_rows;
    bool profile;
    bool planning;               /* operations count scratch but launch nothing */
    struct tape *tape, *tapes;   /* what operations record themselves on, or NULL; all there are (ops/tape.h) */
    struct parameters *collects; /* networks that are loaded are to be trained: they list what they have here (models/nn/parameters.h) */
    uint64_t memory_limit;
    const char *weight_type; /* rows of parameters, see clio_set_weight_type, or NULL */
    volatile sig_atomic_t cancelled;
    bool whole_steps; /* launches do not heed `cancelled`: who set this looks at it where stopping leaves nothing half done */
    clio_progress_fn progress;
    void *progress_user;
    void *blas, *fft; /* owned by blas.c and fft.c */
};

/* Report progress; CLIO_ERROR_CANCELLED when the callback or clio_cancel asks to stop. */
clio_status context_progress(clio_context *ctx, const char *what, double done, double total);
/* The device must be open; otherwise the sentence says how to open it. */
clio_status context_need_device(clio_context *ctx);

#endif
