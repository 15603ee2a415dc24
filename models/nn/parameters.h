/* parameters.h - what of a network is learned, and under which names a checkpoint holds it.
 *
 * A network keeps its own tensors and matrices; a list of parameters refers to them, each with its gradient, the state of its optimizer and
 * its running average, all in the layout that the device's kernels read. What goes to a file goes through matrix_read: files are in the
 * order of torch whatever the device. Buffers (running statistics of batch norm) are in the list as well: saved, but not trained. */
#ifndef CLIO_MODELS_NN_PARAMETERS_H
#define CLIO_MODELS_NN_PARAMETERS_H

#include "../../host/ops/gradients.h"
#include "../../host/ops/tape.h"
#include "state_dict.h"

#define PARAMETER_KEYS 3

struct parameter {
    char *names[PARAMETER_KEYS]; /* of the checkpoint; several where a product takes several keys at once, of as many rows each */
    int keys;
    unsigned absent;                   /* bit j: files do not have key j: it is zeros, and stays that */
    int ndim, dim[TENSOR_DIMS];        /* of each key, as it is stored */
    struct tensor value;               /* f32, the network's own */
    struct matrix matrix;              /* shape and layout, if value is the data of a matrix; otherwise n is 0 */
    struct matrix *owner;              /* the network's matrix itself, or NULL */
    struct tensor half;                /* f16: what the network reads since parameters_use_fp16, its own; value is the list's then */
    int channels;                      /* as matrix_read wants it */
    bool swapped;                      /* stored as [C, N, taps...]: a transposed convolution */
    bool trained;                      /* false: a buffer */
    struct tensor grad, m, v, average; /* memory NULL: there is none */
};
struct parameters {
    struct parameter *list;
    size_t count, capacity;
};

/* Append one; `shape` has ndim numbers. m NULL: t is a plain tensor, else the matrix that t is the data of. The network outlives the list.
 */
clio_status parameters_add(clio_context *ctx, struct parameters *p, const char *name, int ndim, const int *shape, const struct tensor *t,
                           struct matrix *m, bool swapped, bool trained);
/* t, which is in the list, also has the key `name`: that of the next of as many rows. */
clio_status parameters_add_key(clio_context *ctx, struct parameters *p, const struct tensor *t, const char *name);
/* t is saved, but not trained. */
void parameters_set_buffer(struct parameters *p, const struct tensor *t);
/* The latest key of t is not in files, and will not be. */
void parameters_set_absent(struct parameters *p, const struct tensor *t);
void parameters_free(clio_context *ctx, struct parameters *p);

/* Gradients, and a running average when asked for, for all that are trained. Averages begin as copies. */
clio_status parameters_alloc(clio_context *ctx, struct parameters *p, bool average);
/* tape_watch for all that are trained; `add`: gradients of several backward passes add up. */
clio_status parameters_watch(clio_context *ctx, struct tape *tape, const struct parameters *p, bool add);
/* From here on products read their weights rounded to half, while `value` stays f32 for the optimizer (Micikevicius et al. 2018, "Mixed
 * precision training"); a product for which the device has no such kernel stays as it is. */
clio_status parameters_use_fp16(clio_context *ctx, struct parameters *p);
/* Whoever changes `value` by other ways than this file's and the optimizer's tells the network. */
clio_status parameter_store(clio_context *ctx, const struct parameter *p);
/* The parameter that a network's matrix or tensor reads, or NULL. */
struct parameter *parameters_find(const struct parameters *p, const struct tensor *t);
/* Numbers that are trained. */
size_t parameters_size(const struct parameters *p);
/* Exchange weights and averages: before samples are drawn, and again after. Nothing where there are no averages. */
clio_status parameters_swap_ema(clio_context *ctx, const struct parameters *p);
/* The name of the first one whose weights are not finite (or whose gradient, when `gradients`); NULL. Reads all of them. */
clio_status parameters_nonfinite(clio_context *ctx, const struct parameters *p, bool gradients, const char **name);

/* Values of one key. */
size_t parameter_key_count(const struct parameter *p);
/* Copy a stored weight to key number `key` of t, which has p's shape and layout. */
clio_status parameter_read_key(clio_context *ctx, const struct parameter *p, struct tensor *t, int key, const struct weight *w);

enum parameter_part { PART_VALUE, PART_M, PART_V, PART_AVERAGE };
struct safetensors_writer;
/* Add the part of every parameter that has it to a file that is being written: names are start + name. */
clio_status parameters_write(clio_context *ctx, const struct parameters *p, enum parameter_part part, const char *start,
                             struct safetensors_writer *out);
/* Fill it from a file. Missing ones are an error that names file and tensor. PART_VALUE fills weights, the others must be prepared. */
clio_status parameters_read(clio_context *ctx, const struct parameters *p, enum parameter_part part, const char *start,
                            const struct weights *from);

/* How torch begins (torch.nn.Linear, Conv2d: uniform within 1 / sqrt(inputs)), or another rule, from (seed, name of the parameter): adding
 * a layer does not change what the others begin with. */
enum init_rule {
    INIT_TORCH,  /* uniform within +- 1 / sqrt(fan_in), biases too: value is fan_in */
    INIT_NORMAL, /* N(0, value^2), as DCGAN (Radford et al. 2016): 0.02 */
    INIT_CONSTANT,
    INIT_ONE_NORMAL /* N(1, value^2): DCGAN's batch norm */
};
clio_status parameter_init(clio_context *ctx, const struct parameter *p, enum init_rule rule, double value, uint64_t seed);
/* All of a list that state_dict_load made: products and their biases as torch begins, norms with 1 and 0, tables with N(0, 1). */
clio_status parameters_init(clio_context *ctx, const struct parameters *p, uint64_t seed);

#endif
