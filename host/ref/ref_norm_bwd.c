/* ref_norm_bwd.c - the gradient of layer norm (see ref_norm.c), and what it shares with that of group norm. Of numbers x that are normed
 * together, with h = (x - mean) / s, s = sqrt(var + eps), and g = gamma dy: dx = (g - average of g - h average of (g h)) / s. */
#include "ref_norm_bwd.h"

#include <math.h>

#define BLOCK 64 /* channels whose sums are made together */

static size_t at(const struct norm_sets *s, int set, int i, int j)
{
    return s->first + (size_t)set * s->step + (size_t)i * s->row + (size_t)j;
}

static void moments(double *mean, double *rate, const float *x, const struct norm_sets *s, int set, float eps)
{
    double count = (double)s->outer * s->inner, variance = 0;
    *mean = 0;
    for (int i = 0; i < s->outer; i++)
        for (int j = 0; j < s->inner; j++)
            *mean += (double)x[at(s, set, i, j)] / count;
    for (int i = 0; i < s->outer; i++)
        for (int j = 0; j < s->inner; j++) {
            double d = (double)x[at(s, set, i, j)] - *mean;
            variance += d * d / count;
        }
    *rate = 1 / sqrt(variance + (double)eps);
}

static void set_bwd(float *dx, const float *dy, const float *x, const float *gamma, const struct norm_sets *s, int set, float eps)
{
    double count = (double)s->outer * s->inner, mean, rate, sum = 0, product = 0;
    moments(&mean, &rate, x, s, set, eps);
    for (int i = 0; i < s->outer; i++)
        for (int j = 0; j < s->inner; j++) {
            double g = (double)dy[at(s, set, i, j)] * (double)gamma[j];
            sum += g / count;
            product += g * ((double)x[at(s, set, i, j)] - mean) * rate / count;
        }
    for (int i = 0; i < s->outer; i++)
        for (int j = 0; j < s->inner; j++) {
            double h = ((double)x[at(s, set, i, j)] - mean) * rate;
            dx[at(s, set, i, j)] = (float)(((double)dy[at(s, set, i, j)] * (double)gamma[j] - sum - h * product) * rate);
        }
}

void ref_norm_sets_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma,
                       const struct norm_sets *s, float eps)
{
    for (int set = 0; dx && set < s->sets; set++)
        set_bwd(dx, dy, x, gamma, s, set, eps);
    for (int first = 0; dgamma && first < s->inner; first += BLOCK) {
        double to_gamma[BLOCK] = {0}, to_beta[BLOCK] = {0}, mean, rate;
        int last = first + BLOCK < s->inner ? first + BLOCK : s->inner;
        for (int set = 0; set < s->sets; set++) {
            moments(&mean, &rate, x, s, set, eps);
            for (int i = 0; i < s->outer; i++)
                for (int j = first; j < last; j++) {
                    to_beta[j - first] += (double)dy[at(s, set, i, j)];
                    to_gamma[j - first] += (double)dy[at(s, set, i, j)] * ((double)x[at(s, set, i, j)] - mean) * rate;
                }
        }
        for (int j = first; j < last; j++) {
            dgamma[j] = (float)to_gamma[j - first];
            dbeta[j] = (float)to_beta[j - first];
        }
    }
}

void ref_layer_norm_bwd(float *dx, float *dgamma, float *dbeta, const float *dy, const float *x, const float *gamma, int rows, int n,
                        float eps)
{
    struct norm_sets s = {.sets = rows, .step = (size_t)n, .outer = 1, .inner = n};
    ref_norm_sets_bwd(dx, dgamma, dbeta, dy, x, gamma, &s, eps);
}
