/* blas.c - SGEMM of CLBlast, single and strided batched. CLBlast has no disk cache: it compiles its kernels at the first call of a process.
 */
#include "blas.h"
#include "context.h"

#include <clblast_c.h>
#include <pthread.h>

/* One call at a time: CLBlast creates its table of parameters without a lock, and up to 1.6.0 its cache of binaries refuses what another
 * thread has stored meanwhile (its issue 486). A call enqueues, and does not wait for the device. */
static pthread_mutex_t calls = PTHREAD_MUTEX_INITIALIZER;

clio_status blas_gemm(clio_context *ctx, const struct tensor *c, const struct tensor *a, const struct tensor *b, const struct blas_gemm *g)
{
    clio_status st = CLIO_OK;
    CLBlastStatusCode code;
    CLBlastTranspose ta = g->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo;
    CLBlastTranspose tb = g->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo;
    size_t m = (size_t)g->m, n = (size_t)g->n, k = (size_t)g->k, lda = (size_t)g->lda, ldb = (size_t)g->ldb, ldc = (size_t)g->ldc;
    if (ctx->planning)
        return CLIO_OK;
    pthread_mutex_lock(&calls);
    if (g->batch > 1)
        code = CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, ta, tb, m, n, k, 1.0f, a->mem, g->a_offset, lda, g->a_step, b->mem,
                                          g->b_offset, ldb, g->b_step, 0.0f, c->mem, g->c_offset, ldc, g->c_step, (size_t)g->batch,
                                          &ctx->queue, NULL);
    else
        code = CLBlastSgemm(CLBlastLayoutRowMajor, ta, tb, m, n, k, 1.0f, a->mem, g->a_offset, lda, b->mem, g->b_offset, ldb, 0.0f, c->mem,
                            g->c_offset, ldc, &ctx->queue, NULL);
    pthread_mutex_unlock(&calls);
    if (code != CLBlastSuccess)
        FAIL(ctx, CLIO_ERROR_DEVICE, "CLBlast failed on %s (code %d, product %d x %d x %d): choose another device", ctx->device.name,
             (int)code, g->m, g->n, g->k);
fail:
    return st;
}
