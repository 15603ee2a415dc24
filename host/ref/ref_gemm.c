/* ref_gemm.c - matrix products in plain C, sums in double. */
#include "ref.h"

#include <stddef.h>

void ref_gemm(float *c, const float *a, const float *w, const float *bias, const float *residual, const struct gemm_args *g)
{
    for (int m = 0; m < g->m; m++)
        for (int n = 0; n < g->n; n++) {
            double sum = 0;
            for (int k = 0; k < g->k; k++)
                sum += (double)a[(size_t)g->a_offset + (size_t)m * (size_t)g->lda + (size_t)k] *
                       (double)w[(size_t)n * (size_t)g->k + (size_t)k];
            float x = ref_activate((float)((double)g->alpha * sum + (bias ? (double)bias[n] : 0.0)), g->act, g->slope);
            size_t at = (size_t)m * (size_t)g->ldc + (size_t)g->c_offset + (size_t)n;
            c[at] = x + (residual ? residual[at] : 0.0f);
        }
}

void ref_matmul(float *c, const float *a, const float *b, int batch, int m, int n, int k, bool transpose_b)
{
    for (int i = 0; i < batch; i++, a += (size_t)m * (size_t)k, b += (size_t)n * (size_t)k, c += (size_t)m * (size_t)n)
        for (int y = 0; y < m; y++)
            for (int x = 0; x < n; x++) {
                double sum = 0;
                for (int j = 0; j < k; j++)
                    sum += (double)a[y * k + j] * (double)(transpose_b ? b[x * k + j] : b[j * n + x]);
                c[y * n + x] = (float)sum;
            }
}
