/* tape.h - the tape of operations for automatic differentiation (reverse mode, over eager operations, as autograd of PyTorch).
 *
 *     TRY(tape_start(ctx, &tape));                          operations are recorded from here on
 *     TRY(tape_watch(ctx, &tape, &w, &dw, false));          w gets a gradient
 *     TRY(network_fwd(ctx, &tape.arena, &y, &x, ...));      the same function as in inference
 *     TRY(op_loss_fwd(ctx, &tape.arena, &loss, &y, ...));   `loss` is memory of the caller: see below
 *     tape_pause(ctx);
 *     TRY(tape_backward(ctx, &tape, &loss, &one));          dw holds the gradient
 *     tape_reset(&tape);
 *
 * While ctx->tape is NULL, nothing is recorded, at the cost of one comparison.
 *
 * Values and memory. A value is the output of an operation, identified by its buffer until the buffer is written again. Networks may work
 * in place (x += f(x)): before an operation overwrites a value that a gradient needs, the tape saves a copy. tape.arena grows
 * (core/pool.h): values that backward reads stay allocated when a network releases its scratch memory, and are released when backward has
 * used them, as are gradients. Tensors that are read after backward (losses, samples) must not be in tape.arena.
 *
 * An operation records itself before its launch (pattern: op_elementwise.c):
 *
 *     if (ctx->tape) {
 *         struct tape_record r = {.op = "activation", .backward = activation_backward, .t = {*out, *in}, .keep = 1 << 1};
 *         TRY(tape_record(ctx, &r, &args, sizeof args));
 *     }
 *
 * Its backward function, during which nothing is recorded, writes the gradient of each input i that is wanted: tape_grad returns the memory
 * and whether to add; tape_value returns a kept tensor. An operation with its own gradient that calls other operations pauses the tape
 * around them.
 */
#ifndef CLIO_OPS_TAPE_H
#define CLIO_OPS_TAPE_H

#include "ops.h"

#define TAPE_TENSORS 8
#define TAPE_ARGS 192

struct tape;
struct tape_record;
typedef clio_status (*tape_backward_fn)(clio_context *ctx, struct tape *tape, const struct tape_record *r);

struct tape_record {
    const char *op;
    tape_backward_fn backward;     /* NULL: another record computes the gradients (the cache of attention) */
    struct tensor t[TAPE_TENSORS]; /* results first, then inputs; unused ones have no memory. Later values: tape_value */
    int outputs;                   /* how many of t are results; 0 means 1 */
    bool leads;                    /* depends on a watched value, though not through its inputs */
    bool always;                   /* recorded even if nothing watched leads here: other records adopt its inputs */
    unsigned keep;                 /* bit i: backward reads the value of t[i] */
    struct matrix w;               /* of a matmul: shape and layout of its weights; w.data is also one of t (tape_matrix) */
    int node[TAPE_TENSORS];        /* set by the tape: index of the value of t[i], from 1 */
    _Alignas(double) unsigned char args[TAPE_ARGS];
};

struct tape_node {
    cl_mem key;          /* the buffer that still holds this value, or NULL */
    struct tensor value; /* the tensor for backward */
    struct tensor grad;  /* without memory: none yet */
    bool needs;          /* depends on a watched value */
    bool watched, add;   /* grad belongs to the caller; add to its content */
    bool kept;           /* a backward reads value */
};

struct tape {
    struct arena arena;
    struct tape_record *records;
    size_t count, capacity;
    struct tape_node *nodes; /* [0] is unused */
    size_t node_count, node_capacity;
    bool examine;        /* find the first result that is not finite, by waiting for each operation */
    char nonfinite[160]; /* the result of that: "the result of conv2d, f32 [8, 4, 4, 16], operation 3 of the step"; until tape_close */
    clio_context *ctx;
    struct tape *next; /* in ctx->tapes */
};

clio_status tape_open(clio_context *ctx, struct tape *tape);
void tape_close(struct tape *tape);
/* Discard all records, and start recording. */
clio_status tape_start(clio_context *ctx, struct tape *tape);
/* Stop recording; returns the tape that was recording (or NULL), for tape_resume. */
struct tape *tape_pause(clio_context *ctx);
void tape_resume(clio_context *ctx, struct tape *tape);
/* Let backward write the gradient of `value` (memory that no operation of the step writes) into `grad`, which has as many elements; add:
 * add to its content. The gradient is zero if the result does not depend on the value. */
clio_status tape_watch(clio_context *ctx, struct tape *tape, const struct tensor *value, const struct tensor *grad, bool add);
/* Compute all gradients from dy, the gradient of the loss by y. Once per tape_start. */
clio_status tape_backward(clio_context *ctx, struct tape *tape, const struct tensor *y, const struct tensor *dy);
/* Discard all records and release all memory. */
void tape_reset(struct tape *tape);
/* With `examine`: whether a result of the step was not finite, the last one included. */
clio_status tape_examine(clio_context *ctx, struct tape *tape, bool *nonfinite);

/* Gradient checkpointing: a block of a network that keeps only its inputs for backward and is computed again then (Chen et al. 2016,
 * "Training deep nets with sublinear memory cost"). Without a tape, a plain call. `block` computes out from `count` inputs (at most 4),
 * scratch from the arena it is given; user: `size` bytes (at most 128), which are copied. It must compute the same both times: no batch
 * norm in training mode. */
#define TAPE_USER 128
typedef clio_status (*tape_block_fn)(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out,
                                     const struct tensor *in);
clio_status tape_checkpoint(clio_context *ctx, struct arena *arena, tape_block_fn block, const void *user, size_t size,
                            const struct tensor *out, const struct tensor *in, int count);

/* ---- for operations ---- */

/* Index of the node whose value the buffer holds now; 0: none. */
int tape_find(const struct tape *tape, cl_mem mem);

/* Record r with `size` bytes of arguments, if an input depends on a watched value. Must be called before the launch whenever ctx->tape is
 * not NULL, because it saves values that are about to be overwritten. */
clio_status tape_record(clio_context *ctx, struct tape_record *r, const void *args, size_t size);
/* The record of the operation that wrote the value of t, or NULL. */
const struct tape_record *tape_producer(const struct tape *tape, const struct tensor *t);
/* Make t[i] of r, which is about to be recorded, the value t[j] of an earlier record, even if its memory was overwritten since. */
void tape_adopt(struct tape_record *r, int i, const struct tape_record *from, int j);

/* The value of kept tensor i, in its shape; and as a matrix. */
struct tensor tape_value(const struct tape *tape, const struct tape_record *r, int i);
struct matrix tape_matrix(const struct tape *tape, const struct tape_record *r, int i);
/* The gradient of result i; without memory: zero, nothing depends on it. */
struct tensor tape_given(const struct tape *tape, const struct tape_record *r, int i);
/* Whether the gradient of input i is wanted. */
bool tape_wants(const struct tape *tape, const struct tape_record *r, int i);
/* The destination of that gradient, in the shape of t[i], and whether to add. The caller must then write or add all of it. */
clio_status tape_grad(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, struct tensor *grad, bool *add);
/* The same for callers that add to parts of it: zeroed if it was empty. */
clio_status tape_grad_sum(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, struct tensor *grad);
/* Input i has the same gradient as result `from`. Must be the last use of the latter: its memory may become the gradient of the input. */
clio_status tape_pass(clio_context *ctx, struct tape *tape, const struct tape_record *r, int from, int i);

#endif
