/* tape.h - reverse-mode automatic differentiation over eager operations: the record of what was called, and the backward pass.
 *
 *     TRY(tape_start(ctx, &tape));                          operations are recorded from here on
 *     TRY(tape_watch(ctx, &tape, &w, &dw, false));          whose gradient is wanted
 *     TRY(network_fwd(ctx, &tape.arena, &y, &x, ...));      the same function that inference calls
 *     TRY(op_loss_fwd(ctx, &tape.arena, &loss, &y, ...));   `loss` is memory of the caller's: see below
 *     tape_pause(ctx);
 *     TRY(tape_backward(ctx, &tape, &loss, &one));          dw holds the gradient
 *     tape_reset(&tape);
 *
 * While ctx->tape is NULL nothing is recorded; the cost is one comparison for each operation.
 *
 * Values and memory. A value is the result of an operation, identified by its buffer until the buffer is written again. Networks may work
 * in place (x += f(x)): before an operation overwrites a value that backward will read, the tape copies it. tape.arena is a growing one
 * (core/pool.h): what backward will read is held when a network releases its scratch, and released as soon as backward is past it, as are
 * gradients. So what is read after backward (losses, samples) must not lie in tape.arena.
 *
 * What an operation does, before its launch (pattern: op_elementwise.c):
 *
 *     if (ctx->tape) {
 *         struct tape_record r = {.op = "activation", .backward = activation_backward, .t = {*out, *in}, .keep = 1 << 1};
 *         TRY(tape_record(ctx, &r, &args, sizeof args));
 *     }
 *
 * and in its backward function, during which nothing is recorded, for each input i that is wanted: tape_grad gives memory and says whether
 * to add; tape_value gives what a kept tensor held. An operation that calls others and has a gradient of its own pauses the tape around
 * them. */
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
    tape_backward_fn backward;     /* NULL: the gradients go through another record (attention's cache) */
    struct tensor t[TAPE_TENSORS]; /* results first, then inputs; unused ones have no memory. tape_value has their contents later */
    int outputs;                   /* how many of t are results; 0 means 1 */
    bool leads;                    /* depends on watched values, though not through its inputs */
    bool always;                   /* recorded even if it depends on nothing watched: others will adopt its inputs */
    unsigned keep;                 /* bit i: backward reads what t[i] holds */
    struct matrix w;               /* of a matmul: its shape and layout; w.data is one of t as well (tape_matrix) */
    int node[TAPE_TENSORS];        /* internal: the node of t[i], from 1 */
    _Alignas(double) unsigned char args[TAPE_ARGS];
};

struct tape_node {
    cl_mem key;          /* the buffer that still holds this value, or NULL */
    struct tensor value; /* where backward finds it */
    struct tensor grad;  /* memory NULL: none yet */
    bool needs;          /* it depends on something watched */
    bool watched, add;   /* grad is the caller's; gradients are added to what it holds */
    bool kept;           /* a backward function reads value */
};

struct tape {
    struct arena arena;
    struct tape_record *records;
    size_t count, capacity;
    struct tape_node *nodes; /* [0] is not used */
    size_t node_count, node_capacity;
    bool examine;        /* look for the first result that is not finite, waiting for each operation, until one tape has found it */
    char nonfinite[160]; /* what it found: "the result of conv2d, f32 [8, 4, 4, 16], operation 3 of the step"; stays until tape_close */
    clio_context *ctx;
    struct tape *next; /* in ctx->tapes */
};

clio_status tape_open(clio_context *ctx, struct tape *tape);
void tape_close(struct tape *tape);
/* Clear the tape, and record. */
clio_status tape_start(clio_context *ctx, struct tape *tape);
/* Stop recording; returns the tape that recorded (or NULL), for tape_resume. */
struct tape *tape_pause(clio_context *ctx);
void tape_resume(clio_context *ctx, struct tape *tape);
/* Backward writes the gradient of `value` (memory that no operation of the step writes) into `grad`, of as many elements, or adds it if
 * `add`. A value that nothing depends on gets zeros. */
clio_status tape_watch(clio_context *ctx, struct tape *tape, const struct tensor *value, const struct tensor *grad, bool add);
/* The backward pass from y, whose gradient is dy. Once for each start. */
clio_status tape_backward(clio_context *ctx, struct tape *tape, const struct tensor *y, const struct tensor *dy);
/* Release all memory; the record is cleared. */
void tape_reset(struct tape *tape);
/* With `examine`: whether a result of the step was not finite; also looks at the last one. */
clio_status tape_examine(clio_context *ctx, struct tape *tape, bool *nonfinite);

/* Gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost"): of this part of a network only the inputs are
 * kept, and backward recomputes the rest. Without a tape it just calls `block`, which computes out from `count` inputs (at most 4), with
 * scratch from the arena it is given; user: `size` bytes (at most 128), which are copied. It must do the same both times: no batch norm in
 * training. */
#define TAPE_USER 128
typedef clio_status (*tape_block_fn)(clio_context *ctx, struct arena *arena, const void *user, const struct tensor *out,
                                     const struct tensor *in);
clio_status tape_checkpoint(clio_context *ctx, struct arena *arena, tape_block_fn block, const void *user, size_t size,
                            const struct tensor *out, const struct tensor *in, int count);

/* ---- for operations ---- */

/* The node of the value that the buffer holds now; 0: none. */
int tape_find(const struct tape *tape, cl_mem mem);

/* Record r and `size` bytes of arguments, if it depends on a watched value. To be called before the launch whenever ctx->tape is not NULL:
 * values that the results overwrite are saved here. */
clio_status tape_record(clio_context *ctx, struct tape_record *r, const void *args, size_t size);
/* The operation that made what t holds now, or NULL. */
const struct tape_record *tape_producer(const struct tape *tape, const struct tensor *t);
/* t[i] of r, which is about to be recorded, is the value t[j] of an earlier record, whatever its memory holds by now. */
void tape_adopt(struct tape_record *r, int i, const struct tape_record *from, int j);

/* What kept tensor i held, in its shape; and as a matrix. */
struct tensor tape_value(const struct tape *tape, const struct tape_record *r, int i);
struct matrix tape_matrix(const struct tape *tape, const struct tape_record *r, int i);
/* The gradient of result i; memory NULL: there is none. */
struct tensor tape_given(const struct tape *tape, const struct tape_record *r, int i);
/* Whether the gradient of input i is wanted. */
bool tape_wants(const struct tape *tape, const struct tape_record *r, int i);
/* Memory for that gradient, in the shape of t[i], and whether to add to it. Every call must be followed by writing or adding all of it. */
clio_status tape_grad(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, struct tensor *grad, bool *add);
/* The same for a backward function that adds to parts of it: zeroed if it held no gradient. */
clio_status tape_grad_sum(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, struct tensor *grad);
/* The gradient of input i is that of result `from`. To be called last: the memory may become the input's. */
clio_status tape_pass(clio_context *ctx, struct tape *tape, const struct tape_record *r, int from, int i);

#endif
