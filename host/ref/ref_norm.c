/* ref_norm.c - layer norm over the last dimension (Ba, Kiros, Hinton 2016, arXiv:1607.06450): variance about the mean, divided by n. */
#include "ref.h"

#include <math.h>

void ref_layer_norm(float *out, const float *in, const float *gamma, const float *beta, int rows, int n, float eps)
{
    for (int r = 0; r < rows; r++) {
        const float *x = in + (size_t)r * (size_t)n;
        float *y = out + (size_t)r * (size_t)n;
        double mean = 0, variance = 0;
        for (int c = 0; c < n; c++)
            mean += (double)x[c] / n;
        for (int c = 0; c < n; c++)
            variance += (x[c] - mean) * (x[c] - mean) / n;
        for (int c = 0; c < n; c++)
            y[c] = (float)((x[c] - mean) / sqrt(variance + (double)eps) * (double)gamma[c] + (double)beta[c]);
    }
}
