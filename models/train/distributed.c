/* distributed.c - see distributed.h. */
#include "distributed.h"
#include "../../host/core/clock.h"

#include <stdlib.h>

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
    int initialized, finalized, rank, ranks;
    *p = (struct distributed){.ranks = 1};
    if (!distributed_started(&rank, &ranks))
        return CLIO_OK;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (finalized)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "MPI allows one parallel run per process: start the program again");
    if (!initialized && MPI_Init(NULL, NULL) != MPI_SUCCESS)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "MPI_Init failed: start the processes with mpirun");
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

#endif
