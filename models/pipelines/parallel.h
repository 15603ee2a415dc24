/* parallel.h - share a list of items (files, images) over several contexts, each with its own device and a thread.
 *
 * Self-scheduling by measured speed (Polychronopoulos and Kuck 1987, "Guided Self-Scheduling"): a context that is idle takes half of its
 * share of the items that wait, and none that the others would finish sooner. When a device fails, its unfinished items go back to the list
 * and the others do them. The caller's thread waits, reports progress and notices, and receives the results in the order of the items. When
 * the call is stopped, it receives what is done.
 *
 * Under mpirun all processes share one list (parallel_queue.h): each does a part of the items, and delivers those alone. */
#ifndef CLIO_MODELS_PIPELINES_PARALLEL_H
#define CLIO_MODELS_PIPELINES_PARALLEL_H

#include "../../host/core/context.h"
#include "../../host/core/require.h"

#define PARALLEL_CONTEXTS_MAX 64

struct parallel;
/* In a thread of its own: do `count` items on context `self`, and call parallel_done for each. */
typedef clio_status (*parallel_work_fn)(struct parallel *p, size_t self, const size_t *items, size_t count);
/* In the caller's thread: item number `item`, done by context `self`, is next. */
typedef clio_status (*parallel_deliver_fn)(struct parallel *p, size_t item, size_t self);

struct parallel_plan {
    clio_context *const *contexts; /* [context_count], all different; errors go to the first */
    size_t context_count, item_count;
    size_t most;      /* items that a context takes at a time, at most */
    const char *what; /* for progress, which counts items */
    parallel_work_fn work;
    parallel_deliver_fn deliver;
    void *user;
};

/* Do all items. CLIO_ERROR_DEVICE, CLIO_ERROR_BUILD and CLIO_ERROR_MEMORY of one context are a notice as long as another one works; any
 * other error ends the call, and items that are done, but not delivered, are left to `user`. */
clio_status parallel_run(const struct parallel_plan *plan);

/* CLIO_ERROR_ARGUMENT when contexts[i] is one of those before it. models: the parameter that lists the models of these contexts. */
clio_status parallel_check(clio_context *ctx, struct caller at, clio_context *const *contexts, size_t i, const char *models);

const struct parallel_plan *parallel_plan_of(const struct parallel *p);
/* From parallel_work_fn: this item is done, and may be delivered at once. */
void parallel_done(struct parallel *p, size_t item);

#endif
