/* guidance.c - classifier-free guidance and its rescaling. */

#include "guidance.h"

#include <math.h>

/* Standard deviation of n numbers, unbiased, as torch.std. */
static double deviation(const float *x, size_t n)
{
    double mean = 0, sum = 0;
    for (size_t k = 0; k < n; k++)
        mean += (double)x[k];
    mean /= (double)n;
    for (size_t k = 0; k < n; k++)
        sum += ((double)x[k] - mean) * ((double)x[k] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : 0;
}

void guidance_combine(float *out, const float *uncond, const float *cond, float scale, float rescale, int pictures, size_t n)
{
    for (int p = 0; p < pictures; p++) {
        size_t first = (size_t)p * n;
        double of_cond = rescale > 0 ? deviation(cond + first, n) : 0;
        for (size_t k = first; k < first + n; k++)
            out[k] = uncond[k] + scale * (cond[k] - uncond[k]);
        double of_out = rescale > 0 ? deviation(out + first, n) : 0;
        if (!(of_out > 0))
            continue;
        float ratio = (float)of_cond / (float)of_out;
        for (size_t k = first; k < first + n; k++)
            out[k] = rescale * (out[k] * ratio) + (1.0f - rescale) * out[k];
    }
}
