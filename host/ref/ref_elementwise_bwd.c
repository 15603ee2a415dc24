/* ref_elementwise_bwd.c - gradients of activations and gates, in double, written as functions of x; the product of two tensors, the second
 * repeated; and a part of wider rows. */
#include "ref_bwd.h"

#include <math.h>
#include <string.h>

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1.0 + exp(x)) : 1.0 / (1.0 + exp(-x));
}

/* d/dx of x sigmoid(z(x)), given z and dz/dx */
static double gated_slope(double x, double z, double dz)
{
    return sigmoid(z) + x * dz * sigmoid(z) * sigmoid(-z);
}

static double activation_slope(double x, int act, float slope)
{
    double pi = acos(-1.0), root = 2.0 * sqrt(2.0 / pi);
    switch (act) {
    case ACT_RELU:
        return isnan(x) ? x : x > 0;
    case ACT_LEAKY_RELU:
        return isnan(x) ? x : x > 0 ? 1 : (double)slope;
    case ACT_GELU:
        return 0.5 * erfc(-x * sqrt(0.5)) + x * exp(-0.5 * x * x) / sqrt(2.0 * pi);
    case ACT_GELU_TANH: /* (1 + tanh z) / 2 = sigmoid(2 z) */
        return gated_slope(x, root * (x + 0.044715 * x * x * x), root * (1.0 + 3.0 * 0.044715 * x * x));
    case ACT_QUICK_GELU:
        return gated_slope(x, 1.702 * x, 1.702);
    case ACT_SILU:
        return gated_slope(x, x, 1.0);
    case ACT_TANH:
        return 1.0 - tanh(x) * tanh(x);
    case ACT_SIGMOID:
        return sigmoid(x) * sigmoid(-x);
    case ACT_EXP:
        return exp(x);
    case ACT_SOFTPLUS:
        return sigmoid(x);
    default:
        return 1;
    }
}

void ref_activation_bwd(float *dx, const float *dy, const float *x, int n, int act, float slope)
{
    for (int i = 0; i < n; i++)
        dx[i] = (float)((double)dy[i] * activation_slope((double)x[i], act, slope));
}

void ref_gated_bwd(float *dx, const float *dy, const float *x, int rows, int n, int act)
{
    for (int r = 0; r < rows; r++, dx += 2 * n, x += 2 * n, dy += n)
        for (int i = 0; i < n; i++) {
            dx[i] = (float)((double)dy[i] * (double)ref_activate(x[n + i], act, 0));
            dx[n + i] = (float)((double)dy[i] * (double)x[i] * activation_slope((double)x[n + i], act, 0));
        }
}

void ref_concat_bwd(float *dx, const float *dy, int rows, int n, int width, int first)
{
    for (int r = 0; r < rows; r++)
        memcpy(dx + (size_t)r * (size_t)n, dy + (size_t)r * (size_t)width + first, (size_t)n * sizeof *dx);
}

void ref_multiply(float *out, const float *a, const float *b, int n, int nb)
{
    for (int i = 0; i < n; i++)
        out[i] = a[i] * b[i % nb];
}
