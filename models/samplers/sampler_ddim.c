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

/* alphas_cumprod, or the final value before the first timestep */
static float alpha_at(const struct sampler *s, int t)
{
    return t >= 0 ? s->alphas[t] : s->final_alpha;
}

void sampler_ddim(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    int t = (int)s->times[i];
    float a = s->alphas[t], next = alpha_at(s, t - s->config.train_steps / s->steps);
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

/* ---- pndm ---- */

/* Formula 9: from timestep t to `next`, in place. */
static void transfer(const struct sampler *s, int t, int next, const float *output, const float *from, float *x)
{
    float a = s->alphas[t], b = alpha_at(s, next), root = sqrtf(a), other = sqrtf(1.0f - a);
    float scale = sqrtf(b / a), divisor = a * sqrtf(1.0f - b) + sqrtf(a * (1.0f - a) * b);
    bool v = s->config.prediction == SAMPLER_V_PREDICTION;
    for (size_t k = 0; k < s->n; k++) {
        float o = v ? root * output[k] + other * from[k] : output[k];
        x[k] = scale * from[k] - (b - a) * o / divisor;
    }
}

/* Runge-Kutta: four evaluations between two timesteps; their outputs are summed with weights 1/6 1/3 1/3 1/6. */
static void step_prk(struct sampler *s, int i, const float *output, float *x)
{
    int half = s->config.train_steps / s->steps / 2, turn = s->evaluations % 4;
    int t = (int)s->times[s->evaluations / 4 * 4], next = (int)s->times[i] - (s->evaluations % 2 ? 0 : half);
    float weight = turn == 0 || turn == 3 ? (float)(1.0 / 6) : (float)(1.0 / 3);
    if (turn == 0) {
        sampler_remember(s, output, SAMPLER_HISTORY - 1);
        for (size_t k = 0; k < s->n; k++) {
            s->saved[k] = x[k];
            s->sum[k] = 0;
        }
    }
    for (size_t k = 0; k < s->n; k++)
        s->sum[k] += weight * output[k];
    transfer(s, t, next, turn == 3 ? s->sum : output, s->saved, x);
}

static void step_plms(struct sampler *s, int i, const float *output, float *x)
{
    int step = s->config.train_steps / s->steps, t = (int)s->times[i], next = t - step;
    bool again = s->config.skip_prk && s->evaluations == 1; /* the first step once more, with the outputs of both its ends */
    if (again) {
        next = t;
        t += step; /* not above the timestep before: every spacing leaves at least `step` between two */
    } else {
        sampler_remember(s, output, SAMPLER_HISTORY - 1);
    }
    float *const *h = s->history;
    const float *from = again ? s->saved : x;
    for (size_t k = 0; k < s->n; k++) {
        if (s->config.skip_prk && s->evaluations == 0)
            s->saved[k] = x[k];
        if (again)
            s->sum[k] = (output[k] + h[0][k]) / 2.0f;
        else if (s->history_count == 1)
            s->sum[k] = output[k];
        else if (s->history_count == 2)
            s->sum[k] = (3.0f * h[0][k] - h[1][k]) / 2.0f;
        else if (s->history_count == 3)
            s->sum[k] = (23.0f * h[0][k] - 16.0f * h[1][k] + 5.0f * h[2][k]) / 12.0f;
        else
            s->sum[k] = (float)(1.0 / 24) * (55.0f * h[0][k] - 59.0f * h[1][k] + 37.0f * h[2][k] - 9.0f * h[3][k]);
    }
    transfer(s, t, next, s->sum, from, x);
}

void sampler_pndm(struct sampler *s, int i, const float *output, float *x)
{
    /* diffusers counts evaluations, not timesteps: a run that begins later (strength) has the same beginnings there */
    if (!s->config.skip_prk && s->evaluations < 12)
        step_prk(s, i, output, x);
    else
        step_plms(s, i, output, x);
}
