/* sampler_private.h - shared by sampler.c (creation, steps), sampler_config.c (scheduler_config.json), sampler_schedule.c (alphas,
 * timesteps, sigmas), and the methods: sampler_ddim.c, sampler_pndm.c, sampler_euler.c, sampler_dpm.c, sampler_unipc.c. */
#ifndef CLIO_MODELS_SAMPLERS_SAMPLER_PRIVATE_H
#define CLIO_MODELS_SAMPLERS_SAMPLER_PRIVATE_H

#include "sampler.h"

/* pndm without skip_prk_steps: evaluations of the Runge-Kutta steps, and of one of them. */
#define PRK_EVALUATIONS 12
#define PRK_PER_STEP 4

#include "../../host/core/mem.h"

/* Fill in s->config and s->method from the file, the class's defaults and the options. */
clio_status sampler_configure(clio_context *ctx, struct sampler *s, const struct json_file *file, const struct sampler_options *options);
/* Training schedule: s->alphas, s->final_alpha. */
clio_status sampler_alphas(clio_context *ctx, struct sampler *s, const struct json_file *file);
/* Inference schedule from the alphas: s->count, s->times, s->sigmas, s->init_noise_sigma. */
clio_status sampler_schedule(clio_context *ctx, struct sampler *s, const struct json_file *file);
/* A number; missing or null: `otherwise`. Infinities, which Python writes into JSON, are read as +-1e308. */
clio_status sampler_number(clio_context *ctx, const struct json_file *file, const char *key, double min, double max, double otherwise,
                           double *out);

/* One step of each method; x is updated in place. noise: drawn for stochastic methods, else NULL. */
void sampler_pndm(struct sampler *s, int i, const float *output, float *x);
void sampler_ddim(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_ddpm(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_lcm(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_euler(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_heun(struct sampler *s, int i, const float *output, float *x);
void sampler_dpm(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_unipc(struct sampler *s, int i, const float *output, float *x);

/* _sigma_to_alpha_sigma_t: alpha = 1 / sqrt(sigma^2 + 1), sigma' = sigma alpha, and lambda = log(alpha / sigma'). */
struct sampler_level {
    float alpha, sigma, lambda;
};
struct sampler_level sampler_level(float sigma);
/* alphas_cumprod[t]; final_alpha_cumprod for t < 0. */
float sampler_alpha_at(const struct sampler *s, int t);
/* convert_model_output of dpm and unipc: the predicted x0. */
float sampler_predict_x0(const struct sampler *s, struct sampler_level at, float output, float x);
/* Push `output` (NULL: the caller fills it in) to the front of the history, and keep `keep` older entries. Returns the new entry. */
float *sampler_push_output(struct sampler *s, const float *output, int keep);

#endif
