/* parallel.c - see parallel.h. */
#include "parallel.h"
#include "parallel_queue.h"
#include "../../host/core/clock.h"
#include "../../host/core/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_NS 100000000 /* between two looks at progress and cancellation */
#define NOTICES_MAX 64

struct worker {
    struct parallel *p;
    size_t self;
    pthread_t thread;
    bool started, ended, said; /* said: its failure */
    clio_status st;
    size_t *items;             /* taken */
    double part;               /* of the items that run, by its last report of progress */
    clio_progress_fn progress; /* the caller's */
    clio_notice_fn notice;
    void *progress_user, *notice_user;
};

struct parallel {
    const struct parallel_plan *plan;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct parallel_queue queue;
    struct worker *workers; /* [context_count] */
    bool stops, refused;    /* refused: the receiver of the results wants no more */
    clio_status st;         /* why it stops */
    size_t failed;          /* context of that error */
    char *notices[NOTICES_MAX];
    size_t notice_count, noticed;
};

const struct parallel_plan *parallel_plan_of(const struct parallel *p)
{
    return p->plan;
}

clio_status parallel_check(clio_context *ctx, struct caller at, clio_context *const *contexts, size_t i, const char *models)
{
    clio_status st = CLIO_OK;
    for (size_t k = 0; k < i; k++)
        REQUIRE_THAT(ctx, at, contexts[k] != contexts[i], "%s[%zu] and [%zu] are of the same context: load the model once for each device",
                     models, k, i);
fail:
    return st;
}

void parallel_done(struct parallel *p, size_t item)
{
    pthread_mutex_lock(&p->lock);
    queue_done(&p->queue, item);
    p->workers[p->queue.items[item].by].part = 0;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* ---- the thread of a context ---- */

static void stop(struct parallel *p, clio_status st, size_t failed)
{
    if (!p->stops) {
        p->stops = true;
        p->st = st;
        p->failed = failed;
        pthread_cond_broadcast(&p->changed);
    }
}

static void *run_worker(void *data)
{
    struct worker *w = data;
    struct parallel *p = w->p;
    pthread_mutex_lock(&p->lock);
    while (!p->stops && !w->st && !queue_is_finished(&p->queue)) {
        size_t count = queue_take(&p->queue, w->self, p->plan->most, w->items);
        w->part = 0;
        if (!count && !queue_is_finished(&p->queue))
            pthread_cond_wait(&p->changed, &p->lock);
        if (!count)
            continue;
        pthread_mutex_unlock(&p->lock);
        double start = clock_seconds();
        clio_status st = p->plan->work(p, w->self, w->items, count);
        double seconds = clock_seconds() - start;
        pthread_mutex_lock(&p->lock);
        p->queue.speeds[w->self].seconds += seconds;
        p->queue.speeds[w->self].is_out = st != CLIO_OK;
        queue_give_back(&p->queue, w->self, w->items, count);
        w->st = st;
        if (st && !parallel_is_of_device(st))
            stop(p, st, w->self);
        pthread_cond_broadcast(&p->changed);
    }
    w->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static int on_progress(void *user, const char *what, double done, double total)
{
    struct worker *w = user;
    (void)what;
    pthread_mutex_lock(&w->p->lock);
    w->part = total > 0 ? done / total : 0;
    bool stops = w->p->stops;
    pthread_mutex_unlock(&w->p->lock);
    return stops;
}

/* Each text once: all devices have the same to say of a prompt. */
static void on_notice(void *user, const char *text)
{
    struct worker *w = user;
    struct parallel *p = w->p;
    pthread_mutex_lock(&p->lock);
    bool known = p->notice_count == NOTICES_MAX;
    for (size_t i = 0; !known && i < p->notice_count; i++)
        known = !strcmp(p->notices[i], text);
    size_t size = strlen(text) + 1;
    char *copy = known ? NULL : malloc(size);
    if (copy) {
        memcpy(copy, text, size);
        p->notices[p->notice_count++] = copy;
    }
    pthread_mutex_unlock(&p->lock);
}

/* Reports of the context come to these functions while the threads run. */
static void divert(struct worker *w, clio_context *ctx, bool here)
{
    if (here) {
        w->progress = ctx->progress;
        w->progress_user = ctx->progress_user;
        w->notice = ctx->notice;
        w->notice_user = ctx->notice_user;
    }
    ctx->progress = here ? on_progress : w->progress;
    ctx->progress_user = here ? w : w->progress_user;
    ctx->notice = here ? on_notice : w->notice;
    ctx->notice_user = here ? w : w->notice_user;
}

/* ---- the caller's thread; the lock is held between these functions ---- */

static void say(const struct parallel *p, const char *text)
{
    const struct worker *first = &p->workers[0];
    if (first->notice)
        first->notice(first->notice_user, text);
}

static size_t count_working(const struct parallel *p)
{
    size_t working = 0;
    for (size_t i = 0; i < p->plan->context_count; i++)
        working += !p->workers[i].ended;
    return working;
}

/* A context that ended with an error is read by nobody else any more. */
static void say_failures(struct parallel *p)
{
    char text[sizeof p->plan->contexts[0]->status.sentence + 80];
    for (size_t i = 0; i < p->plan->context_count; i++) {
        struct worker *w = &p->workers[i];
        if (!w->ended || !parallel_is_of_device(w->st) || w->said)
            continue;
        w->said = true;
        if (queue_is_finished(&p->queue))
            return;
        if (!count_working(p)) {
            stop(p, w->st, i);
            return;
        }
        snprintf(text, sizeof text, "device %d: %s; the other devices do its work", p->plan->contexts[i]->info.index,
                 p->plan->contexts[i]->status.sentence);
        pthread_mutex_unlock(&p->lock);
        say(p, text);
        pthread_mutex_lock(&p->lock);
    }
}

static void say_notices(struct parallel *p)
{
    while (p->noticed < p->notice_count) {
        const char *text = p->notices[p->noticed++];
        pthread_mutex_unlock(&p->lock);
        say(p, text);
        pthread_mutex_lock(&p->lock);
    }
}

static void report_progress(struct parallel *p)
{
    const struct worker *first = &p->workers[0];
    const struct parallel_queue *q = &p->queue;
    double done = (double)q->done, total = (double)(q->claimed + q->item_count - q->next_claim);
    for (size_t i = 0; i < p->plan->context_count; i++)
        done += p->workers[i].part * (double)q->speeds[i].running;
    pthread_mutex_unlock(&p->lock);
    bool stops = first->progress && first->progress(first->progress_user, p->plan->what, done, total);
    pthread_mutex_lock(&p->lock);
    if (stops)
        stop(p, CLIO_ERROR_CANCELLED, 0);
}

static void wait_a_tick(struct parallel *p)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TICK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&p->changed, &p->lock, &until);
    if (p->queue.processes.active && !p->queue.processes.rank)
        distributed_counter_serve(&p->queue.processes);
    for (size_t i = 0; i < p->plan->context_count; i++)
        if (p->plan->contexts[i]->cancelled)
            stop(p, CLIO_ERROR_CANCELLED, 0);
    for (size_t i = 0; p->stops && i < p->plan->context_count; i++)
        clio_cancel(p->plan->contexts[i]); /* again each time: a call that begins forgets it */
}

static void deliver(struct parallel *p, size_t item)
{
    size_t by = p->queue.items[item].by;
    p->queue.items[item].state = ITEM_DELIVERED;
    pthread_mutex_unlock(&p->lock);
    clio_status st = p->plan->deliver(p, item, by);
    pthread_mutex_lock(&p->lock);
    if (st)
        stop(p, st, 0);
    p->refused = p->refused || st;
}

/* When the work was stopped by something else than the receiver: what is done behind a gap. */
static void deliver_rest(struct parallel *p)
{
    for (size_t i = 0; p->stops && !p->refused && i < p->plan->item_count; i++)
        if (p->queue.items[i].state == ITEM_DONE)
            deliver(p, i);
}

static void watch(struct parallel *p)
{
    size_t next = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        if (!p->stops && queue_next(&p->queue, &next)) {
            deliver(p, next);
            continue;
        }
        say_notices(p);
        say_failures(p);
        if (!count_working(p))
            break;
        report_progress(p);
        wait_a_tick(p);
    }
    say_notices(p);
    deliver_rest(p);
    pthread_mutex_unlock(&p->lock);
}

/* ---- begin and end ---- */

static clio_status make_workers(struct parallel *p)
{
    clio_status st = CLIO_OK;
    const struct parallel_plan *plan = p->plan;
    clio_context *ctx = plan->contexts[0];
    TRY(mem_alloc(ctx, &p->workers, plan->context_count, sizeof *p->workers));
    for (size_t i = 0; i < plan->context_count; i++) {
        p->workers[i] = (struct worker){.p = p, .self = i};
        TRY(mem_alloc(ctx, &p->workers[i].items, MIN(plan->most, plan->item_count), sizeof *p->workers[i].items));
    }
fail:
    return st;
}

/* Those whose devices have not failed. */
static void start_workers(struct parallel *p)
{
    pthread_mutex_lock(&p->lock); /* which the threads need before anything else */
    for (size_t i = 0; i < p->plan->context_count; i++) {
        struct worker *w = &p->workers[i];
        p->plan->contexts[i]->cancelled = 0;
        divert(w, p->plan->contexts[i], true);
        w->started = !w->st && pthread_create(&w->thread, NULL, run_worker, w) == 0;
        w->ended = !w->started;
        p->queue.speeds[i].is_out = w->ended;
    }
    pthread_mutex_unlock(&p->lock);
}

static void join_workers(struct parallel *p)
{
    for (size_t i = 0; i < p->plan->context_count; i++) {
        if (p->workers[i].started)
            pthread_join(p->workers[i].thread, NULL);
        divert(&p->workers[i], p->plan->contexts[i], false);
        p->plan->contexts[i]->cancelled = 0;
    }
}

static void close_parallel(struct parallel *p)
{
    for (size_t i = 0; p->workers && i < p->plan->context_count; i++)
        free(p->workers[i].items);
    for (size_t i = 0; i < p->notice_count; i++)
        free(p->notices[i]);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
}

/* Do what this process claims. */
static clio_status run_threads(struct parallel *p)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = p->plan->contexts[0];
    start_workers(p);
    watch(p);
    join_workers(p);
    if (p->st == CLIO_ERROR_CANCELLED)
        FAIL(ctx, CLIO_ERROR_CANCELLED, "cancelled while %s", p->plan->what);
    if (p->st && p->failed)
        ctx->status = p->plan->contexts[p->failed]->status;
    if (!p->st && !p->queue.is_out && !queue_is_finished(&p->queue))
        FAIL(ctx, CLIO_ERROR_MEMORY, "no thread can be started: close other programs, or raise the limit of processes");
    st = p->st;
fail:
    p->st = CLIO_OK;
    return st;
}

clio_status parallel_run(const struct parallel_plan *plan)
{
    clio_status st = CLIO_OK, own = CLIO_OK;
    clio_context *ctx = plan->contexts[0];
    struct parallel p = {.plan = plan};
    bool more = true;
    pthread_mutex_init(&p.lock, NULL); /* these two cannot fail on Linux */
    pthread_cond_init(&p.changed, NULL);
    TRY(queue_open(ctx, &p.queue, plan->item_count, plan->context_count));
    TRY(make_workers(&p));
    while (more) {
        own = run_threads(&p);
        p.stops = own != CLIO_OK;
        TRY(queue_share_rest(ctx, &p.queue, &own, &more));
        p.stops = p.stops && own;
    }
    st = own;
fail:
    queue_close(&p.queue, !st || st == own);
    close_parallel(&p);
    return st;
}
