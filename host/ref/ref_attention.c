/* ref_attention.c - attention in plain C: a row of scores, its softmax, the weighted sum. */
#include "ref.h"

#include <math.h>
#include <stdlib.h>

int ref_attention_visible(const struct attention_args *a, const int *key_lengths, int b, int i)
{
    int keys = key_lengths && key_lengths[b] < a->keys ? key_lengths[b] : a->keys;
    keys = a->causal && a->position + i + 1 < keys ? a->position + i + 1 : keys;
    return keys > 0 ? keys : 0;
}

/* One query of one head; score: of a->keys numbers. */
static void attend(float *out, const float *q, const float *k, const float *v, const int *key_lengths, const struct attention_args *a,
                   int b, int i, int head, double *score)
{
    int width = a->heads * a->head_dim, visible = ref_attention_visible(a, key_lengths, b, i);
    const float *query = q + ((size_t)b * (size_t)a->queries + (size_t)i) * (size_t)a->ldq + a->q_offset + head * a->head_dim;
    double greatest = -INFINITY, total = 0;
    for (int j = 0; j < visible; j++) {
        const float *key = k + ((size_t)b * (size_t)a->keys + (size_t)j) * (size_t)width + head * a->head_dim;
        score[j] = 0;
        for (int d = 0; d < a->head_dim; d++)
            score[j] += (double)query[d] * (double)key[d] * (double)a->scale;
        greatest = fmax(greatest, score[j]);
    }
    for (int j = 0; j < visible; j++)
        total += score[j] = exp(score[j] - greatest);
    for (int d = 0; d < a->head_dim; d++) {
        double sum = 0;
        for (int j = 0; j < visible; j++)
            sum += score[j] * (double)v[((size_t)b * (size_t)a->keys + (size_t)j) * (size_t)width + (size_t)(head * a->head_dim + d)];
        out[((size_t)b * (size_t)a->queries + (size_t)i) * (size_t)a->ldo + (size_t)(head * a->head_dim + d)] =
            visible ? (float)(sum / total) : 0;
    }
}

void ref_attention(float *out, const float *q, const float *k, const float *v, const int *key_lengths, const struct attention_args *a)
{
    double *score = calloc((size_t)a->keys, sizeof *score);
    if (!score)
        abort();
    for (int b = 0; b < a->batch; b++)
        for (int i = 0; i < a->queries; i++)
            for (int head = 0; head < a->heads; head++)
                attend(out, q, k, v, key_lengths, a, b, i, head, score);
    free(score);
}
