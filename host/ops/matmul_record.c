/* matmul_record.c - see autograd_matmul.h. */
#include "autograd_matmul.h"

static const char *name_of(const struct matmul_call *call)
{
    static const char *const names[] = {"gemm", "conv1d", "conv2d", "conv2d_transposed"};
    return names[call->kind];
}

clio_status matmul_record(clio_context *ctx, const struct matmul_call *call, const struct tensor *out, const struct tensor *in,
                          const struct matrix *w, const struct gemm_epilogue *e)
{
    clio_status st = CLIO_OK;
    struct matmul_args args = {.alpha = 1};
    struct tape_record r = {.t = {*out, *in, w->data}, .keep = 1 << MATMUL_IN | 1 << MATMUL_W, .w = *w};
    char a[96], b[96];
    if (!ctx->tape || !call)
        return CLIO_OK;
    args.call = *call;
    r.op = name_of(call);
    r.backward = call->backward;
    if (e) {
        args.act = e->act;
        args.slope = e->slope;
        args.alpha = e->alpha < 0 || e->alpha > 0 ? e->alpha : 1;
        if (e->bias)
            r.t[MATMUL_BIAS] = *e->bias;
        if (e->residual)
            r.t[MATMUL_RESIDUAL] = *e->residual;
        if (e->act != ACT_NONE)
            r.keep |= 1 << MATMUL_OUT;
    }
    bool is_view = e && ((e->lda && e->lda != w->k) || (e->ldc && e->ldc != w->n) || e->a_offset || e->c_offset);
    if (call->kind == MATMUL_GEMM &&
        (is_view || tensor_count(in) != (size_t)call->m * (size_t)w->k || tensor_count(out) != (size_t)call->m * (size_t)w->n))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "gemm of %d rows from parts of %s into parts of %s has no gradient", call->m, tensor_describe(in, a),
             tensor_describe(out, b));
    TRY(tape_record(ctx, &r, &args, sizeof args));
fail:
    return st;
}
