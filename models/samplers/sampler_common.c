/* sampler_common.c - shared by the samplers: noise levels, prediction of x0, history of outputs. */
#include "sampler_private.h"

#include <math.h>
#include <string.h>

struct sampler_level sampler_level(float sigma)
{
    struct sampler_level l;
    l.alpha = 1.0f / sqrtf(sigma * sigma + 1.0f);
    l.sigma = sigma * l.alpha;
    l.lambda = logf(l.alpha) - logf(l.sigma);
    return l;
}

float sampler_predict_x0(const struct sampler *s, struct sampler_level at, float output, float x)
{
    if (s->config.prediction == SAMPLER_EPSILON)
        return (x - at.sigma * output) / at.alpha;
    return s->config.prediction == SAMPLER_V_PREDICTION ? at.alpha * x - at.sigma * output : output;
}

float *sampler_push_output(struct sampler *s, const float *output, int keep)
{
    float *first = s->history[keep];
    for (int i = keep; i > 0; i--)
        s->history[i] = s->history[i - 1];
    s->history[0] = first;
    s->history_count = MIN(s->history_count + 1, keep + 1);
    if (output)
        memcpy(first, output, s->n * sizeof *first);
    return first;
}

float sampler_alpha_at(const struct sampler *s, int t)
{
    return t >= 0 ? s->alphas[t] : s->final_alpha;
}
