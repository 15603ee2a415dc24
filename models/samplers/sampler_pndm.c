/* sampler_pndm.c - PNDM (Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds"). */
#include "sampler_private.h"

#include <math.h>

/* Formula 9: from timestep t to `next`, in place. */
static void transfer(const struct sampler *s, int t, int next, const float *output, const float *from, float *x)
{
    float a = s->alphas[t], b = sampler_alpha_at(s, next), root = sqrtf(a), other = sqrtf(1.0f - a);
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
