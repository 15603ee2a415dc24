/* sampler_pndm.c - PNDMScheduler (Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds", formulas 9, 12, 13): a
 * linear multistep method over the last four outputs. It starts with Runge-Kutta steps or, with skip_prk_steps as for Stable Diffusion,
 * with one step that is evaluated twice. Source: diffusers, scheduling_pndm.py (step_prk, step_plms, _get_prev_sample). */
#include "sampler_private.h"

#include <math.h>

/* Formula 9, from timestep t to next: x from `from`; they may be equal. */
static void get_prev_sample(const struct sampler *s, int t, int next, const float *output, const float *from, float *x)
{
    float a = s->alphas[t], b = sampler_alpha_at(s, next), sqrt_alpha = sqrtf(a), sqrt_beta = sqrtf(1.0f - a);
    float scale = sqrtf(b / a), divisor = a * sqrtf(1.0f - b) + sqrtf(a * (1.0f - a) * b);
    bool v = s->config.prediction == SAMPLER_V_PREDICTION;
    for (size_t k = 0; k < s->n; k++) {
        float o = v ? sqrt_alpha * output[k] + sqrt_beta * from[k] : output[k];
        x[k] = scale * from[k] - (b - a) * o / divisor;
    }
}

/* Runge-Kutta: four evaluations per timestep; their outputs are summed with weights 1/6, 1/3, 1/3, 1/6. */
static void step_prk(struct sampler *s, int i, const float *output, float *x)
{
    int half = s->config.train_steps / s->steps / 2, turn = s->evaluations % PRK_PER_STEP;
    int t = (int)s->times[s->evaluations / PRK_PER_STEP * PRK_PER_STEP], next = (int)s->times[i] - (s->evaluations % 2 ? 0 : half);
    float weight = turn == 0 || turn == 3 ? (float)(1.0 / 6) : (float)(1.0 / 3);
    if (turn == 0) {
        sampler_push_output(s, output, SAMPLER_HISTORY - 1);
        for (size_t k = 0; k < s->n; k++) {
            s->saved[k] = x[k];
            s->sum[k] = 0;
        }
    }
    for (size_t k = 0; k < s->n; k++)
        s->sum[k] += weight * output[k];
    get_prev_sample(s, t, next, turn == 3 ? s->sum : output, s->saved, x);
}

static void step_plms(struct sampler *s, int i, const float *output, float *x)
{
    int step = s->config.train_steps / s->steps, t = (int)s->times[i], next = t - step;
    bool is_second = s->config.skip_prk && s->evaluations == 1; /* repeats the first step with the mean of both outputs */
    if (is_second) {
        next = t;
        t += step; /* at most the previous timestep: every spacing has at least `step` between two */
    } else {
        sampler_push_output(s, output, SAMPLER_HISTORY - 1);
    }
    float *const *h = s->history;
    const float *from = is_second ? s->saved : x;
    for (size_t k = 0; k < s->n; k++) {
        if (s->config.skip_prk && s->evaluations == 0)
            s->saved[k] = x[k];
        if (is_second)
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
    get_prev_sample(s, t, next, s->sum, from, x);
}

void sampler_pndm(struct sampler *s, int i, const float *output, float *x)
{
    /* as diffusers, count evaluations, not timesteps: with strength, a run starts in the same way */
    if (!s->config.skip_prk && s->evaluations < PRK_EVALUATIONS)
        step_prk(s, i, output, x);
    else
        step_plms(s, i, output, x);
}
