/* ref_attention_bwd.c - the gradient of attention in plain C, from the whole row of weights p = softmax(scale q k^T) of each query:
 * dv += p dout, dp = dout v^T, ds = p (dp - sum(p dp)), dq = scale ds k, dk += scale ds q. */
#include "ref_bwd.h"
#include "ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct one_head {
    const float *q, *k, *v, *dout; /* rows of ldq, width, width, ldo */
    float *dq;                     /* rows of ldq */
    double *dk, *dv;               /* rows of head_dim */
    double *p, *dp;                /* of one query */
    int width;
};

/* Query i, which attends to the first `keys` keys. */
static void one_query(const struct one_head *h, const struct attention_args *a, int i, int keys)
{
    int d = a->head_dim;
    const float *q = h->q + (size_t)i * (size_t)a->ldq, *dout = h->dout + (size_t)i * (size_t)a->ldo;
    double greatest = -INFINITY, total = 0, mean = 0;
    for (int j = 0; j < keys; j++) {
        h->p[j] = h->dp[j] = 0;
        for (int n = 0; n < d; n++) {
            h->p[j] += (double)q[n] * (double)h->k[j * h->width + n] * (double)a->scale;
            h->dp[j] += (double)dout[n] * (double)h->v[j * h->width + n];
        }
        greatest = fmax(greatest, h->p[j]);
    }
    for (int j = 0; j < keys; j++)
        total += h->p[j] = exp(h->p[j] - greatest);
    for (int j = 0; j < keys; j++)
        mean += (h->p[j] /= total) * h->dp[j];
    for (int n = 0; n < d; n++) {
        double sum = 0;
        for (int j = 0; j < keys; j++) {
            double ds = h->p[j] * (h->dp[j] - mean) * (double)a->scale;
            sum += ds * (double)h->k[j * h->width + n];
            h->dk[j * d + n] += ds * (double)q[n];
            h->dv[j * d + n] += h->p[j] * (double)dout[n];
        }
        if (h->dq)
            h->dq[(size_t)i * (size_t)a->ldq + (size_t)n] = (float)sum;
    }
}

void ref_attention_bwd(float *dq, float *dk, float *dv, const float *dout, const float *q, const float *k, const float *v,
                       const int *key_lengths, const struct attention_args *a)
{
    int d = a->head_dim, width = a->heads * d;
    size_t sums = (size_t)a->keys * (size_t)d;
    double *work = malloc((2 * sums + 2 * (size_t)a->keys) * sizeof *work);
    if (!work)
        abort();
    for (int b = 0; b < a->batch; b++)
        for (int head = 0; head < a->heads; head++) {
            size_t queries = (size_t)b * (size_t)a->queries, keys = (size_t)b * (size_t)a->keys * (size_t)width + (size_t)(head * d);
            size_t at = queries * (size_t)a->ldq + (size_t)(a->q_offset + head * d);
            struct one_head h = {.q = q + at,
                                 .k = k + keys,
                                 .v = v + keys,
                                 .dout = dout + queries * (size_t)a->ldo + (size_t)(head * d),
                                 .dq = dq ? dq + at : NULL,
                                 .dk = work,
                                 .dv = work + sums,
                                 .p = work + 2 * sums,
                                 .dp = work + 2 * sums + a->keys,
                                 .width = width};
            memset(work, 0, 2 * sums * sizeof *work);
            for (int i = 0; i < a->queries; i++)
                one_query(&h, a, i, ref_attention_visible(a, key_lengths, b, i));
            for (int j = 0; j < a->keys; j++)
                for (int n = 0; n < d; n++) {
                    if (dk)
                        dk[keys + (size_t)(j * width + n)] = (float)h.dk[j * d + n];
                    if (dv)
                        dv[keys + (size_t)(j * width + n)] = (float)h.dv[j * d + n];
                }
        }
    free(work);
}
