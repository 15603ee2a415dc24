/* autograd_matmul.c - see autograd_matmul.h. With dpre = dy act'(...): in has the gradient of the kind's bwd_data, w that of its
 * bwd_weights, the bias the sums of dpre, and the residual dy itself. The gradient of the activation comes from the result; where that is
 * not enough, or the result contains a residual, the call was split before. */
#include "autograd_matmul.h"
#include "gradients.h"
#include "tape.h"

enum { OUT, IN, W, BIAS, RESIDUAL };

struct product_args {
    struct matmul_call p;
    int act;
    float alpha, slope;
};

static bool is_scaled(float alpha)
{
    return alpha < 1 || alpha > 1;
}

/* ---- backward ---- */

static clio_status bwd_data(clio_context *ctx, struct arena *arena, const struct matmul_call *p, const struct tensor *dx,
                            const struct tensor *dy, const struct matrix *w, bool add)
{
    switch (p->kind) {
    case MATMUL_CONV1D:
        return op_conv1d_bwd_data(ctx, arena, dx, dy, w, p->kernel, p->stride, p->padding, add);
    case MATMUL_CONV2D:
        return op_conv2d_bwd_data(ctx, arena, dx, dy, w, p->window, add);
    case MATMUL_CONV2D_TRANSPOSED:
        return op_conv2d_transposed_bwd_data(ctx, arena, dx, dy, w, p->window, add);
    default:
        return op_gemm_bwd_data(ctx, arena, dx, dy, w, p->m, add);
    }
}

static clio_status bwd_weights(clio_context *ctx, struct arena *arena, const struct matmul_call *p, const struct matrix *dw,
                               const struct tensor *dy, const struct tensor *x, bool add)
{
    switch (p->kind) {
    case MATMUL_CONV1D:
        return op_conv1d_bwd_weights(ctx, arena, dw, dy, x, p->kernel, p->stride, p->padding, add);
    case MATMUL_CONV2D:
        return op_conv2d_bwd_weights(ctx, arena, dw, dy, x, p->window, add);
    case MATMUL_CONV2D_TRANSPOSED:
        return op_conv2d_transposed_bwd_weights(ctx, arena, dw, dy, x, p->window, add);
    default:
        return op_gemm_bwd_weights(ctx, arena, dw, dy, x, p->m, add);
    }
}

/* The gradients of in and w from that of the sum. */
static clio_status operands_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r, const struct tensor *dsum)
{
    clio_status st = CLIO_OK;
    const struct product_args *args = (const void *)r->args;
    struct tensor dx;
    struct matrix w = tape_matrix(tape, r, W);
    bool add;
    if (tape_wants(tape, r, W)) {
        struct matrix dw = r->w;
        struct tensor x = tape_value(tape, r, IN);
        TRY(tape_grad(ctx, tape, r, W, &dw.data, &add));
        TRY(bwd_weights(ctx, &tape->arena, &args->p, &dw, dsum, &x, add));
    }
    if (tape_wants(tape, r, IN)) {
        TRY(tape_grad(ctx, tape, r, IN, &dx, &add));
        TRY(bwd_data(ctx, &tape->arena, &args->p, &dx, dsum, &w, add));
    }
fail:
    return st;
}

static clio_status product_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct product_args *args = (const void *)r->args;
    uint64_t mark = arena_mark(&tape->arena);
    struct tensor dy = tape_given(tape, r, OUT), dsum = dy, db;
    bool add;
    if (args->act != ACT_NONE) { /* in place: nobody else reads the gradient of the result */
        struct tensor y = tape_value(tape, r, OUT);
        TRY(op_activation_bwd(ctx, &dy, &dy, &y, args->act, args->slope, false));
    }
    if (tape_wants(tape, r, BIAS)) {
        TRY(tape_grad(ctx, tape, r, BIAS, &db, &add));
        TRY(op_bias_bwd(ctx, &tape->arena, &db, &dy, add));
    }
    if (is_scaled(args->alpha)) {
        TRY(tensor_take(ctx, &tape->arena, &dsum));
        TRY(op_add_fwd(ctx, &dsum, &dy, &dy, args->alpha, 0));
    }
    TRY(operands_backward(ctx, tape, r, &dsum));
    if (tape_wants(tape, r, RESIDUAL))
        TRY(tape_pass(ctx, tape, r, OUT, RESIDUAL));
fail:
    arena_release(&tape->arena, mark);
    return st;
}

/* ---- forward ---- */

static const char *name_of(const struct matmul_call *p)
{
    static const char *const names[] = {"gemm", "conv1d", "conv2d", "conv2d_transposed"};
    return names[p->kind];
}

bool matmul_must_split(const clio_context *ctx, const struct gemm_epilogue *e)
{
    return ctx->tape && !ctx->planning && e && e->act != ACT_NONE && (e->residual || !activation_by_result(e->act));
}

clio_status matmul_split_fwd(clio_context *ctx, struct arena *arena, const struct matmul_call *p, const struct tensor *out,
                             const struct tensor *in, const struct matrix *w, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    struct arena *own = &ctx->tape->arena;
    uint64_t mark = arena_mark(own);
    struct tensor sum = *out, y;
    struct gemm_epilogue plain = *e;
    plain.act = ACT_NONE;
    plain.residual = NULL;
    TRY(tensor_take(ctx, own, &sum));
    if (p->kind == MATMUL_GEMM)
        TRY(op_gemm_fwd(ctx, &sum, in, w, p->m, &plain));
    else if (p->kind == MATMUL_CONV1D)
        TRY(op_conv1d_fwd(ctx, arena, &sum, in, w, p->kernel, p->stride, p->padding, &plain));
    else if (p->kind == MATMUL_CONV2D)
        TRY(op_conv2d_fwd(ctx, arena, &sum, in, w, p->window, &plain));
    else
        TRY(op_conv2d_transposed_fwd(ctx, arena, &sum, in, w, p->window, &plain));
    y = e->residual ? sum : *out;
    if (e->residual && !activation_by_result(e->act)) /* backward needs the sum */
        TRY(tensor_take(ctx, own, &y));
    TRY(op_activation_fwd(ctx, &y, &sum, e->act, e->slope));
    if (e->residual) {
        struct tensor r = tensor_reshape(e->residual, out->ndim, out->dim[0], out->dim[1], out->dim[2], out->dim[3]);
        TRY(op_add_fwd(ctx, out, &r, &y, 1, 1));
    }
fail:
    arena_release(own, mark);
    return st;
}

clio_status matmul_record(clio_context *ctx, const struct matmul_call *p, const struct tensor *out, const struct tensor *in,
                          const struct matrix *w, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    struct product_args args = {.p = *p, .alpha = 1};
    struct tape_record r = {.op = name_of(p), .backward = product_backward, .t = {*out, *in, w->data}, .keep = 1 << IN | 1 << W, .w = *w};
    char a[96], b[96];
    if (!ctx->tape)
        return CLIO_OK;
    if (e) {
        args.act = e->act;
        args.slope = e->slope;
        args.alpha = is_scaled(e->alpha) && (e->alpha < 0 || e->alpha > 0) ? e->alpha : 1;
        if (e->bias)
            r.t[BIAS] = *e->bias;
        if (e->residual)
            r.t[RESIDUAL] = *e->residual;
        if (e->act != ACT_NONE)
            r.keep |= 1 << OUT;
    }
    bool is_view = e && ((e->lda && e->lda != w->k) || (e->ldc && e->ldc != w->n) || e->a_offset || e->c_offset);
    if (p->kind == MATMUL_GEMM &&
        (is_view || tensor_count(in) != (size_t)p->m * (size_t)w->k || tensor_count(out) != (size_t)p->m * (size_t)w->n))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gemm of %d rows from parts of %s into parts of %s has no gradient", p->m, tensor_describe(in, a),
             tensor_describe(out, b));
    TRY(tape_record(ctx, &r, &args, sizeof args));
fail:
    return st;
}
