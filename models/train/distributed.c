/* distributed.c - see distributed.h. */
#include "distributed.h"
#include "../../host/core/clock.h"

#include <stdlib.h>
#include <string.h>

#ifdef CLIO_MPI
#include <mpi.h>
#endif

/* Environment variables of common MPI launchers. */
static const char *const size_names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
static const char *const rank_names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"};

static int read_number(const char *const *names, size_t count, int fallback)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = getenv(names[i]);
        if (text && *text)
            return atoi(text);
    }
    return fallback;
}

bool distributed_started(int *rank, int *ranks)
{
    *ranks = read_number(size_names, COUNT(size_names), 1);
    *rank = read_number(rank_names, COUNT(rank_names), 0);
    return *ranks > 1;
}

#ifdef CLIO_MPI

clio_status distributed_open(clio_context *ctx, struct distributed *p)
{
    clio_status st = CLIO_OK;
    int initialized, finalized, provided, rank, ranks;
    *p = (struct distributed){.ranks = 1};
    if (!distributed_started(&rank, &ranks))
        return CLIO_OK;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (finalized)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "MPI allows one parallel run per process: start the program again");
    if (!initialized && MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "MPI_Init_thread failed: start the processes with mpirun");
    if (MPI_Query_thread(&provided) != MPI_SUCCESS || provided < MPI_THREAD_SERIALIZED)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "this MPI library lacks MPI_THREAD_SERIALIZED: build clio with one that has it, such as Open MPI");
    p->owns = !initialized;
    MPI_Comm_rank(MPI_COMM_WORLD, &p->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &p->ranks);
    p->active = p->ranks > 1;
fail:
    return st;
}

void distributed_close(struct distributed *p, bool together)
{
    if (p->owns && together)
        MPI_Finalize();
    free(p->buffer);
    *p = (struct distributed){0};
}

static clio_status grow_buffer(clio_context *ctx, struct distributed *p, size_t count)
{
    clio_status st = CLIO_OK;
    if (count <= p->capacity)
        return CLIO_OK;
    free(p->buffer);
    p->buffer = NULL;
    p->capacity = 0;
    TRY(mem_alloc(ctx, &p->buffer, count, sizeof *p->buffer));
    p->capacity = count;
fail:
    return st;
}

/* In pieces, because MPI counts are ints. */
static clio_status allreduce(clio_context *ctx, struct distributed *p, size_t count)
{
    clio_status st = CLIO_OK;
    const size_t piece = (size_t)1 << 28;
    for (size_t at = 0; at < count; at += piece)
        if (MPI_Allreduce(MPI_IN_PLACE, p->buffer + at, (int)MIN(piece, count - at), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD) != MPI_SUCCESS)
            FAIL(ctx, CLIO_ERROR_INTERNAL, "MPI_Allreduce of gradients failed");
fail:
    return st;
}

/* All tensors at once: one message instead of many. `gradients`: of trained parameters; otherwise values of untrained ones. */
static clio_status reduce(clio_context *ctx, struct distributed *p, const struct parameters *list, bool gradients, float scale)
{
    clio_status st = CLIO_OK;
    size_t count = 0, at = 0;
    double began = clock_seconds();
    for (size_t i = 0; i < list->count; i++)
        if (list->list[i].trained == gradients)
            count += tensor_count(&list->list[i].value);
    TRY(grow_buffer(ctx, p, count));
    for (int back = 0; back < 2; back++, at = 0) {
        for (size_t i = 0; i < list->count; i++) {
            const struct parameter *q = &list->list[i];
            const struct tensor *t = gradients ? &q->grad : &q->value;
            size_t n = tensor_count(t);
            if (q->trained != gradients)
                continue;
            TRY(back ? tensor_write(ctx, t, 0, n, p->buffer + at) : tensor_read(ctx, t, 0, n, p->buffer + at));
            at += n;
        }
        if (back)
            break;
        TRY(allreduce(ctx, p, count));
        for (size_t i = 0; scale < 1 && i < count; i++)
            p->buffer[i] *= scale;
    }
    p->seconds += clock_seconds() - began;
fail:
    return st;
}

clio_status distributed_reduce(clio_context *ctx, void *user, struct parameters *list)
{
    return reduce(ctx, user, list, true, 1);
}

clio_status distributed_average_buffers(clio_context *ctx, struct distributed *p, const struct parameters *list)
{
    return p->active ? reduce(ctx, p, list, false, 1.0f / (float)p->ranks) : CLIO_OK;
}

clio_status distributed_sum(clio_context *ctx, struct distributed *p, double *values, int count)
{
    clio_status st = CLIO_OK;
    if (p->active && MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD) != MPI_SUCCESS)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "MPI_Allreduce of losses failed");
fail:
    return st;
}

clio_status distributed_agree(clio_context *ctx, struct distributed *p, clio_status st)
{
    int worst = (int)st;
    if (!p->active)
        return st;
    MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    if (worst && !st)
        st = clio_fail(ctx, (clio_status)worst, __FILE__, __LINE__, "another process of this run failed");
    return st;
}

/* ---- the counter: one-sided communication, so that nobody waits for another process ---- */

struct window {
    MPI_Win win;
    int64_t *value;
};

clio_status distributed_counter_open(clio_context *ctx, struct distributed *p)
{
    clio_status st = CLIO_OK;
    struct window *w = NULL;
    TRY(mem_alloc(ctx, &w, 1, sizeof *w));
    if (MPI_Win_allocate(p->rank ? 0 : (MPI_Aint)sizeof *w->value, (int)sizeof *w->value, MPI_INFO_NULL, MPI_COMM_WORLD, &w->value,
                         &w->win) != MPI_SUCCESS) {
        free(w);
        FAIL(ctx, CLIO_ERROR_INTERNAL, "MPI_Win_allocate failed");
    }
    if (!p->rank)
        *w->value = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock_all(0, w->win);
    p->window = w;
fail:
    return st;
}

void distributed_counter_close(struct distributed *p)
{
    struct window *w = p->window;
    if (!w)
        return;
    MPI_Win_unlock_all(w->win);
    MPI_Win_free(&w->win);
    free(w);
    p->window = NULL;
}

int64_t distributed_counter_add(struct distributed *p, int64_t n)
{
    struct window *w = p->window;
    int64_t before = 0;
    MPI_Fetch_and_op(&n, &before, MPI_INT64_T, 0, 0, MPI_SUM, w->win);
    MPI_Win_flush(0, w->win);
    return before;
}

void distributed_counter_serve(struct distributed *p)
{
    int there;
    (void)p;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
}

clio_status distributed_gather(clio_context *ctx, struct distributed *p, const int64_t *own, size_t own_count, int64_t **all, size_t *count)
{
    clio_status st = CLIO_OK;
    int *counts = NULL, *starts = NULL, mine = (int)own_count;
    *all = NULL;
    *count = 0;
    TRY(mem_alloc(ctx, &counts, (size_t)p->ranks, sizeof *counts));
    TRY(mem_alloc(ctx, &starts, (size_t)p->ranks, sizeof *starts));
    MPI_Allgather(&mine, 1, MPI_INT, counts, 1, MPI_INT, MPI_COMM_WORLD);
    for (int i = 0; i < p->ranks; i++) {
        starts[i] = (int)*count;
        *count += (size_t)counts[i];
    }
    TRY(mem_alloc(ctx, all, MAX(*count, 1), sizeof **all));
    MPI_Allgatherv(own, mine, MPI_INT64_T, *all, counts, starts, MPI_INT64_T, MPI_COMM_WORLD);
fail:
    free(counts);
    free(starts);
    return st;
}

#else

clio_status distributed_open(clio_context *ctx, struct distributed *p)
{
    clio_status st = CLIO_OK;
    int rank, ranks;
    *p = (struct distributed){.ranks = 1};
    if (distributed_started(&rank, &ranks))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "mpirun started %d processes, but this clio was built without MPI: build it with -DCLIO_MPI=ON (Debian: libopenmpi-dev)",
             ranks);
fail:
    return st;
}

void distributed_close(struct distributed *p, bool together)
{
    (void)together;
    *p = (struct distributed){0};
}

clio_status distributed_reduce(clio_context *ctx, void *user, struct parameters *list)
{
    (void)ctx, (void)user, (void)list;
    return CLIO_OK;
}

clio_status distributed_sum(clio_context *ctx, struct distributed *p, double *values, int count)
{
    (void)ctx, (void)p, (void)values, (void)count;
    return CLIO_OK;
}

clio_status distributed_average_buffers(clio_context *ctx, struct distributed *p, const struct parameters *list)
{
    (void)ctx, (void)p, (void)list;
    return CLIO_OK;
}

clio_status distributed_agree(clio_context *ctx, struct distributed *p, clio_status st)
{
    (void)ctx, (void)p;
    return st;
}

clio_status distributed_counter_open(clio_context *ctx, struct distributed *p)
{
    (void)ctx, (void)p;
    return CLIO_OK;
}

void distributed_counter_close(struct distributed *p)
{
    (void)p;
}

int64_t distributed_counter_add(struct distributed *p, int64_t n)
{
    (void)p, (void)n;
    return 0;
}

void distributed_counter_serve(struct distributed *p)
{
    (void)p;
}

clio_status distributed_gather(clio_context *ctx, struct distributed *p, const int64_t *own, size_t own_count, int64_t **all, size_t *count)
{
    (void)p;
    *count = own_count;
    clio_status st = mem_alloc(ctx, all, MAX(own_count, 1), sizeof **all);
    if (!st && own_count)
        memcpy(*all, own, own_count * sizeof *own);
    return st;
}

#endif
