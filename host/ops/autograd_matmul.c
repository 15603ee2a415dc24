/* autograd_matmul.c - see autograd_matmul.h. With dpre = dy act'(...): in has the gradient of the kind's bwd_data, w that of its
 * bwd_weights, the bias the sums of dpre, and the residual dy itself. The gradient of the activation comes from the result; where that is
 * not enough, or the result contains a residual, the call was split before. */
#include "autograd_matmul.h"
#include "conv2d.h"
#include "gemm.h"
#include "gradients.h"

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
    const struct matmul_args *args = (const void *)r->args;
    struct tensor dx;
    struct matrix w = tape_matrix(tape, r, MATMUL_W);
    bool add;
    if (tape_wants(tape, r, MATMUL_W)) {
        struct matrix dw = r->w;
        struct tensor x = tape_value(tape, r, MATMUL_IN);
        TRY(tape_grad(ctx, tape, r, MATMUL_W, &dw.data, &add));
        TRY(bwd_weights(ctx, &tape->arena, &args->call, &dw, dsum, &x, add));
    }
    if (tape_wants(tape, r, MATMUL_IN)) {
        TRY(tape_grad(ctx, tape, r, MATMUL_IN, &dx, &add));
        TRY(bwd_data(ctx, &tape->arena, &args->call, &dx, dsum, &w, add));
    }
fail:
    return st;
}

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct matmul_args *args = (const void *)r->args;
    uint64_t mark = arena_mark(&tape->arena);
    struct tensor dy = tape_given(tape, r, MATMUL_OUT), dsum = dy, db;
    bool add;
    if (args->act != ACT_NONE) { /* in place: nobody else reads the gradient of the result */
        struct tensor y = tape_value(tape, r, MATMUL_OUT);
        TRY(op_activation_bwd(ctx, &dy, &dy, &y, args->act, args->slope, false));
    }
    if (tape_wants(tape, r, MATMUL_BIAS)) {
        TRY(tape_grad(ctx, tape, r, MATMUL_BIAS, &db, &add));
        TRY(op_bias_bwd(ctx, &tape->arena, &db, &dy, add));
    }
    if (is_scaled(args->alpha)) {
        TRY(tensor_take(ctx, &tape->arena, &dsum));
        TRY(op_add_fwd(ctx, &dsum, &dy, &dy, args->alpha, 0));
    }
    TRY(operands_backward(ctx, tape, r, &dsum));
    if (tape_wants(tape, r, MATMUL_RESIDUAL))
        TRY(tape_pass(ctx, tape, r, MATMUL_OUT, MATMUL_RESIDUAL));
fail:
    arena_release(&tape->arena, mark);
    return st;
}

/* ---- forward ---- */

/* Compute the call, and record it. */
static clio_status run(clio_context *ctx, struct arena *arena, const struct matmul_call *p, const struct tensor *out,
                       const struct tensor *in, const struct matrix *w, const struct gemm_epilogue *e)
{
    switch (p->kind) {
    case MATMUL_CONV1D:
        return conv1d_run(ctx, arena, out, in, w, p->kernel, p->stride, p->padding, e, p);
    case MATMUL_CONV2D:
        return conv2d_run(ctx, arena, out, in, w, p->window, e, p);
    case MATMUL_CONV2D_TRANSPOSED:
        return conv2d_transposed_run(ctx, arena, out, in, w, p->window, e, p);
    default:
        return gemm_run(ctx, out, in, w, p->m, e, p);
    }
}

/* Whether the call must be recorded as separate operations, because the backward needs a value that a kernel with this epilogue does not
 * store. */
static bool must_split(const clio_context *ctx, const struct gemm_epilogue *e)
{
    return ctx->tape && !ctx->planning && e && e->act != ACT_NONE && (e->residual || !activation_by_result(e->act));
}

/* A matmul, then activation, then residual. */
static clio_status split(clio_context *ctx, struct arena *arena, const struct matmul_call *p, const struct tensor *out,
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
    TRY(run(ctx, arena, p, &sum, in, w, &plain));
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

static clio_status forward(clio_context *ctx, struct arena *arena, struct matmul_call p, const struct tensor *out, const struct tensor *in,
                           const struct matrix *w, const struct gemm_epilogue *e)
{
    p.backward = backward;
    return must_split(ctx, e) ? split(ctx, arena, &p, out, in, w, e) : run(ctx, arena, &p, out, in, w, e);
}

clio_status op_gemm_fwd(clio_context *ctx, const struct tensor *out, const struct tensor *a, const struct matrix *w, int m,
                        const struct gemm_epilogue *epilogue)
{
    return forward(ctx, NULL, (struct matmul_call){.kind = MATMUL_GEMM, .m = m}, out, a, w, epilogue);
}

clio_status op_conv1d_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                          int kernel, int stride, int padding, const struct gemm_epilogue *epilogue)
{
    struct matmul_call call = {.kind = MATMUL_CONV1D, .kernel = kernel, .stride = stride, .padding = padding};
    return forward(ctx, arena, call, out, in, w, epilogue);
}

clio_status op_conv2d_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in, const struct matrix *w,
                          struct conv2d_window window, const struct gemm_epilogue *epilogue)
{
    return forward(ctx, arena, (struct matmul_call){.kind = MATMUL_CONV2D, .window = window}, out, in, w, epilogue);
}

clio_status op_conv2d_transposed_fwd(clio_context *ctx, struct arena *arena, const struct tensor *out, const struct tensor *in,
                                     const struct matrix *w, struct conv2d_window window, const struct gemm_epilogue *epilogue)
{
    return forward(ctx, arena, (struct matmul_call){.kind = MATMUL_CONV2D_TRANSPOSED, .window = window}, out, in, w, epilogue);
}
