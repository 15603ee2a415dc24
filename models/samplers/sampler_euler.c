/* sampler_euler.c - the methods that go by sigma, x(sigma) = x0 + sigma noise: euler, euler_a, heun.
 * Source: Karras et al. (2022), algorithms 1 and 2; k-diffusion's sample_euler_ancestral; diffusers, scheduling_euler_discrete.py,
 * scheduling_euler_ancestral_discrete.py, scheduling_heun_discrete.py (step). Float throughout, as there. */
#include "sampler_private.h"

#include <math.h>

/* The clean sample. */
static float clean_at(const struct sampler *s, float sigma, float output, float x)
{
    float clean = output;
    if (s->config.prediction == SAMPLER_EPSILON)
        clean = x - sigma * output;
    else if (s->config.prediction == SAMPLER_V_PREDICTION)
        clean = output * (-sigma / sqrtf(sigma * sigma + 1.0f)) + x / (sigma * sigma + 1.0f);
    if (s->config.clip > 0) {
        float range = (float)s->config.clip;
        clean = fminf(fmaxf(clean, -range), range);
    }
    return clean;
}

/* noise: of euler_a, which goes further down than the next sigma and adds that much noise again */
void sampler_euler(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    float sigma = s->sigmas[i], to = s->sigmas[i + 1], down = to, up = 0;
    if (s->config.method == SAMPLER_EULER_A) {
        up = sqrtf(to * to * (sigma * sigma - to * to) / (sigma * sigma));
        down = sqrtf(to * to - up * up);
    }
    for (size_t k = 0; k < s->n; k++) {
        float slope = (x[k] - clean_at(s, sigma, output[k], x[k])) / sigma;
        x[k] += slope * (down - sigma);
        if (noise)
            x[k] += noise[k] * up;
    }
}

/* Even evaluations since the beginning predict, odd ones correct with the mean of both slopes. saved: the sample before; sum: its slope. */
void sampler_heun(struct sampler *s, int i, const float *output, float *x)
{
    bool predict = s->evaluations % 2 == 0;
    float sigma = s->sigmas[predict ? i : i - 1], to = s->sigmas[predict ? i + 1 : i], here = predict ? sigma : to;
    for (size_t k = 0; k < s->n; k++) {
        float slope = (x[k] - clean_at(s, here, output[k], x[k])) / here;
        if (predict) {
            s->saved[k] = x[k];
            s->sum[k] = slope;
        } else {
            slope = (s->sum[k] + slope) / 2.0f;
        }
        x[k] = s->saved[k] + slope * (to - sigma);
    }
}
