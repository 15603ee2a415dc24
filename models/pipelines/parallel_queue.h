/* parallel_queue.h - the list of items that contexts share: who takes how many, and what is done. Under mpirun all processes share one
 * list: each claims the next items from a counter, and what the devices of one process leave undone goes to the others.
 *
 * Used by parallel.c, which locks it. */
#ifndef CLIO_MODELS_PIPELINES_PARALLEL_QUEUE_H
#define CLIO_MODELS_PIPELINES_PARALLEL_QUEUE_H

#include "../train/distributed.h"

/* What is known of the context of one device. */
struct parallel_speed {
    size_t done, running; /* items */
    double seconds;       /* spent on those that are done */
    bool is_out;          /* it failed and takes no more */
};

/* How many of `waiting` items context `self` of `count` takes now, at most `most`; 0: the others finish them sooner. */
size_t parallel_take(const struct parallel_speed *speeds, size_t count, size_t self, size_t waiting, size_t most);

enum item_state { ITEM_UNCLAIMED, ITEM_WAITS, ITEM_RUNS, ITEM_DONE, ITEM_DELIVERED };

struct parallel_item {
    enum item_state state;
    size_t by; /* context */
};

struct parallel_queue {
    struct distributed processes;
    size_t item_count, context_count;
    struct parallel_item *items;   /* [item_count] */
    struct parallel_speed *speeds; /* [context_count] */
    size_t waiting, first;         /* items that wait; none before `first` does */
    size_t claimed, done;          /* items of this process */
    size_t next_claim;             /* as far as it knows */
    bool is_out;                   /* its devices failed, which the others know */
};

/* Join the other processes, if there are any. CLIO_ERROR_UNSUPPORTED: they need MPI. */
clio_status queue_open(clio_context *ctx, struct parallel_queue *q, size_t item_count, size_t context_count);
/* together: all processes do this now. */
void queue_close(struct parallel_queue *q, bool together);
/* Mark the next items as running on context `self`; returns their number, at most `most`. */
size_t queue_take(struct parallel_queue *q, size_t self, size_t most, size_t *items);
/* Those of these items that are not done wait again. */
void queue_give_back(struct parallel_queue *q, size_t self, const size_t *items, size_t count);
void queue_done(struct parallel_queue *q, size_t item);
/* All items that this process claimed are done, and there are no more to claim. */
bool queue_is_finished(const struct parallel_queue *q);
/* Move *next to the first item from there that this process claimed and has not delivered. true: it is done. */
bool queue_next(const struct parallel_queue *q, size_t *next);
/* An error that another device may not have. */
bool parallel_is_of_device(clio_status st);
/* In all processes, after their threads ended with *st: claim a part of what the devices of others left undone. *more: there was some, and
 * a process that can do it; then *st of a process whose devices failed is CLIO_OK. */
clio_status queue_share_rest(clio_context *ctx, struct parallel_queue *q, clio_status *st, bool *more);

#endif
