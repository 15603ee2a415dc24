/* distributed.h - several processes that learn one model together, each on its part of every batch (data-parallel): gradients are added up
 * after each backward pass, so that all of them make the same step. Over MPI, where clio was built with it (-DCLIO_MPI=ON); otherwise there
 * is one.
 *
 * What is added up travels through the host: any device can take part, whatever its vendor. The order of additions is the MPI library's;
 * so results equal those of one process to rounding. Networks with batch norm see the statistics of their own part of a batch, as
 * torch's DistributedDataParallel does. */
#ifndef CLIO_MODELS_TRAIN_DISTRIBUTED_H
#define CLIO_MODELS_TRAIN_DISTRIBUTED_H

#include "../nn/parameters.h"

struct distributed {
    int rank, ranks;
    bool active;   /* there are several */
    bool owns;     /* MPI was begun here */
    float *buffer; /* gradients of all parameters */
    size_t capacity;
    double seconds; /* spent in adding up, waiting for others included */
};
/* Among the processes that mpirun started, or alone. CLIO_ERROR_UNSUPPORTED: started by mpirun, but built without MPI. */
clio_status distributed_open(clio_context *ctx, struct distributed *p);
/* After this no other parallel run can begin in this process: MPI does not allow it. `together`: all processes come here; otherwise this
 * one failed while others wait for it, and they are ended by mpirun as soon as this process is. */
void distributed_close(struct distributed *p, bool together);
/* Whether mpirun started this process, and as which of how many on this machine; without MPI's help. */
bool distributed_started(int *rank, int *ranks);

/* struct optimizer.reduce: gradients of all that is trained become the sums over the processes. user: struct distributed. */
clio_status distributed_reduce(clio_context *ctx, void *user, struct parameters *list);
/* values[i]: sums over the processes. */
clio_status distributed_sum(clio_context *ctx, struct distributed *p, double *values, int count);
/* Buffers that are not trained (running statistics) become the means over the processes. */
clio_status distributed_average_buffers(clio_context *ctx, struct distributed *p, const struct parameters *list);
/* CLIO_OK everywhere, or the status of any that failed: so that none waits for one that gave up. */
clio_status distributed_agree(clio_context *ctx, struct distributed *p, clio_status st);

#endif
