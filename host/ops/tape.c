/* tape.c - recording; see tape.h. Backward is tape_backward.c. A value is found by a linear search from the latest node: a step has some
 * hundreds, and most searches are for recent ones. */
#include "tape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

int tape_find(const struct tape *tape, cl_mem mem)
{
    for (size_t i = tape->node_count; mem && i-- > 1;)
        if (tape->nodes[i].key == mem)
            return (int)i;
    return 0;
}

static clio_status add_node(clio_context *ctx, struct tape *tape, const struct tensor *t, int *node)
{
    clio_status st = CLIO_OK;
    if (tape->node_count == 0)
        tape->node_count = 1;
    TRY(mem_grow(ctx, &tape->nodes, tape->node_count, &tape->node_capacity, sizeof *tape->nodes));
    *node = (int)tape->node_count++;
    tape->nodes[*node] = (struct tape_node){.key = t->mem, .value = *t};
fail:
    return st;
}

/* The pool has given out this buffer again: it no longer holds a value. */
static void forget(clio_context *ctx, cl_mem mem)
{
    for (struct tape *tape = ctx->tapes; tape; tape = tape->next) {
        int node = tape_find(tape, mem);
        if (node)
            tape->nodes[node].key = NULL;
    }
}

static void keep(struct tape *tape, int node)
{
    tape->nodes[node].kept = true;
    arena_hold(&tape->arena, tape->nodes[node].value.mem);
}

/* t is about to be overwritten: copy its old value if backward will read it. */
static clio_status save(clio_context *ctx, struct tape *tape, const struct tape_record *r, const struct tensor *t)
{
    clio_status st = CLIO_OK;
    int node = tape_find(tape, t->mem);
    struct tape_node *n = &tape->nodes[node];
    if (!node)
        return CLIO_OK;
    if (n->watched)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s overwrites a tensor whose gradient is wanted", r->op);
    n->key = NULL;
    if (n->kept) {
        struct tensor copy = n->value;
        TRY(tensor_take(ctx, &tape->arena, &copy));
        arena_hold(&tape->arena, copy.mem);
        TRY(tensor_copy(ctx, &copy, 0, &n->value, 0, tensor_count(&copy)));
        tape->nodes[node].value = copy;
    }
fail:
    return st;
}

/* ---- start and end ---- */

clio_status tape_open(clio_context *ctx, struct tape *tape)
{
    *tape = (struct tape){.ctx = ctx, .next = ctx->tapes};
    arena_grow(ctx, &tape->arena);
    ctx->tapes = tape;
    ctx->pool.taken = forget;
    return CLIO_OK;
}

static void free_grads(struct tape *tape)
{
    for (size_t i = 1; i < tape->node_count; i++)
        if (!tape->nodes[i].watched)
            tensor_free(tape->ctx, &tape->nodes[i].grad);
}

void tape_reset(struct tape *tape)
{
    if (!tape->ctx)
        return;
    free_grads(tape);
    arena_reset(&tape->arena);
    tape->count = tape->node_count = 0;
}

void tape_close(struct tape *tape)
{
    clio_context *ctx = tape->ctx;
    if (!ctx)
        return;
    tape_reset(tape);
    arena_free(ctx, &tape->arena);
    for (struct tape **at = &ctx->tapes; *at; at = &(*at)->next)
        if (*at == tape) {
            *at = tape->next;
            break;
        }
    if (!ctx->tapes)
        ctx->pool.taken = NULL;
    if (ctx->tape == tape)
        ctx->tape = NULL;
    free(tape->records);
    free(tape->nodes);
    *tape = (struct tape){0};
}

clio_status tape_start(clio_context *ctx, struct tape *tape)
{
    tape_reset(tape);
    ctx->tape = tape;
    return CLIO_OK;
}

struct tape *tape_pause(clio_context *ctx)
{
    struct tape *tape = ctx->tape;
    ctx->tape = NULL;
    return tape;
}

void tape_resume(clio_context *ctx, struct tape *tape)
{
    ctx->tape = tape;
}

clio_status tape_watch(clio_context *ctx, struct tape *tape, const struct tensor *value, const struct tensor *grad, bool add)
{
    clio_status st = CLIO_OK;
    char a[96], b[96];
    int node = tape_find(tape, value->mem);
    if ((value->dtype != DTYPE_F32 && value->dtype != DTYPE_F16) || grad->dtype != DTYPE_F32 || tensor_count(value) != tensor_count(grad))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot be the gradient of %s", tensor_describe(grad, a), tensor_describe(value, b));
    if (!node)
        TRY(add_node(ctx, tape, value, &node));
    tape->nodes[node].needs = tape->nodes[node].watched = true;
    tape->nodes[node].grad = *grad;
    tape->nodes[node].add = add;
fail:
    return st;
}

/* ---- recording ---- */

static clio_status examine_last(clio_context *ctx, struct tape *tape)
{
    clio_status st = CLIO_OK;
    float *data = NULL;
    for (const struct tape *other = ctx->tapes; other; other = other->next)
        if (other->nonfinite[0])
            return CLIO_OK;
    if (!tape->examine || tape->count == 0)
        return CLIO_OK;
    const struct tape_record *r = &tape->records[tape->count - 1];
    const struct tensor *t = &r->t[0];
    size_t count = tensor_count(t);
    char shape[96];
    TRY(mem_alloc(ctx, &data, count, sizeof *data));
    TRY(tensor_read(ctx, t, 0, count, data));
    for (size_t i = 0; i < count && !tape->nonfinite[0]; i++)
        if (!isfinite(data[i]))
            snprintf(tape->nonfinite, sizeof tape->nonfinite, "the result of %s, %s, operation %zu of the step", r->op,
                     tensor_describe(t, shape), tape->count);
fail:
    free(data);
    return st;
}

clio_status tape_examine(clio_context *ctx, struct tape *tape, bool *nonfinite)
{
    clio_status st = examine_last(ctx, tape);
    *nonfinite = tape->nonfinite[0] != '\0';
    return st;
}

static clio_status record_inputs(clio_context *ctx, struct tape *tape, struct tape_record *r, bool *needs)
{
    clio_status st = CLIO_OK;
    *needs = r->leads;
    for (int i = r->outputs; i < TAPE_TENSORS; i++) {
        if (!r->t[i].mem)
            continue;
        if (!r->node[i])
            r->node[i] = tape_find(tape, r->t[i].mem);
        if (!r->node[i])
            TRY(add_node(ctx, tape, &r->t[i], &r->node[i]));
        *needs = *needs || tape->nodes[r->node[i]].needs;
    }
fail:
    return st;
}

clio_status tape_record(clio_context *ctx, struct tape_record *r, const void *args, size_t size)
{
    clio_status st = CLIO_OK;
    struct tape *tape = ctx->tape;
    bool needs, recorded;
    if (!tape || ctx->planning)
        return CLIO_OK;
    r->outputs = MAX(r->outputs, 1);
    if (size > TAPE_ARGS)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "the arguments of %s are too large for the tape", r->op);
    TRY(examine_last(ctx, tape));
    TRY(record_inputs(ctx, tape, r, &needs));
    recorded = needs || r->always;
    for (int i = r->outputs; recorded && i < TAPE_TENSORS; i++)
        if (r->keep & (1u << i) && r->node[i])
            keep(tape, r->node[i]);
    for (int i = 0; i < r->outputs; i++)
        TRY(save(ctx, tape, r, &r->t[i]));
    if (!recorded)
        return CLIO_OK;
    for (int i = 0; i < r->outputs; i++) {
        TRY(add_node(ctx, tape, &r->t[i], &r->node[i]));
        tape->nodes[r->node[i]].needs = needs;
        if (r->keep & (1u << i))
            keep(tape, r->node[i]);
    }
    if (size)
        memcpy(r->args, args, size);
    TRY(mem_grow(ctx, &tape->records, tape->count, &tape->capacity, sizeof *tape->records));
    tape->records[tape->count++] = *r;
fail:
    return st;
}

const struct tape_record *tape_producer(const struct tape *tape, const struct tensor *t)
{
    int node = tape_find(tape, t->mem);
    for (size_t i = tape->count; node && i-- > 0;)
        for (int j = 0; j < tape->records[i].outputs; j++)
            if (tape->records[i].node[j] == node)
                return &tape->records[i];
    return NULL;
}

void tape_adopt(struct tape_record *r, int i, const struct tape_record *from, int j)
{
    r->t[i] = from->t[j];
    r->node[i] = from->node[j];
}
