/* sampler.c - create a sampler and run its steps. See sampler.h. */
#include "sampler_private.h"

#include <math.h>
#include <stdlib.h>

/* ---- creation ---- */

/* First step of the loop: StableDiffusionImg2ImgPipeline.get_timesteps. */
static clio_status set_begin_index(clio_context *ctx, struct sampler *s, double strength)
{
    clio_status st = CLIO_OK;
    s->first = 0;
    if (strength != 0) {
        if (!(strength > 0 && strength <= 1))
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "strength is %g: it must be above 0 and at most 1", strength);
        int init_timestep = (int)(s->steps * strength);
        if (init_timestep < 1)
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "strength is %g, which leaves none of the %d steps: use a greater strength or more steps",
                 strength, s->steps);
        s->first = (s->steps - init_timestep) * (s->config.method == SAMPLER_HEUN ? 2 : 1);
    }
    if (s->config.method == SAMPLER_PNDM && !s->config.skip_prk && s->first > 0)
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "pndm with Runge-Kutta steps (skip_prk_steps is off) cannot begin at an image: choose another sampler (%s)",
             sampler_methods());
fail:
    return st;
}

static clio_status allocate(clio_context *ctx, struct sampler *s)
{
    clio_status st = CLIO_OK;
    enum sampler_method m = s->config.method;
    int history = m == SAMPLER_PNDM ? 4 : m == SAMPLER_DPM || m == SAMPLER_UNIPC ? s->config.solver_order : 0;
    for (int i = 0; i < history; i++)
        TRY(mem_alloc(ctx, &s->history[i], s->n, sizeof(float)));
    if (m == SAMPLER_PNDM || m == SAMPLER_HEUN || m == SAMPLER_UNIPC) {
        TRY(mem_alloc(ctx, &s->saved, s->n, sizeof(float)));
        TRY(mem_alloc(ctx, &s->sum, s->n, sizeof(float)));
    }
    if (s->is_stochastic)
        TRY(mem_alloc(ctx, &s->noise, s->n, sizeof(float)));
fail:
    return st;
}

clio_status sampler_new(clio_context *ctx, struct sampler **out, const struct json_file *config, size_t n,
                        const struct sampler_options *options)
{
    clio_status st = CLIO_OK;
    struct sampler *s = NULL;
    *out = NULL;
    TRY(mem_alloc(ctx, &s, 1, sizeof *s));
    if (!(options->eta >= 0 && options->eta <= 1))
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "eta is %g: it must be from 0 to 1", options->eta);
    s->n = n;
    s->steps = options->steps;
    s->eta = options->eta;
    TRY(sampler_configure(ctx, s, config, options));
    TRY(sampler_alphas(ctx, s, config));
    TRY(sampler_schedule(ctx, s, config));
    TRY(set_begin_index(ctx, s, options->strength));
    enum sampler_method m = s->config.method;
    s->is_stochastic = m == SAMPLER_DDPM || m == SAMPLER_LCM || m == SAMPLER_EULER_A || (m == SAMPLER_DPM && s->config.sde) ||
                       (m == SAMPLER_DDIM && s->eta > 0);
    TRY(allocate(ctx, s));
    *out = s;
    s = NULL;
fail:
    sampler_free(s);
    return st;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    for (int i = 0; i < SAMPLER_HISTORY; i++)
        free(s->history[i]);
    free(s->saved);
    free(s->sum);
    free(s->noise);
    free(s->times);
    free(s->alphas);
    free(s->sigmas);
    free(s);
}

const char *sampler_prediction_name(enum sampler_prediction prediction)
{
    static const char *const names[] = {"epsilon", "v_prediction", "sample"};
    return names[prediction];
}

/* ---- the loop ---- */

int sampler_step_number(const struct sampler *s, int i)
{
    int n = i - s->first;
    if (s->config.method == SAMPLER_HEUN)
        return n / 2;
    if (s->config.method != SAMPLER_PNDM)
        return n;
    if (s->config.skip_prk)
        return MAX(n - 1, 0); /* the first step is evaluated twice, */
    return n < PRK_EVALUATIONS ? n / PRK_PER_STEP
                               : n - PRK_EVALUATIONS + PRK_EVALUATIONS / PRK_PER_STEP; /* or the first three four times */
}

void sampler_init_noise(const struct sampler *s, float *x)
{
    for (size_t k = 0; k < s->n; k++)
        x[k] *= s->init_noise_sigma;
}

void sampler_scale_input(const struct sampler *s, int i, float *out, const float *x)
{
    enum sampler_method m = s->config.method;
    bool scaled = m == SAMPLER_EULER || m == SAMPLER_EULER_A || m == SAMPLER_HEUN;
    float divisor = scaled ? sqrtf(s->sigmas[i] * s->sigmas[i] + 1.0f) : 1.0f;
    for (size_t k = 0; k < s->n; k++)
        out[k] = x[k] / divisor;
}

void sampler_add_noise(const struct sampler *s, int i, float *out, const float *latent, const float *noise)
{
    float signal = 1, strength;
    if (s->config.method < SAMPLER_EULER) {
        float a = s->alphas[(int)s->times[i]];
        signal = sqrtf(a);
        strength = sqrtf(1.0f - a);
    } else if (s->config.method < SAMPLER_DPM) {
        strength = s->sigmas[i];
    } else {
        struct sampler_level l = sampler_level(s->sigmas[i]);
        signal = l.alpha;
        strength = l.sigma;
    }
    for (size_t k = 0; k < s->n; k++)
        out[k] = signal * latent[k] + strength * noise[k];
}

/* One generator for the whole batch, or one per image. */
static void draw_noise(const struct sampler *s, const struct sampler_noise *noise)
{
    size_t each = s->n / (size_t)noise->count;
    for (int i = 0; i < noise->count; i++)
        random_normal(&noise->generators[i], s->noise + (size_t)i * each, each);
}

/* Draw the noise of evaluation i; NULL where diffusers draws none. */
static const float *noise_at(const struct sampler *s, int i, const struct sampler_noise *noise)
{
    enum sampler_method m = s->config.method;
    if (!s->is_stochastic || (m == SAMPLER_LCM && i == s->count - 1) || (m == SAMPLER_DDPM && s->times[i] == 0))
        return NULL;
    draw_noise(s, noise);
    return s->noise;
}

clio_status sampler_step(clio_context *ctx, struct sampler *s, int i, const float *model_output, float *x,
                         const struct sampler_noise *noise)
{
    clio_status st = CLIO_OK;
    int next = s->first + s->evaluations;
    if (i != next || i >= s->count)
        FAIL(ctx, CLIO_ERROR_INTERNAL, "sampler_step: evaluation %d where %d of %d was expected", i, next, s->count);
    if (s->is_stochastic && (!noise || noise->count < 1 || s->n % (size_t)noise->count))
        FAIL(ctx, CLIO_ERROR_INTERNAL, "sampler_step: %s needs a generator, or one per image", s->method);
    const float *z = noise_at(s, i, noise);
    switch (s->config.method) {
    case SAMPLER_PNDM:
        sampler_pndm(s, i, model_output, x);
        break;
    case SAMPLER_DDIM:
        sampler_ddim(s, i, model_output, x, z);
        break;
    case SAMPLER_DDPM:
        sampler_ddpm(s, i, model_output, x, z);
        break;
    case SAMPLER_LCM:
        sampler_lcm(s, i, model_output, x, z);
        break;
    case SAMPLER_EULER:
    case SAMPLER_EULER_A:
        sampler_euler(s, i, model_output, x, z);
        break;
    case SAMPLER_HEUN:
        sampler_heun(s, i, model_output, x);
        break;
    case SAMPLER_DPM:
        sampler_dpm(s, i, model_output, x, z);
        break;
    case SAMPLER_UNIPC:
        sampler_unipc(s, i, model_output, x);
        break;
    }
    s->evaluations++;
fail:
    return st;
}
