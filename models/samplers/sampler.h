/* sampler.h - diffusion samplers on the host: diffusers' schedulers, with the same results.
 *
 *     struct json_file config = {0};
 *     struct sampler *s = NULL;
 *     TRY(json_open(ctx, &config, scheduler_folder, "scheduler_config.json"));
 *     TRY(sampler_new(ctx, &s, &config, n, &(struct sampler_options){.method = NULL, .steps = 20, .stable_diffusion = true}));
 *     random_normal(rng, x, n);                            text to image: pure noise,
 *     sampler_init_noise(s, x);                            times init_noise_sigma
 *     for (int i = s->first; i < s->count; i++) {
 *         sampler_scale_input(s, i, in, x);
 *         out = unet(in, s->timesteps[i])                  with guidance: guidance_combine
 *         TRY(sampler_step(ctx, s, i, out, x, &noise));    x is now the next sample
 *     }
 *     sampler_free(s);
 *
 * Image to image: options.strength sets the number of steps; instead of sampler_init_noise, x = the image's latent and
 * sampler_add_noise(s, s->first, x, x, noise). The loop is the same: it begins at s->first.
 * Inpainting with a UNet of four input channels: after step i, the unmasked part of x is replaced by
 * sampler_add_noise(s, i + 1, ..., original latent, initial noise), or by the original latent after the last step.
 *
 * Samples are f32 [images, channels, height, width], n floats in all. A sampler keeps state between steps, so each run needs a new one.
 * Coefficients are float where diffusers has float32 tensors and double where it has numpy arrays.
 *
 * Methods and their diffusers classes (names as in sampler_methods; also accepted: dpmpp_ for dpm++, any case, spaces, - and _ anywhere,
 * plms, euler_ancestral, dpmsolver++):
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
 * A method of another class than the configuration's reads it as XScheduler.from_config(pipe.scheduler.config) does: fields of the class
 * are used, others ignored, missing ones have the class's defaults. So a missing timestep_spacing is "leading" for pndm, ddim and ddpm and
 * "linspace" for the others, except lcm, which has its own rule; a file saved by a newer diffusers has the spacing of its own class, which
 * then applies to every method (options.spacing overrides it). The dpm++ names override algorithm_type, solver_order, use_karras_sigmas and
 * the other sigma options. A field that would change the result and is not supported is an error: thresholding, use_beta_sigmas, flow and
 * lu sigmas, learned variances, log_linear interpolation, continuous timesteps, the older dpmsolver algorithms, unipc's disable_corrector,
 * solver_p and predict_x0 false.
 *
 * Differences from diffusers: trailing spacing gives exactly the requested number of timesteps, also for the few numbers (61, 103, ...) for
 * which rounding there adds a timestep -1; runs that would give NaN there (two equal noise levels in a solver) are an error. */
#ifndef CLIO_MODELS_SAMPLERS_SAMPLER_H
#define CLIO_MODELS_SAMPLERS_SAMPLER_H

#include "../../host/core/random.h"
#include "../../host/core/json.h"

enum sampler_method {
    SAMPLER_PNDM,
    SAMPLER_DDIM,
    SAMPLER_DDPM,
    SAMPLER_LCM, /* up to here in terms of alphas_cumprod, from here of sigmas */
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

/* The fields of scheduler_config.json. */
struct sampler_config {
    enum sampler_method method;
    enum sampler_prediction prediction;
    enum sampler_spacing spacing;
    enum sampler_sigmas sigmas;
    enum sampler_variance variance;
    int train_steps, steps_offset, solver_order, original_steps;
    double clip;                 /* clip_sample_range; 0: clip_sample is off */
    double sigma_min, sigma_max; /* range of the karras and exponential sigmas; 0: that of the training schedule */
    double timestep_scaling, lambda_min;
    bool alpha_to_one, skip_prk, zero_snr, final_sigma_min;
    bool sde, heun_solver, lower_order_final, euler_at_final; /* dpm */
    bool bh1;                                                 /* unipc */
};

struct sampler_options {
    const char *method;    /* NULL: that of the configuration's _class_name */
    int steps;             /* num_inference_steps */
    double strength;       /* image to image, above 0 to 1: fraction of the steps to run; 0: all, from noise */
    double eta;            /* ddim: 0 deterministic, up to 1, the noise of ddpm */
    const char *spacing;   /* timestep_spacing "leading", "linspace" or "trailing"; NULL: the configuration's */
    bool stable_diffusion; /* correct the configuration as StableDiffusionPipeline does: steps_offset 1, clip_sample false */
};

/* Generators of a batch, as in diffusers: one for the whole batch, or one per image. */
struct sampler_noise {
    struct random *generators;
    int count; /* divides n */
};

#define SAMPLER_HISTORY 4

struct sampler {
    /* read by the caller */
    int count;              /* evaluations of the UNet from noise; the loop runs from first to count - 1 */
    int first;              /* first step of the loop: 0, or later with strength */
    const float *timesteps; /* [count], input of the UNet; euler, euler_a and heun can have fractions */
    float init_noise_sigma;
    bool is_stochastic; /* sampler_step draws noise */
    const char *method; /* its name in sampler_methods, or the nearest one */
    /* private */
    struct sampler_config config;
    double eta;
    int steps;
    size_t n;
    float *times, *alphas, *sigmas; /* timesteps; [train_steps] alphas_cumprod; [count + 1] */
    float final_alpha;
    int evaluations;                 /* calls of sampler_step so far */
    float *history[SAMPLER_HISTORY]; /* [n] each: previous outputs, newest first */
    int history_count;
    float *saved, *sum; /* [n] each: a previous sample; pndm's sum of outputs; scratch */
    float *noise;
    int order; /* unipc: order of the previous step */
};

/* n: floats of a sample, all images together. CLIO_ERROR_ARGUMENT: unknown method, invalid steps or strength; CLIO_ERROR_FORMAT and
 * CLIO_ERROR_UNSUPPORTED: the configuration. config may be closed afterwards. */
clio_status sampler_new(clio_context *ctx, struct sampler **out, const struct json_file *config, size_t n,
                        const struct sampler_options *options);
void sampler_free(struct sampler *s);
/* "pndm, ddim, ..." */
const char *sampler_methods(void);
/* "epsilon", "v_prediction", "sample" */
const char *sampler_prediction_name(enum sampler_prediction prediction);
/* Whether a name is one of them, or another spelling of it. */
bool sampler_class_is_known(const char *name); /* of diffusers; NULL: false */
bool sampler_is_known(const char *name);

/* The step that evaluation i of the network belongs to, counted from 0 at s->first: some methods evaluate it twice or more in a step. */
int sampler_step_number(const struct sampler *s, int i);

/* x *= init_noise_sigma, in place: from standard normal noise to the first sample. */
void sampler_init_noise(const struct sampler *s, float *x);
/* scale_model_input: the input of the UNet at evaluation i; out may be x. */
void sampler_scale_input(const struct sampler *s, int i, float *out, const float *x);
/* add_noise: latent with the noise level of evaluation i; out may be latent or noise. */
void sampler_add_noise(const struct sampler *s, int i, float *out, const float *latent, const float *noise);
/* step: x becomes the next sample. i counts up from s->first. noise may be NULL unless the method is stochastic. */
clio_status sampler_step(clio_context *ctx, struct sampler *s, int i, const float *model_output, float *x,
                         const struct sampler_noise *noise);

#endif
