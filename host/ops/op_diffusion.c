/* op_diffusion.c - add noise to samples, and the training target of a diffusion model; kernel in cl/diffusion.cl. */
#include "gradients.h"
#include "tape.h"

#include <limits.h>

static clio_status backward(clio_context *ctx, struct tape *tape, const struct tape_record *r)
{
    clio_status st = CLIO_OK;
    if (tape_wants(tape, r, 2))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "diffusion: there is no gradient for what is made noisy");
fail:
    return st;
}

clio_status op_diffusion_fwd(clio_context *ctx, const struct tensor *noisy, const struct tensor *target, const struct tensor *x,
                             const struct tensor *levels, int first, uint64_t seed, uint64_t stream, bool velocity)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    char shape[96];
    size_t count = tensor_count(x), size = x->dim[0] > 0 ? count / (size_t)x->dim[0] : 0;
    TRY(op_check(ctx, "diffusion", "x", x, DTYPE_F32, x->ndim, -1, -1, -1, -1));
    TRY(op_check(ctx, "diffusion", "noisy", noisy, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    TRY(op_check(ctx, "diffusion", "target", target, DTYPE_F32, x->ndim, x->dim[0], x->dim[1], x->dim[2], x->dim[3]));
    TRY(op_check(ctx, "diffusion", "levels", levels, DTYPE_F32, 2, x->dim[0], 2, 0, 0));
    if (count == 0 || first < 0 || (double)count + (double)first * (double)size > INT_MAX - 4)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "diffusion: samples %d and on, as many as %s", first, tensor_describe(x, shape));
    struct random_args r = {.n = (int)count,
                            .normal = 1,
                            .seed_low = (unsigned int)seed,
                            .seed_high = (unsigned int)(seed >> 32),
                            .stream_low = (unsigned int)stream,
                            .stream_high = (unsigned int)(stream >> 32)};
    struct diffusion_args args = {.size = (int)size, .velocity = velocity, .first = (unsigned int)first * (unsigned int)size};
    if (ctx->tape) {
        struct tape_record record = {.op = "diffusion", .backward = backward, .t = {*noisy, *target, *x, *levels}, .outputs = 2};
        TRY(tape_record(ctx, &record, NULL, 0));
    }
    TRY(kernel_get(ctx, "diffusion", "diffusion", "", &kernel));
    TRY(LAUNCH(ctx, kernel, GRID1((count + args.first % 4 + 3) / 4, MIN((size_t)64, ctx->device.max_work_group)),
               COST(30.0 * r.n, 12.0 * r.n), ARG_TENSOR(noisy), ARG_TENSOR(target), ARG_TENSOR(x), ARG_TENSOR(levels), ARG_VALUE(r),
               ARG_VALUE(args)));
fail:
    return st;
}
