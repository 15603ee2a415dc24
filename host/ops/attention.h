/* attention.h - what op_attention.c and op_attention_bwd.c share: kernels over padded batches (cl/key_lengths.clh) have an option and an
 * argument more. key_lengths: the tensor, or NULL. */
#ifndef CLIO_OPS_ATTENTION_H
#define CLIO_OPS_ATTENTION_H

#include "ops.h"

#define LENGTHS_OPTION(key_lengths) ((key_lengths) ? " -DLENGTHS=1" : "")

/* LAUNCH, with the key lengths as the last argument if there are any. */
#define LAUNCH_PADDED(ctx, key_lengths, kernel, grid, cost, ...)                                                                           \
    launch(ctx, kernel, grid, cost, (struct arg[]){__VA_ARGS__, {(key_lengths) ? &(key_lengths)->mem : NULL, sizeof(cl_mem)}},             \
           sizeof((struct arg[]){__VA_ARGS__}) / sizeof(struct arg) + ((key_lengths) != NULL))

#endif
