/* ref_group_norm_bwd.c - the gradient of group norm: for each group of channels, the images are the sets of ref_norm_bwd.c. */
#include "ref_norm_bwd.h"

void ref_group_norm_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma, int batch, int pixels,
                        int channels, int groups, float eps)
{
    int width = channels / groups;
    for (int c = 0; c < channels; c += width) {
        struct norm_sets s = {.sets = batch,
                              .first = (size_t)c,
                              .step = (size_t)pixels * (size_t)channels,
                              .row = (size_t)channels,
                              .outer = pixels,
                              .inner = width};
        ref_norm_sets_bwd(dx, dgamma ? dgamma + c : NULL, dbeta ? dbeta + c : NULL, dy, x, gamma + c, &s, eps);
    }
}
