/* tape_backward.c - the backward pass, and recomputation of checkpointed blocks; see tape.h. */
#include "add.h"
#include "tape.h"

#include <stdlib.h>
#include <string.h>

struct tensor tape_value(const struct tape *tape, const struct tape_record *r, int i)
{
    struct tensor t = r->t[i];
    t.mem = r->node[i] ? tape->nodes[r->node[i]].value.mem : NULL;
    return t;
}

struct matrix tape_matrix(const struct tape *tape, const struct tape_record *r, int i)
{
    struct matrix w = r->w;
    w.data.mem = tape_value(tape, r, i).mem;
    return w;
}

struct tensor tape_given(const struct tape *tape, const struct tape_record *r, int i)
{
    struct tensor t = r->t[i];
    t.dtype = DTYPE_F32;
    t.mem = tape->nodes[r->node[i]].grad.mem;
    return t;
}

bool tape_wants(const struct tape *tape, const struct tape_record *r, int i)
{
    return r->node[i] && tape->nodes[r->node[i]].needs;
}

clio_status tape_grad(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, struct tensor *grad, bool *add)
{
    clio_status st = CLIO_OK;
    struct tape_node *n = &tape->nodes[r->node[i]];
    *grad = r->t[i];
    grad->dtype = DTYPE_F32; /* weights may be fp16 */
    if (n->grad.mem && tensor_count(&n->grad) != tensor_count(grad))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s uses %zu elements of a tensor of which others use %zu", r->op, tensor_count(grad),
             tensor_count(&n->grad));
    *add = n->watched ? n->add : n->grad.mem != NULL;
    if (!n->grad.mem) {
        n->grad = *grad;
        n->grad.mem = NULL;
        TRY(tensor_new(ctx, &n->grad, "training"));
    }
    n->add = true;
    grad->mem = n->grad.mem;
fail:
    return st;
}

clio_status tape_grad_sum(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, struct tensor *grad)
{
    clio_status st = CLIO_OK;
    bool add;
    TRY(tape_grad(ctx, tape, r, i, grad, &add));
    if (!add)
        TRY(tensor_zero(ctx, grad));
fail:
    return st;
}

clio_status tape_pass(clio_context *ctx, struct tape *tape, const struct tape_record *r, int from, int i)
{
    clio_status st = CLIO_OK;
    struct tape_node *n = &tape->nodes[r->node[i]], *out = &tape->nodes[r->node[from]];
    struct tensor grad, given = tensor_reshape(&out->grad, 1, (int)tensor_count(&out->grad), 0, 0, 0);
    bool add;
    if (!n->grad.mem && !n->watched && !out->watched && tensor_count(&r->t[i]) == tensor_count(&out->grad)) {
        n->grad = r->t[i];
        n->grad.mem = out->grad.mem;
        out->grad.mem = NULL;
        return CLIO_OK;
    }
    TRY(tape_grad(ctx, tape, r, i, &grad, &add));
    grad = tensor_reshape(&grad, 1, (int)tensor_count(&grad), 0, 0, 0);
    if (add)
        TRY(add_fwd(ctx, &grad, &grad, &given, 1, 1, NULL));
    else
        TRY(tensor_copy(ctx, &grad, 0, &given, 0, tensor_count(&grad)));
fail:
    return st;
}

/* Release the gradients and values of r's results: no earlier record uses them. */
static void release_results(struct tape *tape, const struct tape_record *r)
{
    for (int i = 0; i < r->outputs; i++) {
        struct tape_node *n = &tape->nodes[r->node[i]];
        if (!n->watched)
            tensor_free(tape->ctx, &n->grad);
        if (n->kept)
            arena_drop(&tape->arena, n->value.mem);
        n->key = NULL;
    }
}

static bool has_gradient(const struct tape *tape, const struct tape_record *r)
{
    for (int i = 0; i < r->outputs; i++)
        if (tape->nodes[r->node[i]].grad.mem)
            return true;
    return false;
}

/* Run the records backward from y. */
static clio_status run_backward(clio_context *ctx, struct tape *tape, const struct tensor *y, const struct tensor *dy)
{
    clio_status st = CLIO_OK;
    int last = tape_find(tape, y->mem);
    if (tensor_count(y) != tensor_count(dy))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "backward from %zu elements with a gradient of %zu", tensor_count(y), tensor_count(dy));
    if (last && tape->nodes[last].needs) {
        tape->nodes[last].grad = *y;
        tape->nodes[last].grad.mem = NULL;
        TRY(tensor_new(ctx, &tape->nodes[last].grad, "training"));
        TRY(tensor_copy(ctx, &tape->nodes[last].grad, 0, dy, 0, tensor_count(dy)));
    }
    for (size_t i = tape->count; i-- > 0;) {
        const struct tape_record *r = &tape->records[i];
        if (r->backward && has_gradient(tape, r))
            TRY(r->backward(ctx, tape, r));
        release_results(tape, r);
    }
fail:
    return st;
}

/* Zero the gradients of watched values, from node `first` on, that received none. */
static clio_status zero_unused(clio_context *ctx, const struct tape *tape, size_t first)
{
    clio_status st = CLIO_OK;
    for (size_t i = MAX(first, 1); i < tape->node_count; i++)
        if (tape->nodes[i].watched && !tape->nodes[i].add)
            TRY(tensor_zero(ctx, &tape->nodes[i].grad));
fail:
    return st;
}

clio_status tape_backward(clio_context *ctx, struct tape *tape, const struct tensor *y, const struct tensor *dy)
{
    clio_status st = CLIO_OK;
    struct tape *recording = tape_pause(ctx);
    TRY(run_backward(ctx, tape, y, dy));
    TRY(zero_unused(ctx, tape, 1));
fail:
    tape_resume(ctx, recording);
    return st;
}

/* ---- recomputation ---- */

#define BLOCK_INPUTS 4

struct block_args {
    tape_block_fn block;
    int count;
    _Alignas(double) unsigned char user[TAPE_USER];
};

/* Watch the same values on another tape, with the same gradients: its first nodes, in the same order. */
static clio_status watch_same(clio_context *ctx, struct tape *inner, const struct tape *outer)
{
    clio_status st = CLIO_OK;
    for (size_t i = 1; i < outer->node_count; i++) {
        const struct tape_node *n = &outer->nodes[i];
        if (n->watched)
            TRY(tape_watch(ctx, inner, &n->value, &n->grad, n->add));
    }
fail:
    return st;
}

static clio_status block_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct block_args *args = (const void *)r->args;
    struct tape inner = {0};
    struct tensor in[BLOCK_INPUTS], grad, out = r->t[0], dy = tape_given(tape, r, 0);
    bool add;
    out.mem = NULL;
    TRY(tensor_new(ctx, &out, "training"));
    TRY(tape_open(ctx, &inner));
    TRY(tape_start(ctx, &inner));
    TRY(watch_same(ctx, &inner, tape));
    size_t first = inner.node_count, k = 1;
    for (int i = 0; i < args->count; i++) {
        in[i] = tape_value(tape, r, 1 + i);
        if (!tape_wants(tape, r, 1 + i) || tape_find(&inner, in[i].mem)) /* already watched, in the outer tape or as an earlier input */
            continue;
        TRY(tape_grad(ctx, tape, r, 1 + i, &grad, &add));
        TRY(tape_watch(ctx, &inner, &in[i], &grad, add));
    }
    TRY(args->block(ctx, &inner.arena, args->user, &out, in));
    tape_pause(ctx);
    TRY(run_backward(ctx, &inner, &out, &dy));
    TRY(zero_unused(ctx, &inner, first)); /* only the inputs: others may receive gradients later */
    for (size_t i = 1; i < tape->node_count; i++)
        if (tape->nodes[i].watched)
            tape->nodes[i].add = inner.nodes[k++].add;
fail:
    tape_pause(ctx);
    tape_close(&inner);
    tensor_free(ctx, &out);
    return st;
}

clio_status tape_checkpoint(clio_context *ctx, struct arena *arena, tape_block_fn block, const void *user, size_t size,
                            const struct tensor *out, const struct tensor *in, int count)
{
    clio_status st = CLIO_OK;
    struct tape *tape = NULL, unwatched = {0};
    struct tape_record r = {.op = "a block", .backward = block_backward, .t = {*out}, .leads = true};
    struct block_args args = {.block = block, .count = count};
    if (!ctx->tape || ctx->planning)
        return block(ctx, arena, user, out, in);
    if (count > BLOCK_INPUTS || size > TAPE_USER)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a block of %d inputs and %zu bytes is too large to be recomputed", count, size);
    if (size)
        memcpy(args.user, user, size);
    for (int i = 0; i < count; i++) {
        r.t[1 + i] = in[i];
        r.keep |= 1u << (1 + i);
    }
    TRY(tape_record(ctx, &r, &args, sizeof args));
    tape = tape_pause(ctx);
    /* A tape that watches nothing records nothing; but with a tape, operations compute the same bits as in the recomputation. */
    TRY(tape_open(ctx, &unwatched));
    TRY(tape_start(ctx, &unwatched));
    TRY(block(ctx, arena, user, out, in));
fail:
    tape_close(&unwatched);
    if (tape)
        tape_resume(ctx, tape);
    return st;
}
