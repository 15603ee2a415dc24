/* sampler_schedule.c - the noise schedule of training, and the timesteps and sigmas of a run (set_timesteps).
 *
 *     betas -> alphas = 1 - beta -> alphas_cumprod (float, accumulated in double, as torch.cumprod)
 *     sigma(t) = sqrt((1 - alphas_cumprod[t]) / alphas_cumprod[t]), linear between timesteps (numpy.interp, double)
 *
 * Source: diffusers, schedulers/scheduling_*.py (__init__ and set_timesteps); "Common diffusion noise schedules and sample steps are
 * flawed" (Lin et al., 2023) for the spacings and the rescale to zero terminal SNR; Karras et al. (2022), eq. 5, for karras sigmas.
 * numpy rounds halves to even, as rint does. */
#include "sampler_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846
#define KARRAS_RHO 7.0

/* ---- training ---- */

/* torch.linspace in float32, which computes from both ends to the middle */
static void linspace32(float *out, int n, double first, double last)
{
    float a = (float)first, b = (float)last, step = n > 1 ? (b - a) / (float)(n - 1) : 0;
    for (int i = 0; i < n; i++)
        out[i] = i < n / 2 || n == 1 ? a + step * (float)i : b - step * (float)(n - 1 - i);
}

static double alpha_bar(double t)
{
    double c = cos((t + 0.008) / 1.008 * PI / 2);
    return c * c;
}

static void cumulative_product(float *alphas, const float *betas, int n)
{
    double product = 1;
    for (int i = 0; i < n; i++) {
        product *= (double)(1.0f - betas[i]);
        alphas[i] = (float)product;
    }
}

/* rescale_zero_terminal_snr: shift and scale sqrt(alphas_cumprod) so that the last is 0 and the first is unchanged. alphas: scratch. */
static void rescale_zero_snr(float *betas, float *alphas, int n)
{
    cumulative_product(alphas, betas, n);
    float first = sqrtf(alphas[0]), last = sqrtf(alphas[n - 1]), scale = first / (first - last);
    for (int i = 0; i < n; i++) {
        float root = (sqrtf(alphas[i]) - last) * scale;
        alphas[i] = root * root;
    }
    betas[0] = 1.0f - alphas[0];
    for (int i = 1; i < n; i++)
        betas[i] = 1.0f - alphas[i] / alphas[i - 1];
}

static clio_status read_betas(clio_context *ctx, float *betas, int n, enum sampler_method method, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    json_t *trained = json_object_get(file->root, "trained_betas");
    const char *schedule;
    double first, last;
    bool is_sd_default = method == SAMPLER_LCM || method == SAMPLER_HEUN; /* these two have Stable Diffusion's betas as defaults */
    TRY(sampler_number(ctx, file, "beta_start", 0, 1, is_sd_default ? 0.00085 : 0.0001, &first));
    TRY(sampler_number(ctx, file, "beta_end", 0, 1, is_sd_default ? 0.012 : 0.02, &last));
    TRY(json_text(ctx, file, "beta_schedule", method == SAMPLER_LCM ? "scaled_linear" : "linear", &schedule));
    if (trained && !json_is_null(trained)) {
        if (!json_is_array(trained) || json_array_size(trained) != (size_t)n)
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: \"trained_betas\" must be a list of num_train_timesteps (%d) numbers", file->path, n);
        for (int i = 0; i < n; i++)
            betas[i] = (float)json_number_value(json_array_get(trained, (size_t)i));
    } else if (strcmp(schedule, "linear") == 0) {
        linspace32(betas, n, first, last);
    } else if (strcmp(schedule, "scaled_linear") == 0) {
        linspace32(betas, n, sqrt(first), sqrt(last));
        for (int i = 0; i < n; i++)
            betas[i] *= betas[i];
    } else if (strcmp(schedule, "squaredcos_cap_v2") == 0) {
        for (int i = 0; i < n; i++)
            betas[i] = (float)fmin(1 - alpha_bar((double)(i + 1) / n) / alpha_bar((double)i / n), 0.999);
    } else {
        FAIL(
            ctx, CLIO_ERROR_UNSUPPORTED,
            "%s: \"beta_schedule\" is \"%.64s\", which is not supported (supported: linear, scaled_linear, squaredcos_cap_v2): use another "
            "model",
            file->path, schedule);
    }
    for (int i = 0; i < n; i++)
        if (!(betas[i] > 0 && betas[i] < 1))
            FAIL(ctx, CLIO_ERROR_FORMAT, "%s: beta %d of the noise schedule is %g, but must lie between 0 and 1: download the file again",
                 file->path, i, (double)betas[i]);
fail:
    return st;
}

clio_status sampler_alphas(clio_context *ctx, struct sampler *s, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    const struct sampler_config *c = &s->config;
    int n = c->train_steps;
    float *betas = NULL;
    TRY(mem_alloc(ctx, &betas, (size_t)n, sizeof *betas));
    TRY(mem_alloc(ctx, &s->alphas, (size_t)n, sizeof *s->alphas));
    TRY(read_betas(ctx, betas, n, c->method, file));
    if (c->zero_snr && n < 2)
        FAIL(ctx, CLIO_ERROR_FORMAT, "%s: rescale_betas_zero_snr needs more than one training timestep", file->path);
    if (c->zero_snr)
        rescale_zero_snr(betas, s->alphas, n);
    cumulative_product(s->alphas, betas, n);
    if (c->zero_snr && c->method >= SAMPLER_EULER)
        s->alphas[n - 1] = 0x1p-24f; /* keeps sigma finite */
    s->final_alpha = c->alpha_to_one ? 1.0f : s->alphas[0];
    for (int i = 0; i < n; i++)
        if (!(s->alphas[i] > 0) && (c->method >= SAMPLER_EULER || !c->zero_snr || i < n - 1))
            FAIL(ctx, CLIO_ERROR_UNSUPPORTED, "%s: alphas_cumprod is 0 at timestep %d of %d: check beta_start, beta_end and beta_schedule",
                 file->path, i, n);
fail:
    free(betas);
    return st;
}

/* ---- inference ---- */

/* Descending timesteps, not yet rounded to float; total: num_train_timesteps, or less with dpm's lambda_min_clipped. The multistep solvers
 * compute one step more and drop the last, which is 0. */
static void space_timesteps(const struct sampler_config *c, double *t, int steps, int total)
{
    bool extra = c->method >= SAMPLER_DPM, is_integer = c->method < SAMPLER_EULER || extra;
    int n = steps + extra;
    if (c->spacing == SAMPLER_LINSPACE) {
        for (int i = 0; i < steps; i++) {
            int index = n - 1 - i; /* numpy.linspace(0, total - 1, n) */
            double value = n == 1 ? 0 : index == n - 1 ? total - 1 : index * ((total - 1.0) / (n - 1));
            t[i] = is_integer ? rint(value) : value;
        }
    } else if (c->spacing == SAMPLER_LEADING) {
        int ratio = total / n;
        for (int i = 0; i < steps; i++)
            t[i] = (double)(n - 1 - i) * ratio + c->steps_offset;
    } else { /* numpy.arange(total, 0, -ratio), whose step is the rounded difference of its first two values. For some numbers of
              * steps (61, 103, ...) rounding adds one value, timestep -1, which is dropped */
        double ratio = (double)c->train_steps / steps, step = total - ratio - total;
        for (int i = 0; i < steps; i++)
            t[i] = rint(total + i * step) - 1;
    }
}

/* LCM: evenly spaced among the original_inference_steps of the distillation. */
static void space_lcm(const struct sampler_config *c, double *t, int steps)
{
    int ratio = c->train_steps / c->original_steps;
    for (int i = 0; i < steps; i++) {
        int index = (int)floor(i * ((double)c->original_steps / steps));
        t[i] = (double)(c->original_steps - index) * ratio - 1;
    }
}

static float training_sigma(const struct sampler *s, int t)
{
    return sqrtf((1.0f - s->alphas[t]) / s->alphas[t]);
}

static double sigma_at(const struct sampler *s, double t)
{
    int last = s->config.train_steps - 1, low = (int)t;
    if (low >= last)
        return (double)training_sigma(s, last);
    double a = (double)training_sigma(s, low), b = (double)training_sigma(s, low + 1);
    return (b - a) * (t - low) + a;
}

/* _sigma_to_t: the timestep of a sigma, interpolated linearly in log sigma. */
static double sigma_to_t(const struct sampler *s, double sigma)
{
    double wanted = log(fmax(sigma, 1e-10));
    int low = 0, end = s->config.train_steps - 1; /* low: the last timestep with at most this sigma, or 0; sigmas do not decrease */
    while (low + 1 < end) {
        int middle = low + (end - low) / 2;
        if ((double)logf(training_sigma(s, middle)) <= wanted)
            low = middle;
        else
            end = middle;
    }
    float a = logf(training_sigma(s, low)), b = logf(training_sigma(s, low + 1));
    double w = fmin(fmax(((double)a - wanted) / (double)(a - b), 0), 1);
    return (1 - w) * low + w * (low + 1);
}

/* Karras or exponential sigmas over the same range, and their timesteps. */
static void space_sigmas(const struct sampler *s, double *t, double *sigma, int steps)
{
    const struct sampler_config *c = &s->config;
    bool solver = c->method >= SAMPLER_DPM; /* these use the range of training, the others that of the plain schedule */
    double low = solver ? (double)training_sigma(s, 0) : sigma[steps - 1];
    double high = solver ? (double)training_sigma(s, c->train_steps - 1) : sigma[0];
    low = c->sigma_min > 0 ? c->sigma_min : low;
    high = c->sigma_max > 0 ? c->sigma_max : high;
    for (int i = 0; i < steps; i++) {
        double ramp = steps == 1 ? 0 : i == steps - 1 ? 1 : i * (1.0 / (steps - 1));
        if (c->sigmas == SAMPLER_SIGMAS_KARRAS) {
            double a = pow(low, 1 / KARRAS_RHO), b = pow(high, 1 / KARRAS_RHO);
            sigma[i] = pow(b + ramp * (a - b), KARRAS_RHO);
        } else {
            double a = log(low), b = log(high);
            sigma[i] = exp(i == steps - 1 && steps > 1 ? a : b + ramp * (a - b));
        }
        t[i] = sigma_to_t(s, sigma[i]);
    }
}

static bool is_cosine(const struct json_file *file)
{
    const char *schedule = json_string_value(json_object_get(file->root, "beta_schedule"));
    return schedule && strcmp(schedule, "squaredcos_cap_v2") == 0;
}

/* The solvers use integer timesteps: rounded for karras sigmas (except dpm with the cosine schedule), truncated otherwise. */
static void round_timesteps(const struct sampler *s, double *t, int steps, const struct json_file *file)
{
    bool rounded = s->config.sigmas == SAMPLER_SIGMAS_KARRAS && !(s->config.method == SAMPLER_DPM && is_cosine(file));
    for (int i = 0; i < steps && s->config.method >= SAMPLER_DPM; i++)
        t[i] = rounded ? rint(t[i]) : trunc(t[i]);
}

/* lambda_min_clipped of dpm: leave out the noisiest timesteps, whose lambda is below it. */
static int clipped_total(const struct sampler *s)
{
    int total = s->config.train_steps;
    if (s->config.method == SAMPLER_DPM)
        while (total > 1 && (double)(logf(sqrtf(s->alphas[total - 1])) - logf(sqrtf(1.0f - s->alphas[total - 1]))) < s->config.lambda_min)
            total--;
    return total;
}

/* Set s->sigmas and s->times from one sigma and timestep per step. */
static void set_sigmas(struct sampler *s, const double *t, const double *sigma)
{
    int steps = s->steps;
    float last = s->config.final_sigma_min ? training_sigma(s, 0) : 0;
    if (s->config.method == SAMPLER_HEUN) { /* each level except the first occurs twice: to predict and to correct */
        for (int i = 0; i < s->count; i++) {
            s->times[i] = (float)t[(i + 1) / 2];
            s->sigmas[i] = (float)sigma[(i + 1) / 2];
        }
    } else {
        for (int i = 0; i < steps; i++) {
            s->times[i] = (float)t[i];
            s->sigmas[i] = (float)sigma[i];
        }
    }
    s->sigmas[s->count] = last;
    if (s->config.method < SAMPLER_DPM) {
        float max_sigma = s->sigmas[0];
        for (int i = 1; i < s->count; i++)
            max_sigma = fmaxf(max_sigma, s->sigmas[i]);
        s->init_noise_sigma = s->config.spacing == SAMPLER_LEADING ? sqrtf(max_sigma * max_sigma + 1.0f) : max_sigma;
    }
}

/* PNDM; t: descending. With skip_prk_steps the second timestep occurs twice. Without, the first three steps have four evaluations each, at
 * t0 h0 h0 t1, t1 h1 h1 t2, t2 h2 h2 t3, with h the midpoints. */
static void set_pndm(struct sampler *s, const double *t)
{
    int at = 0, half = s->config.train_steps / s->steps / 2;
    if (s->config.skip_prk) {
        for (int i = 0; i < s->steps; i++) {
            s->times[at++] = (float)t[i];
            if (i == 1)
                s->times[at++] = (float)t[i];
        }
        return;
    }
    for (int i = 0; i < 3; i++) {
        s->times[at++] = (float)t[i];
        s->times[at++] = (float)(t[i + 1] + half);
        s->times[at++] = (float)(t[i + 1] + half);
        s->times[at++] = (float)t[i + 1];
    }
    for (int i = 3; i < s->steps; i++)
        s->times[at++] = (float)t[i];
}

static int evaluations(const struct sampler *s)
{
    if (s->config.method == SAMPLER_HEUN)
        return 2 * s->steps - 1;
    if (s->config.method != SAMPLER_PNDM)
        return s->steps;
    return s->config.skip_prk ? s->steps + (s->steps > 1) : s->steps + 9;
}

static clio_status check_steps(clio_context *ctx, const struct sampler *s)
{
    clio_status st = CLIO_OK;
    const struct sampler_config *c = &s->config;
    if (s->steps < 1)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "steps is %d: it must be from 1 to %d", s->steps, c->train_steps);
    if (s->steps > c->train_steps)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "steps is %d, more than the %d timesteps of the model's training: use fewer", s->steps,
             c->train_steps);
    if (c->method == SAMPLER_LCM && s->steps > c->original_steps)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "steps is %d, more than the %d (original_inference_steps) that lcm chooses from: use fewer",
             s->steps, c->original_steps);
    if (c->method == SAMPLER_PNDM && !c->skip_prk && s->steps < 4)
        FAIL(ctx, CLIO_ERROR_ARGUMENT, "pndm with Runge-Kutta steps (skip_prk_steps is off) needs at least 4 steps, not %d", s->steps);
fail:
    return st;
}

/* Every timestep must be one of training; solvers need different noise levels. */
static clio_status check_schedule(clio_context *ctx, const struct sampler *s)
{
    clio_status st = CLIO_OK;
    const struct sampler_config *c = &s->config;
    for (int i = 0; i < s->count; i++) {
        float t = s->times[i];
        if (!(t >= 0 && t <= (float)(c->train_steps - 1)) ||
            (c->method >= SAMPLER_DPM && !(s->sigmas[i + 1] < s->sigmas[i]) && !(c->method == SAMPLER_DPM && i == s->count - 1)))
            FAIL(ctx, CLIO_ERROR_ARGUMENT, "steps is %d, too many for %s with this model's timesteps: use fewer", s->steps, s->method);
    }
    if (c->method < SAMPLER_EULER && c->prediction == SAMPLER_EPSILON && !(s->alphas[(int)s->times[0]] > 0))
        FAIL(ctx, CLIO_ERROR_UNSUPPORTED,
             "%s cannot begin at pure noise (rescale_betas_zero_snr) with a model that predicts epsilon: choose the sampler euler",
             s->method);
fail:
    return st;
}

clio_status sampler_schedule(clio_context *ctx, struct sampler *s, const struct json_file *file)
{
    clio_status st = CLIO_OK;
    const struct sampler_config *c = &s->config;
    double *t = NULL, *sigma = NULL;
    TRY(check_steps(ctx, s));
    s->count = evaluations(s);
    s->init_noise_sigma = 1;
    TRY(mem_alloc(ctx, &t, (size_t)s->steps, sizeof *t));
    TRY(mem_alloc(ctx, &sigma, (size_t)s->steps, sizeof *sigma));
    TRY(mem_alloc(ctx, &s->times, (size_t)s->count, sizeof *s->times));
    TRY(mem_alloc(ctx, &s->sigmas, (size_t)s->count + 1, sizeof *s->sigmas));
    if (c->method == SAMPLER_LCM)
        space_lcm(c, t, s->steps);
    else
        space_timesteps(c, t, s->steps, clipped_total(s));
    if (c->method == SAMPLER_PNDM) {
        set_pndm(s, t);
    } else if (c->method < SAMPLER_EULER) {
        for (int i = 0; i < s->steps; i++)
            s->times[i] = (float)t[i];
    } else {
        for (int i = 0; i < s->steps; i++) {
            if (c->method < SAMPLER_DPM)
                t[i] = (double)(float)t[i];
            sigma[i] = sigma_at(s, fmax(t[i], 0));
        }
        if (c->sigmas != SAMPLER_SIGMAS_PLAIN && c->train_steps > 1)
            space_sigmas(s, t, sigma, s->steps);
        round_timesteps(s, t, s->steps, file);
        set_sigmas(s, t, sigma);
    }
    s->timesteps = s->times;
    TRY(check_schedule(ctx, s));
fail:
    free(t);
    free(sigma);
    return st;
}
