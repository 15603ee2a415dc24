/* tape.c - see tape.h. Values are found by a walk over the nodes from the latest: a step has some hundreds, and mostly the latest are asked
 * for. */
#include "tape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static int find_node(const struct tape *tape, cl_mem mem)
{
    for (size_t i = tape->node_count; mem && i-- > 1;)
        if (tape->nodes[i].key == mem)
            return (int)i;
    return 0;
}

/* Room for one more of `size` bytes behind `count`. */
static clio_status make_room(clio_context *ctx, void *list, size_t count, size_t *capacity, size_t size)
{
    clio_status st = CLIO_OK;
    void *old, *grown;
    size_t more = *capacity ? 2 * *capacity : 64;
    if (count < *capacity)
        return CLIO_OK;
    memcpy(&old, list, sizeof old);
    grown = realloc(old, more * size);
    if (!grown)
        FAIL(ctx, CLIO_ERROR_MEMORY, "the host is out of memory");
    memcpy(list, &grown, sizeof grown);
    *capacity = more;
fail:
    return st;
}

static clio_status add_node(clio_context *ctx, struct tape *tape, const struct tensor *t, int *node)
{
    clio_status st = CLIO_OK;
    if (tape->node_count == 0)
        tape->node_count = 1;
    TRY(make_room(ctx, &tape->nodes, tape->node_count, &tape->node_capacity, sizeof *tape->nodes));
    *node = (int)tape->node_count++;
    tape->nodes[*node] = (struct tape_node){.key = t->mem, .value = *t};
fail:
    return st;
}

/* A buffer was handed out by the pool: it holds none of the values it held. */
static void forget(clio_context *ctx, cl_mem mem)
{
    for (struct tape *tape = ctx->tapes; tape; tape = tape->next) {
        int node = find_node(tape, mem);
        if (node)
            tape->nodes[node].key = NULL;
    }
}

static void keep(struct tape *tape, int node)
{
    tape->nodes[node].kept = true;
    arena_hold(&tape->arena, tape->nodes[node].value.mem);
}

/* t is about to be written: what it held goes elsewhere if it will be read. */
static clio_status save(clio_context *ctx, struct tape *tape, const struct tape_record *r, const struct tensor *t)
{
    clio_status st = CLIO_OK;
    int node = find_node(tape, t->mem);
    struct tape_node *n = &tape->nodes[node];
    if (!node)
        return CLIO_OK;
    if (n->watched)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s writes on a tensor whose gradient is wanted", r->op);
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
    int node = find_node(tape, value->mem);
    if (value->dtype != DTYPE_F32 || grad->dtype != DTYPE_F32 || tensor_count(value) != tensor_count(grad))
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

static clio_status look_at_last(clio_context *ctx, struct tape *tape)
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
    clio_status st = look_at_last(ctx, tape);
    *nonfinite = tape->nonfinite[0] != '\0';
    return st;
}

static clio_status note_inputs(clio_context *ctx, struct tape *tape, struct tape_record *r, bool *needs)
{
    clio_status st = CLIO_OK;
    *needs = r->leads;
    for (int i = r->outputs; i < TAPE_TENSORS; i++) {
        if (!r->t[i].mem)
            continue;
        if (!r->node[i])
            r->node[i] = find_node(tape, r->t[i].mem);
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
    bool needs, noted;
    if (!tape || ctx->planning)
        return CLIO_OK;
    r->outputs = MAX(r->outputs, 1);
    if (size > TAPE_ARGS)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "the tape has no room for the arguments of %s", r->op);
    TRY(look_at_last(ctx, tape));
    TRY(note_inputs(ctx, tape, r, &needs));
    noted = needs || r->always;
    for (int i = r->outputs; noted && i < TAPE_TENSORS; i++)
        if (r->keep & (1u << i) && r->node[i])
            keep(tape, r->node[i]);
    for (int i = 0; i < r->outputs; i++)
        TRY(save(ctx, tape, r, &r->t[i]));
    if (!noted)
        return CLIO_OK;
    for (int i = 0; i < r->outputs; i++) {
        TRY(add_node(ctx, tape, &r->t[i], &r->node[i]));
        tape->nodes[r->node[i]].needs = needs;
        if (r->keep & (1u << i))
            keep(tape, r->node[i]);
    }
    if (size)
        memcpy(r->args, args, size);
    TRY(make_room(ctx, &tape->records, tape->count, &tape->capacity, sizeof *tape->records));
    tape->records[tape->count++] = *r;
fail:
    return st;
}

const struct tape_record *tape_producer(const struct tape *tape, const struct tensor *t)
{
    int node = find_node(tape, t->mem);
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

/* ---- backward ---- */

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
    if (n->grad.mem && tensor_count(&n->grad) != tensor_count(grad))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s uses %zu numbers of a tensor of which others use %zu", r->op, tensor_count(grad),
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
        TRY(op_add_fwd(ctx, &grad, &grad, &given, 1, 1));
    else
        TRY(tensor_copy(ctx, &grad, 0, &given, 0, tensor_count(&grad)));
fail:
    return st;
}

/* The gradients of r's results, which were taken in, and what they held: nothing before r knows them. */
static void done_with(struct tape *tape, const struct tape_record *r)
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

static bool anything_given(const struct tape *tape, const struct tape_record *r)
{
    for (int i = 0; i < r->outputs; i++)
        if (tape->nodes[r->node[i]].grad.mem)
            return true;
    return false;
}

clio_status tape_backward(clio_context *ctx, struct tape *tape, const struct tensor *y, const struct tensor *dy)
{
    clio_status st = CLIO_OK;
    struct tape *recording = tape_pause(ctx);
    int last = find_node(tape, y->mem);
    if (tensor_count(y) != tensor_count(dy))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "backward from %zu numbers with a gradient of %zu", tensor_count(y), tensor_count(dy));
    if (last && tape->nodes[last].needs) {
        tape->nodes[last].grad = *y;
        tape->nodes[last].grad.mem = NULL;
        TRY(tensor_new(ctx, &tape->nodes[last].grad, "training"));
        TRY(tensor_copy(ctx, &tape->nodes[last].grad, 0, dy, 0, tensor_count(dy)));
    }
    for (size_t i = tape->count; i-- > 0;) {
        const struct tape_record *r = &tape->records[i];
        if (r->backward && anything_given(tape, r))
            TRY(r->backward(ctx, tape, r));
        done_with(tape, r);
    }
    for (size_t i = 1; i < tape->node_count; i++)
        if (tape->nodes[i].watched && !tape->nodes[i].add)
            TRY(tensor_zero(ctx, &tape->nodes[i].grad));
fail:
    tape_resume(ctx, recording);
    return st;
}

/* ---- computing again ---- */

#define BLOCK_INPUTS 4

struct block_args {
    tape_block_fn block;
    int count;
    _Alignas(double) unsigned char user[TAPE_USER];
};

/* Everything that is watched, on another tape, with the same gradients. */
static clio_status watch_too(clio_context *ctx, struct tape *inner, const struct tape *outer)
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
    TRY(watch_too(ctx, &inner, tape));
    for (int i = 0; i < args->count; i++) {
        in[i] = tape_value(tape, r, 1 + i);
        if (!tape_wants(tape, r, 1 + i) || tape->nodes[r->node[1 + i]].watched)
            continue;
        TRY(tape_grad(ctx, tape, r, 1 + i, &grad, &add));
        TRY(tape_watch(ctx, &inner, &in[i], &grad, add));
    }
    TRY(args->block(ctx, &inner.arena, args->user, &out, in));
    tape_pause(ctx);
    TRY(tape_backward(ctx, &inner, &out, &dy));
    for (size_t i = 1; i < tape->node_count; i++)
        tape->nodes[i].add |= tape->nodes[i].watched;
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
    struct tape *tape = NULL;
    struct tape_record r = {.op = "a block", .backward = block_backward, .t = {*out}, .leads = true};
    struct block_args args = {.block = block, .count = count};
    if (!ctx->tape || ctx->planning)
        return block(ctx, arena, user, out, in);
    if (count > BLOCK_INPUTS || size > TAPE_USER)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "a block of %d inputs and %zu bytes is too large to be computed again", count, size);
    if (size)
        memcpy(args.user, user, size);
    for (int i = 0; i < count; i++) {
        r.t[1 + i] = in[i];
        r.keep |= 1u << (1 + i);
    }
    TRY(tape_record(ctx, &r, &args, sizeof args));
    tape = tape_pause(ctx);
    TRY(block(ctx, arena, user, out, in));
fail:
    if (tape)
        tape_resume(ctx, tape);
    return st;
}
