/* sampler_private.h - what the files of the sampler share: sampler.c (making, stepping), sampler_config.c (reading the configuration),
 * sampler_schedule.c (alphas, timesteps, sigmas), sampler_alpha.c, sampler_sigma.c, sampler_dpm.c, sampler_unipc.c (the methods). */
#ifndef CLIO_MODELS_SAMPLERS_SAMPLER_PRIVATE_H
#define CLIO_MODELS_SAMPLERS_SAMPLER_PRIVATE_H

#include "sampler.h"

#include "../../host/core/mem.h"

/* Fill in s->config (method, too) and s->method from the file, the class's defaults and the options. */
clio_status sampler_configure(clio_context *ctx, struct sampler *s, const struct json_file *file, const struct sampler_options *options);
/* Training schedule: s->alphas, s->final_alpha. */
clio_status sampler_alphas(clio_context *ctx, struct sampler *s, const struct json_file *file);
/* Inference schedule from the alphas: s->count, s->times, s->sigmas, s->init_noise_sigma. */
clio_status sampler_schedule(clio_context *ctx, struct sampler *s, const struct json_file *file);
/* A number; absent or null: `otherwise`. Infinities, which Python writes into JSON, arrive as +-1e308. */
clio_status sampler_number(clio_context *ctx, const struct json_file *file, const char *key, double min, double max, double otherwise,
                           double *out);

/* One step of each method; `noise` is a fresh draw for stochastic ones, NULL where none was needed. x changes in place. */
void sampler_pndm(struct sampler *s, int i, const float *output, float *x);
void sampler_ddim(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_ddpm(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_lcm(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_euler(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_heun(struct sampler *s, int i, const float *output, float *x);
void sampler_dpm(struct sampler *s, int i, const float *output, float *x, const float *noise);
void sampler_unipc(struct sampler *s, int i, const float *output, float *x);

/* sigma as the pair of a variance-preserving process: alpha = 1 / sqrt(sigma^2 + 1), sigma' = sigma alpha, lambda = log(alpha / sigma'). */
struct sampler_level {
    float alpha, sigma, lambda;
};
struct sampler_level sampler_level(float sigma);
/* alphas_cumprod at timestep t, or the final value where t is before the first. */
float sampler_alpha_at(const struct sampler *s, int t);
/* The prediction of the clean sample, for dpm and unipc. */
float sampler_clean(const struct sampler *s, struct sampler_level at, float output, float x);
/* Put `output` (NULL: leave the place to be filled) before the history, of which `keep` entries stay; returns its place. */
float *sampler_remember(struct sampler *s, const float *output, int keep);

#endif
