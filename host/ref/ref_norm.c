/* ref_norm.c - layer norm over the last dimension (Ba, Kiros, Hinton 2016, arXiv:1607.06450), group norm over all pixels and the
 * neighbouring channels of a group (Wu and He 2018, arXiv:1803.08494): variance about the mean, divided by the count. */
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

void ref_group_norm(float *out, const float *in, const float *gamma, const float *beta, int batch, int pixels, int channels, int groups,
                    float eps, int act)
{
    int width = channels / groups;
    double count = (double)pixels * width;
    for (int b = 0; b < batch; b++)
        for (int g = 0; g < groups; g++) {
            size_t first = (size_t)b * (size_t)pixels * (size_t)channels + (size_t)(g * width);
            double mean = 0, variance = 0;
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < width; c++)
                    mean += (double)in[first + (size_t)p * (size_t)channels + (size_t)c] / count;
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < width; c++) {
                    double d = (double)in[first + (size_t)p * (size_t)channels + (size_t)c] - mean;
                    variance += d * d / count;
                }
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < width; c++) {
                    size_t i = first + (size_t)p * (size_t)channels + (size_t)c;
                    double y = ((double)in[i] - mean) / sqrt(variance + (double)eps);
                    out[i] = ref_activate((float)(y * (double)gamma[g * width + c] + (double)beta[g * width + c]), act, 0);
                }
        }
}
