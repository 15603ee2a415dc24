/* sampler.h - diffusion sampling on the host, with diffusers' schedulers and diffusers' numbers.
 *
 *     struct json_file config = {0};
 *     struct sampler *s = NULL;
 *     TRY(json_open(ctx, &config, scheduler_folder, "scheduler_config.json"));
 *     TRY(sampler_new(ctx, &s, &config, n, &(struct sampler_options){.method = NULL, .steps = 20, .stable_diffusion = true}));
 *     random_normal(rng, x, n);                            text to image: pure noise ...
 *     sampler_init_noise(s, x);                            ... at the first step's strength
 *     for (int i = s->first; i < s->count; i++) {
 *         sampler_scale_input(s, i, in, x);
 *         out = the network's answer to `in` at s->timesteps[i] (with guidance: guidance_combine)
 *         TRY(sampler_step(ctx, s, i, out, x, &noise));    x is now the next sample
 *     }
 *     sampler_free(s);
 *
 * Image to image: options.strength says how far back to go; instead of sampler_init_noise, x = the image's latent and
 * sampler_add_noise(s, s->first, x, x, noise). The loop is the same: it begins at s->first.
 * Inpainting with a network of four input channels: after step i, where the mask keeps the image, x is replaced by
 * sampler_add_noise(s, i + 1, ..., original latent, the noise of the beginning), or by the original latent after the last step.
 *
 * Samples are f32, [images, channels, height, width], n floats in all. A sampler keeps what its method remembers between steps, so it
 * makes one run; make another for the next. Coefficients are float where diffusers has float32 tensors and double where it has numpy's.
 *
 * Methods and the diffusers class of each (sampler_methods lists the names; also accepted: dpmpp_ for dpm++, any case, spaces, - and _
 * anywhere, plms, euler_ancestral, dpmsolver++):
 *     pndm               PNDMScheduler                      one evaluation more than steps (skip_prk_steps), or nine more without
 *     ddim               DDIMScheduler
 *     ddpm               DDPMScheduler                      stochastic
 *     euler              EulerDiscreteScheduler
 *     euler_a            EulerAncestralDiscreteScheduler    stochastic
 *     heun               HeunDiscreteScheduler              2 steps - 1 evaluations
 *     dpm++2m            DPMSolverMultistepScheduler
 *     dpm++2m_karras     the same, use_karras_sigmas
 *     dpm++2m_sde        the same, algorithm_type sde-dpmsolver++; stochastic
 *     dpm++2m_sde_karras both
 *     unipc              UniPCMultistepScheduler
 *     lcm                LCMScheduler                       stochastic
 * A method of another class than the configuration's takes the configuration as XScheduler.from_config(pipe.scheduler.config) does: fields
 * that it knows hold, the others do not apply, missing ones have the class's own defaults. So timestep_spacing, where the file has none, is
 * "leading" for pndm and ddim and ddpm, "linspace" for the rest but lcm, which has a rule of its own; a file saved by a newer diffusers
 * names the spacing of its own class, which then holds for every method (options.spacing overrules it). The dpm++ names overrule
 * algorithm_type, use_karras_sigmas (and its kin) and solver_order. A field that would change the numbers and is not supported is an error
 * that names it: thresholding, use_beta_sigmas, flow and lu sigmas, learned variances, log_linear interpolation, continuous timesteps, the
 * older dpmsolver algorithms, unipc's disable_corrector, solver_p and predict_x0 off.
 *
 * Where this differs from diffusers: trailing spacing gives as many timesteps as asked for, also for the few numbers (61, 103, ...) for
 * which rounding there adds a timestep -1; and runs that would answer NaN there (two equal noise levels in a solver) are refused. */
#ifndef CLIO_MODELS_SAMPLERS_SAMPLER_H
#define CLIO_MODELS_SAMPLERS_SAMPLER_H

#include "../../host/core/random.h"
#include "../../host/core/json.h"

enum sampler_method {
    SAMPLER_PNDM,
    SAMPLER_DDIM,
    SAMPLER_DDPM,
    SAMPLER_LCM, /* up to here by the product of alphas, from here by sigmas */
    SAMPLER_EULER,
    SAMPLER_EULER_A,
    SAMPLER_HEUN,
    SAMPLER_DPM,
    SAMPLER_UNIPC
};
enum sampler_prediction { SAMPLER_EPSILON, SAMPLER_V_PREDICTION, SAMPLER_SAMPLE };
enum sampler_spacing { SAMPLER_LEADING, SAMPLER_LINSPACE, SAMPLER_TRAILING };
enum sampler_sigmas { SAMPLER_SIGMAS_PLAIN, SAMPLER_SIGMAS_KARRAS, SAMPLER_SIGMAS_EXPONENTIAL };
enum sampler_variance { SAMPLER_FIXED_SMALL, SAMPLER_FIXED_SMALL_LOG, SAMPLER_FIXED_LARGE };

/* What a scheduler_config.json says, under diffusers' names. */
struct sampler_config {
    enum sampler_method method;
    enum sampler_prediction prediction;
    enum sampler_spacing spacing;
    enum sampler_sigmas sigmas;
    enum sampler_variance variance;
    int train_steps, steps_offset, solver_order, original_steps;
    double clip;                 /* clip_sample_range, or 0: clip_sample is off */
    double sigma_min, sigma_max; /* ends of the karras and exponential sigmas; 0: those of the training schedule */
    double timestep_scaling, lambda_min;
    bool alpha_to_one, skip_prk, zero_snr, final_sigma_min;
    bool sde, heun_solver, lower_order_final, euler_at_final; /* dpm */
    bool bh1;                                                 /* unipc */
};

struct sampler_options {
    const char *method;    /* NULL: the one of the configuration's _class_name */
    int steps;             /* num_inference_steps, as a user says it */
    double strength;       /* image to image, above 0 to 1: the share of the steps that are made; 0: all, from noise */
    double eta;            /* ddim: 0 deterministic, to 1 as noisy as ddpm */
    const char *spacing;   /* NULL: the configuration's; else "leading", "linspace" or "trailing" */
    bool stable_diffusion; /* correct the configuration as diffusers' StableDiffusionPipeline does: steps_offset 1, clip_sample off */
};

/* Generators of a batch, as diffusers takes them: one for all images (one draw for the whole batch), or one per image. */
struct sampler_noise {
    struct random *generators;
    int count; /* divides n */
};

#define SAMPLER_HISTORY 4

struct sampler {
    /* for the caller, to read */
    int count;              /* evaluations of the network from noise; the loop runs from first to count */
    int first;              /* where it begins: 0, or later by strength */
    const float *timesteps; /* [count], for the network; euler, euler_a and heun may have fractions */
    float init_noise_sigma;
    bool is_stochastic; /* sampler_step draws noise */
    const char *method; /* the name under which sampler_methods lists it, or the class's nearest */
    /* the sampler's own */
    struct sampler_config config;
    double eta;
    int steps;
    size_t n;
    float *times, *alphas, *sigmas; /* timesteps; [train_steps] alphas_cumprod; [count + 1] */
    float final_alpha;
    int evaluations;                 /* how many steps were made */
    float *history[SAMPLER_HISTORY]; /* [n] each: former outputs, the newest first */
    int history_count;
    float *saved, *sum; /* [n] each: a former sample; pndm's sum of outputs; scratch */
    float *noise;
    int order; /* unipc: of the step before */
};

/* `n`: floats of a sample, all images together. CLIO_ERROR_ARGUMENT for an unknown method, steps or strength that cannot be;
 * CLIO_ERROR_FORMAT and CLIO_ERROR_UNSUPPORTED for the configuration. The configuration is not needed afterwards. */
clio_status sampler_new(clio_context *ctx, struct sampler **out, const struct json_file *config, size_t n,
                        const struct sampler_options *options);
void sampler_free(struct sampler *s);
/* "pndm, ddim, ..." */
const char *sampler_methods(void);
/* Whether a name is one of them, or another spelling of it. */
bool sampler_is_known(const char *name);

/* x *= init_noise_sigma, in place: noise of standard deviation 1 as the first sample. */
void sampler_init_noise(const struct sampler *s, float *x);
/* What the network gets at evaluation i (scale_model_input); out may be x. */
void sampler_scale_input(const struct sampler *s, int i, float *out, const float *x);
/* out = the image's latent with noise as at evaluation i (add_noise); out may be latent or noise. */
void sampler_add_noise(const struct sampler *s, int i, float *out, const float *latent, const float *noise);
/* One step: x becomes the next sample. i must go up by one from s->first. `noise` may be NULL unless the method is stochastic. */
clio_status sampler_step(clio_context *ctx, struct sampler *s, int i, const float *model_output, float *x,
                         const struct sampler_noise *noise);

#endif
