/* op_reparam.c - random numbers on the device, and sampling by reparameterization with its gradient; kernels in cl/reparam.cl. */
#include "gradients.h"
#include "tape.h"

#include <limits.h>

/* The elements of t, and the key and counter of its numbers. */
static clio_status random_args(clio_context *ctx, const char *op, const struct tensor *t, uint64_t seed, uint64_t stream, bool normal,
                               struct random_args *args)
{
    clio_status st = CLIO_OK;
    size_t count = tensor_count(t);
    if (count == 0 || count > INT_MAX) {
        char shape[96];
        FAIL(ctx, CLIO_ERROR_INTERNAL, "%s cannot work on %s", op, tensor_describe(t, shape));
    }
    *args = (struct random_args){.n = (int)count,
                                 .normal = normal,
                                 .seed_low = (unsigned int)seed,
                                 .seed_high = (unsigned int)(seed >> 32),
                                 .stream_low = (unsigned int)stream,
                                 .stream_high = (unsigned int)(stream >> 32)};
fail:
    return st;
}

/* A work-item for four elements each; small groups on CPUs, where a latent of some thousand numbers shall keep every core busy. */
static struct grid blocks_grid(const clio_context *ctx, int n)
{
    size_t group = ctx->device.simd_width > 1 ? 16 : 64;
    return GRID1(((size_t)n + 3) / 4, MIN(group, ctx->device.max_work_group));
}

clio_status op_random_fwd(clio_context *ctx, const struct tensor *out, uint64_t seed, uint64_t stream, bool normal)
{
    clio_status st = CLIO_OK;
    struct random_args args;
    struct kernel *kernel;
    TRY(op_check(ctx, "random", "out", out, DTYPE_F32, out->ndim, -1, -1, -1, -1));
    TRY(random_args(ctx, "random", out, seed, stream, normal, &args));
    if (ctx->tape) { /* depends on nothing, but what was here is overwritten */
        struct tape_record r = {.op = "random", .t = {*out}};
        TRY(tape_record(ctx, &r, NULL, 0));
    }
    TRY(kernel_get(ctx, "reparam", "random_fill", "", &kernel));
    TRY(LAUNCH(ctx, kernel, blocks_grid(ctx, args.n), COST(25.0 * args.n, 4.0 * args.n), ARG_TENSOR(out), ARG_VALUE(args)));
fail:
    return st;
}

/* `t` is f32 of the shape of `like`. */
static clio_status check_like(clio_context *ctx, const char *op, const char *name, const struct tensor *t, const struct tensor *like)
{
    return op_check(ctx, op, name, t, DTYPE_F32, like->ndim, like->dim[0], like->dim[1], like->dim[2], like->dim[3]);
}

/* What its backward needs beside tensors. */
struct reparam_record {
    uint64_t seed, stream;
    bool given;
};

/* Records: z, mu, logvar, eps where it is given. */
static clio_status reparam_backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    const struct reparam_record *a = (const void *)r->args;
    struct tensor dmu, dlogvar, dz = tape_given(tape, r, 0), logvar = tape_value(tape, r, 2), eps = tape_value(tape, r, 3);
    bool to_mu = tape_wants(tape, r, 1), to_logvar = tape_wants(tape, r, 2), add_mu = false, add_logvar = false;
    if (tape_wants(tape, r, 3))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "the noise of reparam has no gradient here");
    if (to_mu)
        TRY(tape_grad(ctx, tape, r, 1, &dmu, &add_mu));
    if (to_logvar)
        TRY(tape_grad(ctx, tape, r, 2, &dlogvar, &add_logvar));
    TRY(op_reparam_bwd(ctx, to_mu ? &dmu : NULL, to_logvar ? &dlogvar : NULL, &dz, &logvar, a->given ? &eps : NULL, a->seed, a->stream,
                       add_mu, add_logvar));
fail:
    return st;
}

clio_status op_reparam_fwd(clio_context *ctx, const struct tensor *z, const struct tensor *mu, const struct tensor *logvar,
                           const struct tensor *eps, uint64_t seed, uint64_t stream)
{
    clio_status st = CLIO_OK;
    struct random_args args;
    struct kernel *kernel;
    TRY(op_check(ctx, "reparam", "mu", mu, DTYPE_F32, mu->ndim, -1, -1, -1, -1));
    TRY(check_like(ctx, "reparam", "logvar", logvar, mu));
    TRY(check_like(ctx, "reparam", "z", z, mu));
    if (eps)
        TRY(check_like(ctx, "reparam", "eps", eps, mu));
    TRY(random_args(ctx, "reparam", mu, seed, stream, true, &args));
    if (ctx->tape) {
        struct reparam_record a = {.seed = seed, .stream = stream, .given = eps != NULL};
        struct tape_record r = {.op = "reparam", .backward = reparam_backward, .t = {*z, *mu, *logvar}, .keep = 1 << 2 | 1 << 3};
        if (eps)
            r.t[3] = *eps;
        TRY(tape_record(ctx, &r, &a, sizeof a));
    }
    TRY(kernel_get(ctx, "reparam", "reparam", eps ? "-DGIVEN=1" : "", &kernel));
    TRY(LAUNCH(ctx, kernel, blocks_grid(ctx, args.n), COST(30.0 * args.n, 12.0 * args.n), ARG_TENSOR(z), ARG_TENSOR(mu), ARG_TENSOR(logvar),
               ARG_TENSOR(eps ? eps : mu), ARG_VALUE(args)));
fail:
    return st;
}

clio_status op_reparam_bwd(clio_context *ctx, const struct tensor *dmu, const struct tensor *dlogvar, const struct tensor *dz,
                           const struct tensor *logvar, const struct tensor *eps, uint64_t seed, uint64_t stream, bool add_mu,
                           bool add_logvar)
{
    clio_status st = CLIO_OK;
    struct random_args args;
    struct kernel *kernel;
    int to_mu = dmu ? add_mu ? GRADIENT_ADD : GRADIENT_STORE : GRADIENT_NONE;
    int to_logvar = dlogvar ? add_logvar ? GRADIENT_ADD : GRADIENT_STORE : GRADIENT_NONE;
    TRY(op_check(ctx, "reparam_bwd", "dz", dz, DTYPE_F32, dz->ndim, -1, -1, -1, -1));
    TRY(check_like(ctx, "reparam_bwd", "logvar", logvar, dz));
    if (dmu)
        TRY(check_like(ctx, "reparam_bwd", "dmu", dmu, dz));
    if (dlogvar)
        TRY(check_like(ctx, "reparam_bwd", "dlogvar", dlogvar, dz));
    if (eps)
        TRY(check_like(ctx, "reparam_bwd", "eps", eps, dz));
    if (!dmu && !dlogvar)
        return CLIO_OK;
    TRY(random_args(ctx, "reparam_bwd", dz, seed, stream, true, &args));
    TRY(kernel_get(ctx, "reparam", "reparam_bwd", eps ? "-DGIVEN=1" : "", &kernel));
    TRY(LAUNCH(ctx, kernel, blocks_grid(ctx, args.n), COST(30.0 * args.n, 16.0 * args.n), ARG_TENSOR(dmu ? dmu : dlogvar),
               ARG_TENSOR(dlogvar ? dlogvar : dmu), ARG_TENSOR(dz), ARG_TENSOR(logvar), ARG_TENSOR(eps ? eps : dz), ARG_VALUE(to_mu),
               ARG_VALUE(to_logvar), ARG_VALUE(args)));
fail:
    return st;
}
