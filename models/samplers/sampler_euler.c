/* sampler_euler.c - EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, HeunDiscreteScheduler: x(sigma) = x0 + sigma noise.
 * Source: Karras et al. (2022), algorithms 1 and 2; k-diffusion's sample_euler_ancestral; diffusers, scheduling_euler_discrete.py,
 * scheduling_euler_ancestral_discrete.py, scheduling_heun_discrete.py (step). All in float, as there. */
#include "sampler_private.h"

#include <math.h>

/* pred_original_sample. */
static float predict_x0(const struct sampler *s, float sigma, float output, float x)
{
    float x0 = output;
    if (s->config.prediction == SAMPLER_EPSILON)
        x0 = x - sigma * output;
    else if (s->config.prediction == SAMPLER_V_PREDICTION)
        x0 = output * (-sigma / sqrtf(sigma * sigma + 1.0f)) + x / (sigma * sigma + 1.0f);
    if (s->config.clip > 0) {
        float range = (float)s->config.clip;
        x0 = fminf(fmaxf(x0, -range), range);
    }
    return x0;
}

/* euler_a steps down to sigma_down, below the next sigma, and adds noise of sigma_up. */
void sampler_euler(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    float sigma = s->sigmas[i], to = s->sigmas[i + 1], down = to, up = 0;
    if (s->config.method == SAMPLER_EULER_A) {
        up = sqrtf(to * to * (sigma * sigma - to * to) / (sigma * sigma));
        down = sqrtf(to * to - up * up);
    }
    for (size_t k = 0; k < s->n; k++) {
        float derivative = (x[k] - predict_x0(s, sigma, output[k], x[k])) / sigma;
        x[k] += derivative * (down - sigma);
        if (noise)
            x[k] += noise[k] * up;
    }
}

/* Even evaluations predict, odd ones correct with the mean of both derivatives. saved: the previous sample; sum: its derivative. */
void sampler_heun(struct sampler *s, int i, const float *output, float *x)
{
    bool predict = s->evaluations % 2 == 0;
    float sigma = s->sigmas[predict ? i : i - 1], to = s->sigmas[predict ? i + 1 : i], here = predict ? sigma : to;
    for (size_t k = 0; k < s->n; k++) {
        float derivative = (x[k] - predict_x0(s, here, output[k], x[k])) / here;
        if (predict) {
            s->saved[k] = x[k];
            s->sum[k] = derivative;
        } else {
            derivative = (s->sum[k] + derivative) / 2.0f;
        }
        x[k] = s->saved[k] + derivative * (to - sigma);
    }
}
