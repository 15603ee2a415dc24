/* sampler_ddim.c - the methods that go by a(t) = alphas_cumprod[t]: x(t) = sqrt(a) x0 + sqrt(1 - a) noise.
 *
 *     ddim   Song et al. (2020), formula 12:  x' = sqrt(a') x0 + sqrt(1 - a' - std^2) noise' + std z
 *     ddpm   Ho et al. (2020), formula 7
 *     pndm   Liu et al. (2022), formulas 9, 12, 13: a linear multistep rule over the last four outputs, begun by Runge-Kutta steps or, for
 *            Stable Diffusion (skip_prk_steps), by one step that is made twice
 *     lcm    Luo et al. (2023): jump to x0, add noise again
 *
 * Source: diffusers, scheduling_ddim.py, scheduling_ddpm.py, scheduling_pndm.py, scheduling_lcm.py (step). Float throughout, as there. */
#include "sampler_private.h"

#include <math.h>

/* The clean sample and the noise that `output` says x is made of. */
static void separate(const struct sampler *s, float a, float output, float x, float *clean, float *noise)
{
    float root = sqrtf(a), other = sqrtf(1.0f - a);
    if (s->config.prediction == SAMPLER_EPSILON) {
        *clean = (x - other * output) / root;
        *noise = output;
    } else if (s->config.prediction == SAMPLER_V_PREDICTION) {
        *clean = root * x - other * output;
        *noise = root * output + other * x;
    } else {
        *clean = output;
        *noise = (x - root * output) / other;
    }
    if (s->config.clip > 0) {
        float range = (float)s->config.clip;
        *clean = fminf(fmaxf(*clean, -range), range);
    }
}

void sampler_ddim(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    int t = (int)s->times[i];
    float a = s->alphas[t], next = sampler_alpha_at(s, t - s->config.train_steps / s->steps);
    float variance = (1.0f - next) / (1.0f - a) * (1.0f - a / next), deviation = (float)s->eta * sqrtf(variance);
    float to_clean = sqrtf(next), to_noise = sqrtf(1.0f - next - deviation * deviation);
    for (size_t k = 0; k < s->n; k++) {
        float clean, direction;
        separate(s, a, output[k], x[k], &clean, &direction);
        x[k] = to_clean * clean + to_noise * direction;
        if (noise)
            x[k] += deviation * noise[k];
    }
}

void sampler_ddpm(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    float a = s->alphas[(int)s->times[i]], next = i + 1 < s->count ? s->alphas[(int)s->times[i + 1]] : 1.0f;
    float alpha = a / next, beta = 1.0f - alpha;
    float to_clean = sqrtf(next) * beta / (1.0f - a), to_x = sqrtf(alpha) * (1.0f - next) / (1.0f - a);
    float variance = fmaxf((1.0f - next) / (1.0f - a) * beta, 1e-20f), deviation = sqrtf(variance);
    if (s->config.variance == SAMPLER_FIXED_LARGE)
        deviation = sqrtf(beta);
    else if (s->config.variance == SAMPLER_FIXED_SMALL_LOG)
        deviation = expf(0.5f * logf(variance));
    for (size_t k = 0; k < s->n; k++) {
        float clean, unused;
        separate(s, a, output[k], x[k], &clean, &unused);
        x[k] = to_clean * clean + to_x * x[k];
        if (noise)
            x[k] += deviation * noise[k];
    }
}

void sampler_lcm(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    int t = (int)s->times[i];
    float a = s->alphas[t], next = i + 1 < s->count ? s->alphas[(int)s->times[i + 1]] : a;
    /* boundary conditions of the consistency model, with sigma_data = 0.5 */
    float scaled = (float)t * (float)s->config.timestep_scaling, total = scaled * scaled + 0.25f;
    float skip = 0.25f / total, keep = scaled / sqrtf(total);
    for (size_t k = 0; k < s->n; k++) {
        float clean, unused;
        separate(s, a, output[k], x[k], &clean, &unused);
        x[k] = keep * clean + skip * x[k];
        if (noise)
            x[k] = sqrtf(next) * x[k] + sqrtf(1.0f - next) * noise[k];
    }
}
