/* ref_matmul_bwd.c - gradients of a product of two activations: each operand's is the product of dy and the other. */
#include "ref_bwd.h"

void ref_matmul_bwd(float *da, float *db, const float *dy, const float *a, const float *b, int batch, int m, int n, int k, bool transpose_b)
{
    for (int i = 0; i < batch; i++, a += m * k, b += n * k, dy += m * n) {
        for (int y = 0; da && y < m; y++)
            for (int j = 0; j < k; j++) {
                double sum = 0;
                for (int x = 0; x < n; x++)
                    sum += (double)dy[y * n + x] * (double)b[transpose_b ? x * k + j : j * n + x];
                *da++ = (float)sum;
            }
        for (int at = 0; db && at < n * k; at++) {
            int x = transpose_b ? at / k : at % n, j = transpose_b ? at % k : at / n;
            double sum = 0;
            for (int y = 0; y < m; y++)
                sum += (double)dy[y * n + x] * (double)a[y * k + j];
            *db++ = (float)sum;
        }
    }
}
