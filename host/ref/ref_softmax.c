/* ref_softmax.c - softmax over the last dimension, and its logarithm. The maximum is subtracted first, which changes nothing but the range
 * of exp. A row that is -inf throughout gives NaN, as in torch. */
#include "ref.h"

#include <math.h>

void ref_softmax(float *out, const float *in, int rows, int n, bool logarithm)
{
    for (int r = 0; r < rows; r++) {
        const float *x = in + (size_t)r * (size_t)n;
        float *y = out + (size_t)r * (size_t)n;
        double m = x[0], sum = 0;
        for (int c = 1; c < n; c++)
            m = fmax(m, (double)x[c]);
        for (int c = 0; c < n; c++)
            sum += exp(x[c] - m);
        for (int c = 0; c < n; c++)
            y[c] = (float)(logarithm ? x[c] - m - log(sum) : exp(x[c] - m) / sum);
    }
}
