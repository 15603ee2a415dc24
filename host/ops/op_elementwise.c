/* op_elementwise.c - activation, clamp, add, gated activation and concatenation; kernels in cl/elementwise.cl. */
#include "add.h"
#include "gradients.h"
#include "lanes.h"
#include "tape.h"

#include <string.h>

static clio_status activation_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct elementwise_args *args = (const void *)r->args;
    struct tensor dx, dy = tape_given(tape, r, 0), seen = tape_value(tape, r, activation_by_result(args->act) ? 0 : 1);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_activation_bwd(ctx, &dx, &dy, &seen, args->act, args->slope, add));
fail:
    return st;
}

clio_status op_activation_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int act, float slope)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.act = act, .slope = slope};
    struct kernel *kernel;
    TRY(op_check(ctx, "activation", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "activation", "out", out, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]));
    TRY(op_elements(ctx, "activation", in, &args.n));
    if (act < 0 || act >= ACT_COUNT)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "activation: there is no activation %d", act);
    if (ctx->tape) {
        struct tape_record r = {
            .op = "activation", .backward = activation_backward, .t = {*out, *in}, .keep = activation_by_result(act) ? 1 << 0 : 1 << 1};
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "activation", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(args.n, 8.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(in), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_clamp_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, float low, float high)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.alpha = low, .beta = high};
    struct kernel *kernel;
    TRY(op_check(ctx, "clamp", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "clamp", "out", out, DTYPE_F32, in->ndim, in->dim[0], in->dim[1], in->dim[2], in->dim[3]));
    TRY(op_elements(ctx, "clamp", in, &args.n));
    if (!(low <= high))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "clamp: from %g to %g", (double)low, (double)high);
    if (ctx->tape)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "clamp: no gradient; pause the tape");

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "clamp_all", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(args.n, 8.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(in), ARG_VALUE(args)));
fail:
    return st;
}

/* t[i] has the gradient scale * dy */
static clio_status add_scaled(clio_context *ctx, struct tape *tape, const struct tape_record *r, int i, float scale)
{
    clio_status st = CLIO_OK;
    struct tensor grad, dy = tape_given(tape, r, 0);
    bool add;
    TRY(tape_grad(ctx, tape, r, i, &grad, &add));
    grad = tensor_reshape(&grad, dy.ndim, dy.dim[0], dy.dim[1], dy.dim[2], dy.dim[3]);
    TRY(op_add_fwd(ctx, &grad, add ? &grad : &dy, &dy, add ? 1 : 0, scale));
fail:
    return st;
}

static clio_status add_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct elementwise_args *args = (const void *)r->args;
    bool passes = !(args->alpha < 1 || args->alpha > 1), repeats = tensor_count(&r->t[2]) != tensor_count(&r->t[0]), add;
    if (tape_wants(tape, r, 2) && repeats) {
        struct tensor db, dy = tape_given(tape, r, 0);
        TRY(tape_grad(ctx, tape, r, 2, &db, &add));
        TRY(op_repeat_bwd(ctx, &tape->arena, &db, &dy, args->beta, add));
    } else if (tape_wants(tape, r, 2)) {
        TRY(add_scaled(ctx, tape, r, 2, args->beta));
    }
    if (tape_wants(tape, r, 1) && passes)
        TRY(tape_pass(ctx, tape, r, 0, 1));
    else if (tape_wants(tape, r, 1))
        TRY(add_scaled(ctx, tape, r, 1, args->alpha));
fail:
    return st;
}

clio_status op_add_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b, float alpha, float beta)
{
    return add_fwd(ctx, out, a, b, alpha, beta, add_backward);
}

static clio_status gated_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct elementwise_args *args = (const void *)r->args;
    struct tensor dx, dy = tape_given(tape, r, 0), x = tape_value(tape, r, 1);
    bool add;
    TRY(tape_grad(ctx, tape, r, 1, &dx, &add));
    TRY(op_gated_bwd(ctx, &dx, &dy, &x, args->act, add));
fail:
    return st;
}

clio_status op_gated_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *in, int act)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {.act = act};
    struct kernel *kernel;
    int d[TENSOR_DIMS] = {1, 1, 1, 1}, width = 0, n = 0;
    TRY(op_check(ctx, "gated", "in", in, DTYPE_F32, in->ndim, -1, -1, -1, -1));
    TRY(op_elements(ctx, "gated", in, &n));
    memcpy(d, in->dim, sizeof d);
    width = d[in->ndim - 1] / 2;
    if (d[in->ndim - 1] % 2 || act < 0 || act >= ACT_COUNT) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gated: %s cannot be halved, or there is no activation %d", tensor_describe(in, shape), act);
    }
    d[in->ndim - 1] = width;
    args.n = n / 2;
    TRY(op_check(ctx, "gated", "out", out, DTYPE_F32, in->ndim, d[0], d[1], d[2], d[3]));
    if (ctx->tape) {
        struct tape_record r = {.op = "gated", .backward = gated_backward, .t = {*out, *in}, .keep = 1 << 1};
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "gated", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(2.0 * args.n, 12.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(in),
               ARG_VALUE(width), ARG_VALUE(args)));
fail:
    return st;
}

static clio_status concat_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    struct tensor dx, dy = tape_given(tape, r, 0);
    bool add;
    for (int i = 1; i <= 2; i++)
        if (tape_wants(tape, r, i)) {
            TRY(tape_grad(ctx, tape, r, i, &dx, &add));
            TRY(op_concat_bwd(ctx, &dx, &dy, i == 1 ? 0 : r->t[1].dim[r->t[1].ndim - 1], add));
        }
fail:
    return st;
}

clio_status op_concat_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct tensor *b)
{
    clio_status st = CLIO_OK;
    struct elementwise_args args = {0};
    struct kernel *kernel;
    TRY(op_check(ctx, "concat", "a", a, DTYPE_F32, a->ndim, -1, -1, -1, -1));
    int d[TENSOR_DIMS] = {a->dim[0], a->dim[1], a->dim[2], a->dim[3]}, last = a->ndim - 1, na = d[last], nb = b->dim[last];
    d[last] = -1;
    TRY(op_check(ctx, "concat", "b", b, DTYPE_F32, a->ndim, d[0], d[1], d[2], d[3]));
    d[last] = na + nb;
    TRY(op_check(ctx, "concat", "out", out, DTYPE_F32, a->ndim, d[0], d[1], d[2], d[3]));
    TRY(op_elements(ctx, "concat", out, &args.n));
    if (ctx->tape) {
        struct tape_record r = {.op = "concat", .backward = concat_backward, .t = {*out, *a, *b}};
        TRY(tape_record(ctx, &r, &args, sizeof args));
    }

    struct lanes_plan plan = lanes_plan(ctx, (size_t)args.n);
    TRY(kernel_get(ctx, "elementwise", "concat", plan.options, &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1(plan.items, plan.group), COST(0, 8.0 * args.n), ARG_TENSOR(out), ARG_TENSOR(a), ARG_TENSOR(b),
               ARG_VALUE(na), ARG_VALUE(nb), ARG_VALUE(args)));
fail:
    return st;
}

/* The gradient of both parts side by side; of one that nothing depended on it is zero. */
static clio_status split_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    struct tensor dx, joined, part[2];
    uint64_t mark = arena_mark(&tape->arena);
    bool add;
    for (int i = 0; i < 2; i++) {
        part[i] = tape_given(tape, r, i);
        if (!part[i].mem) {
            TRY(tensor_take(ctx, &tape->arena, &part[i]));
            TRY(tensor_zero(ctx, &part[i]));
        }
    }
    TRY(tape_grad(ctx, tape, r, 2, &dx, &add));
    joined = dx;
    if (add)
        TRY(tensor_take(ctx, &tape->arena, &joined));
    TRY(op_concat_fwd(ctx, &joined, &part[0], &part[1]));
    if (add)
        TRY(op_add_fwd(ctx, &dx, &dx, &joined, 1, 1));
fail:
    arena_release(&tape->arena, mark);
    return st;
}

clio_status op_split_fwd(clio_context *ctx, const struct tensor *a, const struct tensor *b, const struct tensor *in)
{
    clio_status st = CLIO_OK;
    int last = in->ndim - 1, first = a->dim[last];
    char text_a[96], text_b[96];
    if (a->ndim != in->ndim || b->ndim != in->ndim || first + b->dim[last] != in->dim[last])
        FAIL(ctx, CLIO_ERROR_INTERNAL, "split: %s and %s are not what rows of %d consist of", tensor_describe(a, text_a),
             tensor_describe(b, text_b), in->dim[last]);
    if (ctx->tape) {
        struct tape_record r = {.op = "split", .backward = split_backward, .t = {*a, *b, *in}, .outputs = 2};
        TRY(tape_record(ctx, &r, NULL, 0));
    }
    TRY(op_concat_bwd(ctx, a, in, 0, false));
    TRY(op_concat_bwd(ctx, b, in, first, false));
fail:
    return st;
}
