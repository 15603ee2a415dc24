/* op_matmul_bwd.c - gradients of batched matmul of two activations: two more of them, with the kernel of cl/matmul.cl. */
#include "gradients.h"

#define TRANSPOSE_B 1 /* as the kernel has it */
#define TRANSPOSE_A 2

/* c [batch, m, n] (+)= a b */
static clio_status multiply(clio_context *ctx, const struct tensor *c, const struct tensor *a, const struct tensor *b, int k, int transpose,
                            bool add)
{
    clio_status st = CLIO_OK;
    struct kernel *kernel;
    size_t side;
    int batch = c->dim[0], m = c->dim[1], n = c->dim[2];
    struct gemm_args g = {.m = m, .n = n, .k = k, .act = transpose, .has_residual = add};
    TRY(kernel_get_square(ctx, "matmul", "matmul", "", &kernel, &side));
    TRY(LAUNCH(ctx, kernel, GRID3(n, m, batch, side, side, 1),
               COST(2.0 * batch * m * n * k, 4.0 * batch * ((double)m * k + (double)n * k + (double)m * n)), ARG_TENSOR(c), ARG_TENSOR(a),
               ARG_TENSOR(b), ARG_VALUE(g)));
fail:
    return st;
}

clio_status op_matmul_bwd(clio_context *ctx, struct arena *arena, const struct tensor *da, const struct tensor *db, const struct tensor *dy,
                          const struct tensor *a, const struct tensor *b, bool transpose_b, bool add_a, bool add_b)
{
    clio_status st = CLIO_OK;
    const char *op = "matmul's gradient";
    int batch = a->dim[0], m = a->dim[1], k = a->dim[2], n = transpose_b ? b->dim[1] : b->dim[2];
    (void)arena;
    TRY(op_check(ctx, op, "a", a, DTYPE_F32, 3, -1, -1, -1, 0));
    TRY(op_check(ctx, op, "b", b, DTYPE_F32, 3, batch, transpose_b ? n : k, transpose_b ? k : n, 0));
    TRY(op_check(ctx, op, "dy", dy, DTYPE_F32, 3, batch, m, n, 0));
    if (da) { /* dy B^T, B stored [K, N] or [N, K] */
        TRY(op_check(ctx, op, "da", da, DTYPE_F32, 3, batch, m, k, 0));
        TRY(multiply(ctx, da, dy, b, n, transpose_b ? 0 : TRANSPOSE_B, add_a));
    }
    if (db) { /* A^T dy, or dy^T A */
        TRY(op_check(ctx, op, "db", db, DTYPE_F32, 3, batch, b->dim[1], b->dim[2], 0));
        TRY(multiply(ctx, db, transpose_b ? dy : a, transpose_b ? a : dy, m, TRANSPOSE_A, add_b));
    }
fail:
    return st;
}
