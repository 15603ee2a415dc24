/* ref_diffusion.c - samples made noisy, in plain C. */
#include "ref_bwd.h"

void ref_diffusion(float *noisy, float *target, const float *x, const float *levels, const float *eps, int batch, int size, bool velocity)
{
    for (int b = 0; b < batch; b++)
        for (int i = b * size; i < (b + 1) * size; i++) {
            double keep = (double)levels[2 * b], add = (double)levels[2 * b + 1];
            noisy[i] = (float)(keep * (double)x[i] + add * (double)eps[i]);
            target[i] = velocity ? (float)(keep * (double)eps[i] - add * (double)x[i]) : eps[i];
        }
}
