/* distributed.h - several processes that mpirun started share work.
 *
 * Data-parallel training: several processes train one model, each on its part of every batch; gradients are summed after
 * each backward pass, so that all take the same optimizer step. Over MPI, where clio was built with it (-DCLIO_MPI=ON); otherwise there is
 * one process.
 *
 * Gradients are summed on the host: devices of different vendors can take part. The MPI library chooses the order of additions, so results
 * equal those of one process to rounding. Batch norm uses the statistics of each process's part of a batch, as in PyTorch's
 * DistributedDataParallel. */
#ifndef CLIO_MODELS_TRAIN_DISTRIBUTED_H
#define CLIO_MODELS_TRAIN_DISTRIBUTED_H

#include "../nn/parameters.h"

struct distributed {
    int rank, ranks;
    bool active;   /* more than one process */
    bool owns;     /* MPI was initialized here */
    float *buffer; /* gradients of all parameters */
    size_t capacity;
    double seconds; /* spent in all-reduce, including waiting for other processes */
    void *window;   /* of the counter, in the first process */
};
/* Join the processes that mpirun started, or run alone. CLIO_ERROR_UNSUPPORTED: started by mpirun, but built without MPI. */
clio_status distributed_open(clio_context *ctx, struct distributed *p);
/* After this no other parallel run can start in this process: MPI does not allow it. `together`: all processes call it; otherwise this one
 * failed, and mpirun ends the others when this process exits. */
void distributed_close(struct distributed *p, bool together);
/* Whether mpirun started this process, its rank on this machine and the number of processes, from environment variables. */
bool distributed_started(int *rank, int *ranks);

/* For struct optimizer.reduce: sum the gradients of trained parameters over the processes. user: struct distributed. */
clio_status distributed_reduce(clio_context *ctx, void *user, struct parameters *list);
/* Sum values[i] over the processes. */
clio_status distributed_sum(clio_context *ctx, struct distributed *p, double *values, int count);
/* Average untrained buffers (running statistics) over the processes. */
clio_status distributed_average_buffers(clio_context *ctx, struct distributed *p, const struct parameters *list);
/* CLIO_OK on all processes, or an error on all if one failed, so that none waits for it. */
clio_status distributed_agree(clio_context *ctx, struct distributed *p, clio_status st);

/* A counter in the first process, 0 at first. Open and close it in all processes; add from one thread at a time. */
clio_status distributed_counter_open(clio_context *ctx, struct distributed *p);
void distributed_counter_close(struct distributed *p);
/* Add n; returns the value before. */
int64_t distributed_counter_add(struct distributed *p, int64_t n);
/* Let other processes reach the counter: call it now and then in the first process. */
void distributed_counter_serve(struct distributed *p);
/* The lists of all processes, one after the other, for the caller to free. Counts are below 2^31. */
clio_status distributed_gather(clio_context *ctx, struct distributed *p, const int64_t *own, size_t own_count, int64_t **all,
                               size_t *count);

#endif
