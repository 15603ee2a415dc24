/* sampler_unipc.c - UniPCMultistepScheduler with predict_x0: each output first corrects the sample it was computed from, then predicts the
 * next. Source: Zhao et al. (2023), "UniPC", B(h) = h (bh1) or exp(h) - 1 (bh2); diffusers, scheduling_unipc_multistep.py.
 *
 *     x' = sigma'/sigma x - alpha' (e^hh - 1) m0 - alpha' B (sum rho_k D_k [+ rho_last (m_new - m0)]),  hh = -(lambda' - lambda)
 *     D_k = (m_k - m0) / r_k,  r_k = (lambda_k - lambda) / (lambda' - lambda)
 *
 * rho solves sum_j r_j^i rho_j = b_i. s->saved is the sample before the last prediction, s->sum scratch. */
#include "sampler_private.h"

#include <math.h>

#define ORDERS 3

/* Solve a[n][n] rho = b by Gauss-Jordan elimination with pivoting; the solution is in b. a is a Vandermonde matrix of different r: never
 * singular. */
static void solve(double a[ORDERS][ORDERS], double b[ORDERS], int n)
{
    for (int p = 0; p < n; p++) {
        int best = p;
        for (int r = p + 1; r < n; r++)
            best = fabs(a[r][p]) > fabs(a[best][p]) ? r : best;
        for (int c = 0; c < n; c++) {
            double t = a[p][c];
            a[p][c] = a[best][c];
            a[best][c] = t;
        }
        double t = b[p];
        b[p] = b[best];
        b[best] = t;
        for (int r = 0; r < n; r++) {
            double f = r == p ? 0 : a[r][p] / a[p][p];
            for (int c = 0; c < n; c++)
                a[r][c] -= f * a[p][c];
            b[r] -= f * b[p];
        }
    }
    for (int p = 0; p < n; p++)
        b[p] /= a[p][p];
}

struct step {
    float scale, x0, rest; /* x' = scale x - clean m0 - rest (sum rho_k D_k + ...) */
    float r[ORDERS], rho[ORDERS];
};

/* The step from sigmas[at] to sigmas[at + 1], with sigmas[at - k] of m_k; solves for `unknown` values of rho. */
static struct step make_step(const struct sampler *s, int at, int order, int unknown)
{
    struct step p = {0};
    struct sampler_level now = sampler_level(s->sigmas[at]), to = sampler_level(s->sigmas[at + 1]);
    float h = to.lambda - now.lambda, hh = -h, phi = expm1f(hh), b = s->config.bh1 ? hh : phi, phi_k = phi / hh - 1.0f, factorial = 1;
    double rows[ORDERS][ORDERS] = {{0}}, right[ORDERS] = {0};
    for (int k = 1; k < order; k++)
        p.r[k - 1] = (sampler_level(s->sigmas[at - k]).lambda - now.lambda) / h;
    p.r[order - 1] = 1;
    for (int i = 0; i < order; i++) {
        for (int j = 0; j < order; j++)
            rows[i][j] = pow((double)p.r[j], i);
        right[i] = (double)(phi_k * factorial / b);
        factorial *= (float)(i + 2);
        phi_k = phi_k / hh - 1.0f / factorial;
    }
    if (unknown > 1)
        solve(rows, right, unknown);
    else
        right[0] = 0.5; /* as in diffusers; exact to this order */
    for (int i = 0; i < unknown; i++)
        p.rho[i] = (float)right[i];
    p.scale = to.sigma / now.sigma;
    p.x0 = to.alpha * phi;
    p.rest = to.alpha * b;
    return p;
}

/* Sum of rho_k D_k over the previous outputs, at element k. */
static float sum_differences(const struct sampler *s, const struct step *p, int order, size_t k)
{
    float sum = 0;
    for (int j = 1; j < order; j++)
        sum += p->rho[j - 1] * ((s->history[j][k] - s->history[0][k]) / p->r[j - 1]);
    return sum;
}

void sampler_unipc(struct sampler *s, int i, const float *output, float *x)
{
    struct sampler_level now = sampler_level(s->sigmas[i]);
    bool correct = s->evaluations > 0;
    struct step c = {0};
    if (correct)
        c = make_step(s, i - 1, s->order, s->order);
    for (size_t k = 0; k < s->n; k++) {
        float x0 = sampler_predict_x0(s, now, output[k], x[k]);
        if (correct) {
            float m0 = s->history[0][k], change = sum_differences(s, &c, s->order, k) + c.rho[s->order - 1] * (x0 - m0);
            x[k] = c.scale * s->saved[k] - c.x0 * m0 - c.rest * change;
        }
        s->sum[k] = x0;
    }
    sampler_push_output(s, s->sum, s->config.solver_order - 1);
    int left = s->config.lower_order_final ? s->count - i : ORDERS;
    s->order = MIN(MIN(s->config.solver_order, left), s->evaluations + 1);
    struct step p = make_step(s, i, s->order, s->order - 1);
    for (size_t k = 0; k < s->n; k++) {
        s->saved[k] = x[k];
        x[k] = p.scale * x[k] - p.x0 * s->history[0][k];
        if (s->order > 1)
            x[k] -= p.rest * sum_differences(s, &p, s->order, k);
    }
}
