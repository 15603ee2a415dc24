/* ref_activate.c - the activations, in double. Definitions as torch.nn.functional: gelu with approximate "none" and "tanh", softplus with
 * threshold 20; quick gelu as in CLIP, x sigmoid(1.702 x). And gated layers, a half of a row activated and multiplied with the other. */
#include "ref.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

float ref_activate(float value, int act, float slope)
{
    double x = value, y = x;
    switch (act) {
    case ACT_RELU:
        y = x < 0 ? 0 : x;
        break;
    case ACT_LEAKY_RELU:
        y = x > 0 ? x : (double)slope * x;
        break;
    case ACT_GELU:
        y = 0.5 * x * erfc(-x * sqrt(0.5)); /* 1 + erf(z) = erfc(-z), which keeps its digits for negative z */
        break;
    case ACT_GELU_TANH:
        y = 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
        break;
    case ACT_QUICK_GELU:
        y = x * sigmoid(1.702 * x);
        break;
    case ACT_SILU:
        y = x * sigmoid(x);
        break;
    case ACT_TANH:
        y = tanh(x);
        break;
    case ACT_SIGMOID:
        y = sigmoid(x);
        break;
    case ACT_EXP:
        y = exp(x);
        break;
    case ACT_SOFTPLUS:
        y = x > 20 ? x : log1p(exp(x));
        break;
    default:
        break;
    }
    return (float)y;
}

void ref_gated(float *out, const float *in, int rows, int n, int act)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++) {
            const float *row = in + (size_t)r * 2 * (size_t)n;
            out[(size_t)r * (size_t)n + (size_t)i] = row[i] * ref_activate(row[n + i], act, 0);
        }
}
