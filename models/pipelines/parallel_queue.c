/* parallel_queue.c - see parallel_queue.h. */
#include "parallel_queue.h"
#include "../../host/core/context.h"

#include <math.h>
#include <stdlib.h>

/* Items a second; 0: not known yet. */
static double rate_of(const struct parallel_speed *s)
{
    return s->is_out || !s->done || s->seconds <= 0 ? 0 : (double)s->done / s->seconds;
}

/* Seconds until the others have finished what waits and what they run. The fastest context never leaves anything to them. */
static double seconds_of_others(const struct parallel_speed *speeds, size_t count, size_t self, size_t waiting)
{
    double all = 0, fastest = 0;
    size_t items = waiting;
    for (size_t i = 0; i < count; i++) {
        double rate = i == self ? 0 : rate_of(&speeds[i]);
        all += rate;
        fastest = MAX(fastest, rate);
        items += rate > 0 ? speeds[i].running : 0;
    }
    return fastest > 0 ? MAX((double)items / all, 1 / fastest) : INFINITY;
}

size_t parallel_take(const struct parallel_speed *speeds, size_t count, size_t self, size_t waiting, size_t most)
{
    double own = rate_of(&speeds[self]), all = 0;
    size_t working = 0;
    for (size_t i = 0; i < count; i++) {
        all += rate_of(&speeds[i]);
        working += !speeds[i].is_out;
    }
    if (!waiting || (own > 0 && 1 / own > seconds_of_others(speeds, count, self, waiting)))
        return 0;
    double share = own > 0 ? own / all : 1 / (double)working;
    size_t take = (size_t)((double)waiting * share / 2);
    return MIN(MAX(take, 1), MIN(most, waiting));
}

/* ---- the list ---- */

clio_status queue_open(clio_context *ctx, struct parallel_queue *q, size_t item_count, size_t context_count)
{
    clio_status st = CLIO_OK;
    *q = (struct parallel_queue){.item_count = item_count, .context_count = context_count};
    TRY(distributed_open(ctx, &q->processes));
    TRY(mem_alloc(ctx, &q->items, item_count, sizeof *q->items));
    TRY(mem_alloc(ctx, &q->speeds, context_count, sizeof *q->speeds));
    if (q->processes.active)
        TRY(distributed_counter_open(ctx, &q->processes));
    for (size_t i = 0; !q->processes.active && i < item_count; i++)
        q->items[i].state = ITEM_WAITS;
    if (!q->processes.active)
        q->waiting = q->claimed = q->next_claim = item_count;
fail:
    return st;
}

void queue_close(struct parallel_queue *q, bool together)
{
    if (together)
        distributed_counter_close(&q->processes);
    distributed_close(&q->processes, together);
    free(q->items);
    free(q->speeds);
}

static void claim(struct parallel_queue *q, size_t item)
{
    q->items[item].state = ITEM_WAITS;
    q->first = MIN(q->first, item);
    q->waiting++;
    q->claimed++;
}

/* Claim the next `count` items of all processes. */
static void claim_next(struct parallel_queue *q, size_t count)
{
    size_t at = (size_t)distributed_counter_add(&q->processes, (int64_t)count), end = MIN(at + count, q->item_count);
    q->next_claim = MAX(end, MIN(at, q->item_count));
    for (size_t i = at; i < end; i++)
        claim(q, i);
}

size_t queue_take(struct parallel_queue *q, size_t self, size_t most, size_t *items)
{
    size_t unclaimed = q->item_count - q->next_claim, taken = 0, ranks = (size_t)q->processes.ranks;
    size_t count = parallel_take(q->speeds, q->context_count, self, q->waiting + (unclaimed + ranks - 1) / ranks, most);
    if (count > q->waiting && unclaimed)
        claim_next(q, count - q->waiting);
    for (; taken < count && q->first < q->item_count; q->first++)
        if (q->items[q->first].state == ITEM_WAITS) {
            q->items[q->first] = (struct parallel_item){ITEM_RUNS, self};
            items[taken++] = q->first;
        }
    q->waiting -= taken;
    q->speeds[self].running = taken;
    return taken;
}

void queue_give_back(struct parallel_queue *q, size_t self, const size_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (q->items[items[i]].state == ITEM_RUNS) {
            q->items[items[i]].state = ITEM_WAITS;
            q->first = MIN(q->first, items[i]);
            q->waiting++;
        }
    q->speeds[self].running = 0;
}

void queue_done(struct parallel_queue *q, size_t item)
{
    struct parallel_item *i = &q->items[item];
    i->state = ITEM_DONE;
    q->done++;
    q->speeds[i->by].running--;
    q->speeds[i->by].done++;
}

bool queue_is_finished(const struct parallel_queue *q)
{
    return q->next_claim == q->item_count && q->done == q->claimed;
}

bool queue_next(const struct parallel_queue *q, size_t *next)
{
    while (*next < q->next_claim && (q->items[*next].state == ITEM_UNCLAIMED || q->items[*next].state == ITEM_DELIVERED))
        ++*next;
    return *next < q->next_claim && q->items[*next].state == ITEM_DONE;
}

/* ---- what other processes left ---- */

/* The items that this process claimed and did not do; they are no longer its own. */
static clio_status drop_rest(clio_context *ctx, struct parallel_queue *q, int64_t **rest, size_t *count)
{
    clio_status st = CLIO_OK;
    *count = 0;
    TRY(mem_alloc(ctx, rest, MAX(q->waiting, 1), sizeof **rest));
    for (size_t i = q->first; i < q->item_count; i++)
        if (q->items[i].state == ITEM_WAITS) {
            q->items[i].state = ITEM_UNCLAIMED;
            (*rest)[(*count)++] = (int64_t)i;
        }
    q->claimed -= *count;
    q->waiting = 0;
    q->first = q->item_count;
    q->next_claim = q->item_count;
fail:
    return st;
}

/* Take each item whose turn it is among the processes that can work. */
static void claim_part(struct parallel_queue *q, const int64_t *states, const int64_t *rest, size_t count)
{
    size_t able = 0, own = 0;
    for (int i = 0; i < q->processes.ranks; i++) {
        own = i == q->processes.rank ? able : own;
        able += states[i] == CLIO_OK;
    }
    for (size_t i = 0; able && states[q->processes.rank] == CLIO_OK && i < count; i++)
        if (i % able == own)
            claim(q, (size_t)rest[i]);
}

bool parallel_is_of_device(clio_status st)
{
    return st == CLIO_ERROR_DEVICE || st == CLIO_ERROR_BUILD || st == CLIO_ERROR_MEMORY;
}

clio_status queue_share_rest(clio_context *ctx, struct parallel_queue *q, clio_status *own, bool *more)
{
    clio_status st = CLIO_OK;
    int64_t *mine = NULL, *rest = NULL, *states = NULL, state = q->is_out ? CLIO_ERROR_DEVICE : *own;
    size_t count = 0, left = 0, ranks;
    bool able = false, stops = false;
    *more = false;
    if (!q->processes.active)
        return CLIO_OK;
    TRY(drop_rest(ctx, q, &mine, &count));
    TRY(distributed_gather(ctx, &q->processes, mine, count, &rest, &left));
    TRY(distributed_gather(ctx, &q->processes, &state, 1, &states, &ranks));
    for (size_t i = 0; i < ranks; i++) {
        able = able || states[i] == CLIO_OK;
        stops = stops || (states[i] && !parallel_is_of_device((clio_status)states[i]));
    }
    *more = left && able && !stops;
    if (*more)
        claim_part(q, states, rest, left);
    if (*more && *own) {
        context_notice(ctx, "%s; the other processes do its work", ctx->status.sentence);
        q->is_out = true;
        *own = CLIO_OK;
    }
fail:
    free(mine);
    free(rest);
    free(states);
    return st;
}
