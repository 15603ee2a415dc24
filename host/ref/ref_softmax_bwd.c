/* ref_softmax_bwd.c - the gradient of softmax and of its logarithm, from the result. */
#include "ref_bwd.h"

#include <math.h>

void ref_softmax_bwd(float *dx, const float *dy, const float *y, int rows, int n, bool logarithm)
{
    for (int r = 0; r < rows; r++, dx += n, dy += n, y += n) {
        double sum = 0;
        for (int c = 0; c < n; c++)
            sum += (double)dy[c] * (logarithm ? 1 : (double)y[c]);
        for (int c = 0; c < n; c++)
            dx[c] = (float)(logarithm ? (double)dy[c] - exp((double)y[c]) * sum : (double)y[c] * ((double)dy[c] - sum));
    }
}
