/* sampler_dpm.c - DPMSolverMultistepScheduler: DPM-Solver++ and SDE-DPM-Solver++ of order 1 to 3.
 * Source: Lu et al. (2022), "DPM-Solver++"; diffusers, scheduling_dpmsolver_multistep.py. With h = lambda(next) - lambda(now), m the
 * predictions of x0, newest first, and e = exp(-h) - 1:
 *
 *     x' = sigma'/sigma x - alpha' e m0 - alpha' e/2 D1              order 2, midpoint; D1 = (m0 - m1) h / h0
 *     x' = sigma'/sigma exp(-h) x + alpha' E m0 + alpha' E/2 D1 + sigma' sqrt(E) z       with noise; E = 1 - exp(-2h)
 *
 * Coefficients are float, as there. In a last step to sigma 0, h is infinite, and the formulas stay valid. */
#include "sampler_private.h"

#include <math.h>

/* x' = x X + d0 D0 + d1 D1 + d2 D2 + noise z */
struct coefficients {
    float x, d0, d1, d2, noise;
};

static struct coefficients step_coefficients(const struct sampler *s, struct sampler_level now, struct sampler_level to, int order)
{
    struct coefficients c = {0};
    float h = to.lambda - now.lambda, e = expf(-h) - 1.0f;
    bool heun = s->config.heun_solver || order == 3;
    if (!s->config.sde) {
        c.x = to.sigma / now.sigma;
        c.d0 = -(to.alpha * e);
        if (order > 1)
            c.d1 = heun ? to.alpha * (e / h + 1.0f) : -0.5f * (to.alpha * e);
        if (order > 2)
            c.d2 = -(to.alpha * ((e + h) / (h * h) - 0.5f));
        return c;
    }
    float both = 1.0f - expf(-2.0f * h);
    c.x = to.sigma / now.sigma * expf(-h);
    c.d0 = to.alpha * both;
    if (order > 1)
        c.d1 = heun ? to.alpha * (both / (-2.0f * h) + 1.0f) : 0.5f * (to.alpha * both);
    if (order > 2)
        c.d2 = to.alpha * ((both - 2.0f * h) / (4.0f * h * h) - 0.5f);
    c.noise = to.sigma * sqrtf(both);
    return c;
}

static int order_of(const struct sampler *s, int i)
{
    const struct sampler_config *c = &s->config;
    bool few = c->lower_order_final && s->count < 15;
    if (s->evaluations < 1 || (i == s->count - 1 && (c->euler_at_final || few || !c->final_sigma_min)))
        return 1;
    return MIN(c->solver_order, s->evaluations < 2 || (i == s->count - 2 && few) ? 2 : 3);
}

void sampler_dpm(struct sampler *s, int i, const float *output, float *x, const float *noise)
{
    struct sampler_level now = sampler_level(s->sigmas[i]), to = sampler_level(s->sigmas[i + 1]);
    int order = order_of(s, i);
    struct coefficients c = step_coefficients(s, now, to, order);
    float *m0 = sampler_push_output(s, NULL, s->config.solver_order - 1), *const *m = s->history;
    float h = to.lambda - now.lambda, r0 = 1, r1 = 1;
    if (order > 1)
        r0 = (now.lambda - sampler_level(s->sigmas[i - 1]).lambda) / h;
    if (order > 2)
        r1 = (sampler_level(s->sigmas[i - 1]).lambda - sampler_level(s->sigmas[i - 2]).lambda) / h;
    for (size_t k = 0; k < s->n; k++) {
        m0[k] = sampler_predict_x0(s, now, output[k], x[k]);
        float next = c.x * x[k] + c.d0 * m0[k];
        if (order > 1) {
            float first = 1.0f / r0 * (m0[k] - m[1][k]), d1 = first;
            if (order > 2) {
                float change = first - 1.0f / r1 * (m[1][k] - m[2][k]);
                d1 = first + r0 / (r0 + r1) * change;
                next += c.d2 * (1.0f / (r0 + r1) * change);
            }
            next += c.d1 * d1;
        }
        x[k] = noise ? next + c.noise * noise[k] : next;
    }
}
