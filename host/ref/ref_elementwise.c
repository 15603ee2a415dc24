/* ref_elementwise.c - an activation of every element, limits, and the weighted sum of two tensors, the second repeated. */
#include "ref.h"

void ref_activation(float *out, const float *in, int n, int act, float slope)
{
    for (int i = 0; i < n; i++)
        out[i] = ref_activate(in[i], act, slope);
}

void ref_clamp(float *out, const float *in, int n, float low, float high)
{
    for (int i = 0; i < n; i++)
        out[i] = in[i] < low ? low : in[i] > high ? high : in[i];
}

void ref_add(float *out, const float *a, const float *b, int n, int nb, float alpha, float beta)
{
    for (int i = 0; i < n; i++)
        out[i] = (float)((double)alpha * (double)a[i] + (double)beta * (double)b[i % nb]);
}
