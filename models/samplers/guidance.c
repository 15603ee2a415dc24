/* guidance.c - classifier-free guidance, and diffusers' rescale_noise_cfg. */

#include "guidance.h"

#include <math.h>

/* Unbiased standard deviation, as torch.std. */
static double std_of(const float *x, size_t n)
{
    double mean = 0, sum = 0;
    for (size_t k = 0; k < n; k++)
        mean += (double)x[k];
    mean /= (double)n;
    for (size_t k = 0; k < n; k++)
        sum += ((double)x[k] - mean) * ((double)x[k] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : 0;
}

void guidance_combine(float *out, const float *uncond, const float *cond, float scale, float rescale, int images, size_t n)
{
    for (int i = 0; i < images; i++) {
        size_t first = (size_t)i * n;
        double std_cond = rescale > 0 ? std_of(cond + first, n) : 0;
        for (size_t k = first; k < first + n; k++)
            out[k] = uncond[k] + scale * (cond[k] - uncond[k]);
        double std_out = rescale > 0 ? std_of(out + first, n) : 0;
        if (!(std_out > 0))
            continue;
        float ratio = (float)std_cond / (float)std_out;
        for (size_t k = first; k < first + n; k++)
            out[k] = rescale * (out[k] * ratio) + (1.0f - rescale) * out[k];
    }
}
