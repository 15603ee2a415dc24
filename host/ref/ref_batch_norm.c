/* ref_batch_norm.c - batch norm over rows (Ioffe and Szegedy 2015, arXiv:1502.03167) and its gradient. Variance about the mean, divided by
 * the count; the running one by the count less one, as torch does it. */
#include "ref_bwd.h"

#include <math.h>

/* Mean and variance of column c. */
static void moments(double *mean, double *variance, const float *x, int rows, int n, int c)
{
    *mean = *variance = 0;
    for (int r = 0; r < rows; r++)
        *mean += (double)x[(size_t)r * (size_t)n + (size_t)c] / rows;
    for (int r = 0; r < rows; r++) {
        double d = (double)x[(size_t)r * (size_t)n + (size_t)c] - *mean;
        *variance += d * d / rows;
    }
}

void ref_batch_norm(float *out, float *statistics, float *running_mean, float *running_var, const float *in, const float *gamma,
                    const float *beta, int rows, int n, float eps, float momentum, bool training)
{
    for (int c = 0; c < n; c++) {
        double mean, variance;
        if (training) {
            moments(&mean, &variance, in, rows, n, c);
            if (statistics) {
                statistics[c] = (float)mean;
                statistics[n + c] = (float)(1 / sqrt(variance + (double)eps));
            }
            if (running_mean) {
                double unbiased = variance * rows / (rows > 1 ? rows - 1 : 1);
                running_mean[c] = (float)((1 - (double)momentum) * (double)running_mean[c] + (double)momentum * mean);
                running_var[c] = (float)((1 - (double)momentum) * (double)running_var[c] + (double)momentum * unbiased);
            }
        } else {
            mean = (double)running_mean[c];
            variance = (double)running_var[c];
        }
        for (int r = 0; r < rows; r++) {
            size_t i = (size_t)r * (size_t)n + (size_t)c;
            out[i] = (float)(((double)in[i] - mean) / sqrt(variance + (double)eps) * (double)gamma[c] + (double)beta[c]);
        }
    }
}

void ref_batch_norm_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma, int rows, int n,
                        float eps)
{
    for (int c = 0; c < n; c++) {
        double mean, variance, sum = 0, product = 0;
        moments(&mean, &variance, x, rows, n, c);
        double rate = 1 / sqrt(variance + (double)eps);
        for (int r = 0; r < rows; r++) {
            size_t i = (size_t)r * (size_t)n + (size_t)c;
            sum += (double)dy[i];
            product += (double)dy[i] * ((double)x[i] - mean) * rate;
        }
        if (dgamma)
            dgamma[c] = (float)product;
        if (dbeta)
            dbeta[c] = (float)sum;
        for (int r = 0; dx && r < rows; r++) {
            size_t i = (size_t)r * (size_t)n + (size_t)c;
            dx[i] = (float)((double)gamma[c] * rate * ((double)dy[i] - sum / rows - ((double)x[i] - mean) * rate * product / rows));
        }
    }
}
