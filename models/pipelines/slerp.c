/* slerp.c - spherical linear interpolation: out = sin((1 - t) angle) / sin(angle) a + sin(t angle) / sin(angle) b. See slerp.h. */
#include "slerp.h"

#include <math.h>
#include <stdbool.h>

#define PARALLEL 1e-4 /* sine of the angle below which interpolation is linear */

void slerp(float *out, const float *a, const float *b, size_t n, double t)
{
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < n; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    double cosine = aa > 0 && bb > 0 ? fmax(-1, fmin(1, ab / sqrt(aa * bb))) : 1, angle = acos(cosine), sine = sin(angle);
    bool parallel = sine < PARALLEL;
    double wa = parallel ? 1 - t : sin((1 - t) * angle) / sine, wb = parallel ? t : sin(t * angle) / sine;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(wa * (double)a[i] + wb * (double)b[i]);
}
