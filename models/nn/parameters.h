/* parameters.h - the trained parameters of a network, with the names that a checkpoint has for them (torch.nn.Parameter).
 *
 * A network owns its tensors and matrices; a list of parameters refers to them, each with its gradient, optimizer state and EMA weights,
 * all in the layout that the device's kernels read. Files are in torch's order on every device (matrix_read). Buffers, like the running
 * statistics of batch norm, are in the list too: saved, but not trained. */
#ifndef CLIO_MODELS_NN_PARAMETERS_H
#define CLIO_MODELS_NN_PARAMETERS_H

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "state_dict.h"

#define PARAMETER_KEYS 3

struct parameter {
    char *names[PARAMETER_KEYS]; /* keys of the checkpoint; several where one matmul combines them, with the same number of rows each */
    int keys;
    unsigned absent;            /* bit j: files lack key j, which stays zeros */
    int ndim, dim[TENSOR_DIMS]; /* of each key, as it is stored */
    struct tensor value;        /* f32, the network's own */
    struct matrix matrix;       /* shape and layout, if value is the data of a matrix; otherwise n is 0 */
    struct matrix *owner;       /* the network's matrix itself, or NULL */
    struct tensor half; /* f16 copy that the network reads after parameters_use_fp16, the network's own; value belongs to the list then */
    int channels;       /* for matrix_read */
    bool swapped;       /* stored as [C, N, taps...]: a transposed convolution */
    bool trained;       /* false: a buffer */
    struct tensor grad, m, v, average; /* memory NULL: there is none */
};
struct parameters {
    struct parameter *list;
    size_t count, capacity;
};

/* Append one of shape [ndim]. m: the matrix whose data is t; NULL: t is a plain tensor. The network must outlive the list. */
clio_status parameters_add(clio_context *ctx, struct parameters *p, const char *name, int ndim, const int *shape, const struct tensor *t,
                           struct matrix *m, bool swapped, bool trained);
/* Add the key `name` to t, which is in the list: the next rows of a combined matmul. */
clio_status parameters_add_key(clio_context *ctx, struct parameters *p, const struct tensor *t, const char *name);
/* Make t a buffer: saved, but not trained. */
void parameters_set_buffer(struct parameters *p, const struct tensor *t);
/* The latest key of t is in no file, and will not be written. */
void parameters_set_absent(struct parameters *p, const struct tensor *t);
void parameters_free(clio_context *ctx, struct parameters *p);

/* Allocate gradients and, if `average`, EMA weights (copies of the weights) of all trained parameters. */
clio_status parameters_alloc(clio_context *ctx, struct parameters *p, bool average);
/* tape_watch for all trained parameters; add: accumulate gradients over several backward passes. */
clio_status parameters_watch(clio_context *ctx, struct tape *tape, const struct parameters *p, bool add);
/* Mixed precision (Micikevicius et al. 2018, "Mixed precision training"): matmuls read f16 copies of their weights from here on, while
 * `value` stays f32 for the optimizer. A matmul for which the device has no f16 kernel stays f32. */
clio_status parameters_use_fp16(clio_context *ctx, struct parameters *p);
/* Update the f16 copy; to be called after `value` was changed by others than this file and the optimizer. */
clio_status parameter_store(clio_context *ctx, const struct parameter *p);
/* The parameter whose value (or f16 copy) is t, or NULL. */
struct parameter *parameters_find(const struct parameters *p, const struct tensor *t);
/* Number of trained values. */
size_t parameters_size(const struct parameters *p);
/* Swap weights and EMA weights: before sampling, and again after it. Does nothing without EMA. */
clio_status parameters_swap_ema(clio_context *ctx, const struct parameters *p);
/* Whether there are EMA weights; and make them equal to the weights. */
bool parameters_have_ema(const struct parameters *p);
clio_status parameters_restart_ema(clio_context *ctx, const struct parameters *p);
/* The name of the first parameter whose weights (gradients: whose gradient) are not finite, or NULL. Reads all of them. */
clio_status parameters_nonfinite(clio_context *ctx, const struct parameters *p, bool gradients, const char **name);

/* Number of values of one key. */
size_t parameter_key_count(const struct parameter *p);
/* Copy a stored weight to part number `key` of t, which has p's shape and layout. */
clio_status parameter_read_key(clio_context *ctx, const struct parameter *p, struct tensor *t, int key, const struct weight *w);

enum parameter_part { PART_VALUE, PART_M, PART_V, PART_AVERAGE };
struct safetensors_writer;
/* Add this part of every parameter that has it to a file being written, as start + name. */
clio_status parameters_write(clio_context *ctx, const struct parameters *p, enum parameter_part part, const char *start,
                             struct safetensors_writer *out);
/* Whether the file has this part, as start + name, of the first trained parameter. */
bool parameters_stored(const struct parameters *p, enum parameter_part part, const char *start, const struct weights *from);
/* Read this part from a file. A missing tensor is an error that names file and tensor. Parts other than PART_VALUE must be allocated. */
clio_status parameters_read(clio_context *ctx, const struct parameters *p, enum parameter_part part, const char *start,
                            const struct weights *from);
/* Read the EMA weights from a file for inference, which has them under the names of the weights. */
clio_status parameters_read_ema(clio_context *ctx, const struct parameters *p, const struct weights *from);

/* Initial values, from (seed, name of the parameter): adding a layer does not change those of the others. */
enum init_rule {
    INIT_TORCH,  /* torch.nn.Linear and Conv2d: uniform in +- 1 / sqrt(fan_in), biases too; value is fan_in */
    INIT_NORMAL, /* N(0, value^2); DCGAN (Radford et al. 2016): 0.02 */
    INIT_CONSTANT,
    INIT_ONE_NORMAL /* N(1, value^2): gamma of DCGAN's batch norm */
};
clio_status parameter_init(clio_context *ctx, const struct parameter *p, enum init_rule rule, double value, uint64_t seed);
/* Initialize a list that state_dict_load made: linear layers and convolutions as torch, norms with 1 and 0, embeddings with N(0, 1). */
clio_status parameters_init(clio_context *ctx, const struct parameters *p, uint64_t seed);

#endif
