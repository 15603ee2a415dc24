/* sampler_ddim.c - DDIMScheduler, DDPMScheduler, LCMScheduler. With a = alphas_cumprod[t], x(t) = sqrt(a) x0 + sqrt(1 - a) noise.
 *
 *     ddim   Song et al. (2020), formula 12:  x' = sqrt(a') x0 + sqrt(1 - a' - std^2) noise' + std z
 *     ddpm   Ho et al. (2020), formula 7
 *     lcm    Luo et al. (2023): predict x0, then add the noise of the next timestep
 *
 * Source: diffusers, scheduling_ddim.py, scheduling_ddpm.py, scheduling_lcm.py (step). All in float, as there. */
#include "sampler_private.h"

#include <math.h>

/* pred_original_sample x0 and pred_epsilon of the output. */
static void predict_x0_and_noise(const struct sampler *s, float a, float output, float x, float *x0, float *noise)
{
    float sqrt_alpha = sqrtf(a), sqrt_beta = sqrtf(1.0f - a);
    if (s->config.prediction == SAMPLER_EPSILON) {
        *x0 = (x - sqrt_beta * output) / sqrt_alpha;
        *noise = output;
    } else if (s->config.prediction == SAMPLER_V_PREDICTION) {
        *x0 = sqrt_alpha * x - sqrt_beta * output;
        *noise = sqrt_alpha * output + sqrt_beta * x;
    } else {
        *x0 = output;
        *noise = (x - sqrt_alpha * output) / sqrt_beta;
    }
    if (s->config.clip > 0) {
        float range = (float)s->config.clip;
        *x0 = fminf(fmaxf(*x0, -range), range);
    }
}

void sampler_ddim(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    int t = (int)s->times[i];
    float a = s->alphas[t], next = sampler_alpha_at(s, t - s->config.train_steps / s->steps);
    float variance = (1.0f - next) / (1.0f - a) * (1.0f - a / next), std = (float)s->eta * sqrtf(variance);
    float x0_coefficient = sqrtf(next), noise_coefficient = sqrtf(1.0f - next - std * std);
    for (size_t k = 0; k < s->n; k++) {
        float x0, direction;
        predict_x0_and_noise(s, a, output[k], x[k], &x0, &direction);
        x[k] = x0_coefficient * x0 + noise_coefficient * direction;
        if (noise)
            x[k] += std * noise[k];
    }
}

void sampler_ddpm(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    float a = s->alphas[(int)s->times[i]], next = i + 1 < s->count ? s->alphas[(int)s->times[i + 1]] : 1.0f;
    float alpha = a / next, beta = 1.0f - alpha;
    float x0_coefficient = sqrtf(next) * beta / (1.0f - a), x_coefficient = sqrtf(alpha) * (1.0f - next) / (1.0f - a);
    float variance = fmaxf((1.0f - next) / (1.0f - a) * beta, 1e-20f), std = sqrtf(variance);
    if (s->config.variance == SAMPLER_FIXED_LARGE)
        std = sqrtf(beta);
    else if (s->config.variance == SAMPLER_FIXED_SMALL_LOG)
        std = expf(0.5f * logf(variance));
    for (size_t k = 0; k < s->n; k++) {
        float x0, unused;
        predict_x0_and_noise(s, a, output[k], x[k], &x0, &unused);
        x[k] = x0_coefficient * x0 + x_coefficient * x[k];
        if (noise)
            x[k] += std * noise[k];
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
        float x0, unused;
        predict_x0_and_noise(s, a, output[k], x[k], &x0, &unused);
        x[k] = keep * x0 + skip * x[k];
        if (noise)
            x[k] = sqrtf(next) * x[k] + sqrtf(1.0f - next) * noise[k];
    }
}
